"""``python -m ssrnet``, the same as the command ``ssrnet``."""

from __future__ import annotations

import os
import sys

from ssrnet.errors import DamagedImagesError, SSRNetError
from ssrnet.installation import check_installation

SKIP_DAMAGED = "(train, evaluate, compare, extract and index build go on without such images with --skip-damaged)"


def main() -> None:
    """Runs the command line; an error meant for the user ends in one sentence and exit status 2, Ctrl-C in 130.

    Where what reads the output has closed it, as `head` does, it ends without a word in 141, as a shell's own commands.
    """
    try:
        check_installation()
        from ssrnet.cli import run  # after the check, since it imports torchvision

        try:
            run(sys.argv[1:])
        finally:
            sys.stdout.flush()  # here, and not when Python ends and could no longer catch what it raises
    except DamagedImagesError as error:
        if len(error.problems) > 1:
            print("images that cannot be read:", *error.problems, sep="\n  - ", file=sys.stderr)
        print(f"ssrnet: {error} {SKIP_DAMAGED}", file=sys.stderr)
        sys.exit(2)
    except SSRNetError as error:
        print(f"ssrnet: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("ssrnet: stopped by the keyboard.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        if not _output_is_closed():  # it was another pipe, as to a process that reads images
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python writes when it ends
        sys.exit(141)


def _output_is_closed() -> bool:
    try:
        print(flush=True)  # a flush alone may have nothing to write
    except BrokenPipeError:
        return True
    return False


if __name__ == "__main__":
    main()

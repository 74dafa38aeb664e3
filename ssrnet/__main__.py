"""``python -m ssrnet``, the same as the command ``ssrnet``."""

from __future__ import annotations

import sys

from ssrnet.errors import SSRNetError
from ssrnet.installation import check_installation


def main() -> None:
    """Runs the command line; an error meant for the user ends in one sentence and exit status 2, Ctrl-C in 130."""
    try:
        check_installation()
        from ssrnet.cli import run  # after the check, since it imports torchvision

        run(sys.argv[1:])
    except SSRNetError as error:
        print(f"ssrnet: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("ssrnet: stopped by the keyboard.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()

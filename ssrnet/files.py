"""Reading files of any content, and writing files so that a crash leaves the old one or the new one.

Trust boundary. Whoever opens the app in a browser reaches three things: uploads (images, zip files, notes), the
addresses of pages with their parameters, and the images in the folders that a shared server offers (``SSRNET_ROOTS``).
These have limits: bytes, pixels, number of files, nesting. None of them is executed or written to the disk.
The owner of the machine names everything else: data folders and manifests, checkpoints, runs, features, indexes. Such a
file is checked as any good tool checks it: it must be a regular file with the expected names, types and shapes, no code
in it is run, and one sentence says what is wrong with it. Its size is the owner's business.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ssrnet.errors import ResourceError

MAX_LISTS = 1_000_000
"""Lists and mappings in JSON, which uploaded notes are: an empty one has two characters and takes 60 bytes of memory."""


def open_regular(path: str | Path, max_bytes: int | None = None) -> BinaryIO:
    """The file at ``path``, opened for reading.

    Raises OSError where opening does, for a file of more than ``max_bytes`` bytes, and for a pipe, a socket or a
    device: opening a pipe would wait for its writer, and a device may never end.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))
    status = os.fstat(file.fileno())
    problem = None
    if not stat.S_ISREG(status.st_mode):
        problem = OSError(errno.EINVAL, "it is a pipe, a socket or a device", str(path))
    elif max_bytes is not None and status.st_size > max_bytes:
        message = f"it has {status.st_size:,} bytes, and such a file has at most {max_bytes:,}"
        problem = OSError(errno.EFBIG, message, str(path))
    if problem:
        file.close()
        raise problem
    return file


def read_bytes(path: str | Path) -> bytes:
    """The content of the file; raises OSError as :func:`open_regular`."""
    with open_regular(path) as file:
        return file.read()


def parse_json(text: str | bytes) -> Any:
    """As ``json.loads``; raises ValueError also for text that is nested too deeply or has too many lists."""
    lists = sum(text.count(sign if isinstance(text, str) else sign.encode()) for sign in "[{")
    if lists > MAX_LISTS:
        raise ValueError(f"it has {lists:,} lists, and such a file has at most {MAX_LISTS:,}")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: str | Path) -> Any:
    """The content of a JSON file; raises OSError as :func:`open_regular`, and ValueError as :func:`parse_json`."""
    return parse_json(read_bytes(path))


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Calls ``write`` with a temporary path in the same folder, syncs that file and renames it to ``path``.

    Makes the folder. Raises :class:`ResourceError` where it cannot be written or the disk is full; ``path`` is then as
    it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # the second from torch.save on a full disk
        raise ResourceError(
            f"cannot write {path} ({getattr(error, 'strerror', None) or error}); free space or choose another folder, "
            "the earlier file is untouched."
        ) from error
    finally:
        with suppress(OSError):  # where there is no such folder
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Makes the folder of ``path``; raises :class:`ResourceError` where no file can be written there.

    Removes what killed processes left of ``path``, as :func:`remove_leftovers` does for a whole folder.
    """
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        _remove_if_orphaned(temporary)
    write_atomically(path.with_name(f".{path.name}.probe"), Path.touch)
    path.with_name(f".{path.name}.probe").unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes, in and under ``folder``, the temporary files of processes that were killed while they wrote."""
    for temporary in folder.rglob(".*.part"):
        _remove_if_orphaned(temporary)


def _remove_if_orphaned(temporary: Path) -> None:
    writer = re.search(r"\.(\d+)\.part$", temporary.name)
    if writer and not _is_running(int(writer[1])):
        temporary.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends no signal, only looks for the process
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True

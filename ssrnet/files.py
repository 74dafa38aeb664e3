"""Reading files that may be anything, and writing so that a crash leaves the old one or the new one."""

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

from safetensors import SafetensorError

from ssrnet.errors import ResourceError

MOST_JSON = 32 * 2**20
"""Bytes of a JSON file."""
MOST_LISTS = 1_000_000
"""Lists and mappings in it: an empty one takes two letters and thirty times the memory."""


def open_regular(path: str | Path, most: int | None = None) -> BinaryIO:
    """The file at ``path``, opened for reading, with at most ``most`` bytes.

    Raises OSError as opening does, and for a larger file, a pipe, a socket or a device: to open a pipe is to wait for
    its writer, and a device may never end.
    """
    _check_regular(os.stat(path), path)
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))
    try:
        about = os.fstat(file.fileno())
        _check_regular(about, path)  # another may have come in its place
        if most is not None and about.st_size > most:
            said = f"it has {about.st_size:,} bytes, and such a file has at most {most:,}"
            raise OSError(errno.EFBIG, said, str(path))
    except BaseException:
        file.close()
        raise
    return file


def _check_regular(about: os.stat_result, path: str | Path) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device", str(path))


def read_bytes(path: str | Path, most: int) -> bytes:
    """What the file holds; raises OSError as :func:`open_regular`."""
    with open_regular(path, most) as file:
        return file.read()


def parse_json(text: str | bytes) -> Any:
    """As ``json.loads``; raises ValueError for text that is nested too deeply or has too many lists as well."""
    lists = sum(text.count(sign if isinstance(text, str) else sign.encode()) for sign in "[{")
    if lists > MOST_LISTS:
        raise ValueError(f"it has {lists:,} lists, more than the {MOST_LISTS:,} that are read")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: str | Path, most: int = MOST_JSON) -> Any:
    """What the JSON file holds; raises OSError as :func:`open_regular`, ValueError for what is no JSON in UTF-8."""
    return parse_json(read_bytes(path, most))


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Calls ``write`` with a temporary name in the same folder, syncs it and renames it to ``path``.

    Raises :class:`ResourceError` where the folder cannot be written or the disk is full; ``path``
    is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # safetensors writes for the owner alone, and checkpoints are shared
        os.replace(temporary, path)
    except (OSError, SafetensorError, RuntimeError) as error:  # the last two from safetensors and torch on a full disk
        raise ResourceError(
            f"cannot write {path} ({getattr(error, 'strerror', None) or error}); free space or choose another folder, "
            "the file that was there is untouched."
        ) from error
    finally:
        with suppress(OSError):  # where the folder is none, there is nothing to remove
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Makes the folder of ``path`` and raises :class:`ResourceError` where no file can be written there.

    Half-written files of that name are removed, as :func:`remove_leftovers` does in a folder of one's own.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        _remove_if_left(left)
    write_atomically(path.with_name(f".{path.name}.probe"), Path.touch)
    path.with_name(f".{path.name}.probe").unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files in and under ``folder`` of processes that were killed while they wrote."""
    for path in folder.rglob(".*.part"):
        _remove_if_left(path)


def _remove_if_left(path: Path) -> None:
    writer = re.search(r"\.(\d+)\.part$", path.name)
    if writer and not _is_running(int(writer[1])):
        path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends nothing, and fails where there is no such process
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True

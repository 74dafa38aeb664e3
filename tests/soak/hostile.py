"""Hostile inputs and their readers, as cases; :mod:`tests.soak.trial` tries one."""

from __future__ import annotations

import json
import os
import random
import socket as sockets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CPU_SECONDS = 5

Make = Callable[[Path, random.Random], object]
Read = Callable[[object], object]
Content = bytes | str | Callable[[random.Random], bytes]


@dataclass(frozen=True)
class Case:
    """``read(make(folder, draw))`` must open, or end in one sentence, as ``expected`` states.

    ``check`` tests the result, ``says`` is a part of the sentence. ``long`` cases run in the long form only; ``seconds``
    is the limit of CPU time.
    """

    name: str
    make: Make
    read: Read
    expected: Literal["opens", "sentence", "either"] = "sentence"
    check: Callable[[object], bool] | None = None
    says: str = ""
    seconds: int = CPU_SECONDS
    long: bool = False


class Payload:
    """Creates the folder ``executed`` outside the case's folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.canary = str(folder.parent / "outside" / "executed")

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.canary,)


def safetensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A file with this header (a mapping, or its bytes), whose length field holds ``length``."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def written(name: str, data: Content) -> Make:
    """Writes one file of this content; its path is read."""

    def make(folder: Path, draw: random.Random) -> Path:
        content = data(draw) if callable(data) else data
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def special(name: str) -> dict[str, Make]:
    """What may stand in a file's place: broken links, loops, devices, pipes, sockets, folders."""

    def pipe(folder: Path, draw: random.Random) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(folder / name)
        return folder / name

    def socket(folder: Path, draw: random.Random) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir((folder / name).parent)  # a socket's path has at most 107 characters
            server = sockets.socket(sockets.AF_UNIX)
            server.bind(Path(name).name)
            server.close()
        finally:
            os.fchdir(here)
            os.close(here)
        return folder / name

    def link(to: str) -> Make:
        def make(folder: Path, draw: random.Random) -> Path:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(to or Path(name).name, folder / name)
            return folder / name

        return make

    def inside(folder: Path, draw: random.Random) -> Path:
        (folder / name).mkdir(parents=True)
        return folder / name

    return {
        "pipe": pipe,
        "socket": socket,
        "/dev/zero": link("/dev/zero"),
        "/dev/random": link("/dev/urandom"),
        "tty": link("/dev/tty"),
        "loop": link(""),
        "nowhere": link("/nowhere/at/all"),
        "folder": inside,
        "proc": link("/proc/self/mem"),
    }

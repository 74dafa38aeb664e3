"""Hostile things and what reads them, as cases; :mod:`tests.soak.trial` tries one.

What a case must come to is said beforehand: it opens, or ends in one sentence.
"""

from __future__ import annotations

import json
import os
import random
import socket as sockets
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CPU_SECONDS = 5

Make = Callable[[Path, random.Random], object]
Read = Callable[[object], object]


@dataclass(frozen=True)
class Case:
    """``make(folder, draw)`` gives what ``read`` is asked to read.

    ``check`` says of what came out whether it is right, ``says`` is a part of the sentence. ``long`` cases are left to
    the long form; ``seconds`` of processor time are what a large but honest file may take.
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
    """Unpickled, makes the folder ``executed`` outside of the case's."""

    def __init__(self, folder: Path) -> None:
        self.canary = str(folder.parent / "outside" / "executed")

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.canary,)


def safetensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A file of this header (a mapping, or its bytes), which says of itself that it has ``length`` bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def written(name: str, data: bytes | str | Callable[[random.Random], bytes]) -> Make:
    """A case's ``make``: one file of this content, whose path is read."""

    def make(folder: Path, draw: random.Random) -> Path:
        content = data(draw) if callable(data) else data
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def special(name: str) -> dict[str, Make]:
    """What may stand in a file's place: links that lead nowhere, in a circle or to a device, pipes, sockets, folders."""

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


def crossed(
    things: dict[str, Make], readers: dict[str, Read], expected: str = "sentence", long: bool = False, **more
) -> Sequence[Case]:
    """Every thing against every reader; in the short form each thing against one of them, in turn."""
    return [
        Case(f"{reader}: {thing}", make, read, expected, long=long or (i + j) % len(readers) != 0, **more)
        for i, (reader, read) in enumerate(readers.items())
        for j, (thing, make) in enumerate(things.items())
    ]

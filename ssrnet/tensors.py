"""Reading and writing .safetensors files: from one open file, by reads and not by a memory map.

A mapped file that another program cuts short, or whose disk fails, ends the process by SIGBUS without a word; and what
two openings of one path give need not belong together, since the file may have been replaced in between. So here the
header, the tensors and the hash come out of one open file, which is looked at again at the end.

The format: 8 bytes little-endian length of the header, the header in JSON (name to dtype, shape and data_offsets;
``__metadata__`` to a mapping of texts), then the tensors' bytes without gaps. What is written here is byte for byte what
the library writes, but for the order of the metadata, which it draws anew each time; and the library writes to a file of
another name first, which a killed process leaves behind.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor

from ssrnet.files import open_regular, write_atomically

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
ORDER = ("I64", "F64", "F32", "I32", "BF16", "F16", "I16", "I8", "U8", "BOOL")
"""In which tensors lie in a file, each type's by name: so all of them are aligned."""
MOST_HEADER = 64 * 2**20
"""Bytes of a header: the names of two million images. One that says more is damaged."""
MOST_TENSORS = 100_000
BLOCK = 16 * 2**20
"""Bytes that are converted at once."""
SETTLED = 0.02
"""Seconds after which a file that is written to again has another time of change; kernels count in steps of up to 10 ms."""


class ChangedError(ValueError):
    """The file was written to while it was read."""

    def __init__(self) -> None:
        super().__init__("it was written to while it was read; try again once it is whole")


class Place(NamedTuple):
    """A tensor in the file: its type, its shape and how many bytes it takes."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    size: int


class TensorFile:
    """An open .safetensors file, read once from its start to its end; :func:`open_tensors` makes it.

    ``places`` are in the order in which the tensors lie. Raises ValueError for what is no such file.
    """

    def __init__(self, file: BinaryIO, size: int, hashed: bool) -> None:
        self._file = file
        self._digest = hashlib.sha256() if hashed else None
        length = int.from_bytes(self._bytes(8), "little") if size >= 8 else size
        if length > min(MOST_HEADER, size - 8):
            raise ValueError(f"it says of itself a header of {length:,} bytes and has {size:,} in all")
        self.places, self.metadata = _parse(self._bytes(length))
        needed = 8 + length + sum(place.size for place in self.places.values())
        if needed != size:
            raise ValueError(f"it has {size:,} bytes and its header says {needed:,}")

    def tensors(self) -> dict[str, Tensor]:
        """All of them, in memory of their own."""
        return {
            name: self._raw(place.size).view(place.dtype).reshape(place.shape) for name, place in self.places.items()
        }

    def floats(self, name: str) -> Tensor:
        """One tensor as float32; the others are passed over.

        It is converted block by block, so that it is in memory once. Raises KeyError where there is none of that name.
        """
        wanted, found = self.places[name], torch.zeros(0)
        for place in self.places.values():
            if place is not wanted:
                self._pass(place.size)
                continue
            found = torch.empty(place.shape)
            numbers, per = found.view(-1), BLOCK // place.dtype.itemsize
            for start in range(0, len(numbers), per):
                part = numbers[start : start + per]
                part.copy_(self._raw(len(part) * place.dtype.itemsize).view(place.dtype))
        return found

    def hash(self) -> str:
        """First 16 hex digits of the file's SHA-256, of the very bytes that were read; reads what is left.

        Of a file that was opened ``hashed``.
        """
        assert self._digest is not None, "the file was not opened to be hashed"
        while part := self._file.read(2**20):
            self._digest.update(part)
        return self._digest.hexdigest()[:16]

    def _raw(self, size: int) -> Tensor:
        """(size,) uint8, the next bytes of the file."""
        buffer = torch.empty(size, dtype=torch.uint8)
        view = buffer.numpy().data
        if self._file.readinto(view) != size:
            raise ValueError("it ends before its last tensor does")
        if self._digest:
            self._digest.update(view)
        return buffer

    def _bytes(self, size: int) -> bytes:
        found = self._file.read(size)
        if len(found) != size:
            raise ValueError("it ends before its header does")
        if self._digest:
            self._digest.update(found)
        return found

    def _pass(self, size: int) -> None:
        for start in range(0, size, BLOCK):
            self._raw(min(BLOCK, size - start))


@contextmanager
def open_tensors(path: Path, most: int | None = None, hashed: bool = False) -> Iterator[TensorFile]:
    """The file at ``path``, of at most ``most`` bytes; ``hashed``: its hash will be asked for.

    Raises OSError as :func:`open_regular`, ValueError for what is no .safetensors file, and :class:`ChangedError`
    where it was written to before the context is left. A file that is replaced by another stays the one it was.
    """
    with open_regular(path, most) as file:
        before = _state(file)
        if abs(time.time() - before[1] / 1e9) < SETTLED:
            time.sleep(SETTLED)
        try:
            yield TensorFile(file, before[0], hashed)
        except ValueError as error:
            if _state(file) != before and not isinstance(error, ChangedError):
                raise ChangedError from error
            raise
        if _state(file) != before:
            raise ChangedError


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """A .safetensors file, atomically, of which the same content always gives the same bytes, and so the same hash.

    Raises as :func:`ssrnet.files.write_atomically`.
    """
    names = {dtype: name for name, dtype in DTYPES.items()}
    ordered = sorted(tensors.items(), key=lambda item: (ORDER.index(names[item[1].dtype]), item[0]))
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for name, tensor in ordered:
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for _, tensor in ordered:
                file.write(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)

    write_atomically(path, write)


def _state(file: BinaryIO) -> tuple[int, int]:
    """Size and time of change."""
    about = os.fstat(file.fileno())
    return about.st_size, about.st_mtime_ns


def _parse(header: bytes) -> tuple[dict[str, Place], dict[str, str]]:
    """Places in the order of their offsets, and the metadata; raises ValueError where the header makes no sense."""
    if header.count(b"{") > MOST_TENSORS:
        raise ValueError(f"its header names more than {MOST_TENSORS:,} tensors")
    if header.count(b"[") > 10 * MOST_TENSORS:  # each is a list of its own, also where a text was expected
        raise ValueError("its header is made of lists")
    try:
        values = json.loads(header)
        metadata = values.pop("__metadata__", None) or {}
        if not all(isinstance(text, str) for text in metadata.values()):
            raise ValueError("its metadata are not all texts")
        listed = sorted(values.items(), key=lambda item: item[1]["data_offsets"])
        places, end = {}, 0
        for name, about in listed:
            place = _place(about)
            offsets = about["data_offsets"]
            if offsets != [end, end + place.size] or not all(type(offset) is int for offset in offsets):
                raise ValueError(f"its header gives {name[:80]} a place that does not fit its shape")
            places[name], end = place, end + place.size
    except (TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"its header is damaged ({type(error).__name__})") from error
    return places, metadata


def _place(about: dict) -> Place:
    dtype, shape = DTYPES[about["dtype"]], tuple(about["shape"])
    if not all(type(side) is int and 0 <= side < 2**48 for side in shape) or len(shape) > 64:
        raise ValueError("its header holds a shape that none can have")
    return Place(dtype, shape, math.prod(shape) * dtype.itemsize)

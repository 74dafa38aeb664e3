"""Reads arrays of numbers from a .mat file (MATLAB's Level 5 format, which ``scipy.io.savemat`` writes).

``scipy.io.loadmat`` ends the whole process on some damaged files, so that no sentence could say which file it was.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

HEADER = 128
MATRIX, COMPRESSED = 14, 15
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""By the type in an element's tag, that of its numbers."""
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""By an array's class, the type of its numbers, which may be stored as a shorter one."""
COMPLEX = 0x0800


class _Element(NamedTuple):
    kind: int
    data: bytes


def arrays_in(content: bytes) -> dict[str, np.ndarray]:
    """The real arrays of numbers in a file, by name; other variables are left out. Raises ValueError for other content."""
    order = {b"IM": "<", b"MI": ">"}.get(content[HEADER - 2 : HEADER])
    if order is None or content.startswith(b"MATLAB 7.3"):
        raise ValueError("it is not of MATLAB's Level 5 format")
    arrays = {}
    for element in _elements(content[HEADER:], order):
        if element.kind == COMPRESSED:
            try:
                element = next(_elements(zlib.decompress(element.data), order), element)
            except zlib.error as error:
                raise ValueError("its compressed data are damaged") from error
        if element.kind == MATRIX and (named := _array(element.data, order)):
            arrays[named[0]] = named[1]
    return arrays


def _elements(data: bytes, order: str) -> Iterator[_Element]:
    """The elements one after another; raises ValueError where one is cut short."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        begin, padded = at + 8, kind != COMPRESSED
        if kind >> 16:  # up to four bytes lie in the tag itself
            kind, size, begin, padded = kind & 0xFFFF, kind >> 16, at + 4, False
            at += 8
        else:
            at = begin + size + (-size % 8 if padded else 0)
        if begin + size > len(data):
            raise ValueError("it is cut short or damaged")
        yield _Element(kind, data[begin : begin + size])


def _array(data: bytes, order: str) -> tuple[str, np.ndarray] | None:
    """Name and values of a matrix; None where it holds no real numbers."""
    parts = list(_elements(data, order))
    if len(parts) < 4 or len(parts[0].data) < 4 or len(parts[1].data) % 4:
        return None
    (flags,) = struct.unpack_from(f"{order}I", parts[0].data)
    shape = struct.unpack(f"{order}{len(parts[1].data) // 4}i", parts[1].data)
    if flags & 0xFF not in CLASSES or flags & COMPLEX or parts[3].kind not in STORED:
        return None
    stored = np.dtype(order + STORED[parts[3].kind])
    if min(shape, default=-1) < 0 or math.prod(shape) * stored.itemsize != len(parts[3].data):
        raise ValueError("an array in it has another size than it says")
    values = np.frombuffer(parts[3].data, stored).reshape(shape, order="F")
    return parts[2].data.decode("latin-1"), values.astype(CLASSES[flags & 0xFF])

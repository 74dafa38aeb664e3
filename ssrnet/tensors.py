"""Reading and writing .safetensors files: by plain reads, with a hash of the bytes that were read.

Nothing is memory-mapped: where another program truncates a mapped file, reading it ends the process with SIGBUS.

The format: 8 bytes little-endian length of the header, the header as JSON (tensor name to dtype, shape and
data_offsets; ``__metadata__`` to a mapping of strings), then the tensors' bytes without gaps. :func:`write_tensors`
writes what the safetensors library writes, except that it sorts the metadata, which the library writes in random order;
so equal content has equal bytes and an equal hash.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from ssrnet.files import open_regular, write_atomically

DTYPES = {
    "I64": torch.int64,
    "F64": torch.float64,
    "F32": torch.float32,
    "I32": torch.int32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""In the order in which the tensors of a file lie; within a type they are sorted by name."""
BLOCK = 2**23
"""Numbers that are converted to float32 at a time."""
MTIME_STEP = 0.02
"""Seconds. Two writes closer than a kernel's clock tick, up to 10 ms, may leave the same modification time."""


class TensorFile(NamedTuple):
    """What a .safetensors file holds; ``hash``: the first 16 hex digits of the SHA-256 of the bytes that were read."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    hash: str


def read_tensors(path: Path) -> TensorFile:
    """The whole file, in one read. Peak memory is twice the file's size.

    Raises OSError as :func:`ssrnet.files.open_regular`, and ValueError for a file that is no .safetensors file, is
    damaged, or was written to by another process meanwhile.
    """
    with _opened(path) as file:
        data = file.read()
        tensors = load(data)
        header, _ = _read_header(io.BytesIO(data), len(data))
    return TensorFile(tensors, header.get("__metadata__") or {}, hashlib.sha256(data).hexdigest()[:16])


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata alone, from the file's header; raises as :func:`read_tensors`."""
    with _opened(path) as file:
        header, _ = _read_header(file, os.fstat(file.fileno()).st_size)
    return header.get("__metadata__") or {}


def read_float32(path: Path, name: str) -> tuple[Tensor, dict[str, str]]:
    """One tensor as float32, and the metadata.

    Peak memory is the result's own and one block: feature files fill a good part of the memory. Raises as
    :func:`read_tensors`, and ValueError for a file without this tensor.
    """
    with _opened(path) as file:
        header, start = _read_header(file, os.fstat(file.fileno()).st_size)
        if name not in header:
            raise ValueError(f"it has no tensor {name}")
        dtype, shape, (first, last) = (header[name][key] for key in ("dtype", "shape", "data_offsets"))
        size = DTYPES[dtype].itemsize
        if math.prod(shape) * size != last - first:
            raise ValueError(f"{name} has {last - first:,} bytes for the shape {shape}")
        file.seek(start + first)
        result = torch.empty(shape)
        for block in result.view(-1).split(BLOCK) if result.numel() else ():
            block.copy_(torch.frombuffer(bytearray(file.read(len(block) * size)), dtype=DTYPES[dtype]))
    return result, header.get("__metadata__") or {}


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes a .safetensors file atomically; the same content always gives the same bytes.

    Raises as :func:`ssrnet.files.write_atomically`.
    """
    names = {dtype: name for name, dtype in DTYPES.items()}
    order = list(DTYPES.values()).index
    ordered = sorted(tensors.items(), key=lambda item: (order(item[1].dtype), item[0]))
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


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The open file; errors of what is read from it become a ValueError."""
    with open_regular(path) as file:
        before = os.fstat(file.fileno())
        if abs(time.time() - before.st_mtime) < MTIME_STEP:
            time.sleep(MTIME_STEP)
        try:
            yield file
        except (SafetensorError, KeyError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise ValueError("another process wrote to it while it was read; try again once that is done")


def _read_header(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """The header of a file of ``size`` bytes, and the position of the first tensor."""
    length = int.from_bytes(file.read(8), "little")
    if length > size - 8:
        raise ValueError(f"it has {size:,} bytes and a header of {length:,}")
    header = json.loads(file.read(length))
    metadata = header.get("__metadata__") or {}
    if not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata holds values that are not strings")
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    if 8 + length + max(ends, default=0) != size:
        raise ValueError(f"it has {size:,} bytes where its header announces {8 + length + max(ends, default=0):,}")
    return header, 8 + length

"""Training images as uint8 squares: from a file of decoded images, or decoded each time."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from ssrnet.data.records import VehicleImage
from ssrnet.data.transforms import ImageTensors, pixel_transform, read_batches
from ssrnet.errors import DataError, ResourceError
from ssrnet.files import remove_leftovers, write_atomically

CHUNK = 64
"""Images that are decoded, or copied to a device, at a time."""
READ_AHEAD = 4
"""Batches that are read while the device computes."""


class Pixels(Protocol):
    """A source of training images."""

    def batches(self, batches: Iterable[Sequence[int]]) -> Iterator[Tensor]:
        """For each list of B positions the images as (B, S, S, 3) uint8, read ahead; on the CPU but for DevicePixels."""


class DecodedPixels:
    """Reads and decodes the files each time, in ``workers`` processes: for data that the disk has no room for decoded."""

    def __init__(self, images: Sequence[VehicleImage], size: int, workers: int = 0) -> None:
        self.images = ImageTensors(images, pixel_transform(size))
        self.workers = workers

    def batches(self, batches: Iterable[Sequence[int]]) -> Iterator[Tensor]:
        loader = DataLoader(self.images, batch_sampler=list(batches), num_workers=self.workers)
        for pixels, _ in read_batches(loader):
            yield pixels


class CachedPixels:
    """Reads a memory-mapped .npy file of (N, S, S, 3) uint8; the system caches what fits in memory.

    ``rows``: the row of the file for each position; by default the position itself.
    """

    def __init__(self, path: Path, rows: Sequence[int] | None = None) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nothing writes to it
            self.images = torch.from_numpy(np.load(path, mmap_mode="r"))
        self.rows = torch.arange(len(self.images)) if rows is None else torch.tensor(rows)

    def batches(self, batches: Iterable[Sequence[int]]) -> Iterator[Tensor]:
        batches = iter(batches)
        with ThreadPoolExecutor(1) as reader:
            ahead = deque(reader.submit(self._read, batch) for batch in islice(batches, READ_AHEAD))
            while ahead:
                pixels = ahead.popleft().result()
                ahead.extend(reader.submit(self._read, batch) for batch in islice(batches, 1))
                yield pixels

    def _read(self, positions: Sequence[int]) -> Tensor:
        pixels = self.images.index_select(0, self.rows[torch.as_tensor(positions)])
        return pixels.pin_memory() if torch.cuda.is_available() else pixels


class DevicePixels:
    """The images of a cached file in a device's memory, (N, S, S, 3) uint8, so that no step waits for a loader.

    ``rows`` as for :class:`CachedPixels`; only these are copied.
    """

    def __init__(self, path: Path, rows: Sequence[int], device: torch.device) -> None:
        self.images = torch.empty((0,))
        for start, images in enumerate(CachedPixels(path, rows).batches(_chunks(len(rows)))):
            if not start:
                self.images = torch.empty((len(rows), *images.shape[1:]), dtype=torch.uint8, device=device)
            self.images[start * CHUNK : start * CHUNK + len(images)] = images.to(device)

    def batches(self, batches: Iterable[Sequence[int]]) -> Iterator[Tensor]:
        for batch in batches:
            yield self.images[torch.as_tensor(batch).to(self.images.device, non_blocking=True)]


def fits_on(device: torch.device, path: Path) -> bool:
    """Whether a cached file takes at most a quarter of the memory that a CUDA device has free; False on a CPU."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return path.stat().st_size <= free / 4


def _chunks(count: int) -> list[range]:
    return [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]


def cached_file(folder: Path, images: Sequence[VehicleImage], size: int) -> Path:
    """The file in ``folder`` for these images at this size, which may not exist yet.

    Its name holds a hash over every image's name, file size and modification time, so that changed data have another
    file. Raises :class:`DataError` for a missing image.
    """
    digest = hashlib.sha256()
    for image in images:
        try:
            about = image.path.stat()
        except OSError as error:
            raise DataError(
                f"{image.path} cannot be found ({error.strerror}); restore the image, or open the data set anew."
            ) from error
        line = f"{image.name}\0{about.st_size}\0{about.st_mtime_ns}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return folder / f"pixels-{digest.hexdigest()[:16]}-{size}.npy"


def is_cached(path: Path, count: int, size: int) -> bool:
    """Whether ``path`` is a whole file of so many images."""
    try:
        return np.load(path, mmap_mode="r").shape == (count, size, size, 3)
    except (OSError, ValueError, EOFError):  # absent, truncated, or another file of that name
        return False


def decode_into(path: Path, images: Sequence[VehicleImage], size: int, workers: int = 0) -> None:
    """Decodes ``images`` into ``path``, atomically.

    Raises :class:`ResourceError` where the disk has no room, before anything is decoded, and
    :class:`DataError` for an image that cannot be read.
    """
    remove_leftovers(path.parent)
    needed, free = len(images) * size * size * 3, _free(path.parent)
    if needed > free:
        raise ResourceError(
            f"the decoded images need {needed / 1e9:.1f} GB and {path.parent} has {free / 1e9:.1f} GB free; "
            "free space, name a folder on another disk with --cache, or decode anew each epoch with --no-cache-images."
        )

    def write(temporary: Path) -> None:
        chunks = _chunks(len(images))
        with open(temporary, "wb") as file:
            shape = (len(images), size, size, 3)
            npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            # Written in order and not through a memory map, whose writer a full disk kills without a word.
            decoded = DecodedPixels(images, size, workers).batches(chunks)
            for pixels in tqdm(decoded, total=len(chunks), desc="decoding", unit="batch", leave=False):
                file.write(pixels.numpy().data)

    write_atomically(path, write)


def _free(folder: Path) -> int:
    """Bytes free on the disk of ``folder``, which may not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free

"""From positions in the training list to augmented images on the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ssrnet.data.augment import augment, draw
from ssrnet.data.pixels import (
    CachedPixels,
    DecodedPixels,
    DevicePixels,
    Pixels,
    cached_file,
    decode_into,
    fits_on,
    is_cached,
)
from ssrnet.data.records import VehicleImage
from ssrnet.training.distributed import Processes
from ssrnet.training.settings import TrainSettings


def cache_folder(settings: TrainSettings) -> Path:
    """Where decoded images lie: --cache, or a folder in --out."""
    return settings.cache or settings.out / "cache"


def open_pixels(
    settings: TrainSettings, images: Sequence[VehicleImage], rows: Sequence[int], size: int, group: Processes
) -> Pixels:
    """The images at positions ``rows`` of ``images``, as squares of ``size`` pixels; decodes all of them if need be.

    The whole list is cached, whatever is held back of it, so that runs of any seed share the file.
    """
    if not settings.cache_images:
        return DecodedPixels([images[row] for row in rows], size, settings.workers)
    path = cached_file(cache_folder(settings), images, size)
    if group.first and not is_cached(path, len(images), size):
        decode_into(path, images, size, settings.workers)
        group.say(f"decoded images: {path} ({path.stat().st_size / 1e9:.2f} GB)")
    group.wait()
    return DevicePixels(path, rows, group.device) if fits_on(group.device, path) else CachedPixels(path, rows)


def on_device(batches: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
    """The batches on ``device``; on CUDA the next one is copied, on a stream of its own, while this one is used."""
    if device.type != "cuda":
        yield from (batch.to(device) for batch in batches)
        return
    copying, waiting = torch.cuda.Stream(device), None
    for batch in batches:
        with torch.cuda.stream(copying):
            coming = batch.to(device, non_blocking=True)
        if waiting is not None:
            yield _use(waiting, copying)
        waiting = coming
    if waiting is not None:
        yield _use(waiting, copying)


def _use(batch: Tensor, copying: torch.cuda.Stream) -> Tensor:
    """Makes the current stream wait for the copy, and keeps the batch's memory until that stream is done with it."""
    using = torch.cuda.current_stream(batch.device)
    using.wait_stream(copying)
    batch.record_stream(using)
    return batch


def augmented(
    pixels: Pixels, batches: Sequence[Sequence[int]], first: int, epoch: int, settings: TrainSettings, group: Processes
) -> Iterator[Tensor]:
    """This process's part of each batch as (B / world, 3, S, S) float32 on the device, normalised.

    Of the epoch's ``batches`` it gives those from number ``first`` on. The draws are made for the whole
    batch, and each process takes its part of them.
    """
    part = group.share(settings.identities_per_batch, settings.images_per_identity)
    batches_here = pixels.batches([batch[part] for batch in batches[first:]])
    for number, own in enumerate(on_device(batches_here, group.device), start=first):
        draws = draw(len(batches[number]), own.shape[1], settings.augment, settings.seed, epoch, number)
        yield augment(own, settings.augment, draws.share(part))

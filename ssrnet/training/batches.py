"""From a data folder to augmented batches on the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ssrnet.data.augment import augment, draw
from ssrnet.data.damaged import TRAIN, without_damaged
from ssrnet.data.datasets import join_training_data, open_training_parts
from ssrnet.data.holdout import hold_back
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
from ssrnet.data.sampler import PKSampler
from ssrnet.data.training_sets import describe_training, union
from ssrnet.training.distributed import Processes
from ssrnet.training.settings import TrainSettings
from ssrnet.training.trained_on import sets_of_start


class TrainingData:
    """What a run trains on.

    ``images`` are those of ``dataset`` without the ``held_back`` identities; ``labels`` (N,) int64 on the device, from
    0 to ``vehicles`` - 1. Raises as :func:`open_training_parts` and :func:`hold_back`.
    """

    def __init__(self, settings: TrainSettings, group: Processes) -> None:
        self._settings, self._group = settings, group
        self._pixels: tuple[int, Pixels] | None = None
        parts = open_training_parts(settings.data, settings.subset, settings.more_data, settings.layout)
        if settings.skip_damaged:
            parts = [without_damaged(part, TRAIN) for part in parts]
        self.dataset = join_training_data(parts)
        self.content_hash = self.dataset.content_hash()
        self.images, self.held_back = hold_back(self.dataset, settings.holdout, settings.seed)
        self.training_sets = union(describe_training(parts, self.images), sets_of_start(settings.start_from))
        identities = sorted({image.vehicle_id for image in self.images})
        label_of = {vehicle_id: label for label, vehicle_id in enumerate(identities)}
        self.vehicles = len(identities)
        self.labels = torch.tensor([label_of[image.vehicle_id] for image in self.images], device=group.device)
        group.say(self.dataset.summary())
        counts = f"training on {len(self.images):,} images of {self.vehicles:,} vehicles"
        group.say(f"{counts}; {settings.holdout} held back")

    def pixels(self, size: int) -> Pixels:
        """``images`` as squares of ``size`` pixels; those of the last size stay open."""
        if self._pixels is None or self._pixels[0] != size:
            self._pixels = None  # frees a device's memory before the next images come
            row_of = {image.name: row for row, image in enumerate(self.dataset.train)}
            rows = [row_of[image.name] for image in self.images]
            self._pixels = (size, open_pixels(self._settings, self.dataset.train, rows, size, self._group))
        return self._pixels[1]


def build_sampler(images: Sequence[VehicleImage], settings: TrainSettings) -> PKSampler:
    """PK batches of ``images``; an epoch over images repeats the vehicles until about as many images are shown."""
    vehicle_ids = [image.vehicle_id for image in images]
    P, K = settings.identities_per_batch, settings.images_per_identity
    rounds = 1
    if settings.epoch_over == "images":
        rounds = max(1, round(len(images) / (len(set(vehicle_ids)) * K)))
    return PKSampler(vehicle_ids, P, K, settings.seed, rounds)


def cache_folder(settings: TrainSettings) -> Path:
    """Folder of the decoded images: --cache, or `cache` in --out."""
    return settings.cache or settings.out / "cache"


def open_pixels(
    settings: TrainSettings, images: Sequence[VehicleImage], rows: Sequence[int], size: int, group: Processes
) -> Pixels:
    """The images at positions ``rows`` of ``images``, as squares of ``size`` pixels.

    Decodes all of ``images`` unless the cache holds them: with held-back ones in it, runs of any seed share the file.
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
    """The batches on ``device``; on CUDA a second stream copies the next batch while this one is used."""
    if device.type != "cuda":
        yield from (batch.to(device) for batch in batches)
        return
    copying, waiting = torch.cuda.Stream(device), None
    for batch in batches:
        with torch.cuda.stream(copying):
            copied = batch.to(device, non_blocking=True)
        if waiting is not None:
            yield _use(waiting, copying)
        waiting = copied
    if waiting is not None:
        yield _use(waiting, copying)


def _use(batch: Tensor, copying: torch.cuda.Stream) -> Tensor:
    """Makes the current stream wait for the copy, and holds the batch's memory until that stream has used it."""
    using = torch.cuda.current_stream(batch.device)
    using.wait_stream(copying)
    batch.record_stream(using)
    return batch


def augmented(
    pixels: Pixels, batches: Sequence[Sequence[int]], first: int, epoch: int, settings: TrainSettings, group: Processes
) -> Iterator[Tensor]:
    """This process's part of each batch as (B / world, 3, S, S) float32 on the device, normalised.

    Starts at number ``first`` of the epoch's ``batches``. Augmentation is drawn for the whole batch, and each process
    takes its part, so that the number of processes changes no image.
    """
    part = group.share(settings.identities_per_batch, settings.images_per_identity)
    batches_here = pixels.batches([batch[part] for batch in batches[first:]])
    for number, images in enumerate(on_device(batches_here, group.device), start=first):
        draws = draw(len(batches[number]), images.shape[1], settings.augment, settings.seed, epoch, number)
        yield augment(images, settings.augment, draws.share(part))

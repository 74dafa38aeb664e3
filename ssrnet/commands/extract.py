"""``ssrnet extract``: the embeddings of a data set's images as one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError
from ssrnet.files import check_writable
from ssrnet.index.partial import PartialFeatures
from ssrnet.resources import DeviceName
from ssrnet.retrieval.extraction import ExtractSettings, describe, extract
from ssrnet.retrieval.feature_files import feature_record, file_name, part_name, remove_outdated
from ssrnet.training.checkpoint import load_checkpoint
from ssrnet.training.distributed import processes


@dataclass(frozen=True)
class ExtractFeaturesSettings:
    """Compute the embeddings of a data set's images and keep them, as float16, in one .safetensors file."""

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder, or the path of a CSV manifest."""
    checkpoint: Path
    """Checkpoint that `ssrnet train` wrote."""
    out: Path
    """File to write, ending in .safetensors; or a folder, where the app finds the file by its name."""
    split: Literal["test", "train", "query", "gallery"] = "test"
    """Which images; test is query and gallery, each image once."""
    subset: int | None = None
    """Test subset of VehicleID or VERI-Wild."""
    extraction: ExtractSettings = ExtractSettings()
    workers: int = 2
    """Processes that read images."""
    device: DeviceName = "auto"
    """Where to run."""


def extract_features(settings: ExtractFeaturesSettings) -> None:
    """Runs the command; under torchrun the processes share the images, and the first one writes.

    Until the file is whole its rows lie in a folder beside it, so that the same command goes on where an earlier one
    was killed. In a folder the file is named by what made it, and files of an earlier checkpoint of that name, or of
    an earlier state of the data, are removed. Raises :class:`DataError` for an empty split or an ending that is
    not .safetensors, :class:`ResourceError` where the file cannot be written; otherwise as :func:`extract`.
    """
    is_folder = settings.out.is_dir() or not settings.out.suffix
    if not is_folder and settings.out.suffix != ".safetensors":
        raise DataError(f"{settings.out} does not end in .safetensors; name the feature file so, or give a folder.")
    checkpoint = load_checkpoint(settings.checkpoint)
    dataset = open_dataset(settings.data, settings.subset)
    images = getattr(dataset, settings.split)
    if not images:
        raise DataError(f"{dataset.root} has an empty {settings.split} split; choose another with --split.")
    made_by = checkpoint.record | describe(settings.extraction, checkpoint.info.image_size)
    record = feature_record(made_by, dataset, dataset.content_hash(), settings.split)
    out = settings.out / file_name(record) if is_folder else settings.out
    group = processes(settings.device)
    if group.first:
        check_writable(out)  # before hours of work, not after
    beside = settings.out / part_name(record) if is_folder else out.with_name(f"{out.name}.part")
    with PartialFeatures(beside, made_by, say=print) as part:
        features = extract(
            checkpoint.model,
            images,
            settings.extraction,
            checkpoint.info.image_size,
            group.device,
            settings.workers,
            progress=(lambda batches, total: tqdm(batches, total=total, unit="batch")) if group.first else None,
            group=group,
            part=part,
        )
        if group.first:
            features.save(out, record)
            part.remove()
            for path in remove_outdated(settings.out, record) if is_folder else ():
                print(f"{path}: removed, since its checkpoint or data has changed")
    earlier = f", {part.restored:,} of them from an earlier run" if part.restored else ""
    group.say(f"{out}: {len(features.names):,} embeddings of {features.features.shape[1]:,} numbers{earlier}")

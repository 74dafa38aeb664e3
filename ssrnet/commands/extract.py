"""``ssrnet extract``: write the embeddings of a data set's images to one file."""

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
class FeatureFileSettings:
    """Compute the embeddings of a data set's images and write them, as float16, to one .safetensors file."""

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder, or the path of a CSV manifest."""
    checkpoint: Path
    """Checkpoint that `ssrnet train` wrote."""
    out: Path
    """File to write, ending in .safetensors; or a folder, for a file name by which the app finds it."""
    split: Literal["test", "train", "query", "gallery"] = "test"
    """Which images; `test` is query and gallery, each image once."""
    subset: int | None = None
    """Test subset of VehicleID or VERI-Wild."""
    extraction: ExtractSettings = ExtractSettings()
    workers: int = 2
    """Processes that read images."""
    device: DeviceName = "auto"
    """Where to run."""


def write_feature_file(settings: FeatureFileSettings) -> None:
    """Runs the command; under torchrun the processes share the images, and the first one writes.

    Until the file is complete its rows are stored in a folder beside it, so that the same command resumes a killed
    one. In a folder the file's name has a hash of checkpoint, data and settings, and files of an earlier checkpoint
    of the same name, or of an earlier state of the data, are removed. Raises :class:`DataError` for an empty split or
    another ending than .safetensors, :class:`ResourceError` where the file cannot be written; otherwise as
    :func:`extract`.
    """
    is_folder = settings.out.is_dir() or not settings.out.suffix
    if not is_folder and settings.out.suffix != ".safetensors":
        raise DataError(f"{settings.out} does not end in .safetensors; give --out such a name, or a folder.")
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
    with PartialFeatures(beside, made_by, say=print) as partial:
        features = extract(
            checkpoint.model,
            images,
            settings.extraction,
            checkpoint.info.image_size,
            group.device,
            settings.workers,
            progress=(lambda batches, total: tqdm(batches, total=total, unit="batch")) if group.first else None,
            group=group,
            partial=partial,
        )
        if group.first:
            features.save(out, record)
            partial.remove()
            for path in remove_outdated(settings.out, record) if is_folder else ():
                print(f"{path}: removed, since its checkpoint or data has changed")
    earlier = f", {partial.restored:,} of them from an earlier run" if partial.restored else ""
    group.say(f"{out}: {len(features.names):,} embeddings of {features.features.shape[1]:,} numbers{earlier}")

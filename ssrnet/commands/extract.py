"""``ssrnet extract``: write the embeddings of a data set's images to one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ssrnet.analysis.health_files import evenly_spaced, save_health
from ssrnet.commands.progress import image_bar
from ssrnet.data.damaged import TEST, TRAIN, without_damaged
from ssrnet.data.datasets import open_dataset
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import DataError
from ssrnet.explain.gallery_graphs import GRAPHS, SUFFIX, extract_graphs
from ssrnet.files import check_writable
from ssrnet.index.partial import PartialFeatures
from ssrnet.model.health import attention_health
from ssrnet.predictor import Predictor
from ssrnet.resources import DeviceName, resolve_device
from ssrnet.retrieval.extraction import ExtractSettings, describe, extract
from ssrnet.retrieval.feature_files import Record, feature_record, file_name, part_name, remove_outdated
from ssrnet.studies.definitions import CROP_RATIOS
from ssrnet.training.checkpoint import Checkpoint, load_checkpoint
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
    layout: str | None = None
    """Read the folder as this layout, as `Folders` or `unlabelled`, whatever it is recognised as."""
    skip_damaged: bool = False
    """Read every image first, and go on without those that cannot be read; the features are then those of `ssrnet evaluate --skip-damaged`."""
    extraction: ExtractSettings = ExtractSettings()
    explained: bool = False
    """Write into the folder, in place of embeddings, what the app would compute of all test images: the attention
    health and, of a network with a graph, f_token at the λ of Fig. 4."""
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
    checkpoint, group = load_checkpoint(settings.checkpoint), processes(settings.device)
    dataset = open_dataset(settings.data, settings.subset, settings.layout)
    if settings.skip_damaged:
        dataset = without_damaged(dataset, TRAIN if settings.split == "train" else TEST)
    group.say(dataset.summary())
    images = getattr(dataset, settings.split)
    if not images:
        raise DataError(f"{dataset.root} has an empty {settings.split} split; choose another with --split.")
    made_by = checkpoint.record | describe(settings.extraction, checkpoint.info.image_size)
    if settings.explained:
        return _explain(settings, checkpoint, dataset, made_by)
    record = feature_record(made_by, dataset, dataset.content_hash(), settings.split)
    out = settings.out / file_name(record) if is_folder else settings.out
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
            progress=image_bar(len(images), group.world) if group.first else None,
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


def _explain(settings: FeatureFileSettings, checkpoint: Checkpoint, dataset: ReIDDataset, made_by: Record) -> None:
    """What ``explained`` says; the files have the names by which the app finds them."""
    if settings.split != "test" or settings.out.suffix:
        raise DataError(f"--explained looks at the test images and writes into a folder; {settings.out} is none.")
    images, content = dataset.test, dataset.content_hash()
    device = resolve_device(settings.device)
    predictor = Predictor(checkpoint.model.to(device), checkpoint.info.image_size, checkpoint.record)
    looked_at = predictor.set_images(evenly_spaced(images))
    health = attention_health(view.trace for view in looked_at)
    print(f"{save_health(settings.out, health, feature_record(made_by, dataset, content))}: {health.images} images")
    if checkpoint.model.settings.has_graph:
        record = feature_record(made_by, dataset, content, GRAPHS)
        path = settings.out / Path(file_name(record)).with_suffix(SUFFIX)
        graphs = extract_graphs(
            checkpoint.model, images, predictor.image_size, workers=settings.workers, progress=image_bar(len(images))
        )
        graphs.at_ratios(CROP_RATIOS.values()).save(path, record)
        print(f"{path}: f_token of {len(images):,} images at {len(CROP_RATIOS)} λ")

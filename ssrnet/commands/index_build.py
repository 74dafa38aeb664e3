"""``ssrnet index build``: the images of a data set, extracted where they are not in the index yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from ssrnet.data.datasets import open_dataset
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError, SettingsError
from ssrnet.files import write_atomically
from ssrnet.index.entries import GalleryIndex
from ssrnet.index.exact_store import ExactIndex
from ssrnet.index.missing_entries import AT_ONCE, Job, Tally, entry_of, lacking
from ssrnet.index.opening import make_index
from ssrnet.index.pca import FILE as PROJECTION_FILE
from ssrnet.index.pca import Projection, evenly
from ssrnet.index.projection_cost import measured_loss
from ssrnet.index.record import Backend
from ssrnet.resources import DeviceName, resolve_device
from ssrnet.retrieval.extraction import ExtractSettings, branch_dims, check_precision, describe, embed_batches
from ssrnet.retrieval.feature_files import feature_record, find
from ssrnet.training.checkpoint import Checkpoint, load_checkpoint

FULL = "full"
"""Folder of the whole features in an index that searches projected ones."""
REPORT = "pca.json"


@dataclass(frozen=True)
class BuildSettings:
    """Put the embeddings of a data set's images into an index; what is there already is not extracted again."""

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder, or the path of a CSV manifest."""
    checkpoint: Path
    """Checkpoint that `ssrnet train` wrote."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Folder of the index; the same command goes on where an earlier one was stopped."""
    split: Literal["test", "train", "all"] = "test"
    """Which images; test is query and gallery, each image once."""
    subset: int | None = None
    """Test subset of VehicleID or VERI-Wild."""
    backend: Backend = "exact"
    """exact: a memory-mapped matrix in the folder. qdrant: a Qdrant collection, also searched exactly."""
    url: str | None = None
    """Address of a Qdrant server; without it Qdrant's files lie in the folder (for tests and small galleries)."""
    collection: str | None = None
    """Qdrant collection; by default named by checkpoint and extraction settings."""
    pca: int | None = None
    """Search features projected to so many numbers, and report what that costs; the whole ones stay in FOLDER/full."""
    features: tuple[Path, ...] = field(default=(Path("assets/features"), Path("runs/features")))
    """Folders in which `ssrnet extract` or the app may have left these features already."""
    extraction: ExtractSettings = ExtractSettings()
    workers: int = 2
    """Processes that read images."""
    device: DeviceName = "auto"
    """Where to run."""

    def __post_init__(self) -> None:
        if self.backend == "exact" and (self.url or self.collection):
            raise SettingsError("--url and --collection belong to Qdrant; add --backend qdrant, or leave them out.")
        if self.pca is not None and self.pca < 1:
            raise SettingsError(f"--pca is {self.pca}; give the numbers a projected feature has, as 512.")


def build_index(settings: BuildSettings) -> None:
    """Runs the command.

    Raises :class:`DataError` for an empty split, an image that cannot be read, or an index made with another
    checkpoint or other settings; what was added until then stays. Otherwise as :func:`make_index`.
    """
    checkpoint = load_checkpoint(settings.checkpoint)
    dataset = open_dataset(settings.data, settings.subset)
    images = sourced(dataset, settings.split)
    if not images:
        raise DataError(f"{dataset.root} has an empty {settings.split} split; choose another with --split.")
    made_by = checkpoint.record | describe(settings.extraction, checkpoint.info.image_size)
    dimension = sum(branch_dims(checkpoint.model, settings.extraction).values())
    place = {"backend": settings.backend, "url": settings.url, "collection": settings.collection}
    if settings.pca is None:
        index, _ = make_index(settings.out, features=made_by, dimension=dimension, **place)
        with closing(index):
            tally = fill(index, images, dataset, checkpoint, made_by, settings)
            index.save()
            count = len(index)
    else:
        whole, _ = make_index(settings.out / FULL, "exact", made_by, dimension)
        assert isinstance(whole, ExactIndex)
        with whole:
            tally = fill(whole, images, dataset, checkpoint, made_by, settings)
            projection = _projection(settings.out, whole, settings.pca)
            index, _ = make_index(settings.out, features=made_by, dimension=dimension, projection=projection, **place)
            with closing(index):
                copy(whole, index)
                index.save()
                count = len(index)
            _report(settings, whole, dataset, projection, made_by)
    print(f"{settings.out}: {count:,} images of {dimension:,} numbers, {settings.backend}; {tally}")


def sourced(dataset: ReIDDataset, split: Literal["test", "train", "all"]) -> list[tuple[str, VehicleImage]]:
    """The images of a split with the source that their entries name: data set and split."""
    splits = ("train", "test") if split == "all" else (split,)
    return [(f"{dataset.name}/{name}", image) for name in splits for image in getattr(dataset, name)]


def fill(
    index: GalleryIndex,
    images: Sequence[tuple[str, VehicleImage]],
    dataset: ReIDDataset,
    checkpoint: Checkpoint,
    made_by: dict[str, object],
    settings: BuildSettings,
) -> Tally:
    """Brings the index up to date with ``images``; each batch is committed before the next is computed."""
    check_precision(settings.extraction, resolve_device(settings.device))
    if isinstance(index, ExactIndex):
        index.verify()  # before hours are added to a damaged one
    tally = Tally()
    jobs = _missing(index, images, tally)
    if jobs:
        jobs = _from_files(index, jobs, dataset, made_by, settings, tally)
    if jobs:
        _extract(index, jobs, checkpoint, settings, tally)
    return tally


def copy(whole: ExactIndex, index: GalleryIndex) -> None:
    """Makes ``index`` hold the entries of ``whole``, no more and no fewer."""
    there = {entry.key: entry for entry in index.entries()}
    for entries, features in tqdm(whole.blocks(), desc="projecting", unit="block", total=-(-len(whole) // 1024)):
        index.add(entries, features)
        known = [(entry, there.pop(entry.key)) for entry in entries if entry.key in there]
        index.relabel([entry for entry, before in known if entry != before])
    index.delete(list(there))


def _missing(index: GalleryIndex, images: Sequence[tuple[str, VehicleImage]], tally: Tally) -> list[Job]:
    """What is not there as it is on the disk; entries of a file's earlier content are removed, labels corrected."""
    jobs = []
    with tqdm(total=len(images), desc="comparing", unit="image") as bar:
        for source in dict.fromkeys(source for source, _ in images):
            own = [image for of, image in images if of == source]
            for start in range(0, len(own), AT_ONCE):
                part = own[start : start + AT_ONCE]
                jobs += lacking(index, source, [Job(image, entry_of(source, image)) for image in part], tally)
                bar.update(len(part))
    return jobs


def _from_files(
    index: GalleryIndex,
    jobs: list[Job],
    dataset: ReIDDataset,
    made_by: dict[str, object],
    settings: BuildSettings,
    tally: Tally,
) -> list[Job]:
    """Adds what feature files have; returns the rest."""
    data_hash = dataset.content_hash()
    for split in ("test", "train"):
        own = [job for job in jobs if job.entry.source.endswith(f"/{split}")]
        found = find(settings.features, feature_record(made_by, dataset, data_hash, split)) if own else None
        if found is None:
            continue
        for start in range(0, len(own), AT_ONCE):
            part = own[start : start + AT_ONCE]
            added = index.add([job.entry for job in part], found.rows([job.image for job in part]).numpy())
            tally.added += added
            tally.reused += added
        done = {job.entry.key for job in own}
        jobs = [job for job in jobs if job.entry.key not in done]
    return jobs


def _extract(
    index: GalleryIndex, jobs: list[Job], checkpoint: Checkpoint, settings: BuildSettings, tally: Tally
) -> None:
    size = settings.extraction.image_size or checkpoint.info.image_size
    images, device = [job.image for job in jobs], resolve_device(settings.device)
    with tqdm(total=len(jobs), desc="extracting", unit="image") as bar:
        for positions, features in embed_batches(
            checkpoint.model, images, settings.extraction, size, device, settings.workers
        ):
            tally.added += index.add([jobs[i].entry for i in positions.tolist()], features.cpu().numpy())
            bar.update(len(positions))


def _projection(folder: Path, whole: ExactIndex, size: int) -> Projection:
    """The one that was fitted when the index was made, or a new one: entries already stored depend on it."""
    if (folder / PROJECTION_FILE).exists():
        kept = Projection.load(folder)
        if kept.directions.shape == (size, whole.dimension):
            return kept
        raise DataError(
            f"{folder} holds an index projected to {len(kept.directions):,} numbers, but --pca is {size:,}; "
            "name the same, or another folder."
        )
    return Projection.fit(_spread(whole), size)


def _spread(whole: ExactIndex) -> Iterator:
    return evenly((features for _, features in whole.blocks()), len(whole))


def _report(
    settings: BuildSettings, whole: ExactIndex, dataset: ReIDDataset, projection: Projection, made_by: dict[str, object]
) -> None:
    """Prints what the projection keeps and loses, and writes it beside the index with its protocol record."""
    print(
        f"PCA to {len(projection.directions):,} of {whole.dimension:,}: fitted on {projection.fitted_on:,} features, "
        f"keeps {projection.kept:.2%} of their squared length"
    )
    loss = measured_loss(whole, dataset, projection, made_by)
    if isinstance(loss, str):
        print(f"its loss was not measured: {loss}")
        return
    print(loss)
    path = settings.out / REPORT
    write_atomically(path, lambda file: file.write_text(json.dumps(asdict(loss), indent=2) + "\n"))

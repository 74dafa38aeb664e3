"""``ssrnet index build``: puts the embeddings of a data set's images into an index."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ssrnet.data.damaged import TEST, TRAIN, without_damaged
from ssrnet.data.datasets import open_dataset
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError, SettingsError
from ssrnet.files import write_atomically
from ssrnet.index.entries import GalleryIndex
from ssrnet.index.exact_store import ExactIndex
from ssrnet.index.filling import Tally, copy_entries, fill
from ssrnet.index.opening import make_index, open_index
from ssrnet.index.pca import ProjectedIndex, Projection, fitted_projection
from ssrnet.index.projection_cost import measure_cost
from ssrnet.index.recall import measure_recall
from ssrnet.index.record import FILE, Backend, IndexRecord, read_index_record
from ssrnet.resources import DeviceName
from ssrnet.retrieval.extraction import ExtractSettings, branch_dims, check_precision, describe, embed_batches
from ssrnet.retrieval.feature_files import KEPT, SHIPPED, feature_record, find_features
from ssrnet.training.checkpoint import load_checkpoint
from ssrnet.training.distributed import processes

FULL = "full"
"""Folder of the whole features inside an index of projected ones."""
REPORT = "pca.json"


@dataclass(frozen=True)
class BuildSettings:
    """Put the embeddings of a data set's images into an index; images that are there are not extracted again."""

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
    layout: str | None = None
    """Read the folder as this layout, as `Folders` or `unlabelled`, whatever it is recognised as."""
    skip_damaged: bool = False
    """Read every image first, and go on without those that cannot be read; a note counts them."""
    backend: Backend = "exact"
    """exact: a memory-mapped matrix in the folder. milvus: a Milvus collection, also searched exactly."""
    uri: str | None = None
    """Where Milvus is: the address of a server or cluster, as http://localhost:19530, or the path of a file that ends
    in .db; without it the file lies in the folder. A server's token is read from MILVUS_TOKEN where MILVUS_URI names
    the same address."""
    collection: str | None = None
    """Milvus collection; by default named by checkpoint and extraction settings."""
    approximate: bool = False
    """Search Milvus through an HNSW graph in place of every vector; its recall is measured and shown beside answers."""
    pca: int | None = None
    """Search features projected to so many numbers, and report the cost; the whole ones stay in FOLDER/full."""
    features: tuple[Path, ...] = (SHIPPED, KEPT)
    """Folders in which `ssrnet extract` or the app may have stored these features already, or exact indexes of them."""
    extraction: ExtractSettings = ExtractSettings()
    workers: int = 2
    """Processes that read images."""
    device: DeviceName = "auto"
    """Where to run."""

    def __post_init__(self) -> None:
        if self.backend == "exact" and (self.uri or self.collection or self.approximate):
            raise SettingsError(
                "--uri, --collection and --approximate belong to Milvus; add --backend milvus, or leave them out."
            )
        if self.pca is not None and self.pca < 1:
            raise SettingsError(f"--pca is {self.pca}; give the numbers a projected feature has, as 512.")


def build_index(settings: BuildSettings) -> None:
    """Builds or updates the index, and prints what became of the images.

    Under torchrun the processes share the extraction, and the first one adds. Raises :class:`DataError` for an empty
    split, an image that cannot be read, or an index made with another checkpoint or other settings; images added by
    then stay. Otherwise as :func:`make_index`.
    """
    checkpoint = load_checkpoint(settings.checkpoint)
    dataset = open_dataset(settings.data, settings.subset, settings.layout)
    if settings.skip_damaged:
        dataset = without_damaged(dataset, {"test": TEST, "train": TRAIN, "all": (*TRAIN, *TEST)}[settings.split])
    images = with_sources(dataset, settings.split)
    if not images:
        raise DataError(f"{dataset.root} has an empty {settings.split} split; choose another with --split.")
    made_by = checkpoint.record | describe(settings.extraction, checkpoint.info.image_size)
    dimension = sum(branch_dims(checkpoint.model, settings.extraction).values())
    group = processes(settings.device)
    group.say(dataset.summary())
    check_precision(settings.extraction, group.device)
    data_hash = cache(dataset.content_hash)

    def update(index: GalleryIndex | None) -> Tally:
        size = settings.extraction.image_size or checkpoint.info.image_size
        with ExitStack() as stack:
            others = [stack.enter_context(_exact(path, made_by)) for path in _indexes(settings.features)]
            return fill(
                index,
                images,
                lambda split: find_features(settings.features, feature_record(made_by, dataset, data_hash(), split)),
                lambda some: embed_batches(
                    checkpoint.model, some, settings.extraction, size, group.device, settings.workers
                ),
                group,
                others,
            )

    if not group.first:
        update(None)
    elif settings.pca is None:
        index, record = _made(settings, made_by, dimension)
        with closing(index):
            _finish(settings, index, record, update(index))
    else:
        whole, _ = make_index(settings.out / FULL, "exact", made_by, dimension)
        assert isinstance(whole, ExactIndex)
        with whole:
            tally = update(whole)
            projection = fitted_projection(settings.out, whole, settings.pca)
            index, record = _made(settings, made_by, dimension, projection)
            with closing(index):
                copy_entries(whole, index)
                _finish(settings, index, record, tally)
            _report(settings, whole, dataset, projection, made_by)


def _made(
    settings: BuildSettings, made_by: dict[str, object], dimension: int, projection: Projection | None = None
) -> tuple[GalleryIndex, IndexRecord]:
    place = (settings.uri, settings.collection, settings.approximate)
    return make_index(settings.out, settings.backend, made_by, dimension, projection, *place)


def _finish(settings: BuildSettings, index: GalleryIndex, record: IndexRecord, tally: Tally) -> None:
    """Waits for the index, measures the recall of an approximate one, and prints what became of the images."""
    index.save()
    print(f"{settings.out}: {len(index):,} images of {record.dimension:,} numbers, {settings.backend}; {tally}")
    if record.approximate:
        inner = index.inner if isinstance(index, ProjectedIndex) else index
        record = replace(record, recall=measure_recall(inner))
        record.save(settings.out)
        print(f"searched {record.how}")


def _indexes(folders: Iterable[Path]) -> list[Path]:
    return [folder for folder in folders if (folder / FILE).is_file()]


def _exact(folder: Path, made_by: dict[str, object]) -> ExactIndex:
    """The exact index in ``folder``; raises :class:`DataError` where its features are others than those wanted."""
    record = read_index_record(folder)
    record.check(folder, made_by)
    index, _ = open_index(folder)
    if not isinstance(index, ExactIndex):
        index.close()
        raise DataError(
            f"{folder} is no exact index of whole features; name one with --features (with --pca it is {FULL} in the "
            "folder of the index), or leave it out."
        )
    return index


def with_sources(dataset: ReIDDataset, split: Literal["test", "train", "all"]) -> list[tuple[str, VehicleImage]]:
    """The images of a split, each with the source that its entry names: data set and split."""
    splits = ("train", "test") if split == "all" else (split,)
    return [(f"{dataset.name}/{name}", image) for name in splits for image in getattr(dataset, name)]


def _report(
    settings: BuildSettings, whole: ExactIndex, dataset: ReIDDataset, projection: Projection, made_by: dict[str, object]
) -> None:
    """Prints what the projection keeps and costs, and writes the cost to ``pca.json`` with its protocol record."""
    print(
        f"PCA to {len(projection.directions):,} of {whole.dimension:,}: fitted on {projection.fitted_on:,} features, "
        f"keeps {projection.kept:.2%} of their squared length"
    )
    cost = measure_cost(whole, dataset, projection, made_by)
    if isinstance(cost, str):
        print(f"its cost was not measured: {cost}")
        return
    print(cost)
    text = json.dumps(asdict(cost), indent=2) + "\n"
    write_atomically(settings.out / REPORT, lambda path: path.write_text(text))

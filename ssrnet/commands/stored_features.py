"""Features for `ssrnet evaluate` and `ssrnet compare`: stored ones, or else new ones, which are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import ssrnet
from ssrnet.commands.progress import image_bar
from ssrnet.errors import DataError, SettingsError
from ssrnet.index.kept_features import extract_and_keep
from ssrnet.resources import DeviceName, resolve_device
from ssrnet.retrieval.evaluated_models import EvaluatedImages, EvaluatedModel, ModelFeatures
from ssrnet.retrieval.external.model import DATA_ENTRIES
from ssrnet.retrieval.extraction import (
    ExtractSettings,
    FeatureSet,
    RestorableFeatures,
    check_branches,
    describe,
    extract,
)
from ssrnet.retrieval.feature_files import KEPT, Record, differences, feature_folders, find_file

PROJECT = Path(ssrnet.__file__).resolve().parents[1]
"""The project's folder, with the demo's features and those that the app keeps."""
EXTRACTED = "extracted now"
"""The record's ``read_from`` where there was no file."""


def embed_test_images(
    model: EvaluatedModel,
    images: EvaluatedImages,
    settings: ExtractSettings,
    device: DeviceName,
    workers: int,
    file: Path | None = None,
) -> ModelFeatures:
    """A network's features of the test images, from ``file`` or the app's folders, else extracted with a progress bar.

    New features are kept in ``runs/features`` of the working folder, unless the model's record does not identify it by
    content, as that of an untrained network whose weights are downloaded or random. All are rounded to float16, so that
    numbers are the same with and without a file. Features of all branches are stored, and those of the settings taken
    from them. The record's ``read_from`` and a printed line say where they come from.
    Raises :class:`DataError` where ``file`` has other features, :class:`SettingsError` for a branch that the network
    lacks; otherwise as :func:`extract`.
    """
    branches = settings.embedding.branches
    settings = replace(settings, embedding=replace(settings.embedding, branches=()))
    made_by = model.made_by | describe(settings, model.image_size)
    records = images.records(made_by)
    if file is not None:
        found = file, _read(file, records, branches)
    elif model.by_content:
        folders = feature_folders(Path(), PROJECT)
        found = next(filter(None, (find_file(folders, record) for record in records)), None)
    else:
        found = None
    if found is None:
        network = model.load()
        check_branches(branches, network.branch_dims)
        print(f"{model.title}: extracting features of {len(images.dataset.test):,} test images")

        def extraction(partial: RestorableFeatures | None = None) -> FeatureSet:
            return extract(
                network,
                images.dataset.test,
                settings,
                model.image_size,
                resolve_device(device),
                workers,
                progress=image_bar(len(images.dataset.test)),
                partial=partial,
            )

        kept = model.by_content
        features = extract_and_keep(KEPT, records[-1], made_by, extraction, print) if kept else extraction().rounded()
        read_from = EXTRACTED
    else:
        path, features = found
        read_from = path.name
        print(f"{model.title}: features of {len(images.dataset.test):,} test images from {path}")
    record = made_by | {"rounded_to": "float16", "read_from": read_from} | model.notes
    return ModelFeatures(model.title, features, record).only(branches)


def read_features(path: Path, images: EvaluatedImages, settings: ExtractSettings) -> ModelFeatures:
    """The features in a file of ``ssrnet extract`` or ``ssrnet import``, whose record takes the model's place.

    Raises :class:`DataError` for any other file and for features of other images, :class:`SettingsError` for extraction
    settings other than branches.
    """
    branches = settings.embedding.branches
    if replace(settings, embedding=replace(settings.embedding, branches=())) != ExtractSettings():
        raise SettingsError(
            f"the features in {path} are extracted already; leave out all --extraction options but branches."
        )
    features, stored = FeatureSet.load(path)
    _check(path, stored, images.records(stored))
    title = str(stored.get("model", path.stem))
    made_by = {"model": title} | {name: value for name, value in stored.items() if name not in DATA_ENTRIES}
    print(f"{title}: features of {len(images.dataset.test):,} test images from {path}")
    record = made_by | {"rounded_to": "float16", "read_from": path.name}
    return ModelFeatures(title, features, record).only(branches)


def _read(path: Path, records: Sequence[Record], branches: Sequence[str]) -> FeatureSet:
    """The features in ``path``, which may have fewer branches than the network where they are those wanted."""
    features, stored = FeatureSet.load(path)
    if "checkpoint_hash" not in stored:
        raise DataError(
            f"{path} has features of {stored.get('model')}, not of a checkpoint; leave out --checkpoint to evaluate it by itself."
        )
    if branches and set(branches) <= features.branch_dims.keys():
        records = [record | {"branches": stored.get("branches")} for record in records]
    _check(path, stored, records)
    return features


def _check(path: Path, stored: Record, wanted: Sequence[Record]) -> None:
    """Raises :class:`DataError` where a file's record is none of the wanted ones, with its differences from the first."""
    if all(differences(stored, record) for record in wanted):
        raise DataError(
            f"{path} has other features: its {', its '.join(differences(stored, wanted[0]))}; "
            "give the file of this model, data and settings, or leave out --features to have it found or made."
        )

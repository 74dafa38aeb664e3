"""Imported models, which have features but no network, and their files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ssrnet.data.records import ReIDDataset
from ssrnet.errors import DataError
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.feature_files import Record, feature_record, read_record, slug

FOLDER = "runs/imported"
BRANCH = "imported"
"""The only branch of imported features; no network of ssrnet has it."""
DATA_ENTRIES = {"dataset", "layout", "dataset_hash", "split", "version", "name"}
"""The entries of a file's record that do not identify the model."""


@dataclass(frozen=True)
class ImportedModel:
    """A model without a network: the features of one data set's test images that another program computed.

    It has ``title``, ``hash`` and ``record`` as a checkpoint has, for ranking and comparing.
    """

    path: Path
    stored: Record
    """The record in the file, as :func:`import_record` made it."""

    @property
    def name(self) -> str:
        return str(self.stored["name"])

    @property
    def title(self) -> str:
        return str(self.stored["model"])

    @property
    def dataset_hash(self) -> str:
        return str(self.stored["dataset_hash"])

    @property
    def hash(self) -> str:
        """16 hex digits that change with the features, the name and the data set."""
        return hashlib.sha256(json.dumps(self.stored, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def record(self) -> Record:
        """The entries of a protocol record that identify the model."""
        return {key: value for key, value in self.stored.items() if key not in DATA_ENTRIES}

    def features(self) -> FeatureSet:
        """Raises :class:`DataError` where the file is missing or damaged, or was replaced by another import."""
        features, stored = FeatureSet.load(self.path)
        if stored != self.stored:
            raise DataError(f"{self.path} was replaced meanwhile; reload the page.")
        return features


class SavedImport(NamedTuple):
    """``replaced``: whether an earlier import had the same name and data."""

    model: ImportedModel
    replaced: bool


def import_record(
    name: str, file: str, file_hash: str, dimensions: int, dataset: ReIDDataset, dataset_hash: str
) -> Record:
    """The record of imported features; ``file`` and ``file_hash``: name and hash of the .npz."""
    made_by: Record = {
        "name": name,
        "model": f"{name} (imported)",
        "imported_from": file,
        "imported_hash": file_hash,
        "dimensions": dimensions,
    }
    return feature_record(made_by, dataset, dataset_hash)


def save_import(folder: Path, features: FeatureSet, record: Record) -> SavedImport:
    """Writes the features, in place of an earlier import of that name for that data.

    Raises :class:`ssrnet.errors.ResourceError` where they cannot be written.
    """
    name, data = str(record["name"]), str(record["dataset_hash"])
    key = hashlib.sha256(f"{name}\0{data}".encode()).hexdigest()[:16]
    path = folder / f"{slug(str(record['dataset']))}-{slug(name)}-{key}.safetensors"
    replaced = path.exists()
    features.save(path, record)
    return SavedImport(ImportedModel(path, record), replaced)


def read_import(path: Path) -> ImportedModel | None:
    """The imported model in a file, without its features; None for any other file."""
    record = read_record(path)
    return ImportedModel(path, record) if record is not None and "imported_hash" in record else None

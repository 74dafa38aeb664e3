"""Models that are known by their features alone, and the files that keep these."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ssrnet.data.records import ReIDDataset
from ssrnet.errors import DataError
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.feature_files import Record, feature_record, in_letters, read_record

FOLDER = "runs/imported"
BRANCH = "imported"
"""The one branch of imported features, which no network of ours has."""
OF_THE_DATA = {"dataset", "dataset_hash", "split", "version", "name"}
"""What a file's record says beyond what made the features."""


@dataclass(frozen=True)
class ImportedModel:
    """Features of one data set's test images that another program computed: a model without a network.

    It has the ``title``, ``hash`` and ``record`` that ranking and comparing need of a checkpoint.
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
        """The part of a protocol record that names the model."""
        return {key: value for key, value in self.stored.items() if key not in OF_THE_DATA}

    def features(self) -> FeatureSet:
        """Raises :class:`ssrnet.errors.DataError` where the file has gone, is damaged, or is of another import by now."""
        features, stored = FeatureSet.load(self.path)
        if stored != self.stored:
            raise DataError(f"{self.path} was written anew meanwhile; reload the page.")
        return features


class KeptImport(NamedTuple):
    """``replaced``: whether the name was there before."""

    model: ImportedModel
    replaced: bool


def import_record(
    name: str, file: str, file_hash: str, dimensions: int, dataset: ReIDDataset, dataset_hash: str
) -> Record:
    """What a file of imported features says: ``file`` and ``file_hash`` are those of the .npz that they came from."""
    made_by: Record = {
        "name": name,
        "model": f"{name} (imported)",
        "imported_from": file,
        "imported_hash": file_hash,
        "dimensions": dimensions,
    }
    return feature_record(made_by, dataset, dataset_hash)


def keep_import(folder: Path, features: FeatureSet, record: Record) -> KeptImport:
    """Writes the features, in place of an earlier import of that name for that data.

    Raises :class:`ssrnet.errors.ResourceError` where that cannot be done.
    """
    name, data = str(record["name"]), str(record["dataset_hash"])
    key = hashlib.sha256(f"{name}\0{data}".encode()).hexdigest()[:16]
    path = folder / f"{in_letters(str(record['dataset']))}-{in_letters(name)}-{key}.safetensors"
    replaced = path.exists()
    features.save(path, record)
    return KeptImport(ImportedModel(path, record), replaced)


def read_import(path: Path) -> ImportedModel | None:
    """The imported model in a file, without its features; None for any other file."""
    record = read_record(path)
    return ImportedModel(path, record) if record is not None and "imported_hash" in record else None

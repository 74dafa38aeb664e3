"""An index folder's ``index.json``: backend, dimension, and what made the features."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from ssrnet.errors import DataError, SettingsError
from ssrnet.files import read_json, write_atomically
from ssrnet.index.recall import Recall
from ssrnet.model import EmbeddingSettings
from ssrnet.retrieval.extraction import ExtractSettings

FORMAT = "ssrnet index 1"
FILE = "index.json"

Backend = Literal["exact", "milvus"]
StoredAs = Literal["float16", "float32"]

SHAPING = ("checkpoint_hash", "image_size", "flip_test", "neck", "normalise_branches", "branches")
"""The entries of ``features`` on which the numbers depend; indexes that differ in others can be compared."""


@dataclass(frozen=True)
class IndexRecord:
    """``dimension``: numbers of a feature as the checkpoint computes it; ``stored``: as the index stores it.

    The two differ where there is a projection. ``features`` is a checkpoint's record with that of
    :func:`ssrnet.retrieval.extraction.describe`. ``uri`` and ``collection`` are Milvus's; the URI is None where
    Milvus's file lies in the folder itself. ``stored_as``: what holds a number, which was rounded to float16 before.
    ``recall`` is that of an approximate index, None until a build has measured it.
    """

    backend: Backend
    dimension: int
    stored: int
    features: dict[str, object]
    version: str
    uri: str | None = None
    collection: str | None = None
    stored_as: StoredAs = "float16"
    approximate: bool = False
    recall: Recall | None = None

    def save(self, folder: Path) -> None:
        """Writes the folder's ``index.json``; raises :class:`ResourceError` where it cannot be written."""
        text = json.dumps({"format": FORMAT} | asdict(self), indent=2)
        write_atomically(folder / FILE, lambda path: path.write_text(text + "\n"))

    @property
    def how(self) -> str:
        """How an answer is found, as a clause."""
        if not self.approximate:
            return "compared one by one"
        return f"approximately (HNSW): {self.recall or 'its recall is measured when a build of it ends'}"

    @property
    def extraction(self) -> ExtractSettings:
        """The settings that queries must be extracted with.

        float32 even where the index is of bfloat16: the two differ in the third digit, and a search may run on a
        machine without CUDA.
        """
        made = self.features
        embedding = EmbeddingSettings(made["neck"], made["normalise_branches"], tuple(made["branches"]))
        return ExtractSettings(image_size=made["image_size"], flip_test=made["flip_test"], embedding=embedding)

    def check(self, folder: Path, features: dict[str, object]) -> None:
        """Raises :class:`DataError` where features with the record ``features`` cannot be compared with the index's."""
        for name in SHAPING:
            stored, given = _plain(self.features.get(name)), _plain(features.get(name))
            if stored != given:
                raise DataError(
                    f"{folder} was built with {name.replace('_', ' ')} {stored} ({self.features.get('checkpoint')}), but "
                    f"{name.replace('_', ' ')} {given} was given ({features.get('checkpoint')}); use the checkpoint and "
                    "settings of the index, or build another index in another folder."
                )


def read_index_record(folder: Path) -> IndexRecord:
    """The record of the index in ``folder``; raises :class:`DataError` where there is none, or a damaged one."""
    path = folder / FILE
    try:
        values = read_json(path)
        if values.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        if values["backend"] == "qdrant":
            raise DataError(
                f"{folder} holds an index in Qdrant, which ssrnet no longer reads; build it again in another folder, with "
                "--backend milvus."
            )
        values.pop("url", None)  # null in exact stores of earlier versions
        record = IndexRecord(**values | {"recall": Recall(**values["recall"]) if values.get("recall") else None})
        _check_values(record)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"{folder} is no gallery index: it has no {FILE}; build one with `ssrnet index build`."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SettingsError) as error:
        raise DataError(
            f"{path} is damaged ({getattr(error, 'strerror', None) or error}); restore it, or build the index again in another folder."
        ) from error
    return record


def _check_values(record: IndexRecord) -> None:
    """Raises ValueError, KeyError or TypeError for a value of another type or out of range."""
    sizes = (record.dimension, record.stored)
    if record.backend not in get_args(Backend) or not all(type(n) is int and 0 < n < 2**20 for n in sizes):
        raise ValueError("its backend or dimension is invalid")
    if record.backend == "milvus" and not (isinstance(record.collection, str) and record.collection):
        raise ValueError("it names no collection")
    if not (record.uri is None or isinstance(record.uri, str)):
        raise ValueError("its address is no string")
    if not isinstance(record.approximate, bool) or record.stored_as not in get_args(StoredAs):
        raise ValueError("it does not say how it is searched or stored")
    numbers = () if record.recall is None else asdict(record.recall).values()
    if not all(isinstance(n, int | float) and 0 <= n < 2**40 for n in numbers):
        raise ValueError("its recall is invalid")
    extraction = record.extraction
    if extraction.image_size is not None and type(extraction.image_size) is not int:
        raise ValueError(f"its image size is {extraction.image_size!r}")
    neck, flags = extraction.embedding.neck, (extraction.flip_test, record.features["normalise_branches"])
    if neck not in ("before", "after") or not all(isinstance(flag, bool) for flag in flags):
        raise ValueError("its extraction settings are invalid")
    if not all(isinstance(branch, str) for branch in record.features["branches"]):
        raise ValueError("its branches are no strings")
    _ = record.features["checkpoint_hash"]


def _plain(value: object) -> object:
    """Tuples as lists, which they become in JSON."""
    return list(value) if isinstance(value, tuple) else value

"""The columns of an exact store that filters look at, as arrays."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssrnet.index.entries import Filters


class Coded(NamedTuple):
    """A column of texts: ``codes`` (n,) int32, and the code of each text; -1 stands for no text."""

    codes: np.ndarray
    code: dict[str, int]

    def any_of(self, texts: tuple[str, ...]) -> np.ndarray:
        """(n,) bool: whose text is one of these."""
        return np.isin(self.codes, [self.code[text] for text in texts if text in self.code])


@dataclass(frozen=True)
class Columns:
    """Row numbers (n,) int64 from 0, ascending; lengths (n,) float64; vehicles, cameras; seconds, NaN if unknown."""

    changes: tuple[int, int]
    rows: np.ndarray
    norms: np.ndarray
    vehicles: Coded
    cameras: Coded
    seconds: np.ndarray

    @classmethod
    def read(cls, db: sqlite3.Connection, changes: tuple[int, int], given: Callable[[], int]) -> Columns:
        """All entries; ``changes`` is the state of the database that they stand for.

        ``given`` says how many rows there ever were, and is asked after the entries are read: a writer may add some in
        between. Raises ValueError or TypeError for values that no index has: a row beyond those, a length that is no
        finite number, a label that is no text.
        """
        found = db.execute("SELECT row, norm, vehicle_id, camera_id, seconds FROM entries ORDER BY row").fetchall()
        row, norm, vehicle, camera, seconds = zip(*found, strict=True) if found else ((),) * 5
        rows, norms = np.array(row, dtype=np.int64) - 1, np.array(norm, dtype=np.float64)
        if len(rows) and not 0 <= rows[0] <= rows[-1] < given():
            raise ValueError("it names rows that there never were")
        if not np.isfinite(norms).all():
            raise ValueError("lengths of features are no finite numbers")
        if not all(isinstance(text, str) or text is None for column in (vehicle, camera) for text in column):
            raise ValueError("vehicles or cameras are no texts")
        return cls(
            changes,
            rows,
            norms,
            _coded(vehicle),
            _coded(camera),
            np.array([np.nan if s is None else s for s in seconds], dtype=np.float64),
        )

    def passing(self, filters: Filters) -> tuple[np.ndarray, np.ndarray]:
        """Rows and lengths of the entries that pass, still ascending."""
        kept = np.ones(len(self.rows), dtype=bool)
        if filters.vehicle_ids:
            kept &= self.vehicles.any_of(filters.vehicle_ids)
        if filters.cameras:
            kept &= self.cameras.any_of(filters.cameras)
        kept &= ~self.vehicles.any_of(filters.not_vehicle_ids)
        kept &= ~self.cameras.any_of(filters.not_cameras)
        if filters.after is not None:
            kept &= self.seconds >= filters.after  # false for NaN
        if filters.before is not None:
            kept &= self.seconds <= filters.before
        return self.rows[kept], self.norms[kept]


def _coded(texts: tuple[str | None, ...]) -> Coded:
    code = {text: i for i, text in enumerate(sorted({text for text in texts if text is not None}))}
    return Coded(np.array([-1 if text is None else code[text] for text in texts], dtype=np.int32), code)

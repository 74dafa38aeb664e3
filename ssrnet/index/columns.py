"""The columns of an exact store that filters use, as arrays."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssrnet.index.entries import Filters


class Coded(NamedTuple):
    """A column of strings: ``codes`` (n,) int32, and the code of each string; -1 where there is none."""

    codes: np.ndarray
    code: dict[str, int]

    def any_of(self, texts: tuple[str, ...]) -> np.ndarray:
        """(n,) bool: the rows whose string is one of ``texts``."""
        return np.isin(self.codes, [self.code[text] for text in texts if text in self.code])


@dataclass(frozen=True)
class Columns:
    """Row numbers (n,) int64 from 0, ascending; lengths (n,) float64; vehicles, cameras, types; seconds, NaN if unknown."""

    changes: tuple[int, int]
    rows: np.ndarray
    norms: np.ndarray
    vehicles: Coded
    cameras: Coded
    types: Coded
    seconds: np.ndarray

    @classmethod
    def read(
        cls, db: sqlite3.Connection, changes: tuple[int, int], row_count: Callable[[], int], types: str
    ) -> Columns:
        """All entries; ``changes`` is the state of the database that they were read from.

        ``types`` is the SQL expression of an entry's vehicle type. ``row_count()`` returns how many rows were ever committed; it is called after the entries are read, since a
        writer may add some in between. Raises ValueError or TypeError for a row beyond these, a length that is not
        finite, or a label that is no string.
        """
        records = db.execute(
            f"SELECT row, norm, vehicle_id, camera_id, {types}, seconds FROM entries ORDER BY row"
        ).fetchall()
        row, norm, vehicle, camera, kind, seconds = zip(*records, strict=True) if records else ((),) * 6
        rows, norms = np.array(row, dtype=np.int64) - 1, np.array(norm, dtype=np.float64)
        if len(rows) and not 0 <= rows[0] <= rows[-1] < row_count():
            raise ValueError("it names rows that were never written")
        if not np.isfinite(norms).all():
            raise ValueError("lengths of features are not finite")
        if not all(isinstance(text, str) or text is None for column in (vehicle, camera, kind) for text in column):
            raise ValueError("vehicles, cameras or types are not strings")
        return cls(
            changes,
            rows,
            norms,
            _coded(vehicle),
            _coded(camera),
            _coded(kind),
            np.array([np.nan if s is None else s for s in seconds], dtype=np.float64),
        )

    def passing(self, filters: Filters) -> tuple[np.ndarray, np.ndarray]:
        """Rows and lengths of the entries that pass the filters, ascending."""
        passes = np.ones(len(self.rows), dtype=bool)
        if filters.vehicle_ids:
            passes &= self.vehicles.any_of(filters.vehicle_ids)
        if filters.cameras:
            passes &= self.cameras.any_of(filters.cameras)
        if filters.vehicle_types:
            passes &= self.types.any_of(filters.vehicle_types)
        if filters.junk:
            vehicle, camera = filters.junk
            passes &= ~(self.vehicles.any_of((vehicle,)) & self.cameras.any_of((camera,)))
        passes &= ~self.vehicles.any_of(filters.not_vehicle_ids)
        passes &= ~self.cameras.any_of(filters.not_cameras)
        if filters.after is not None:
            passes &= self.seconds >= filters.after  # false for NaN
        if filters.before is not None:
            passes &= self.seconds <= filters.before
        return self.rows[passes], self.norms[passes]


def _coded(texts: tuple[str | None, ...]) -> Coded:
    code = {text: i for i, text in enumerate(sorted({text for text in texts if text is not None}))}
    return Coded(np.array([-1 if text is None else code[text] for text in texts], dtype=np.int32), code)

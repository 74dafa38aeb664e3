"""The entries of a gallery index, the filters of a search, and what every index can do."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from ssrnet.errors import DataError, SettingsError

NAMESPACE = uuid.UUID("6b0f3a5e-6a0c-5f0e-9d0b-2f7f5a3f6c11")
"""Makes the keys of entries; with another one, every entry of every existing index would be added again."""

CITY_TIME = re.compile(r"day (\d+) (\d+):(\d+):(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Entry:
    """One indexed image.

    ``source`` is the data set and split it comes from, ``name`` its name there (no two images of one source share
    one), ``content`` the SHA-256 of its file, 64 hex digits. Vehicle, camera, time and type are None where not known;
    the time is as the data set writes it (see :func:`read_time`). ``path`` is where the file was found.
    Raises :class:`DataError` for a name that is not UTF-8.
    """

    source: str
    name: str
    content: str
    vehicle_id: str | None = None
    camera_id: str | None = None
    time: str | None = None
    path: str = ""
    vehicle_type: str | None = None

    def __post_init__(self) -> None:
        for text in (getattr(self, name) or "" for name in FIELDS):
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise DataError(f"{text!r} is not UTF-8, which an index needs; rename the file or folder.") from error

    @cached_property
    def key(self) -> str:
        """A UUID from source, name and content, the same on every machine and in every backend."""
        return str(uuid.uuid5(NAMESPACE, f"{self.source}\0{self.name}\0{self.content}"))

    @property
    def seconds(self) -> float | None:
        """The time in seconds; None where it is unknown or :func:`read_time` cannot read it."""
        return None if self.time is None else read_time(self.time)


@dataclass(frozen=True)
class Filters:
    """The entries that a search compares: all by default, else those that meet every condition.

    ``vehicle_ids``, ``cameras`` and ``vehicle_types``: any one of these; ``not_vehicle_ids`` and ``not_cameras``: none
    of these, which holds for entries whose vehicle or camera is not known. ``junk``: a vehicle and a camera, whose
    images of this vehicle by this camera are left out, as evaluation leaves out a query's. ``after`` and ``before``:
    seconds, both inclusive; an entry whose time is not known is outside. Raises :class:`SettingsError` where ``after``
    is later than ``before``.
    """

    vehicle_ids: tuple[str, ...] = ()
    not_vehicle_ids: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    not_cameras: tuple[str, ...] = ()
    after: float | None = None
    before: float | None = None
    vehicle_types: tuple[str, ...] = ()
    junk: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if self.after is not None and self.before is not None and self.after > self.before:
            raise SettingsError(
                f"the time range runs from {self.after:g} s to {self.before:g} s, which is empty; "
                "give an earlier start or a later end."
            )


EVERYTHING = Filters()


FIELDS = tuple(field.name for field in fields(Entry))
"""The stored fields of an entry, in their order."""


class Neighbour(NamedTuple):
    """One result of a search: the entry, and its cosine distance in [0, 2]."""

    entry: Entry
    distance: float


class GalleryIndex(Protocol):
    """What every backend can do; ``dimension`` is the length of the features that it takes.

    Every search is exact, but in an index that was built to be approximate. Neighbours at equal distance are ordered by name, then source and key, so that the order does
    not depend on the order of adding.
    """

    dimension: int

    def __len__(self) -> int:
        """How many entries there are."""

    def add(self, entries: Sequence[Entry], features: np.ndarray) -> int:
        """Adds entries with features (N, dimension); returns how many were new.

        An entry whose key is there already stays as it is. What was added survives the process once this returns.
        """

    def relabel(self, entries: Sequence[Entry]) -> None:
        """Replaces vehicle, camera, time, path and type of existing entries by those of ``entries``, by key."""

    def delete(self, keys: Collection[str]) -> int:
        """Removes entries by key; returns how many were there."""

    def named(self, source: str, names: Sequence[str]) -> list[Entry]:
        """The entries of these names, in no order."""

    def entries(self) -> Iterator[Entry]:
        """All of them, in no order."""

    def blocks(self, size: int = 1024) -> Iterator[tuple[list[Entry], np.ndarray]]:
        """All of them with their features (n, stored dimension), ``size`` at a time, in an order of the backend's."""

    def search(self, queries: np.ndarray, k: int, filters: Filters = EVERYTHING) -> list[list[Neighbour]]:
        """For each of the queries (Q, dimension) its ``k`` nearest entries, or fewer where fewer pass the filters."""

    def save(self) -> None:
        """Waits until all that was added is on the disk, or with the server."""

    def close(self) -> None:
        """Closes files and connections."""


def read_time(text: str) -> float | None:
    """Seconds, from a number of seconds, an ISO 8601 date and time, or the bundled city's ``day 13 10:21:24``.

    ISO times without an offset are taken as UTC; the city counts from the start of its day 0. None for other text.
    """
    city = CITY_TIME.fullmatch(text.strip())
    if city:
        day, hour, minute, second = map(float, city.groups())
        return ((day * 24 + hour) * 60 + minute) * 60 + second
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return number if np.isfinite(number) else None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

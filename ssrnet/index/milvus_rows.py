"""Entries as rows of a Milvus collection, and filters in its language."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ssrnet.index.entries import FIELDS, Entry, Filters

VECTOR, KEY, SECONDS = "features", "key", "seconds"
UNKNOWN_TIME = -1e300
"""Stands for no time, and an empty text for no vehicle, camera, time or type: Milvus 2.3 stores no null."""
OPTIONAL = ("vehicle_id", "camera_id", "time", "vehicle_type")


def expression(filters: Filters) -> str:
    """The filters in Milvus's language; texts are quoted, so that none can be anything but a text."""
    parts = [
        any_of(name, values)
        for name, values in (
            ("vehicle_id", filters.vehicle_ids),
            ("camera_id", filters.cameras),
            ("vehicle_type", filters.vehicle_types),
        )
        if values
    ]
    excluded = (("vehicle_id", filters.not_vehicle_ids), ("camera_id", filters.not_cameras))
    parts += [f"not ({any_of(name, values)})" for name, values in excluded if values]
    if filters.junk:
        vehicle, camera = map(quoted, filters.junk)
        parts.append(f"not (vehicle_id == {vehicle} and camera_id == {camera})")
    if filters.after is not None:
        parts.append(f"{SECONDS} >= {float(filters.after)!r}")
    if filters.before is not None:
        parts.append(f"{SECONDS} <= {float(filters.before)!r} and {SECONDS} > {UNKNOWN_TIME!r}")
    return " and ".join(parts)


def quoted(text: str) -> str:
    """A text as a literal of Milvus's filters; Milvus and milvus-lite have these four escapes in common."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


def any_of(field: str, values: Iterable[str]) -> str:
    """The condition that the field is one of ``values``; an empty text, which stands for none, is never one."""
    return f"{field} in [{', '.join(quoted(value) for value in values if value)}]"


def row_of(entry: Entry, features: np.ndarray) -> dict[str, object]:
    """What a collection stores of an entry with its features (D,)."""
    texts = {name: getattr(entry, name) or "" for name in FIELDS}
    moment = UNKNOWN_TIME if entry.seconds is None else entry.seconds
    return {KEY: entry.key, **texts, SECONDS: moment, VECTOR: features.astype(np.float32)}


def entry_from(row: dict[str, Any]) -> Entry:
    """The entry of a row."""
    return Entry(**{name: (row[name] or None) if name in OPTIONAL else row[name] for name in FIELDS})

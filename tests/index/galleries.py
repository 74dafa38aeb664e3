"""Small galleries with features, and both backends to put them into."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.index.entries import Entry, Filters, GalleryIndex
from ssrnet.index.opening import make_index

DIMENSION = 24
MADE_BY = {
    "model": "SSR-Net",
    "checkpoint": "toy.safetensors",
    "checkpoint_hash": "c" * 16,
    "image_size": 32,
    "flip_test": False,
    "neck": "after",
    "normalise_branches": False,
    "branches": [],
}
BACKENDS = ("exact", "milvus")


def entries(count: int, source: str = "toys/test") -> list[Entry]:
    """Names in order; seven vehicles; five cameras, three types and a time each, some of them unknown."""
    return [
        Entry(
            source,
            f"{i:04d}.jpg",
            hashlib.sha256(str(i).encode()).hexdigest(),
            f"v{i % 7}",
            None if i % 11 == 0 else f"c{i % 5}",
            None if i % 5 == 0 else f"day 0 00:{i // 60:02d}:{i % 60:02d}",
            vehicle_type=(None, "car", "van")[i % 3],
        )
        for i in range(count)
    ]


def features(count: int, dimension: int = DIMENSION, seed: int = 0) -> np.ndarray:
    """Random numbers as float16 holds them, so that what was stored is what was given."""
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float16).astype(np.float32)


def crowded(count: int, dimension: int = DIMENSION) -> np.ndarray:
    """Four ones each, among few places: many ties, and every cosine is exact in any arithmetic."""
    generator = np.random.default_rng(1)
    rows = np.zeros((count, dimension), dtype=np.float32)
    for row in rows:
        row[generator.choice(6, 4, replace=False)] = 1
    return rows


def make(folder: Path, backend: str, dimension: int = DIMENSION) -> GalleryIndex:
    return make_index(folder, backend, MADE_BY, dimension)[0]


def images(of: list[Entry]) -> tuple[VehicleImage, ...]:
    return tuple(VehicleImage(Path(e.name), e.name, e.vehicle_id, e.camera_id) for e in of)


def split(queries: int, gallery: list[Entry]) -> Split:
    """Queries of a vehicle that no gallery image shows: then ties are ordered by the gallery alone."""
    asking = tuple(VehicleImage(Path(f"q{i}"), f"q{i}", "nobody", "nowhere") for i in range(queries))
    return Split(asking, images(gallery), same_camera_is_junk=False)


def passes(entry: Entry, filters: Filters) -> bool:
    """The filters once more, one entry at a time."""
    if filters.vehicle_ids and entry.vehicle_id not in filters.vehicle_ids:
        return False
    if filters.cameras and entry.camera_id not in filters.cameras:
        return False
    if entry.vehicle_id in filters.not_vehicle_ids or entry.camera_id in filters.not_cameras:
        return False
    if filters.vehicle_types and entry.vehicle_type not in filters.vehicle_types:
        return False
    if filters.junk == (entry.vehicle_id, entry.camera_id):
        return False
    if filters.after is not None and (entry.seconds is None or entry.seconds < filters.after):
        return False
    return not (filters.before is not None and (entry.seconds is None or entry.seconds > filters.before))

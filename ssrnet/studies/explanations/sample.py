"""The study's sample, drawn by a seed: photographs with a reference, and photographs with and without a mark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ssrnet.data.images import read_image
from ssrnet.data.parts import MARKS, folder_of, part_names, read_mask
from ssrnet.data.probes import AS_IT_IS, MarkProbe, mark_probes
from ssrnet.data.records import ReIDDataset, VehicleImage

Item = TypeVar("Item")

FEWEST_PIXELS = 12
"""Pixels that a mark must cover to count, the same limit as in the city's files (assets/README.md)."""


@dataclass(frozen=True)
class Photograph:
    """A photograph, the reference of the same vehicle that it is compared with, and the file of its part mask."""

    image: VehicleImage
    reference: VehicleImage
    mask: str | None

    @property
    def is_sibling(self) -> bool:
        """Whether other vehicles differ from this one in their marks alone."""
        return "sibling_group" in self.image.attributes


@dataclass(frozen=True)
class Pair:
    """A photograph with and without a mark, and a reference of the same vehicle to compare both with."""

    probe: MarkProbe
    reference: VehicleImage

    @property
    def images(self) -> list[VehicleImage]:
        """The photographs in the order of ``probe.photographs``, then the reference."""
        return [*self.probe.photographs.values(), self.reference]

    @property
    def vehicle(self) -> str:
        return self.reference.vehicle_id


def draw_photographs(dataset: ReIDDataset, count: int, seed: int) -> list[Photograph]:
    """Test photographs of vehicles with two or more, those with a mask if any has one, in the order of
    :func:`in_turns`.

    The reference comes from another camera where possible, and from the most similar side by the attribute
    ``azimuth`` (degrees), else it is the first by name.
    """
    by_vehicle: dict[str, list[VehicleImage]] = {}
    for image in sorted(dataset.test, key=lambda image: image.name):
        by_vehicle.setdefault(image.vehicle_id, []).append(image)
    paired = [image for images in by_vehicle.values() for image in images if len(images) > 1]
    masks = {} if part_names(folder_of(dataset)) is None else {image: image.attributes.get("mask") for image in paired}
    candidates = [image for image in paired if masks.get(image)] or paired
    drawn = in_turns(candidates, lambda image: image.vehicle_id, seed)[:count]
    return [Photograph(image, _reference(image, by_vehicle[image.vehicle_id]), masks.get(image)) for image in drawn]


def draw_pairs(dataset: ReIDDataset, count: int, seed: int) -> list[Pair]:
    """Pairs whose mark covers at least :data:`FEWEST_PIXELS`, in the order of :func:`in_turns`.

    The reference is drawn from the vehicle's photographs that show a mark of this kind by the attribute
    ``visible_marks`` (kinds separated by spaces), or from all of them if none does. Raises as
    :meth:`MarkProbe.region`.
    """
    folder = folder_of(dataset)
    names = part_names(folder)
    if names is None:
        return []
    pairs = []
    generator = np.random.default_rng(seed)
    for probe in mark_probes(folder):
        image = probe.photographs[AS_IT_IS]
        same = sorted((one for one in dataset.test if one.vehicle_id == image.vehicle_id), key=lambda one: one.name)
        if not same or probe.region(AS_IT_IS, size_of(image), names).sum() < FEWEST_PIXELS:
            continue
        kind = probe.kind.replace(" ", "-")
        showing = [one for one in same if kind in one.attributes.get("visible_marks", "").split()]
        choice = showing or same
        pairs.append(Pair(probe, choice[generator.integers(len(choice))]))
    return in_turns(pairs, lambda pair: pair.vehicle, seed)[:count]


def in_turns(items: Sequence[Item], vehicle: Callable[[Item], str], seed: int) -> list[Item]:
    """All items shuffled: first one of each vehicle, then a second one of each that has two, and so on."""
    generator = np.random.default_rng(seed)
    shuffled = [items[i] for i in generator.permutation(len(items))]
    turn: dict[str, int] = {}
    turns = []
    for item in shuffled:
        turns.append(turn.get(vehicle(item), 0))
        turn[vehicle(item)] = turns[-1] + 1
    return [shuffled[i] for i in np.argsort(turns, kind="stable")]


def marks_region(mask: np.ndarray, names: Sequence[str]) -> np.ndarray | None:
    """(H, W) bool: the marks that tell siblings apart; None where they cover less than :data:`FEWEST_PIXELS`."""
    region = np.isin(mask, [value for value, name in enumerate(names) if name in MARKS])
    return region if region.sum() >= FEWEST_PIXELS else None


def mask_of(photograph: Photograph, dataset: ReIDDataset, names: Sequence[str]) -> np.ndarray:
    """(H, W): the photograph's part mask; raises as :func:`read_mask`."""
    return read_mask(folder_of(dataset) / photograph.mask, size_of(photograph.image), len(names))


def size_of(image: VehicleImage) -> tuple[int, int]:
    """(height, width) of a photograph in pixels."""
    width, height = read_image(image.path).size
    return height, width


def _reference(image: VehicleImage, same_vehicle: Sequence[VehicleImage]) -> VehicleImage:
    others = [other for other in same_vehicle if other.name != image.name]
    elsewhere = [other for other in others if other.camera_id != image.camera_id] or others
    return min(elsewhere, key=lambda other: (_turned(image, other), other.name))


def _turned(a: VehicleImage, b: VehicleImage) -> float:
    """Degrees between the azimuths of two photographs, in [0, 180]; 0 where one has none."""
    try:
        return abs((float(a.attributes["azimuth"]) - float(b.attributes["azimuth"]) + 180) % 360 - 180)
    except (KeyError, ValueError):
        return 0.0

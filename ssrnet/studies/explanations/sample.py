"""What the study looks at: photographs with a reference, and captures with and without a mark; drawn by a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ssrnet.data.images import read_image
from ssrnet.data.parts import AS_IT_IS, MARKS, MarkProbe, folder_of, mark_probes, part_names, read_mask
from ssrnet.data.records import ReIDDataset, VehicleImage

Item = TypeVar("Item")

FEWEST_PIXELS = 12
"""On which a mark must be seen to count: the city's own limit (assets/README.md)."""


@dataclass(frozen=True)
class View:
    """A photograph, the photograph of the same vehicle whose likeness to it is explained, and its mask's file."""

    image: VehicleImage
    reference: VehicleImage
    mask: str | None

    @property
    def is_sibling(self) -> bool:
        """Whether other vehicles differ from this one in their marks alone."""
        return "sibling_group" in self.image.attributes


@dataclass(frozen=True)
class Pair:
    """A capture with and without a mark, and a photograph of the same vehicle to compare both with."""

    probe: MarkProbe
    reference: VehicleImage

    @property
    def images(self) -> list[VehicleImage]:
        """The capture's photographs in the order of ``probe.photographs``, then the reference."""
        return [*self.probe.photographs.values(), self.reference]

    @property
    def vehicle(self) -> str:
        return self.reference.vehicle_id


def draw_views(dataset: ReIDDataset, count: int, seed: int) -> list[View]:
    """Test photographs whose vehicle was photographed again, those with a mask if any has; one a vehicle, then a
    second one, and so on.

    The reference is another camera's where there is one, and of these the one from the most similar side by the
    attribute ``azimuth`` (degrees), else the first by name.
    """
    by_vehicle: dict[str, list[VehicleImage]] = {}
    for image in sorted(dataset.test, key=lambda image: image.name):
        by_vehicle.setdefault(image.vehicle_id, []).append(image)
    asked = [image for own in by_vehicle.values() for image in own if len(own) > 1]
    masks = {} if part_names(folder_of(dataset)) is None else {image: image.attributes.get("mask") for image in asked}
    asked = [image for image in asked if masks.get(image)] or asked
    drawn = in_turns(asked, lambda image: image.vehicle_id, seed)[:count]
    return [View(image, _reference(image, by_vehicle[image.vehicle_id]), masks.get(image)) for image in drawn]


def draw_pairs(dataset: ReIDDataset, count: int, seed: int) -> list[Pair]:
    """Captures whose mark is seen on at least :data:`FEWEST_PIXELS`; a vehicle after the other.

    The reference is drawn from the vehicle's photographs that show a mark of this kind by the attribute
    ``visible_marks`` (kinds separated by spaces), or from all of them where none says so. Raises as
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
        own = sorted((one for one in dataset.test if one.vehicle_id == image.vehicle_id), key=lambda one: one.name)
        if not own or probe.region(AS_IT_IS, size_of(image), names).sum() < FEWEST_PIXELS:
            continue
        kind = probe.kind.replace(" ", "-")
        showing = [one for one in own if kind in one.attributes.get("visible_marks", "").split()]
        choice = showing or own
        pairs.append(Pair(probe, choice[generator.integers(len(choice))]))
    return in_turns(pairs, lambda pair: pair.vehicle, seed)[:count]


def in_turns(items: Sequence[Item], vehicle: Callable[[Item], str], seed: int) -> list[Item]:
    """All items shuffled, so that the first V are of the V vehicles, the next of those with two, and so on."""
    generator = np.random.default_rng(seed)
    shuffled = [items[i] for i in generator.permutation(len(items))]
    turn: dict[str, int] = {}
    turns = []
    for item in shuffled:
        turns.append(turn.get(vehicle(item), 0))
        turn[vehicle(item)] = turns[-1] + 1
    return [shuffled[i] for i in np.argsort(turns, kind="stable")]


def marks_region(mask: np.ndarray, names: Sequence[str]) -> np.ndarray | None:
    """(H, W) bool: all that tells siblings apart; None where less than :data:`FEWEST_PIXELS` of it is seen."""
    region = np.isin(mask, [value for value, name in enumerate(names) if name in MARKS])
    return region if region.sum() >= FEWEST_PIXELS else None


def mask_of(view: View, dataset: ReIDDataset, names: Sequence[str]) -> np.ndarray:
    """(H, W) the view's part mask; raises as :func:`read_mask`."""
    return read_mask(folder_of(dataset) / view.mask, size_of(view.image), len(names))


def size_of(image: VehicleImage) -> tuple[int, int]:
    """(height, width) of a photograph in pixels."""
    width, height = read_image(image.path).size
    return height, width


def _reference(image: VehicleImage, own: Sequence[VehicleImage]) -> VehicleImage:
    others = [other for other in own if other.name != image.name]
    elsewhere = [other for other in others if other.camera_id != image.camera_id] or others
    return min(elsewhere, key=lambda other: (_turned(image, other), other.name))


def _turned(a: VehicleImage, b: VehicleImage) -> float:
    """Degrees between the sides that two photographs show, in [0, 180]; 0 where they do not say."""
    try:
        return abs((float(a.attributes["azimuth"]) - float(b.attributes["azimuth"]) + 180) % 360 - 180)
    except (KeyError, ValueError):
        return 0.0

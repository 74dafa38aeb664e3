"""Sentences on what a map or a graph shows, each computed from the arrays in view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ssrnet.data.parts import NOT_VEHICLE

MORE = 1.1
"""From this ratio of mass to area on, a map counts as denser somewhere than spread evenly."""
CHANGE = 0.02
"""From this difference on, a mean cosine counts as changed."""
STILL = 0.99
"""From this cosine to f_token as it is on, a node counts as hardly turning it."""
AREAS = "Shares are means over the images; in brackets the area, which an even map would have."
NUMBERS = {2: "two", 3: "three", 4: "four"}


class Share(NamedTuple):
    """``mass`` of a map on a region and the region's ``area``, both as shares of the whole, in [0, 1]."""

    mass: float
    area: float

    @property
    def density(self) -> float:
        """Mass over area: 1 by chance."""
        return self.mass / self.area if self.area else 0.0


@dataclass(frozen=True)
class MapShares:
    """Where the maps of some images lie; means over the images.

    maps, empty: how many maps, and how many of them are zero everywhere and in no mean. ring: the outermost cells.
    middle: the central quarter. vehicle: over the ``masked`` images that have a part mask, None where none has.
    parts: of the vehicle, by name, likewise.
    """

    maps: int
    empty: int
    ring: Share
    middle: Share
    masked: int = 0
    vehicle: Share | None = None
    parts: Mapping[str, Share] = field(default_factory=dict)


def map_shares(
    maps: Sequence[np.ndarray], masked: int = 0, by_part: tuple[Mapping[str, float], Mapping[str, float]] | None = None
) -> MapShares:
    """Shares of ``maps``, (H, W) each and at least 0, on the cells of F_G.

    by_part: mass and area by part, means over ``masked`` images, from :func:`ssrnet.explain.image_maps.mass_by_part`.
    """
    lit = [cells / cells.sum(dtype=np.float64) for cells in maps if cells.any()]
    mean = np.mean(lit, axis=0) if lit else np.zeros(maps[0].shape)
    ring, middle = ring_and_middle(mean.shape)
    on = [Share(float(mean[region].sum()), float(region.mean())) for region in (ring, middle)]
    empty = len(maps) - len(lit)
    if by_part is None:
        return MapShares(len(maps), empty, *on)
    mass, area = by_part
    parts = {part: Share(mass[part], area[part]) for part in mass if part not in NOT_VEHICLE}
    vehicle = Share(sum(each.mass for each in parts.values()), sum(each.area for each in parts.values()))
    return MapShares(len(maps), empty, *on, masked, vehicle, parts)


def ring_and_middle(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) bool each: the outermost cells, and those of the central half of both sides."""
    ring, middle = np.ones(shape, bool), np.zeros(shape, bool)
    ring[1:-1, 1:-1] = False
    top, left = shape[0] // 4, shape[1] // 4
    middle[top : shape[0] - top, left : shape[1] - left] = True
    return ring, middle


def map_caption(shares: MapShares) -> str:
    """Where the maps are densest, then the shares with their areas; the rest of a sentence that starts with a title."""
    if shares.empty == shares.maps:
        return "is zero everywhere."
    places = {"on the border ring": shares.ring, "in the middle": shares.middle}
    if shares.vehicle is not None:
        places = {"on the vehicle": shares.vehicle, **places}
    densest = max(places, key=lambda place: places[place].density)
    if places[densest].density < MORE:
        finding = "is spread about evenly"
    else:
        finding = f"is densest {densest} ({places[densest].density:.1f} times an even map)"
    listed = ", ".join(f"{_percent(share)} {place}" for place, share in places.items())
    sentence = f"{finding}: {listed}"
    part = max(shares.parts, key=lambda name: shares.parts[name].mass - shares.parts[name].area, default=None)
    if part is not None and shares.parts[part].density >= MORE:
        sentence += f"; of the parts it exceeds its area most on the {part}, {_percent(shares.parts[part])}"
    if shares.empty:
        sentence += f" ({shares.empty} of {shares.maps} maps are zero everywhere and do not count)"
    return f"{sentence}."


def mask_caption(images: int, masked: int) -> str:
    """On how many ``images`` the shares of vehicle and parts rest; why there are none where none has a mask."""
    if not masked:
        without = "This image has no" if images == 1 else f"None of these {images} images has a"
        return f"{AREAS} {without} part mask, so nothing is said of the vehicle: only of border ring and middle."
    if masked == images:
        return AREAS
    return f"{AREAS} Vehicle and parts are measured on the {masked} of {images} images that have a part mask."


def smoothing_caption(cosines: Sequence[float], what: str) -> str:
    """Whether the layers of a graph make nodes alike; ``cosines`` is the mean between nodes, for H(0) to H(l).

    ``what`` names the nodes as the subject, such as "The nodes of this image".
    """
    first, last = cosines[0], cosines[-1]
    count = len(cosines) - 1
    layers = "one layer" if count == 1 else f"{NUMBERS.get(count, count)} layers"
    before = ", ".join(f"{value:.2f} at H({layer})" for layer, value in enumerate(cosines[:-1]))
    if last - first >= CHANGE:
        finding = "the graph smooths here"
    elif first - last >= CHANGE:
        finding = "the graph tells them apart here"
    else:
        finding = "the graph leaves them as alike as they were"
    return f"{what} are alike to {last:.2f} after {layers} ({before}): {finding}."


def ratio_caption(ratios: Sequence[float], cosines: np.ndarray) -> str:
    """How alike regions are at the smallest, at half and at the largest of ``ratios``, in increasing order.

    cosines: (S, l + 1), the mean between regions at each ratio, for H(0) to H(l).
    """
    half = int(np.abs(np.asarray(ratios) - 0.5).argmin())
    listed = [
        f"{cosines[at, 0]:.2f} in H(0) and {cosines[at, -1]:.2f} in H({cosines.shape[1] - 1}) at λ = {ratios[at]:.3g}"
        for at in sorted({0, half, len(ratios) - 1})
    ]
    return f"Mean cosine between the regions of this image: {'; '.join(listed)}."


def turning_caption(cosines: Mapping[str, float]) -> str:
    """How far each node moves f_token; ``cosines`` of f_token with a node off to f_token as it is, by the node's name."""
    most, least = min(cosines, key=cosines.__getitem__), max(cosines, key=cosines.__getitem__)
    if cosines[most] >= STILL:
        return (
            f"No single node turns f_token by much: with {most} off, which turns it most, its cosine to f_token as it is "
            f"stays at {cosines[most]:.4f}."
        )
    return (
        f"Switching {most} off turns f_token most, to a cosine of {cosines[most]:.4f} to f_token as it is; {least} "
        f"turns it least, to {cosines[least]:.4f}."
    )


def _percent(share: Share) -> str:
    """27 % (23 %): the mass, and the area in brackets."""
    return f"{_round(share.mass)} % ({_round(share.area)} %)"


def _round(share: float) -> str:
    return f"{100 * share:.0f}" if share >= 0.095 or share == 0 else f"{100 * share:.1f}"

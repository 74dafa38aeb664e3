"""Evaluation protocols: which test images are queries, which form the gallery, and which matches are junk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, get_args

import numpy as np

from ssrnet.data.records import UNLABELLED, ReIDDataset, VehicleImage
from ssrnet.errors import ProtocolError, SettingsError

ProtocolName = Literal["cross_camera", "single_gallery_shot", "multi_gallery_shot"]
"""The protocols that give scores."""

JUNK_CAMERA = "same vehicle and same camera as the query"
JUNK_NONE = "none"
JUNK_ITSELF = "the query itself"


@dataclass(frozen=True)
class Split:
    """Queries and gallery of a data set under a protocol.

    ``excluded_vehicles`` counts vehicles with too few images for the protocol, whose images are in neither list.
    ``same_camera_is_junk`` is the junk rule: gallery images of the query's vehicle and camera are neither hits nor errors.
    Without labels (``is_labelled`` false) no image is a match, and the query's own image is junk.
    """

    query: tuple[VehicleImage, ...]
    gallery: tuple[VehicleImage, ...]
    same_camera_is_junk: bool
    excluded_vehicles: int = 0
    is_labelled: bool = True

    @property
    def junk_rule(self) -> str:
        if not self.is_labelled:
            return JUNK_ITSELF
        return JUNK_CAMERA if self.same_camera_is_junk else JUNK_NONE


@dataclass(frozen=True)
class Protocol:
    """How a data set's test images become queries and a gallery.

    - ``cross_camera`` (of VeRi-776): the owners' query and gallery; a gallery image of the query's vehicle by the
      query's camera is junk.
    - ``single_gallery_shot`` (paper, Sec. 4.7; of VehicleID): test images pooled, one random image a vehicle forms the
      gallery, all others are queries; no junk.
    - ``multi_gallery_shot`` (Sec. 4.7, n = 6): exactly ``n`` random images a vehicle form the gallery, all others are
      queries; vehicles with fewer than n + 1 images are excluded and counted.
    - ``unlabelled``, the only one for a data set without vehicle labels: every image is a query for all the others.
      It ranks and gives no scores.

    Distractors take part in no shot protocol: they are not one vehicle, so they can be neither queries nor drawn.
    The shot protocols draw with numpy's PCG64 from ``seed``, vehicles and images in sorted order,
    so a seed gives the same split on every machine. Report mean and spread over 10 seeds.
    """

    name: ProtocolName | Literal["unlabelled"] = "cross_camera"
    seed: int = 0
    n: int = 6

    def __post_init__(self) -> None:
        names = get_args(ProtocolName)
        if self.name not in (*names, UNLABELLED):
            raise SettingsError(f"the protocol is {self.name!r}; choose one of {', '.join(names)}.")
        if self.seed < 0:
            raise SettingsError(f"the protocol's seed is {self.seed}; use 0 or a positive whole number.")
        if self.name == "multi_gallery_shot" and self.n < 1:
            raise SettingsError(f"n is {self.n}; multi_gallery_shot needs n of at least 1.")

    @property
    def shots(self) -> int:
        """Gallery images a vehicle under the shot protocols."""
        return 1 if self.name == "single_gallery_shot" else self.n

    def unavailable(self, dataset: ReIDDataset) -> str | None:
        """Why this data set cannot serve the protocol, or None where it can."""
        if self.name == UNLABELLED:
            return f"{dataset.name} has vehicle labels" if dataset.is_labelled else None
        if not dataset.is_labelled:
            return f"{dataset.name} does not say which images show the same vehicle"
        if self.name == "cross_camera":
            if not dataset.query:
                return f"{dataset.name} has no query split"
            if not dataset.gallery:
                return f"{dataset.name} has an empty gallery"
            return _without_cameras(dataset)
        most = max((len(images) for images in _by_vehicle(dataset).values()), default=0)
        if most == 0:
            return f"{dataset.name} has no test images"
        if most <= self.shots:
            return (
                f"with {self.shots} in the gallery a vehicle needs at least {self.shots + 1} images, "
                f"and no test vehicle of {dataset.name} has more than {most}"
            )
        return None

    def split(self, dataset: ReIDDataset) -> Split:
        """Queries and gallery of ``dataset``; raises :class:`ProtocolError` where unavailable."""
        reason = self.unavailable(dataset)
        if reason:
            others = (name for name, why in available_protocols(dataset, n=self.n).items() if why is None)
            advice = "choose another protocol" + "".join(f", as --protocol {name}" for name in islice(others, 1))
            raise ProtocolError(f"{self.name} cannot be used here: {reason}; {advice}.")
        if self.name == "cross_camera":
            return Split(tuple(dataset.query), tuple(dataset.gallery), same_camera_is_junk=True)
        if self.name == UNLABELLED:
            return Split(dataset.test, dataset.test, same_camera_is_junk=False, is_labelled=False)
        return self._draw(_by_vehicle(dataset))

    def _draw(self, vehicles: Mapping[str, Sequence[VehicleImage]]) -> Split:
        generator = np.random.Generator(np.random.PCG64(self.seed))
        query: list[VehicleImage] = []
        gallery: list[VehicleImage] = []
        excluded = 0
        for _, images in sorted(vehicles.items()):
            # A vehicle with a single image is still in a single-shot gallery, where it matches no query.
            if len(images) <= self.shots and self.name == "multi_gallery_shot":
                excluded += 1
                continue
            images = sorted(images, key=lambda image: image.name)
            drawn = set(generator.choice(len(images), size=self.shots, replace=False).tolist())
            gallery += [image for i, image in enumerate(images) if i in drawn]
            query += [image for i, image in enumerate(images) if i not in drawn]
        return Split(tuple(query), tuple(gallery), same_camera_is_junk=False, excluded_vehicles=excluded)


def available_protocols(dataset: ReIDDataset, seed: int = 0, n: int = 6) -> dict[ProtocolName, str | None]:
    """Each scoring protocol's name with None where ``dataset`` serves it, else the reason why not."""
    names: tuple[ProtocolName, ...] = get_args(ProtocolName)
    return {name: Protocol(name, seed=seed, n=n).unavailable(dataset) for name in names}


def _without_cameras(dataset: ReIDDataset) -> str | None:
    """Why the cameras of ``dataset`` give no query a match; None where at least one has one."""
    tested = (*dataset.query, *dataset.gallery)
    unknown = sum(image.camera_id is None for image in tested)
    if unknown:
        which = "each image" if unknown == len(tested) else f"{unknown:,} of its {len(tested):,} test images"
        return f"{dataset.name} does not say which camera took {which}"
    cameras: dict[str, set[str | None]] = defaultdict(set)
    for image in dataset.gallery:
        cameras[image.vehicle_id].add(image.camera_id)
    if any(cameras.get(image.vehicle_id, set()) - {image.camera_id} for image in dataset.query):
        return None
    if not any(image.vehicle_id in cameras for image in dataset.query):
        return f"no query vehicle of {dataset.name} is in its gallery"
    if len({image.camera_id for image in tested}) == 1:
        return f"all test images of {dataset.name} are by one camera ({tested[0].camera_id}), so every match is junk"
    return f"no query of {dataset.name} has a gallery image of its vehicle by another camera, so every match is junk"


def _by_vehicle(dataset: ReIDDataset) -> dict[str, list[VehicleImage]]:
    """The pooled test images of each vehicle, without distractors."""
    groups: dict[str, list[VehicleImage]] = defaultdict(list)
    for image in dataset.test:
        if image.vehicle_id not in dataset.distractor_ids:
            groups[image.vehicle_id].append(image)
    return groups

"""The choice of images to set beside the query: of its vehicle, its look-alikes, others; without labels its nearest."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.widgets.controls import one_of
from app.workbench import Workbench
from ssrnet.analysis.attributes import SIBLING, same_vehicle
from ssrnet.data.records import VehicleImage

COUNTS = (1, 3, 6, 12)


def images_beside(bench: Workbench, image: VehicleImage) -> list[VehicleImage]:
    """The query first, then the images to set beside it."""
    images = bench.dataset.test
    if image.vehicle_id is None:
        sets = _sets_without_labels(bench, image)
    else:
        sets = _sets(image, images)
    left, right = st.columns([3, 2])
    beside = one_of("Beside the query", list(sets), "attention_set", place=left)
    count = one_of("Images", COUNTS, "attention_images", default=3, place=right)
    members = sets[beside][: count - 1]
    if len(members) < count - 1:
        st.caption(f"{beside}: {len(members)} of the {count - 1} asked for, since the test images have no more.")
    return [image, *members]


def _sets_without_labels(bench: Workbench, image: VehicleImage) -> dict[str, list[VehicleImage]]:
    """The nearest by the second network, where its features are stored, and the others in their order."""
    sets = {"Other images": [other for other in bench.dataset.test if other.name != image.name]}
    if bench.ssrnet.stored_features() is None:
        return sets
    hits = bench.ssrnet.ranking(bench.split.query.index(image)).hits(0)
    return {"Its nearest": [bench.split.gallery[hit.index] for hit in hits]} | sets


def _sets(image: VehicleImage, images: Sequence[VehicleImage]) -> dict[str, list[VehicleImage]]:
    same = same_vehicle(image, images)
    group = image.attributes.get(SIBLING)
    alike = {} if group is None else {o.vehicle_id: o for o in reversed(images) if o.attributes.get(SIBLING) == group}
    alike.pop(image.vehicle_id, None)
    others = list({o.vehicle_id: o for o in reversed(images) if o.vehicle_id != image.vehicle_id}.values())
    sets = {"Its vehicle": same, "Its look-alikes": list(alike.values()), "Other vehicles": others}
    return {name: members for name, members in sets.items() if members or members is same}

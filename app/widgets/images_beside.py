"""The choice of images to set beside the query: of its vehicle, its look-alikes, others; without labels its nearest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import streamlit as st

from app.widgets.components.image_picker import chosen_image, images_in_view
from app.widgets.controls import one_of
from app.workbench import Workbench
from app.workbench.images import uploaded_images
from ssrnet.analysis.attributes import SIBLING, same_vehicle
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage

COUNTS, FEW = (1, 3, 6, 12), 3
"""Images that are shown, the query among them, and how many at first."""
AHEAD = 24
"""Images that are taken through both networks before a click asks for them; the cache holds the views of 32."""
BESIDE, BESIDE_UPLOAD, COUNT = "attention_set", "attention_upload_set", "attention_images"
"""The keys, in session state and URL, of what stands beside the query, beside an upload, and of how many images there are."""


def images_beside(bench: Workbench, image: VehicleImage) -> list[VehicleImage]:
    """The query first, then the images to set beside it."""
    is_upload = isinstance(image, UploadedImage)
    sets = _sets_of_upload(bench, image) if is_upload else _sets(bench, image)
    left, right = st.columns([3, 2])
    beside = one_of("Beside the query", list(sets), BESIDE_UPLOAD if is_upload else BESIDE, place=left)
    count = one_of("Images", COUNTS, COUNT, default=FEW, place=right)
    members = sets[beside][: count - 1]
    if len(members) < count - 1:
        st.caption(f"{beside}: {len(members)} of the {count - 1} asked for, since there are no more.")
    return [image, *members]


def images_ahead(bench: Workbench) -> Iterator[VehicleImage]:
    """What a click on a picture in view would show, from the picture after the query on; an image may come again."""
    images = bench.dataset.test
    query, in_view = chosen_image("query", images), images_in_view("query", images)
    at = in_view.index(query) if query in in_view else len(in_view)
    beside, count = st.session_state.get(BESIDE), st.session_state.get(COUNT, FEW)

    def shown() -> Iterator[VehicleImage]:
        for image in (in_view[at + 1 :] + in_view[:at])[: AHEAD // count]:
            yield image
            yield from _sets(bench, image).get(beside, ())[: count - 1]

    return shown()


def _sets(bench: Workbench, image: VehicleImage) -> dict[str, list[VehicleImage]]:
    """What may stand beside an image, by title."""
    if image.vehicle_id is None:
        return _sets_without_labels(bench, image)
    return _sets_by_label(image, bench.dataset.test)


def _sets_of_upload(bench: Workbench, image: UploadedImage) -> dict[str, list[VehicleImage]]:
    """The other uploads, and the gallery's nearest by the second network, where its features are stored."""
    others: list[VehicleImage] = [each for each in uploaded_images() if each != image]
    sets = {"Your other images": others} if others else {}
    if bench.ssrnet.stored_features() is not None:
        (embedding,) = bench.ssrnet.embed([image.picture])
        nearest = bench.ssrnet.branch_features().products(None, embedding).nearest(max(COUNTS))
        sets["Nearest in the gallery"] = [bench.split.gallery[each.index] for each in nearest]
    return sets or {"Test images": list(bench.dataset.test)}


def _sets_without_labels(bench: Workbench, image: VehicleImage) -> dict[str, list[VehicleImage]]:
    """The nearest by the second network, where its features are stored, and the others in their order."""
    sets = {"Other images": [other for other in bench.dataset.test if other.name != image.name]}
    if bench.ssrnet.stored_features() is None:
        return sets
    hits = bench.ssrnet.ranking(bench.split.query.index(image)).hits(0)
    return {"Its nearest": [bench.split.gallery[hit.index] for hit in hits]} | sets


def _sets_by_label(image: VehicleImage, images: Sequence[VehicleImage]) -> dict[str, list[VehicleImage]]:
    same = same_vehicle(image, images)
    group = image.attributes.get(SIBLING)
    alike = {} if group is None else {o.vehicle_id: o for o in reversed(images) if o.attributes.get(SIBLING) == group}
    alike.pop(image.vehicle_id, None)
    others = list({o.vehicle_id: o for o in reversed(images) if o.vehicle_id != image.vehicle_id}.values())
    sets = {"Its vehicle": same, "Its look-alikes": list(alike.values()), "Other vehicles": others}
    return {name: members for name, members in sets.items() if members or members is same}

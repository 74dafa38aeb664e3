"""Below the Gallery map's points: the selection's pictures, one point's neighbours, the points that moved most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from app.widgets.components.image_rows import Figure, ImageRow, image_rows
from app.widgets.query_picker import choose_query, choose_upload
from app.workbench import OpenedModel
from app.workbench.images import image_label, thumbnail
from app.workbench.maps import NEIGHBOURHOOD, nearest, nearest_to_upload
from app.workbench.uploaded_data import uploads_beside
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage

MOST_SHOWN = 60
"""Thumbnails of a selection that travel to the browser."""
LISTED = 8
"""Neighbours of a point, and points that moved most."""


def pictures(chosen: Sequence[VehicleImage], query: VehicleImage) -> None:
    """The selected images; a click makes one the query."""
    st.subheader(f"Selected: {len(chosen):,}", anchor=False)
    if not chosen:
        st.caption("Lasso points in a map to see their images here; click one to see its neighbours.")
        return
    vehicles = len({image.vehicle_id for image in chosen} - {None})
    more = f" The first {MOST_SHOWN} are shown." if len(chosen) > MOST_SHOWN else ""
    whose = f"Of {vehicles:,} vehicle{'s' if vehicles > 1 else ''}. " if vehicles else ""
    st.caption(f"{whose}A click on a picture makes it the query.{more}")
    figures = [_figure(image) for image in chosen[:MOST_SHOWN]]
    image_rows([ImageRow("", "", figures)], "grid", "map_pictures", _picks(query), _make_query)


def neighbours_of(models: Sequence[OpenedModel], branch: str, images: Sequence[VehicleImage], row: int) -> None:
    """One image's nearest by each model, a row a model."""
    image, rows = images[row], []
    for model in models:
        figures = [_figure(image, "query")]
        for one in nearest(model, branch, row, LISTED):
            other = images[one.index]
            same = None if image.vehicle_id is None else other.vehicle_id == image.vehicle_id
            kind, sign = {None: ("plain", ""), True: ("hit", " ✓"), False: ("error", " ✗")}[same]
            figures.append(_figure(other, kind, f"{one.rank}{sign}", one.cosine))
        rows.append(ImageRow(model.title, "", figures))
    st.markdown(
        f"**Nearest to {image.name}** by the cosine of the features, not by places in the map"
        + ("." if image.vehicle_id is None else "; junk is among them.")
    )
    image_rows(rows, "ranks", "map_neighbours", None, _make_query)


def neighbours_of_upload(
    models: Sequence[OpenedModel], branch: str, images: Sequence[VehicleImage], upload: UploadedImage
) -> None:
    """An upload's nearest test images by each network, a row a network."""
    rows = []
    for model in models:
        if model.has_network:
            near = nearest_to_upload(model, branch, upload, LISTED)
            figures = [_figure(images[one.index], mark=str(one.rank), cosine=one.cosine) for one in near]
            rows.append(ImageRow(model.title, "", [_figure(upload, "query"), *figures]))
    st.markdown(
        f"**Nearest to your image** `{upload.name}` by the cosine of the features, not by places in the map; nothing says "
        "which vehicle it shows."
    )
    image_rows(rows, "ranks", "map_neighbours", None, _make_query)


def moved_most(titles: tuple[str, str], change: np.ndarray, images: Sequence[VehicleImage]) -> None:
    """How much neighbourhoods differ between two models, and the images of the largest change."""
    all_changed, none = int((change == 1).sum()), int((change == 0).sum())
    st.caption(
        f"Of each image's {NEIGHBOURHOOD} nearest (cosine of the features), how many are the same with {titles[0]} and "
        f"{titles[1]}: change is 1 minus those shared over those of either. Mean {change.mean():.0%}; {none:,} images keep "
        f"all, {all_changed:,} none. A click makes an image the query."
    )
    largest = np.argsort(-change, kind="stable")[:LISTED]
    figures = [_figure(images[i], mark=f"{change[i]:.0%}") for i in largest]
    image_rows([ImageRow("", "", figures)], "grid", "map_moved", None, _make_query)


def _picks(image: VehicleImage) -> str:
    """What a click on an image picks: its name, or of an upload, whose name an image of the data set may have, its digest."""
    return image.digest if isinstance(image, UploadedImage) else image.name


def _make_query(picked: str) -> None:
    uploaded = {image.digest: image.name for image in uploads_beside()}
    if picked in uploaded:
        choose_upload(uploaded[picked])
    else:
        choose_query(picked)


def _figure(image: VehicleImage, kind: str = "plain", mark: str = "", cosine: float | None = None) -> Figure:
    label = image_label(image)
    note = "" if cosine is None else f"cosine {cosine:.2f}"
    alt = " · ".join(filter(None, (mark, label, note)))
    return Figure(
        thumbnail(image), alt, f" {label}" if mark else label, kind, picks=_picks(image), mark=mark, note=note
    )

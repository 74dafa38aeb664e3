"""The query of a page: an image of the data set, or a picture that the viewer has uploaded."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.widgets.components.image_picker import image_picker
from app.widgets.components.image_rows import Figure, ImageRow, image_rows
from app.workbench.images import thumbnail
from app.workbench.uploaded_data import uploads_beside
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage

MINE = "query_mine"
"""The key, in session state and URL, of whether the query is an upload."""
MOST = 45
"""Uploaded pictures to click on; more are a list of names."""
UPLOAD = "query_upload"


def query_picker(images: Sequence[VehicleImage]) -> VehicleImage | None:
    """One of ``images``, or of the uploads where the viewer has some and takes the query from them."""
    uploaded = {image.name: image for image in uploads_beside()}
    if uploaded and st.toggle(f"One of your images ({len(uploaded):,})", key=MINE, bind="query-params"):
        return _choose(uploaded)
    return image_picker("query", images)


def _choose(uploaded: dict[str, UploadedImage]) -> UploadedImage:
    names = list(uploaded)
    chosen = st.session_state.get(UPLOAD)
    chosen = chosen if chosen in uploaded else names[0]
    if len(uploaded) > MOST:
        chosen = st.selectbox("Your picture", names, names.index(chosen))
    else:
        figures = [Figure(thumbnail(image), name, name, picks=name) for name, image in uploaded.items()]
        chosen = image_rows([ImageRow("", "", figures)], "grid", "query_upload_grid", chosen, _keep) or chosen
    _keep(chosen)
    return uploaded[chosen]


def _keep(name: str) -> None:
    st.session_state[UPLOAD] = name

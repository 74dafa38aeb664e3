"""The query of a page: an image of the data set, or a picture that the viewer has uploaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app.widgets.components.image_picker import choose, image_picker
from app.widgets.components.image_rows import Figure, ImageRow, image_rows
from app.widgets.page import QUERY_MINE
from app.workbench.images import thumbnail
from app.workbench.uploaded_data import uploads_beside
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage

MOST = 45
"""Uploaded pictures to click on; more are a list of names."""
UPLOAD = "query_upload"


def query_picker(images: Sequence[VehicleImage]) -> VehicleImage | None:
    """One of ``images``, or of the uploads where the viewer has some and takes the query from them."""
    uploaded = take_uploads()
    return _choose(uploaded) if uploaded else image_picker("query", images)


def take_uploads() -> dict[str, UploadedImage]:
    """The uploads by name where the viewer takes the query from them; draws the switch where there are any."""
    uploaded = {image.name: image for image in uploads_beside()}
    mine = uploaded and st.toggle(f"One of your images ({len(uploaded):,})", key=QUERY_MINE, bind="query-params")
    return uploaded if mine else {}


def chosen_upload(uploaded: Mapping[str, UploadedImage]) -> UploadedImage:
    """The upload that was chosen last, here or on another page, else the first."""
    return uploaded.get(st.session_state.get(UPLOAD)) or next(iter(uploaded.values()))


def choose_query(name: str) -> None:
    """Makes an image of the data set the query, in place of an upload too; before the page runs again."""
    choose("query", name)
    st.session_state[QUERY_MINE] = False


def choose_upload(name: str) -> None:
    """Makes an upload the query; before the page runs again."""
    st.session_state[UPLOAD], st.session_state[QUERY_MINE] = name, True


def _choose(uploaded: dict[str, UploadedImage]) -> UploadedImage:
    names, chosen = list(uploaded), chosen_upload(uploaded).name
    if len(uploaded) > MOST:
        chosen = st.selectbox("Your picture", names, names.index(chosen))
    else:
        figures = [Figure(thumbnail(image), name, name, picks=name) for name, image in uploaded.items()]
        chosen = image_rows([ImageRow("", "", figures)], "grid", "query_upload_grid", chosen, _keep) or chosen
    _keep(chosen)
    return uploaded[chosen]


def _keep(name: str) -> None:
    st.session_state[UPLOAD] = name

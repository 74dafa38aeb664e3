"""The viewer's uploads on the Gallery map: which of them is the query, and which are selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st

from app.widgets.page import QUERY_MINE
from app.widgets.progress import run_with_progress
from app.widgets.query_picker import chosen_upload, take_uploads
from app.workbench import Workbench
from app.workbench.uploaded_data import uploads_beside
from ssrnet.data.uploads import UploadedImage

YOURS = "your images"
"""The uploads in the legend."""
SELECTED = "map_selected_uploads"
"""The session state's key for the digests of selected uploads, which stand in no URL and get no tag."""


@dataclass(frozen=True)
class MapUploads:
    """The uploads that the map shows; ``query``: the one that stands in the place of the data set's query."""

    images: tuple[UploadedImage, ...] = ()
    query: UploadedImage | None = None

    @property
    def selected(self) -> list[UploadedImage]:
        digests = st.session_state.get(SELECTED, ())
        return [image for image in self.images if image.digest in digests]

    @property
    def query_now(self) -> UploadedImage | None:
        """The query as the last click has it."""
        mine = self.images and st.session_state.get(QUERY_MINE)
        return chosen_upload({image.name: image for image in self.images}) if mine else None

    def select(self, numbers: Sequence[int]) -> None:
        """Selects the uploads at these positions, and no others."""
        st.session_state[SELECTED] = [self.images[number].digest for number in numbers]


def map_uploads(bench: Workbench, method: str) -> MapUploads:
    """The switch of the query, and the uploads through all networks; without uploads nothing is drawn.

    With PCA only: where umap-learn's ``transform`` puts a picture depends on which others it is given with it.
    """
    images = tuple(uploads_beside())
    if not images:
        return MapUploads()
    if method != "PCA":
        one = len(images) == 1
        st.caption(f"Your {'image is' if one else f'{len(images):,} images are'} shown with PCA only.")
        return MapUploads()
    uploaded = take_uploads()
    for at, model in enumerate(bench.networks.values()):
        embed = partial(model.embed, [image.picture for image in images])
        run_with_progress(f"Embedding your images with {model.raw.title}", f"map_uploads_{at}", embed)
    without = [model.raw.title for model in bench.models.values() if not model.has_network]
    notes = [f"{title} has no network, so its map lacks your images." for title in without]
    if bench.is_aligned:
        notes.append(
            "Your images are aligned by the whole set's statistics: nothing says that one of its cameras took them."
        )
    if notes:
        st.caption(" ".join(notes))
    return MapUploads(images, chosen_upload(uploaded) if uploaded else None)

"""Attention: where SSR-Net looks (M_s, paper Fig. 3), and where each model's similarity comes from (Grad-CAM)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from app.services import Services
from app.widgets.image_picker import image_picker
from app.widgets.source import Selection
from ssrnet.data.records import VehicleImage
from ssrnet.explain.attention import spatial_attention, stretch, to_image_frame, why_no_spatial_attention
from ssrnet.explain.cam import similarity_cam
from ssrnet.explain.overlay import overlay
from ssrnet.training.checkpoint import StoredCheckpoint

EXPLANATION = r"""
**M_s** is the spatial attention map of SSR-Net's attention branch,
$F_{Attn} = M_s(F_c) \otimes F_c$ with $F_c = M_c(F_G) \otimes F_G$ (paper, Eq. 1). It belongs to the image alone.
The baseline has no attention map.

**Grad-CAM** asks another question: which cells of $F_G$ raise the similarity between this image's embedding and
that of the image it is compared with? It exists for both models.

Each map is stretched to its own range for the colours, blue lowest and red highest; M_s's range stands below it.
Maps have one value a cell of $F_G$ and are brought to the image's size bilinearly. Look for: the same part of the
vehicle lit in both images, or a background that should not matter.

Functions: `ssrnet.explain.attention.spatial_attention`, `ssrnet.explain.cam.similarity_cam`.
"""


def render(services: Services, selection: Selection) -> None:
    """A picker, then a row a model: the image, M_s where there is one, and Grad-CAM."""
    images = selection.opened.dataset.test
    image = image_picker("query", images, services.thumbnail)
    others = {other.name: other for other in _same_vehicle(image, images)}
    left, right = st.columns([3, 2])
    name = left.selectbox(
        "Grad-CAM explains the similarity to",
        others,
        format_func=lambda name: _say(others[name], image),
        help="Other images of the same vehicle come first; the image itself shows what its own embedding is made of.",
    )
    reference = others[name]
    opacity = right.slider("Opacity of the maps", 0.0, 1.0, 0.5, 0.05, key="opacity", bind="query-params")

    for title, checkpoint in selection.models.items():
        st.subheader(title, anchor=False)
        _row(services, checkpoint, image, reference, opacity)
    with st.expander("Explain", icon=":material/help:"):
        st.markdown(EXPLANATION)


def _row(
    services: Services, checkpoint: StoredCheckpoint, image: VehicleImage, reference: VehicleImage, opacity: float
) -> None:
    model = services.model(checkpoint)
    feature_map = services.feature_map(checkpoint, image)
    trace = model.head(feature_map)
    other = model.head(services.feature_map(checkpoint, reference)).embedding()
    square = services.square(checkpoint, image)

    def paint(cells: np.ndarray) -> np.ndarray:
        """A (1, H, W) map of cells over the image."""
        return overlay(square, stretch(to_image_frame(cells, len(square), trace.theta)[0]), opacity)

    columns = st.columns(4)
    columns[0].image(square, caption=f"{image.name}, as the network sees it", width="stretch")
    M_s = spatial_attention(trace)
    if M_s is None:
        columns[1].info(why_no_spatial_attention(model.settings))
    else:
        low, high = float(M_s.min()), float(M_s.max())
        columns[1].image(paint(M_s), caption=f"M_s, from {low:.2f} to {high:.2f}", width="stretch")
    cam = similarity_cam(model, feature_map, other[0])
    columns[2].image(paint(cam), caption=f"Grad-CAM of the similarity to {reference.name}", width="stretch")
    if reference != image:
        columns[3].image(services.square(checkpoint, reference), caption=f"{reference.name}", width="stretch")


def _same_vehicle(image: VehicleImage, images: Sequence[VehicleImage]) -> list[VehicleImage]:
    """Other images of the vehicle, other cameras first, then the image itself."""
    others = [other for other in images if other.vehicle_id == image.vehicle_id and other != image]
    return [*sorted(others, key=lambda other: (other.camera_id == image.camera_id, other.name)), image]


def _say(other: VehicleImage, image: VehicleImage) -> str:
    if other == image:
        return f"{other.name} (the image itself)"
    return f"{other.name} (same vehicle{f', camera {other.camera_id}' if other.camera_id else ''})"

"""Nodes of several images, layer by layer: maps of them, and how alike they grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import plotly.graph_objects as go
import streamlit as st
import torch

from app.widgets.components.node_graph import NODE_TITLES
from app.widgets.components.scatter import Things, figure, projection_panel, scatter
from app.widgets.controls import one_of
from app.widgets.export import COLOURS, DASHES, chart, export_buttons, print_figure
from app.widgets.progress import progress, run_with_progress
from app.widgets.symbols import layer_in_chart
from app.workbench import OpenedModel, graphs
from app.workbench.images import image_title, thumbnail
from app.workbench.maps import projected
from app.workbench.queries import Query, query_image
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage
from ssrnet.errors import DataError
from ssrnet.explain.relations import smoothness
from ssrnet.model import Trace
from ssrnet.model.regions import REGION_NAMES

CHOICES = {
    graphs.QUERY: "This image",
    graphs.VEHICLE: "Its vehicle",
    graphs.ALIKE: "Its look-alikes",
    graphs.WRONG: "First wrong hits",
    graphs.RANDOM: "Random vehicles",
    graphs.NEAREST: "Its nearest",
    graphs.UPLOADS: "Your other images",
}
UNLABELLED = {graphs.RANDOM: "Random images"}
"""Other titles where nobody has said which vehicle an image shows."""
METHODS = ("PCA", "UMAP", "t-SNE")
COLOURINGS = ("node", "identity", "camera")


def node_maps(model: OpenedModel, query: Query) -> None:
    """Nodes of several images, layer by layer, in the plane."""
    st.subheader("Nodes of several images, layer by layer", anchor=False)
    image = query_image(model.split, query)
    # Of an upload under keys of their own: its choices are others.
    key = "graph_upload" if isinstance(image, UploadedImage) else "graph"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        titles = CHOICES if model.split.is_labelled else CHOICES | UNLABELLED
        offered = {each: titles[each] for each in graphs.choices(image)}
        first = graphs.ALIKE if graphs.ALIKE in offered else graphs.QUERY
        choice = one_of("Images", offered, f"{key}_images", default=first)
        method = one_of("Projection", METHODS, "graph_method")
        colouring = one_of("Colour", COLOURINGS if image.vehicle_id else ("node", "image"), f"{key}_colour")
        most, seed = 12, 0
        if choice != graphs.QUERY:
            most = st.number_input("Images at most", 2, 48, 12, key="graph_most", bind="query-params", width=140)
        if choice == graphs.RANDOM:
            seed = st.number_input("Seed", 0, 10_000, 0, key="graph_seed", bind="query-params", width=110)
    if colouring == "camera" and image.camera_id is None:
        st.info("This data set does not say which camera took each image; choose another colour.")
        return
    images = graphs.chosen_images(model, query, choice, int(most), int(seed))
    H = run_with_progress("Computing the nodes", "graph_nodes", partial(graphs.nodes, model, images))
    panels = []
    try:
        with progress(f"Drawing the map with {method}", "graph_map") as progress_callback:
            for layer, nodes in enumerate(H):
                key = ("nodes", model.hash, layer, *images)  # (N, n, C): N * n points
                try:
                    vectors = nodes.reshape(-1, nodes.shape[2])
                    projection = projected(key, lambda vectors=vectors: vectors, method, progress_callback)
                except DataError as error:
                    raise DataError(f"The map of the nodes in H({layer}): {error}") from error
                panels.append(projection_panel(f"H({layer})", projection))
    except DataError as error:
        st.info(str(error))
        return
    trace = model.view(image).trace
    things = _things(trace, images, colouring)
    scatter("graph_scatter", panels, things, f"Nodes of {len(images)} images in {len(panels)} layers by {method}")
    export_buttons("graph_nodes_map", lambda format: print_figure(figure(panels, things), format), key="graph_scatter")
    st.caption(
        f"{_images(len(images))}, {len(trace.nodes)} nodes each, of the graph as it is"
        f"{'; rings mark this image' if len(images) > 1 else ''}. Each layer has separate axes. "
        "Hover a point to see its crop."
    )
    _smoothness(trace, H)


def _things(trace: Trace, images: Sequence[VehicleImage], colouring: str) -> Things:
    """The nodes of the images as points with their crops."""
    cells = trace.F_attn.shape[2:]
    boxes = dict(zip(REGION_NAMES, trace.boxes))
    crops = {
        name: boxes[name].scaled(1 / cells[1], 1 / cells[0]) if name in boxes else (0, 0, 1, 1) for name in trace.nodes
    }
    labels, kinds, picture, crop = [], [], [], []
    for at, image in enumerate(images):
        for node in trace.nodes:
            what = "token (learned, no crop)" if node == "token" else NODE_TITLES[node]
            labels.append(f"{what} · {image_title(image)}")
            kinds.append(
                {
                    "node": NODE_TITLES[node],
                    "identity": f"vehicle {image.vehicle_id}",
                    "image": image.name,
                    "camera": image.camera_id or "none",
                }[colouring]
            )
            picture.append(at)
            crop.append(crops[node])
    marked = range(len(trace.nodes)) if len(images) > 1 else ()
    order = [NODE_TITLES[node] for node in trace.nodes] if colouring == "node" else ()
    pictures = [thumbnail(image) for image in images]
    return Things(labels, kinds, pictures, picture, crop, list(marked), mark="this image", order=order)


def _smoothness(trace: Trace, H: Sequence[np.ndarray]) -> None:
    """Mean cosine between nodes over the layers, of the chosen images."""
    cosines = smoothness(replace(trace, H=tuple(torch.from_numpy(layer) for layer in H)))
    layers = [layer_in_chart(layer) for layer in range(len(H))]
    sheet = go.Figure()
    for name, values, colour, dash in zip(
        ("all pairs of nodes", "the five regions"), (cosines.nodes, cosines.regions), COLOURS, DASHES
    ):
        sheet.add_scatter(
            x=layers,
            y=values.mean(1).tolist(),
            name=name,
            mode="lines+markers+text",
            text=[f"{value:.2f}" for value in values.mean(1).tolist()],
            textposition="bottom center" if values is cosines.nodes else "top center",
            error_y={"type": "data", "array": values.std(1, unbiased=False).tolist(), "thickness": 1},
            line={"color": colour, "dash": dash},
            hovertemplate="%{y:.3f}",
        )
    sheet.update_layout(
        title={"text": "Mean cosine between an image's nodes", "font": {"size": 15}},
        height=300,
        margin={"l": 0, "r": 8, "t": 40, "b": 0},
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.12},
    )
    sheet.update_yaxes(range=[min(0, float(cosines.nodes.min()) - 0.05), 1.12])
    alt = "Mean cosine by layer: " + ", ".join(
        f"{name} {value:.2f}" for name, value in zip(layers, cosines.nodes.mean(1))
    )
    chart(sheet, "graph_smoothness", alt, key="graph_smoothness")
    images = cosines.nodes.shape[1]
    bars = "; bars are one standard deviation between images" if images > 1 else ""
    st.caption(f"Mean over {_images(images)}{bars}. 1 is over-smoothed.")


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"

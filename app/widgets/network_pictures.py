"""What the network makes of one query, as small pictures in the blocks of Start's diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from app.widgets.components.network_diagram import Picture
from app.widgets.components.node_graph import graph_layout
from app.widgets.prints import Bar
from app.widgets.rank_list import kind_of
from app.workbench import OpenedModel
from app.workbench.attention import map_uri
from app.workbench.images import aspect_ratio, data_uri, image_label, size_of, thumbnail
from ssrnet.analysis.picture_cells import cell_ratio
from ssrnet.data.records import VehicleImage
from ssrnet.explain.image_maps import ImageMap, network_map
from ssrnet.explain.overlay import COLOUR_MAPS, DEFAULT_COLOURS, scale_of
from ssrnet.model import Trace
from ssrnet.model.regions import REGION_NAMES
from ssrnet.retrieval.ranking import Hit

HEIGHT = 96
"""Pixels of the photograph, which a picture shows smaller."""
FIRST = 4
"""Ranks that are drawn."""
GRID = {"ul": (0, 0), "dl": (0, 1), "mid": (1, 0.5), "ur": (2, 0), "dr": (2, 1)}
"""Column and row of each crop."""


def network_pictures(model: OpenedModel, image: VehicleImage, colours: str = DEFAULT_COLOURS) -> Mapping[str, Picture]:
    """By block of the diagram; the network's pass over the image is computed where it is not there.

    ``colours`` of M_s are a name in :data:`COLOUR_MAPS`.

    Blocks that the network does not have get none, nor does the ranked gallery before the evaluation has been made.
    Raises :class:`SSRNetError` for an image or a checkpoint that cannot be read.
    """
    trace = model.view(image).trace
    photograph, width = thumbnail(image, HEIGHT), 100 * aspect_ratio(image)
    whole = _image(photograph, width, 100)
    pictures = {"image": Picture((width, 100), whole, f"the query, {image_label(image)}")}
    M_s = network_map(trace, "M_s")
    if M_s is not None:
        pictures["attention"] = _attention(M_s, colours, whole, width)
    if trace.nodes:
        pictures["regions"] = _crops(trace, photograph, width)
        pictures["graph"] = _graph(model, trace, image, photograph)
    evaluation = model.made_evaluation
    names = [query.name for query in evaluation.split.query] if evaluation else []
    if image.name in names:  # by name, since a gallery may have the query's file once more
        hits = [hit for hit in evaluation.ranking.top(names.index(image.name), FIRST) if hit.rank is not None]
        if hits:
            pictures["ranking"] = _ranks(hits, model.split.gallery)
    return pictures


def _image(uri: str, width: float, height: float, x: float = 0, y: float = 0, fit: str = "none") -> str:
    return (
        f'<image href="{uri}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'preserveAspectRatio="{fit}"/>'
    )


def _attention(M_s: ImageMap, colours: str, whole: str, width: float) -> Picture:
    """M_s over the photograph, and its colour bar below, whose numbers stand in the words."""
    scale = scale_of([M_s.cells])
    bar, ends = Bar(scale, colours), COLOUR_MAPS[colours]
    low, high = bar.numbers()
    over = f'<g opacity="0.65">{_image(map_uri(M_s, scale, colours), width, 100)}</g>'
    strip = _image(data_uri(bar.picture(), "png"), width, 6, 0, 103)
    alt = f"the query's map M_s over it, from {low}, {ends.low}, to {high}, {ends.high}"
    return Picture((width, 110), whole + over + strip, alt)


def _crops(trace: Trace, photograph: str, width: float) -> Picture:
    """The five regions as they lie on the vehicle, with space between them."""
    H, W = trace.F_attn.shape[2:]
    crops = []
    boxes = [box.scaled(width / W, 100 / H) for box in trace.boxes]
    wide, high = (max(box[side + 2] - box[side] for box in boxes) for side in (0, 1))
    for name, (left, top, right, bottom) in zip(REGION_NAMES, boxes):
        column, row = GRID[name]
        crops.append(
            f'<svg x="{column * (wide + 6):.1f}" y="{row * (high + 6):.1f}" width="{right - left:.1f}" '
            f'height="{bottom - top:.1f}" viewBox="{left:.1f} {top:.1f} {right - left:.1f} {bottom - top:.1f}">'
            f"{_image(photograph, width, 100)}</svg>"
        )
    return Picture((3 * wide + 12, 2 * high + 6), "".join(crops), "the query's five crops")


def _graph(model: OpenedModel, trace: Trace, image: VehicleImage, photograph: str) -> Picture:
    layout = graph_layout(model.network.graph, trace, image)
    places = {node["name"]: (node["x"], node["y"]) for node in layout["nodes"]}
    lines = "".join(
        f'<line{"" if {a, b} <= set(REGION_NAMES) else " class=outside"} x1="{places[a][0]:.1f}" y1="{places[a][1]:.1f}" '
        f'x2="{places[b][0]:.1f}" y2="{places[b][1]:.1f}"/>'
        for a, b in layout["edges"]
    )
    nodes = "".join(f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="7"/>' for name, (x, y) in places.items())
    # The drawing's frame begins at (-2, -2), and leaves room for names that are not drawn here.
    size = tuple(max(layout["size"][i], *(place[i] + 9 for place in places.values())) for i in (0, 1))
    return Picture(
        size, _image(photograph, *layout["size"]) + lines + nodes, f"its {len(places)} nodes and their edges"
    )


def _ranks(hits: Sequence[Hit], gallery: Sequence[VehicleImage]) -> Picture:
    """The first ranks, two in a row, whole and framed as rank lists are."""
    uris = [thumbnail(gallery[hit.index], HEIGHT) for hit in hits]
    high = 80 / cell_ratio([size_of(uri) for uri in uris])
    drawn, words = [], []
    for at, (hit, uri) in enumerate(zip(hits, uris)):
        image, kind = gallery[hit.index], kind_of(hit)
        x, y = 84 * (at % 2), round((high + 4) * (at // 2), 1)
        sign = f"M{x + 67} {y + 9}l3 4l5 -8" if kind == "hit" else f"M{x + 67} {y + 5}l8 8m0 -8l-8 8"
        drawn.append(
            f'<g class="{kind}"><rect class="ground" x="{x}" y="{y}" width="80" height="{high:.1f}"/>'
            f"{_image(uri, 80, high, x, y, 'xMidYMid meet')}"
            f'<rect x="{x + 1.5}" y="{y + 1.5}" width="77" height="{high - 3:.1f}"/>'
            f'<circle cx="{x + 71}" cy="{y + 9}" r="8"/><path d="{sign}"/></g>'
        )
        words.append(f"rank {hit.rank}: {escape(image_label(image))}, {'the' if kind == 'hit' else 'another'} vehicle")
    return Picture((164, (high + 4) * ((len(hits) + 1) // 2) - 4), "".join(drawn), "; ".join(words))

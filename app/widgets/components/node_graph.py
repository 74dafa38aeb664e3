"""The relation graph drawn over the vehicle: as switches of its nodes and edges, or with what its nodes send."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.widgets.components import component
from app.widgets.export import export_buttons, print_figure
from app.widgets.symbols import as_html
from app.workbench.images import Picture, aspect_ratio, thumbnail
from ssrnet.data.records import VehicleImage
from ssrnet.explain.graph import GraphEdit
from ssrnet.model import Trace
from ssrnet.model.graph import RelationGraph
from ssrnet.model.regions import REGION_NAMES

if TYPE_CHECKING:
    import plotly.graph_objects as go

REGION, BESIDE = "#0f766e", {"token": "#c2410c", "global": "#1d4ed8"}
"""Colours of a region's node, and of the two beside the picture."""
ON_PICTURE, EDGE = "#ffffff", "#60a5fa"
"""Colours of edges between regions, and of all others."""
OFF_NODE, OFF_EDGE = "#6b7280", "#9ca3af"
"""Grey of what is switched off, as in node_graph.css."""
NODE_TITLES = {
    "global": "global",
    "ul": "upper left",
    "ur": "upper right",
    "mid": "middle",
    "dl": "lower left",
    "dr": "lower right",
    "token": "token",
}
"""The paper's v_G, v_ul, v_ur, v_mid, v_dl, v_dr and v_token in words."""


_component = component("node_graph")


@dataclass(frozen=True)
class Switches:
    """Names of the nodes that are off, and of the edges as "ul-mid"."""

    off: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()

    def of(self, graph: RelationGraph) -> Switches:
        """Those that this graph has: a link may come from another network."""
        edges = {f"{a}-{b}" for a, b in graph_edges(graph)}
        turned = ("-".join(reversed(edge.split("-"))) for edge in self.cut)
        cut = [edge if edge in edges else other for edge, other in zip(self.cut, turned)]
        return Switches(
            tuple(node for node in graph.nodes if node in self.off), tuple(dict.fromkeys(e for e in cut if e in edges))
        )

    def edit(self, graph: RelationGraph, removed: bool) -> GraphEdit:
        """What they change: nodes are taken out or, as the one that is read out always, silenced."""
        readout = graph.nodes[graph.readout]
        out = tuple(node for node in self.off if removed and node != readout)
        silent = tuple(node for node in self.off if node not in out)
        return GraphEdit(out, silent, tuple(tuple(edge.split("-")) for edge in self.cut))


@dataclass(frozen=True)
class MessageStep:
    """One layer of the graph: what each node sends, as a part of the whole, and its number in words.

    readout: the one node that receives anything that counts, or None where all do.
    """

    title: str
    note: str
    sent: Mapping[str, float]
    labels: Mapping[str, str]
    readout: str | None = None


def graph_edges(graph: RelationGraph) -> list[tuple[str, str]]:
    """The edges of Eq. 3, each once."""
    pairs = graph.A.triu(1).nonzero().tolist()
    return [(graph.nodes[a], graph.nodes[b]) for a, b in pairs]


def node_graph(
    key: str,
    graph: RelationGraph,
    trace: Trace,
    image: VehicleImage,
    switches: Switches,
    removed: bool,
    on_switch: Callable[[Switches], None],
) -> None:
    """The graph over the image, whose regions ``trace`` has; ``on_switch`` is called before the page runs again.

    removed: a node that is off loses its edges, and they are drawn off; else it is silenced, and they are drawn pale.
    """
    data = graph_layout(graph, trace, image) | {
        "off": list(switches.off),
        "cut": list(switches.cut),
        "removable": [node for node in graph.nodes if removed and node != graph.nodes[graph.readout]],
        "alt": "The relation graph over the vehicle: every node and every edge is a switch",
    }

    def changed() -> None:
        state = st.session_state[key].switched
        if state:
            on_switch(Switches(tuple(state["off"]), tuple(state["cut"])))

    _component(key=key, data=data, on_switched_change=changed)
    export_buttons("relation_graph", lambda format: print_figure(_figure(data), format), key=f"{key}_print")


def message_graph(key: str, graph: RelationGraph, trace: Trace, image: Picture, steps: Sequence[MessageStep]) -> None:
    """The graph over the image with what its nodes send, a layer after the other.

    Half an edge is as wide as what the node beside it sends, against the layer's largest; dots move the same way.
    """
    drawn = []
    for step in steps:
        most = max(map(abs, step.sent.values())) or 1.0
        widths = []
        for edge in graph_edges(graph):
            receivers = edge[::-1]
            counts = [step.readout in (None, receiver) for receiver in receivers]
            widths.append([abs(step.sent[node]) / most if to else None for node, to in zip(edge, counts)])
        drawn.append(
            {"title": as_html(step.title), "note": as_html(step.note), "labels": dict(step.labels), "widths": widths}
        )
    alt = "The relation graph over the vehicle. " + " ".join(
        f"{step.title}: {', '.join(f'{NODE_TITLES[node]} {label}' for node, label in step.labels.items())}."
        for step in steps
    )
    _component(
        key=key, data=graph_layout(graph, trace, image) | {"steps": drawn, "alt": alt}, on_switched_change=lambda: None
    )


def graph_layout(graph: RelationGraph, trace: Trace, image: Picture) -> dict[str, Any]:
    """Where the drawing of ``graph`` has its nodes and edges, in units of which the image has an area of 100 by 100.

    "viewBox", the "image" and its "size", "nodes" with "x", "y", "colour" and, of a region, its "box", "edges" as pairs of names, and their colours in "lines".
    """
    aspect, (H, W) = aspect_ratio(image), trace.F_attn.shape[2:]
    width, height = 100 * aspect**0.5, 100 / aspect**0.5
    places = {}
    for name, box in zip(REGION_NAMES, trace.boxes):
        left, top, right, bottom = box.scaled(width / W, height / H)
        x, y = (left + right) / 2, (top + bottom) / 2
        places[name] = {"x": x, "y": y, "box": [left, top, right - left, bottom - top]}
    # Both belong to the whole image, whose centre is the middle region's: they stand below a wide one, beside a high one.
    beside = [name for name in ("token", "global") if name in graph.nodes]
    below = aspect > 1.2
    for i, name in enumerate(beside):
        x, y = (width * (0.5 + 0.32 * i), height + 16) if below else (width + 22 + 30 * i, height / 2)
        places[name] = {"x": x, "y": y, "box": None}
    extent = (width, height + 29) if below else (width + 14 + 30 * len(beside), height)
    short = {"global": "G", "token": "T"}
    nodes = [
        {
            "name": name,
            "short": short.get(name, name),
            "title": NODE_TITLES[name],
            "colour": BESIDE.get(name, REGION),
            **places[name],
        }
        for name in graph.nodes
    ]
    edges = graph_edges(graph)
    return {
        "viewBox": [-2, -2, extent[0] + 4, extent[1] + 4],
        "image": thumbnail(image, 240),
        "size": [width, height],
        "nodes": nodes,
        "edges": [list(edge) for edge in edges],
        "lines": [EDGE if set(edge) & set(BESIDE) else ON_PICTURE for edge in edges],
    }


def _figure(data: dict[str, Any]) -> go.Figure:
    """The drawing for paper, in the screen's colours."""
    import plotly.graph_objects as go  # only an export needs it

    left, top, width, height = data["viewBox"]
    places = {node["name"]: (node["x"], node["y"]) for node in data["nodes"]}
    figure = go.Figure()
    sizex, sizey = data["size"]
    axes = {"x": 0, "y": 0, "xref": "x", "yref": "y"}
    figure.add_layout_image(source=data["image"], sizex=sizex, sizey=sizey, sizing="stretch", layer="below", **axes)
    for (a, b), colour in zip(data["edges"], data["lines"], strict=True):
        ends_off = {a, b} & set(data["off"])
        off = f"{a}-{b}" in data["cut"] or ends_off & set(data["removable"])
        line = {"color": OFF_EDGE if off else colour, "dash": "dot" if off else "solid", "width": 2.5}
        x, y = zip(places[a], places[b])
        figure.add_scatter(x=x, y=y, mode="lines", line=line, opacity=0.5 if ends_off and not off else 1)
    x, y = zip(*places.values())
    words = {"text": [node["short"] for node in data["nodes"]], "textfont": {"color": "white", "size": 11}}
    colours = [OFF_NODE if node["name"] in data["off"] else node["colour"] for node in data["nodes"]]
    marker = {"size": 30, "color": colours, "line": {"color": "white", "width": 2}}
    figure.add_scatter(x=x, y=y, mode="markers+text", marker=marker, **words)
    for node in data["nodes"]:
        if node["name"] in BESIDE:
            figure.add_annotation(x=node["x"], y=node["y"] + 9.5, text=node["title"], showarrow=False, font_size=11)
    figure.update_xaxes(range=[left, left + width], visible=False)
    figure.update_yaxes(range=[top + height, top], visible=False, scaleanchor="x")
    return figure.update_layout(
        width=700, height=round(700 * height / width), showlegend=False, margin=dict.fromkeys("lrtb", 0)
    )

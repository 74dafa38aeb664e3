"""Graph: the relation graph over the vehicle, what its nodes and edges do, and where its layers put them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from torch import Tensor

from app.widgets.components.node_graph import NODE_TITLES, Switches, node_graph
from app.widgets.controls import one_of
from app.widgets.evaluations import ensure_features
from app.widgets.export import table
from app.widgets.health_notes import health_notes
from app.widgets.matrices import Matrix, matrices
from app.widgets.node_maps import node_maps
from app.widgets.page import explain
from app.widgets.problems import fragment
from app.widgets.query_picker import query_picker
from app.widgets.rank_list import EDITS_ALIGNED, RankRow, legend, rank_list, ranks_export, standing
from app.widgets.readings import readings_box
from app.widgets.symbols import typeset
from app.workbench import OpenedModel, Workbench, graphs
from app.workbench.graphs import EditedQuery
from app.workbench.queries import Query, query_image, query_of
from ssrnet.explain.captions import smoothing_caption, turning_caption
from ssrnet.explain.graph import VARIANTS, GraphEdit, edit_trace, no_graph, variant_graph
from ssrnet.explain.projection import project
from ssrnet.explain.relations import node_cosines, smoothness
from ssrnet.explain.token_shares import NECK, ablate_nodes, token_shares
from ssrnet.model import ModelSettings, Trace
from ssrnet.model.graph import adjacency, normalised_adjacency, with_self_loops
from ssrnet.model.health import attention_health
from ssrnet.model.regions import REGION_NAMES
from ssrnet.retrieval.alignment import ALIGNED
from ssrnet.retrieval.ranking import Ranking

TOP_K = 5
REMOVED, SILENCED = "taken out", "silenced"
NECK_HELP = (
    "The neck is the batch normalisation between f_token and the embedding (BNNeck). It adds a constant, which belongs to "
    "no node."
)
CHECKPOINT = "this checkpoint"

INTRO = r"""
Five regions, the whole image and a learned token pass features along the graph's edges; the token's row after the last
layer is $f_{\mathrm{token}}$: ${H^{(l+1)} = \mathrm{ReLU}(\tilde D^{-1} \tilde A\, H^{(l)} W^{(l)})}$ (Eq. 4).
"""
EQUATIONS = (
    r"a_{ij} = 1 \text{ if } v_i \text{ and } v_j \text{ are connected, else } 0, \qquad \tilde A = A + I \quad (3)",
    r"H^{(l+1)} = \sigma\!\left(\tilde D^{-1} \tilde A\, H^{(l)} W^{(l)}\right), \qquad \sigma = \mathrm{ReLU} \quad (4)",
)
LOOK_FOR = r"""
**Nodes.** Five regions of $F_{\mathrm{attn}}$, each drawn at the centre of its crop; the global node and the learned token stand
beside the picture. The global node meets the regions only through the token. The token's row after the last layer is
$f_{\mathrm{token}}$.

**Switches.** *Taken out* removes a node's row and column of $A + I$ and normalises the other rows again; *silenced*
makes its row of $H^{(0)}$ zero, so that it still passes on what its neighbours send. The node that is read out can only be
silenced. Only the query's graph is edited; the gallery stays as stored, hence *asymmetric*.

**Look for** a node without which $f_{\mathrm{token}}$ hardly turns (it adds little), a switch that changes the ranks, and
whether the rows grow alike from layer to layer: where all cosines go to 1 the graph is over-smoothed (paper, Sec. 3.4 and 4.4).
In UMAP and t-SNE only neighbourhoods mean something; distances between groups do not.
"""


def render(bench: Workbench) -> None:
    """The graph with its switches, every node by itself, and the nodes of several images layer by layer."""
    titled = dict(zip(bench.raw.networks, bench.networks.values()))
    graphed = {title: model for title, model in titled.items() if model.has_graph}
    for title, model in titled.items():
        if title not in graphed:
            sentence = no_graph(title, pcb=model.settings.has_stripes)
            st.caption(sentence.partition(";")[0] + ".") if graphed else st.info(sentence)
    if graphed:
        title = list(graphed)[-1]
        if len(graphed) > 1:
            title = one_of("Network", list(graphed), "graph_network", default=title)
        place = _page(bench, graphed[title])
    functions = (adjacency, normalised_adjacency, edit_trace, token_shares, ablate_nodes, node_cosines, smoothness)
    explain(EQUATIONS, LOOK_FOR, (*functions, attention_health, project))
    readings_box("graph", list(bench.networks.values()))
    if graphed:
        with place:
            health_notes([graphed[title]], ("H",), "graph")


def _page(bench: Workbench, model: OpenedModel) -> DeltaGenerator:
    """All but the sentence that takes seconds, and the place where it belongs, below this image's cosines."""
    ensure_features(bench.networks.values())
    query = query_of(model.split, query_picker(model.split.query))
    fragment(_switchboard)(model, query)
    place = st.container()
    _single_nodes(model, query)
    return place


def _switchboard(model: OpenedModel, query: Query) -> None:
    """The drawing with what its switches do, matrices and ranks; nodes of several images; this image's cosines."""
    image = query_image(model.split, query)
    trace = model.view(image).trace
    variant = one_of("Show the graph of", _variants(model.settings), "graph_variant")
    graph = model.network.graph if variant == CHECKPOINT else variant_graph(variant)
    switches = _switches().of(graph)
    left, right = st.columns([6, 5], gap="medium")
    with left:
        drawing = st.container()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Click a node or an edge to switch it off or on; Tab and Enter do the same.", width="stretch")
            reset = {"on_click": _keep_switches, "args": (Switches(),), "disabled": switches == Switches()}
            st.button("All on", key="graph_reset", icon=":material/restart_alt:", **reset)
        removed = one_of("A node that is off is", (REMOVED, SILENCED), "graph_how") == REMOVED
        with drawing:
            node_graph("graph_drawing", graph, trace, image, switches, removed, _keep_switches)
        st.caption(
            "Dashed: off; a node that is taken out takes its edges along. Pale: edges of a silenced node, which stay."
        )
    edit = switches.edit(graph, removed)
    if variant != CHECKPOINT:
        with right:
            st.info(_drawn_only(variant), icon=":material/draw:")
            _matrices(graph.nodes, edit.adjacency(graph))
        node_maps(model, query)
        return
    edited = graphs.edited_query(model, query, edit)
    with right:
        _effects(edited, model, str(edit))
        _matrices(graph.nodes, edited.after.trace.A.cpu())
    _ranks(model, query, edited, edit)
    node_maps(model, query)
    _cosines(edited.after.trace, edit.switches)


def _variants(settings: ModelSettings) -> list[str]:
    """The checkpoint's graph, and those of Table 1 that are another one."""
    others = [name for name, nodes in VARIANTS.items() if any(getattr(settings, key) != nodes[key] for key in nodes)]
    return [CHECKPOINT, *others]


def _drawn_only(variant: str) -> str:
    """What a graph without a checkpoint shows, and how its edges differ."""
    joined = {
        "w/o token": "Without the token the global node joins every region itself, and its row is read out.",
        "w/o global node": "Without the global node the token joins the five regions alone.",
        "seven nodes": "The token joins all other nodes; the global node meets the regions only through it.",
    }
    return (
        f"Drawing and matrices only: {variant} (Table 1, Eq. 3). This checkpoint was not trained with it, so there is no "
        f"token and no rank to show. {joined[variant]} The sections below are this checkpoint's."
    )


def _switches() -> Switches:
    """What the URL says."""
    off, cut = (tuple(filter(None, st.query_params.get(f"graph_{key}", "").split(","))) for key in ("off", "cut"))
    return Switches(off, tuple(edge for edge in cut if edge.count("-") == 1))


def _keep_switches(switches: Switches) -> None:
    for key, names in (("graph_off", switches.off), ("graph_cut", switches.cut)):
        if names:
            st.query_params[key] = ",".join(names)
        elif key in st.query_params:
            del st.query_params[key]


def _effects(edited: EditedQuery, model: OpenedModel, edit: str) -> None:
    before, after = edited.ranking, edited.edited_ranking
    metrics = [
        (typeset("f_token"), f"{edited.token_cosine:.3f}", "Cosine of the edited to the unedited token."),
        ("Embedding", f"{edited.embedding_cosine:.3f}", "Cosine of the whole embedding to the unedited one."),
    ]
    if before.is_labelled:
        precision = f"Average precision of this query; {before.average_precision[0]:.3f} unedited."
        metrics += [
            ("First hit", _first(after), f"Rank of the first match; {_first(before)} unedited."),
            ("AP", f"{after.average_precision[0]:.3f}", precision),
        ]
    with st.container(horizontal=True, gap="medium"):  # of as many lines as the width takes
        for label, value, help in metrics:
            st.metric(label, value, help=help, width="content")
    with st.container(horizontal=True, vertical_alignment="center"):
        sentences = edited.after.label.sentences or ("Unedited: cosines to the graph as it is are 1.",)
        st.caption(" ".join(sentences), width="stretch")
        if before.is_labelled:
            with st.popover("Protocol record", icon=":material/receipt_long:", type="tertiary"):
                record = asdict(model.evaluation().record)
                st.json(record | {"graph": edit, "graph_edited_on": edited.after.label.sides})


def _first(ranking: Ranking) -> str:
    return str(int(ranking.first_hit[0])) if ranking.first_hit[0] else "none"


def _matrices(nodes: Sequence[str], A: Tensor) -> None:
    """A + I and D^-1 (A + I) of A (n, n), as edited."""
    A_tilde, P = with_self_loops(A), normalised_adjacency(A)
    degree = A_tilde.sum(1)
    fractions = [
        [f"1/{int(degree[i])}" if value and degree[i] > 1 else f"{value:g}" for value in row]
        for i, row in enumerate(P.tolist())
    ]
    whole = [[f"{value:g}" for value in row] for row in A_tilde.tolist()]
    panels = {"A + I (Eq. 3)": Matrix(A_tilde.numpy(), whole), "D⁻¹(A + I) (Eq. 4)": Matrix(P.numpy(), fractions)}
    alt = "The adjacency matrix with self loops, and the same with every row divided by its sum"
    matrices(panels, nodes, "graph_matrices", alt)


def _ranks(model: OpenedModel, query: Query, edited: EditedQuery, edit: GraphEdit) -> None:
    """The query's top 5 as it is and, where something is off, after the edit."""
    split, image = model.split, query_image(model.split, query)
    how = ALIGNED * model.is_aligned
    rows = [RankRow(f"Graph as it is{how}", edited.ranking.top(0, TOP_K), standing(edited.ranking, 0))]
    if edit.switches:
        notes = standing(edited.edited_ranking, 0), "asymmetric: the gallery's graphs are not edited"
        note = ", ".join(filter(None, notes))
        rows.append(RankRow(f"Edited: {edit}{how}", edited.edited_ranking.top(0, TOP_K), note))
    rank_list(image, rows, split.gallery)
    legend(EDITS_ALIGNED * model.is_aligned, split.is_labelled, image)
    ranks_export(f"ranks_graph_{image.name}", image, rows, split.gallery)


def _cosines(trace: Trace, edited: bool) -> None:
    """Every node against every node of this image, layer by layer."""
    st.subheader("Cosines between this image's nodes", anchor=False)
    cosines = node_cosines(trace)[:, 0].cpu().numpy()
    smooth = smoothness(trace)
    panels = {
        f"H({layer}): mean {smooth.nodes[layer, 0]:.2f}, regions {smooth.regions[layer, 0]:.2f}": Matrix(cosine)
        for layer, cosine in enumerate(cosines)
    }
    alt = "Cosines between the nodes of this image in every layer"
    matrices(panels, trace.nodes, "graph_cosines", alt)
    state = "with the switches above" if edited else "of the graph as it is"
    st.markdown(typeset(smoothing_caption(smooth.nodes[:, 0].tolist(), "The nodes of this image")))
    st.caption(
        f"H(0) is what the graph is given, H({len(cosines) - 1}) its last layer, {state}. Means are over all pairs of "
        "different nodes, and over the five regions alone."
    )


def _named(node: str) -> str:
    """A node in words, a region with its name in the paper too."""
    return f"{NODE_TITLES[node]} ({node})" if node in REGION_NAMES else NODE_TITLES[node]


def _single_nodes(model: OpenedModel, query: Query) -> None:
    """A table of what each node does alone."""
    ranking = graphs.edited_query(model, query, GraphEdit()).ranking
    hit = graphs.first_listed(ranking)
    st.subheader("Every node by itself", anchor=False)
    if hit is None:
        st.info("Every gallery image for this query is junk; there is no match to explain.")
        return
    rows = graphs.single_nodes(model, query, hit.index)
    other = model.split.gallery[hit.index]
    first = "match" if ranking.is_labelled else "image"
    listed = [
        {
            "Node": "constant of the neck" if row.node == NECK else _named(row.node),
            "Switched off": row.off,
            "f_token's cosine without it": row.token_cosine,
            "First hit without it": row.first_hit,
            f"Share in the {first}'s cosine": row.share,
            f"Fall of the {first}'s cosine": row.fall,
        }
        for row in rows
    ]
    if not ranking.is_labelled:
        listed = [{name: value for name, value in row.items() if "hit" not in name} for row in listed]
    cosines = [name for name in listed[0] if "cosine" in name]
    columns = dict.fromkeys(cosines, st.column_config.NumberColumn(format="%.4f"))
    table(listed, "graph_nodes", columns | {"Node": st.column_config.TextColumn(help=NECK_HELP)})
    turned = {NODE_TITLES[row.node]: row.token_cosine for row in rows if row.token_cosine is not None}
    st.markdown(typeset(turning_caption(turned)))
    constant = " Alignment takes the camera's mean off the constant of the neck." * model.is_aligned
    st.caption(
        f"The {first} is rank 1, {other.name}, with cosine {1 - hit.distance:.4f}. Shares are exact: they add up to the "
        f"token branch's share, {sum(row.share for row in rows):.4f}, and say what the last layer's sum is made of. "
        "The fall is what happens when the query loses the node from the first layer on (asymmetric); falls do not add up."
        + constant
    )

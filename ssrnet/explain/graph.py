"""The relation graph with nodes or edges switched off, or with regions of another size, from a trace.

A trace holds F_attn and H(0), and neither depends on a switch: an edit costs the graph alone, some 40 M
multiply-adds, where the head costs 1.1 G and the network 9.2 G. The depth of the graph is not an edit, since
each depth has other weights: compare checkpoints for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.errors import SettingsError
from ssrnet.explain.shares import BranchFeatures, image_ranks
from ssrnet.model import EmbeddingSettings, SSRNet, Trace
from ssrnet.model.graph import RelationGraph, normalised_adjacency
from ssrnet.model.regions import pool_regions, region_boxes
from ssrnet.retrieval.ranking import DistanceName, Ranking

Sides = Literal["query", "both"]
"""The graphs that an edit changes: the query's alone, or the query's and every gallery image's."""


VARIANTS = {
    "seven nodes": {"global_node": True, "token_node": True},
    "w/o token": {"global_node": True, "token_node": False},
    "w/o global node": {"global_node": False, "token_node": True},
}
"""The relation branch's graphs in Table 1, as settings of :class:`RelationGraph`."""


@dataclass(frozen=True)
class GraphEdit:
    """Changes to the relation graph at test time; equal edits compare and hash as equal."""

    nodes_off: tuple[str, ...] = ()
    """Nodes taken out: row and column of A + I are removed, and the other rows are normalised again (Eq. 4)."""
    nodes_silenced: tuple[str, ...] = ()
    """Nodes whose row of H(0) is set to zero; they still pass on their neighbours' features, and A stays."""
    edges_off: tuple[tuple[str, str], ...] = ()
    """Edges taken out, in both directions; the rows are normalised again."""
    crop_ratio: float | None = None
    """Lambda of Eq. 2 at test time; None leaves it unchanged."""

    def __post_init__(self) -> None:
        for name in ("nodes_off", "nodes_silenced"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        edges = {tuple(sorted(edge)) for edge in self.edges_off}
        object.__setattr__(self, "edges_off", tuple(sorted(edges)))

    @property
    def switches(self) -> bool:
        """Whether any node or edge is off."""
        return bool(self.nodes_off or self.nodes_silenced or self.edges_off)

    def __str__(self) -> str:
        """The edit in records and captions."""
        changes = [
            *(f"without {node}" for node in self.nodes_off),
            *(f"{node} silenced" for node in self.nodes_silenced),
            *(f"without edge {a}-{b}" for a, b in self.edges_off),
            *([] if self.crop_ratio is None else [f"λ = {self.crop_ratio:.3g} at test time"]),
        ]
        return ", ".join(changes) or "unedited"

    def adjacency(self, graph: RelationGraph, A: Tensor | None = None) -> Tensor:
        """A (n, n) without the nodes and edges that are off; a node that is off reaches no other row.

        ``A`` replaces ``graph.A``. Raises :class:`SettingsError` for a node or an edge that the graph does not have,
        and for taking out the node that is read out.
        """
        index = {name: row for row, name in enumerate(graph.nodes)}
        unknown = [node for node in (*self.nodes_off, *self.nodes_silenced) if node not in index]
        unknown += [node for edge in self.edges_off for node in edge if node not in index]
        if unknown:
            raise SettingsError(f"the graph has no node {unknown[0]}; it has {', '.join(graph.nodes)}.")
        readout = graph.nodes[graph.readout]
        if readout in self.nodes_off:
            raise SettingsError(
                f"the node {readout} is the one that is read out, so it cannot be taken out; silence it instead."
            )
        edited = (graph.A if A is None else A).clone()
        for a, b in self.edges_off:
            if not graph.A[index[a], index[b]]:
                raise SettingsError(f"the graph has no edge {a}-{b}; choose one that it has.")
            edited[index[a], index[b]] = edited[index[b], index[a]] = 0
        for node in self.nodes_off:
            edited[index[node]] = edited[:, index[node]] = 0
        return edited

    def propagation(self, graph: RelationGraph) -> tuple[Tensor, Tensor]:
        """The matrices (n, n) in place of D^-1 (A + I) in the first layer and in the others.

        In the first the columns of silenced nodes are zero, which equals zeros in H(0).
        """
        P = normalised_adjacency(self.adjacency(graph))
        audible = torch.tensor([name not in self.nodes_silenced for name in graph.nodes], device=P.device)
        return P * audible, P


@dataclass(frozen=True)
class EditLabel:
    """The label that every number after an edit must carry."""

    edit: GraphEdit
    sides: Sides
    crop_ratio: float
    trained_ratio: float
    warped: bool
    """The network has a spatial transformer."""

    @property
    def test_time_ratio(self) -> bool:
        """Whether the regions have another size than in training."""
        return abs(self.crop_ratio - self.trained_ratio) > 1e-6

    @property
    def asymmetric(self) -> bool:
        """Whether the query's graph differs from the gallery's."""
        return self.sides == "query" and (self.edit.switches or self.test_time_ratio)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The label in words, one sentence per caveat."""
        sentences = []
        if self.asymmetric:
            sentences.append("Asymmetric: the query's graph is edited, the gallery's is not.")
        if self.test_time_ratio:
            sentences.append(
                f"Test-time λ: {self.crop_ratio:.3g} with a network trained at {self.trained_ratio:.3g}; "
                "those of the paper's Fig. 4 were trained separately for each λ."
            )
        if self.warped:
            sentences.append("The regions lie in the image as warped by the network's spatial transformer.")
        return tuple(sentences)


@dataclass(frozen=True)
class EditedTrace:
    """A trace after an edit, which changes f_token, H, A, boxes and crop_ratio."""

    trace: Trace
    label: EditLabel


@dataclass(frozen=True)
class EditedRanking:
    """The whole gallery for one query, after an edit."""

    ranking: Ranking
    label: EditLabel

    @property
    def ranks(self) -> np.ndarray:
        """(G,) int64; see :func:`ssrnet.explain.shares.image_ranks`."""
        return image_ranks(self.ranking)


def graph_of(model: SSRNet) -> RelationGraph:
    """The model's graph; raises :class:`SettingsError` where there is none, ValueError for a model in training."""
    if model.training:
        raise ValueError("an explanation needs a model in eval mode, or the batch norms would mix images and change")
    if model.graph is None:
        raise SettingsError(no_graph(model.settings.title, pcb=model.stripes is not None))
    return model.graph


def no_graph(title: str, pcb: bool) -> str:
    """The sentence for a network without a relation graph."""
    has = "PCB's stripes in place of the relation graph" if pcb else "no relation branch"
    return f"{title} has {has}, so it has no nodes to show; choose an SSR-Net whose relation branch has regions."


@torch.no_grad()
def edit_trace(model: SSRNet, trace: Trace, edit: GraphEdit) -> EditedTrace:
    """``trace``, from ``model.head`` or this function, after ``edit``, which adds to earlier edits.

    Only the graph is computed, and the five regions where lambda changes; the model does not change. Another
    lambda computes H(0) again, so silence nodes in the same edit. Raises :class:`SettingsError` for a model
    without a graph, for nodes or edges that it does not have, and for a ratio out of range.
    """
    graph = graph_of(model)
    A = edit.adjacency(graph, trace.A)
    boxes, ratio, H0 = trace.boxes, trace.crop_ratio, trace.H[0]
    if edit.crop_ratio is not None:
        ratio = edit.crop_ratio
        boxes = region_boxes(trace.F_attn.shape[2], trace.F_attn.shape[3], ratio)
        of_global_node = (trace.after if model.settings.global_node_from == "after" else trace.before)["G"]
        H0 = graph.initial_nodes(of_global_node, pool_regions(trace.F_attn, boxes))
    if edit.nodes_silenced:
        H0 = H0.clone()
        H0[:, [graph.nodes.index(node) for node in edit.nodes_silenced]] = 0
    H = tuple(graph(H0, A))
    token = H[-1][:, graph.readout]
    edited = replace(
        trace,
        before={**trace.before, "token": token},
        after={**trace.after, "token": model.necks["token"](token)},
        crop_ratio=ratio,
        boxes=boxes,
        A=A,
        H=H,
    )
    return EditedTrace(edited, edit_label(model, edit, "query", ratio))


def variant_graph(variant: str) -> RelationGraph:
    """The graph of Eq. 3 in a variant of Table 1, a name in :data:`VARIANTS`, for its nodes and its A.

    It has one channel and weights that were never trained, so it is not for images.
    """
    return RelationGraph(1, 1, depth=1, **VARIANTS[variant])


def edit_label(model: SSRNet, edit: GraphEdit, sides: Sides, crop_ratio: float | None = None) -> EditLabel:
    """The label of an edit after which lambda is ``crop_ratio``; None is the model's."""
    trained = model.settings.crop_ratio
    return EditLabel(edit, sides, trained if crop_ratio is None else crop_ratio, trained, model.transformer is not None)


def rank_edited_query(
    edited: EditedTrace,
    features: BranchFeatures,
    query: int | None,
    embedding: EmbeddingSettings = EmbeddingSettings(),
    distance: DistanceName = "cosine",
) -> EditedRanking:
    """The stored gallery, ranked for an edited query: asymmetric, as its label states.

    edited: one image. features: made with the same ``embedding``. query: its position in the split; None for a picture
    from elsewhere.
    """
    ranking = features.rank(query, distance=distance, embedding=edited.trace.embedding(embedding)[0])
    return EditedRanking(ranking, edited.label)


def token_columns(model: SSRNet, f_token: Tensor, embedding: EmbeddingSettings) -> Tensor:
    """(N, d): the embedding's columns for f_token (N, d), which is before the neck."""
    columns = model.necks["token"](f_token) if embedding.neck == "after" else f_token
    return F.normalize(columns) if embedding.normalise_branches else columns

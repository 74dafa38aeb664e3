"""Contributions of the graph's nodes to a cosine through f_token: exact at the last layer, by ablation at the first.

The last layer computes f_token = ReLU(sum over nodes j of P[token, j] H_j W), with P = D^-1 (A + I) (Eq. 4).
On the units that are active the ReLU is the identity, on the others f_token is 0: so f_token is exactly the
sum of the terms of the nodes of H(l-1) on the active units. The neck is affine, y = s f_token + c, so after it
one more term, "neck", is the constant c; alignment is affine too, and the camera's mean goes to the same term. An
inner product of two such sums is the sum over pairs of terms.

These are the terms of the sum, not the effect of removing a node: then other units would be active. A
node of H(0) passes through further ReLUs, so no such sum exists for it; there we measure by ablation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ssrnet.errors import SettingsError
from ssrnet.explain.graph import GraphEdit, Sides, edit_trace, graph_of
from ssrnet.model import EmbeddingSettings, SSRNet, Trace
from ssrnet.model.graph import normalised_adjacency
from ssrnet.retrieval.alignment import Standardisation, standardised

NECK = "neck"
"""The term of f_token that belongs to no node: the constant that the batch-norm neck adds, and alignment takes off."""

Off = Literal["removed", "silenced"]
"""``nodes_off`` or ``nodes_silenced`` of :class:`GraphEdit`."""

PairStandardisations = tuple[Standardisation | None, Standardisation | None]
"""Of the query's images and of the gallery's, B each or one, to compare aligned embeddings; None for raw ones."""


@dataclass(frozen=True)
class TokenShares:
    """The token branch's share of the cosine of B pairs, by node.

    terms: the nodes of H(l-1), then "neck". pair: (B, p, p), in units of cosine; the row is the query's term, the
    column the gallery image's.
    """

    terms: tuple[str, ...]
    pair: Tensor

    @property
    def query(self) -> Tensor:
        """(B, p): the share of each term of the query's token, with the gallery image's token unchanged."""
        return self.pair.sum(2)

    @property
    def gallery(self) -> Tensor:
        """(B, p): the share of each term of the gallery image's token, with the query's token unchanged."""
        return self.pair.sum(1)

    @property
    def total(self) -> Tensor:
        """(B,): the token branch's share, as in :class:`ssrnet.explain.shares.BranchProducts`."""
        return self.pair.sum((1, 2))


@dataclass(frozen=True)
class NodeAblation:
    """The fall of the cosine of B pairs when a node of the graph is off; the falls do not add up to the cosine.

    cosine: (B,) with all nodes. effect: (B, n), ``cosine`` minus the cosine without the node, positive where the
    node raises the similarity; NaN for the node that is read out, which cannot be removed. off: how a node
    is switched off. sides: "both" if the gallery image's graph loses the node too; "query" is asymmetric.
    """

    nodes: tuple[str, ...]
    cosine: Tensor
    effect: Tensor
    off: Off
    sides: Sides

    @property
    def asymmetric(self) -> bool:
        return self.sides == "query"


@torch.no_grad()
def token_shares(
    model: SSRNet,
    query: Trace,
    gallery: Trace,
    embedding: EmbeddingSettings = EmbeddingSettings(),
    standardisations: PairStandardisations = (None, None),
) -> TokenShares:
    """Exact shares of the nodes of H(l-1) in the cosine of ``query`` and ``gallery``, aligned by ``standardisations``.

    The traces have B images each, or one has a single image, which is paired with all of the other's.
    Raises :class:`SettingsError` for a model without a graph, and for an embedding without the token branch.
    """
    _check_branch(embedding)
    sides = list(zip((query, gallery), standardisations, strict=True))
    rows, columns = (token_terms(model, trace, embedding, each) for trace, each in sides)
    lengths = [standardised(trace.embedding(embedding), each).norm(dim=1).clamp_min(1e-8) for trace, each in sides]
    pair = rows @ columns.transpose(1, 2) / (lengths[0] * lengths[1])[:, None, None]
    return TokenShares((*query.nodes, NECK), pair)


@torch.no_grad()
def token_terms(
    model: SSRNet,
    trace: Trace,
    embedding: EmbeddingSettings = EmbeddingSettings(),
    standardisation: Standardisation | None = None,
) -> Tensor:
    """(B, n + 1, d): the token's columns of the embedding as a sum over the nodes of H(l-1) and the neck."""
    graph = graph_of(model)
    P = normalised_adjacency(trace.A)
    active = trace.f_token > 0  # (B, d)
    nodes = P[graph.readout, :, None] * graph.weights[-1](trace.H[-2]) * active[:, None]  # (B, n, d)
    neck = torch.zeros_like(nodes[:, :1])
    if embedding.neck == "after":
        norm = model.necks["token"]
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        nodes, neck = nodes * scale, neck + (norm.bias - scale * norm.running_mean)
    terms = torch.cat([nodes, neck], dim=1)
    if embedding.normalise_branches:
        terms = terms / terms.sum(1, keepdim=True).norm(dim=2, keepdim=True).clamp_min(1e-12)
    if standardisation is not None:  # of the whole embedding, whose last columns are the token's
        mean, deviation = (x[:, -terms.shape[2] :].to(terms) for x in (standardisation.mean, standardisation.deviation))
        terms[:, -1] -= mean
        terms = terms / deviation[:, None]
    return terms


@torch.no_grad()
def ablate_nodes(
    model: SSRNet,
    query: Trace,
    gallery: Trace,
    embedding: EmbeddingSettings = EmbeddingSettings(),
    off: Off = "removed",
    sides: Sides = "query",
    standardisations: PairStandardisations = (None, None),
) -> NodeAblation:
    """The fall of the cosine when each node in turn is off, from H(0) on; batches, alignment as :func:`token_shares`.

    off: "removed" takes the node out of A + I and normalises the other rows again, as a page's node switch does;
    "silenced" sets its row of H(0) to zero and leaves A, so the node still passes on its neighbours' features.
    """
    _check_branch(embedding)
    graph = graph_of(model)

    def cosines(a: Trace, b: Trace) -> Tensor:
        """(B,); 0 for a zero vector, as in ranking."""
        x, y = (standardised(t.embedding(embedding), each) for t, each in zip((a, b), standardisations, strict=True))
        return torch.cosine_similarity(x, y, dim=1)

    cosine = cosines(query, gallery)
    effect = cosine.new_full((len(cosine), len(graph.nodes)), torch.nan)
    for column, node in enumerate(graph.nodes):
        if off == "removed" and column == graph.readout:
            continue
        edit = GraphEdit(nodes_off=(node,)) if off == "removed" else GraphEdit(nodes_silenced=(node,))
        edited_query = edit_trace(model, query, edit).trace
        edited_gallery = edit_trace(model, gallery, edit).trace if sides == "both" else gallery
        effect[:, column] = cosine - cosines(edited_query, edited_gallery)
    return NodeAblation(graph.nodes, cosine, effect, off, sides)


def _check_branch(embedding: EmbeddingSettings) -> None:
    if embedding.branches and "token" not in embedding.branches:
        raise SettingsError(
            f"the embedding has only {', '.join(embedding.branches)}, so the graph has no share in a cosine; "
            "choose branches with token among them."
        )

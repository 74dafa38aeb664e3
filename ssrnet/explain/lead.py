"""Why a query's cosine to one image exceeds its cosine to another: the lead, by branch and by node of the graph.

Both cosines are exact sums over the branches (:mod:`ssrnet.explain.shares`) and, within the relation branch, over the nodes of
H(l-1) (:mod:`ssrnet.explain.token_shares`); so is their difference. How the lead changes when a node is off in all
three graphs is measured by ablation, from H(0) on, and does not add up to anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ssrnet.explain.token_shares import PairStandardisations, ablate_nodes, token_shares
from ssrnet.model import EmbeddingSettings, SSRNet, Trace


@dataclass(frozen=True)
class NodeLead:
    """The relation branch's part in a lead, in units of cosine.

    nodes: by node of H(l-1), and "neck", its share of the lead; they add up to the branch's. without: by node, the whole lead
    when that node is off in all three graphs; the node that is read out has none.
    """

    nodes: Mapping[str, float]
    without: Mapping[str, float]


def branch_lead(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """By branch, the share of the lead of ``first`` over ``second``, each a cosine's shares by branch."""
    return {branch: first[branch] - second[branch] for branch in first}


@torch.no_grad()
def node_lead(
    model: SSRNet,
    query: Trace,
    first: Trace,
    second: Trace,
    embedding: EmbeddingSettings = EmbeddingSettings(),
    standardisations: tuple[PairStandardisations, PairStandardisations] = ((None, None), (None, None)),
) -> NodeLead:
    """By how much ``query`` is nearer to ``first`` than to ``second``, traces of one image each, node by node.

    standardisations: of the query with the first, and with the second. Raises as :func:`token_shares`.
    """
    pairs = list(zip((first, second), standardisations, strict=True))
    shares = [token_shares(model, query, other, embedding, each) for other, each in pairs]
    off = [ablate_nodes(model, query, other, embedding, "removed", "both", each) for other, each in pairs]
    nodes = (shares[0].gallery - shares[1].gallery)[0].tolist()
    left = ((off[0].cosine - off[1].cosine)[:, None] - (off[0].effect - off[1].effect))[0].tolist()
    without = {node: lead for node, lead in zip(off[0].nodes, left, strict=True) if lead == lead}
    return NodeLead(dict(zip(shares[0].terms, nodes, strict=True)), without)

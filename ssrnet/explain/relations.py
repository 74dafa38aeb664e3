"""Cosines between two images, cell to cell and node to node, and over-smoothing of the graph within one.

Over-smoothing (paper Sec. 3.4 and 4.4): every layer averages a node with its neighbours, until all are alike.
Where F_G ends in a ReLU (a backbone's ``non_negative``), H(0) of a region and every later row have no negative entries
and their cosines lie in [0, 1]; only the learned token's row of H(0) may be negative, and the global node's if it comes from after the neck. A row of zeros has cosine 0 with
everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.errors import SettingsError
from ssrnet.explain.graph import no_graph
from ssrnet.model import Trace
from ssrnet.model.regions import REGION_NAMES

CellMap = Literal["F_G", "F_attn"]


@dataclass(frozen=True)
class RegionCosines:
    """cosine: (l + 1, B, 5, 5), from H(0) to H(l); row a region of the first image, column one of the second."""

    regions: tuple[str, ...]
    cosine: Tensor


@dataclass(frozen=True)
class Smoothness:
    """Mean cosine over all pairs of different nodes, by layer, (l + 1, B) each; 1 is fully over-smoothed.

    nodes: over all nodes of the graph. regions: over the five local nodes.
    """

    nodes: Tensor
    regions: Tensor


@torch.no_grad()
def region_cosines(a: Trace, b: Trace) -> RegionCosines:
    """The regions of ``a`` against those of ``b``, two traces of one model, layer by layer.

    B images each, or one trace of a single image, paired with all of the other's. Raises
    :class:`SettingsError` for a model without a graph.
    """
    layers = [_unit(x) @ _unit(y).transpose(1, 2) for x, y in zip(_regions(a), _regions(b), strict=True)]
    return RegionCosines(REGION_NAMES, torch.stack(layers))


@torch.no_grad()
def cell_cosines(a: Trace, b: Trace, feature_map: CellMap) -> Tensor:
    """(h, w, H, W): every cell of ``a``'s feature map, (1, C, h, w), against every cell of ``b``'s, (1, C, H, W).

    M_s has no part in those of F_attn: it makes a whole cell longer or shorter, and a cosine knows no length.
    """
    x, y = (F.normalize(getattr(trace, feature_map)[0].float(), dim=0) for trace in (a, b))
    return torch.einsum("chw,cHW->hwHW", x, y)


@torch.no_grad()
def node_pair_cosines(a: Trace, b: Trace) -> Tensor:
    """(l + 1, B, n, n): the nodes of ``a`` (rows) against those of ``b``, in the order of ``nodes``; batches and errors as
    :func:`region_cosines`."""
    for trace in (a, b):
        _check_graph(trace)
    return torch.stack([_unit(x) @ _unit(y).transpose(1, 2) for x, y in zip(a.H, b.H, strict=True)])


@torch.no_grad()
def node_cosines(trace: Trace) -> Tensor:
    """(l + 1, B, n, n): every node against every node of the same image, from H(0) to H(l), in the order of ``nodes``.

    Raises :class:`SettingsError` for a model without a graph.
    """
    return node_pair_cosines(trace, trace)


def mean_of_pairs(cosines: Tensor) -> list[float]:
    """The mean over all pairs of different nodes, by layer, of cosines (l + 1, n, n) between nodes."""
    different = ~torch.eye(cosines.shape[-1], dtype=torch.bool, device=cosines.device)
    return cosines[:, different].mean(1).tolist()


@torch.no_grad()
def smoothness(trace: Trace) -> Smoothness:
    """Over-smoothing of each image of a trace; raises :class:`SettingsError` for a model without a graph.

    A node that an edit switched off still has a row, without neighbours, and counts.
    """
    regions = torch.stack([_mean_cosine(x) for x in _regions(trace)])
    return Smoothness(torch.stack([_mean_cosine(x) for x in trace.H]), regions)


def _regions(trace: Trace) -> list[Tensor]:
    """[(B, 5, C)]: the local nodes of H(0) ... H(l)."""
    _check_graph(trace)
    rows = [trace.nodes.index(name) for name in REGION_NAMES]
    return [H[:, rows] for H in trace.H]


def _check_graph(trace: Trace) -> None:
    if not trace.nodes:
        raise SettingsError(no_graph("this network", pcb="part1" in trace.before))


def _mean_cosine(nodes: Tensor) -> Tensor:
    """(B, n, C) -> (B,): mean cosine over the pairs i < j."""
    x = _unit(nodes)
    first, second = torch.triu_indices(x.shape[1], x.shape[1], offset=1)
    return (x @ x.transpose(1, 2))[:, first, second].mean(1)


def _unit(nodes: Tensor) -> Tensor:
    return F.normalize(nodes.float(), dim=2)

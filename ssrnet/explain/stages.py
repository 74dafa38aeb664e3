"""One image's way through the network: the numbers of each stage, and what the graph's nodes send to f_token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssrnet.explain.graph import graph_of
from ssrnet.explain.token_shares import token_shares
from ssrnet.model import EmbeddingSettings, SSRNet, Trace
from ssrnet.model.graph import normalised_adjacency
from ssrnet.retrieval.alignment import Standardisation, standardised


class LargestMeans(NamedTuple):
    """``channels`` (n,) of F_G with the largest means over all cells, their ``means`` (n,) and ``maps`` (n, H, W).

    all_means: (C,), which are f_G. zeros: the share of F_G's values that are 0.
    """

    channels: np.ndarray
    means: np.ndarray
    maps: np.ndarray
    all_means: np.ndarray
    zeros: float


class ChannelWeights(NamedTuple):
    """M_c of one image (C,), and its channels from the largest weight to the smallest (C,)."""

    weights: np.ndarray
    order: np.ndarray


class Peak(NamedTuple):
    """Range of a map of cells, and the cell where it is highest: row from the top and column from the left, from 1."""

    low: float
    high: float
    row: int
    column: int


@dataclass(frozen=True)
class Messages:
    """What the nodes of the graph send to f_token, for one image.

    nodes: the graph's. effects: (l - 1, n): for each layer but the last, how far f_token moves, in parts of its length, when
    a node's row of that layer's input is zero. shares: (n,), exact shares of the nodes of H(l-1) in f_token; they
    add up to 1.
    """

    nodes: tuple[str, ...]
    effects: Tensor
    shares: Tensor


def largest_means(trace: Trace, count: int) -> LargestMeans:
    """The ``count`` channels of F_G with the largest means, from the trace of one image."""
    F_G = trace.F_G[0].detach().float()  # (C, H, W)
    means, channels = F_G.mean((1, 2)).topk(min(count, len(F_G)))
    arrays = (x.cpu().numpy() for x in (channels, means, F_G[channels], F_G.mean((1, 2))))
    return LargestMeans(*arrays, float((F_G == 0).float().mean()))


def channel_weights(trace: Trace) -> ChannelWeights | None:
    """M_c of Eq. 1 from the trace of one image; None where the model has no channel attention."""
    if trace.M_c is None:
        return None
    weights = trace.M_c[0, :, 0, 0].detach().float().cpu().numpy()
    return ChannelWeights(weights, np.argsort(-weights, kind="stable"))


def peak(cells: np.ndarray) -> Peak:
    """Of a map (H, W); the first of equal cells, row by row."""
    row, column = np.unravel_index(int(cells.argmax()), cells.shape)
    return Peak(float(cells.min()), float(cells.max()), int(row) + 1, int(column) + 1)


def length_shares(trace: Trace, standardisation: Standardisation | None = None) -> dict[str, float]:
    """Each branch's share in the squared length of one image's embedding, as it is compared; they add up to 1."""
    embedding = standardised(trace.embedding().detach().float(), standardisation)[0]
    columns = embedding.split([feature.shape[1] for feature in trace.after.values()])
    total = float(embedding.square().sum()) or 1.0
    return {branch: float(part.square().sum()) / total for branch, part in zip(trace.after, columns, strict=True)}


@torch.no_grad()
def messages(model: SSRNet, trace: Trace) -> Messages:
    """What each node sends to f_token, from the trace of one image: by ablation, and exactly in the last layer.

    The last layer's shares are :func:`token_shares` of the image with itself, of f_token before its neck. The effects
    of the earlier layers do not add up. Raises :class:`SettingsError` for a model without a graph.
    """
    graph = graph_of(model)
    alone = EmbeddingSettings(neck="before", branches=("token",))
    shares = token_shares(model, trace, trace, alone).query[0, :-1]  # without the neck's constant, which is 0
    P, n, f_token = normalised_adjacency(trace.A), len(graph.nodes), trace.f_token[0]
    effects = shares.new_zeros(len(graph.weights) - 1, n)
    for layer in range(len(graph.weights) - 1):
        H = trace.H[layer].repeat(n, 1, 1)  # (n, n, C), of which image j has lost node j
        H[range(n), range(n)] = 0
        for weight in graph.weights[layer:]:
            H = torch.relu(P @ weight(H))
        effects[layer] = (H[:, graph.readout] - f_token).norm(dim=1) / f_token.norm().clamp_min(1e-8)
    return Messages(graph.nodes, effects, shares)

"""k-reciprocal re-ranking (Zhong et al., CVPR 2017), as matrix products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.errors import ResourceError, SettingsError
from ssrnet.resources import available_memory

MATRICES = 7
"""Square float32 matrices over query and gallery together in memory at the peak."""


@dataclass(frozen=True)
class ReRankSettings:
    """k-reciprocal re-ranking; the defaults are Zhong et al.'s."""

    k1: int = 20
    """Neighbours that must be among each other's nearest."""
    k2: int = 6
    """Neighbours averaged in the local query expansion."""
    weight: float = 0.3
    """Share of the original distance in the result, in [0, 1]."""

    def __post_init__(self) -> None:
        if self.k1 < 1 or not 1 <= self.k2 <= self.k1 or not 0 <= self.weight <= 1:
            raise SettingsError(
                f"re-ranking has k1 = {self.k1}, k2 = {self.k2}, weight = {self.weight:g}; "
                "it needs 1 <= k2 <= k1 and a weight in [0, 1]."
            )


def k_reciprocal_distances(
    query: Tensor,
    gallery: Tensor,
    settings: ReRankSettings = ReRankSettings(),
    memory: int | None = None,
    progress_callback: Callable[[int, int], None] | None = None,
) -> Tensor:
    """(Q, G) re-ranked distances in [0, 1] of query (Q, D) and gallery (G, D) features.

    Features are L2-normalised first, so the original distance is the squared chord of the cosine.
    ``progress_callback(done, total)`` is called after each query. Raises :class:`ResourceError`, naming the memory
    needed, where the square matrices over Q + G images do not fit in ``memory`` bytes (default: the free memory of
    the device).
    """
    N = len(query) + len(gallery)
    needed = MATRICES * N * N * 4
    free = available_memory(query.device) if memory is None else memory
    if needed > free:
        raise ResourceError(
            f"re-ranking {len(query):,} queries with {len(gallery):,} gallery images needs {needed / 2**30:,.1f} GiB "
            f"and {free / 2**30:,.1f} GiB are free; evaluate without re-ranking or on a smaller test set."
        )
    k1, k2 = min(settings.k1, N - 1), min(settings.k2, N)
    features = F.normalize(torch.cat([query, gallery]).float())
    original = (2 - 2 * features @ features.T).clamp_min_(0)  # (N, N)
    original /= original.amax(1, keepdim=True).clamp_min(1e-12)
    original.fill_diagonal_(-1)  # an image comes first among its neighbours, even before exact copies
    near = original.topk(k1 + 1, dim=1, largest=False).indices  # (N, k1 + 1)
    original.fill_diagonal_(0)

    reciprocal = _reciprocal(near)  # R(i, k1)
    half = _reciprocal(near[:, : round(k1 / 2) + 1])  # R(j, k1 / 2)
    # R*(i): add R(j, k1/2) of each member j that shares more than two thirds of it with R(i).
    shared = reciprocal @ half.T
    accepted = reciprocal * (shared > 2 / 3 * half.sum(1))
    expanded = ((reciprocal + accepted @ half) > 0).float()
    del shared, accepted, half, reciprocal
    V = expanded * torch.exp(-original)
    V /= V.sum(1, keepdim=True)
    if k2 > 1:
        V = _mean_rows(V, near[:, :k2])
    Q = len(query)
    jaccard = torch.empty(Q, N - Q, device=V.device)
    for i in range(Q):  # sparse rows: only the columns where V[i] is not zero can share anything
        columns = V[i].nonzero().flatten()
        overlap = torch.minimum(V[i, columns], V[Q:, columns]).sum(1)  # (G,); rows sum to 1
        jaccard[i] = 1 - overlap / (2 - overlap)
        if progress_callback:
            progress_callback(i + 1, Q)
    return (1 - settings.weight) * jaccard + settings.weight * original[:Q, Q:]


def _reciprocal(near: Tensor) -> Tensor:
    """(N, N) float 0/1: i and j are each among the other's nearest."""
    forward = torch.zeros(len(near), len(near), device=near.device).scatter_(1, near, 1.0)
    return forward * forward.T


def _mean_rows(V: Tensor, near: Tensor) -> Tensor:
    """(N, N): each row the mean of V's rows at its nearest, without a (N, k2, N) array."""
    total = torch.zeros_like(V)
    for column in near.T:
        total += V[column]
    return total / near.shape[1]

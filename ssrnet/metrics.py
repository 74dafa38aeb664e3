"""CMC, average precision and mINP: one definition each.

All three follow from one count. Let a query have M matches in the gallery, and let n_i be the number
of wrong images at no greater distance than its i-th nearest match. Then the i-th match has rank
i + n_i, and

- AP = 1/M sum_i i / (i + n_i), the non-interpolated average precision (Eq. 9 averages it to mAP);
- the first hit has rank 1 + n_1, and CMC@K (Eq. 8) is the share of queries with a first hit
  within K;
- INP = M / (M + n_M) (Ye et al., TPAMI 2021): the share of matches among all images up to the last
  match.

A wrong image at exactly a match's distance counts as ranked before it, so a model cannot gain from
mapping everything to one point. Junk is ignored. Queries without a match are excluded, and
their number is reported.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

AP_DEFINITION = "non-interpolated; wrong images tied with a match count as ranked before it"


def wrong_before(distance: Tensor, match: Tensor, wrong: Tensor) -> Tensor:
    """n_i of every query: (B, M) int64, M the largest number of matches of a query in the block; -1 pads the rest.

    distance: (B, G) float. match, wrong: (B, G) bool, disjoint; images in neither are junk.
    """
    most = int(match.sum(1, dtype=torch.int32).max()) if len(match) else 0
    if most == 0:
        return torch.full((len(match), 0), -1, dtype=torch.int64, device=distance.device)
    # (B, M) ascending match distances; queries with fewer matches end in +inf.
    hits = distance.masked_fill(~match, torch.inf).topk(most, dim=1, largest=False, sorted=True).values
    n = torch.searchsorted(_ascending(distance.masked_fill(~wrong, torch.inf)), hits, right=True)
    return n.masked_fill(torch.isinf(hits), -1)


def _ascending(rows: Tensor) -> Tensor:
    """Each row (B, G) sorted, on the CPU in place."""
    if rows.device.type != "cpu":
        return rows.sort(dim=1).values
    # numpy's sort is vectorised, torch's is not: a quarter of the time on AVX-512. It also releases the GIL.
    chunks = np.array_split(rows.numpy(), torch.get_num_threads())
    with ThreadPoolExecutor(len(chunks)) as pool:
        list(pool.map(lambda chunk: chunk.sort(axis=1), chunks))
    return rows


def average_precision(n: np.ndarray) -> np.ndarray:
    """(Q,) AP in [0, 1] from n (Q, M) as :func:`wrong_before` gives it; NaN where a query has no match."""
    i = np.arange(1, n.shape[1] + 1)
    valid = n >= 0
    with np.errstate(invalid="ignore"):
        return np.where(valid, i / (i + np.maximum(n, 0)), 0.0).sum(1) / np.where(valid.any(1), valid.sum(1), np.nan)


def first_hit_rank(n: np.ndarray) -> np.ndarray:
    """(Q,) rank of the nearest match, from 1; 0 where a query has no match."""
    return n[:, 0] + 1 if n.shape[1] else np.zeros(len(n), dtype=np.int64)


def inverse_negative_penalty(n: np.ndarray) -> np.ndarray:
    """(Q,) INP in [0, 1]; NaN where a query has no match."""
    M = (n >= 0).sum(1)
    last = n.max(1, initial=-1)
    return np.where(M > 0, M / np.maximum(M + last, 1), np.nan)


@dataclass(frozen=True)
class Metrics:
    """Mean scores of a list of queries. ``cmc[k - 1]`` is CMC@k; all values in [0, 1].

    ``queries``: the number of queries with a match; ``excluded``: without, which are in no mean.
    """

    mAP: float
    mINP: float
    cmc: tuple[float, ...]
    queries: int
    excluded: int

    @classmethod
    def from_queries(cls, ap: np.ndarray, inp: np.ndarray, first_hit: np.ndarray, max_rank: int = 50) -> Metrics:
        """ap, inp: (Q,), NaN without a match. first_hit: (Q,) ranks from 1, 0 without a match."""
        valid = first_hit > 0
        queries = int(valid.sum())
        if not queries:
            return cls(float("nan"), float("nan"), (float("nan"),) * max_rank, 0, len(ap))
        cmc = tuple(float((first_hit[valid] <= k).mean()) for k in range(1, max_rank + 1))
        return cls(float(ap[valid].mean()), float(inp[valid].mean()), cmc, queries, len(ap) - queries)

    def rank(self, k: int) -> float:
        """CMC@k."""
        return self.cmc[k - 1]

    def __str__(self) -> str:
        line = (
            f"rank-1 {self.rank(1):6.2%}  rank-5 {self.rank(5):6.2%}  rank-10 {self.rank(10):6.2%}  "
            f"mAP {self.mAP:6.2%}  mINP {self.mINP:6.2%}  ({self.queries:,} queries"
        )
        return line + (f", {self.excluded:,} without a match excluded)" if self.excluded else ")")

"""Exact search of a matrix that is larger than memory, block by block."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

BLOCK_NUMBERS = 1_000_000
"""Numbers of the matrix that are in memory as float32 at a time: 4 MB, which stays in the processor's cache; 32 MB took twice
as long for one query and as long for 64."""

SLACK = 64
"""Rows kept beyond k, so that rows too near the k-th to be told apart in float32 are usually among them."""


def candidates(
    matrix: np.ndarray, rows: np.ndarray, norms: np.ndarray, queries: np.ndarray, k: int, tolerance: float
) -> list[np.ndarray]:
    """For each of the queries (Q, D) the positions in ``rows`` of the candidates for its ``k`` nearest, by cosine.

    matrix: (N, D) float16, memory-mapped; rows: (n,) int64, ascending, the rows to compare; norms: (n,) their lengths.
    Candidates are all rows whose cosine is below the k-th largest by at most ``tolerance``, in no order: the caller
    ranks them in float64. Raises FloatingPointError where one of the best cosines is not finite.
    """
    lengths = np.maximum(np.linalg.norm(queries.astype(np.float64), axis=1), 1e-8)
    q = torch.from_numpy((queries / lengths[:, None]).astype(np.float32))
    count = min(k + SLACK, len(rows))
    scores = torch.full((len(q), 0), -torch.inf)
    places = torch.zeros((len(q), 0), dtype=torch.long)
    step = max(1, BLOCK_NUMBERS // matrix.shape[1])
    for start in range(0, len(rows), step):
        cosine = _cosines(matrix, rows, norms, q, slice(start, start + step))  # (Q, b)
        best, place = cosine.topk(min(count, cosine.shape[1]), dim=1, sorted=False)
        scores, places = torch.cat([scores, best], 1), torch.cat([places, place + start], 1)
        scores, chosen = scores.topk(min(count, scores.shape[1]), dim=1)
        if not torch.isfinite(scores).all():
            raise FloatingPointError("its features hold NaN or infinity")
        places = places.gather(1, chosen)
    if count == 0:
        return [np.zeros(0, dtype=np.int64) for _ in queries]
    bounds = scores[:, min(k, count) - 1] - tolerance  # (Q,)
    positions = [place[score >= bound].numpy() for score, place, bound in zip(scores, places, bounds, strict=True)]
    crowded = torch.nonzero(scores[:, -1] >= bounds)[:, 0] if count < len(rows) else torch.zeros(0, dtype=torch.long)
    for i, more in zip(crowded.tolist(), _above(matrix, rows, norms, q[crowded], bounds[crowded], step), strict=True):
        positions[i] = more
    return positions


def _above(
    matrix: np.ndarray, rows: np.ndarray, norms: np.ndarray, q: Tensor, bounds: Tensor, step: int
) -> list[np.ndarray]:
    """All positions whose cosine is at least the query's bound: a second pass, where many tie with the k-th."""
    positions: list[list[np.ndarray]] = [[] for _ in q]
    for start in range(0, len(rows), step) if len(q) else ():
        reached = _cosines(matrix, rows, norms, q, slice(start, start + step)) >= bounds[:, None]
        for i, row in enumerate(reached):
            positions[i].append(torch.nonzero(row)[:, 0].numpy() + start)
    return [np.concatenate(parts) for parts in positions]


def _cosines(matrix: np.ndarray, rows: np.ndarray, norms: np.ndarray, q: Tensor, part: slice) -> Tensor:
    """(Q, b) float32 cosines of queries of length 1 with a block of the rows, which is read from the disk here."""
    selected = rows[part]
    contiguous = selected[-1] - selected[0] + 1 == len(selected)
    # Without deletions and filters the rows are a slice of the file, which needs no copy.
    block = np.asarray(matrix[selected[0] : selected[-1] + 1] if contiguous else matrix[selected])
    inverse = torch.from_numpy(1 / np.maximum(norms[part], 1e-8)).float()
    return (q @ torch.from_numpy(block).float().T) * inverse

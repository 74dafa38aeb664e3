"""Exact search of a matrix that is larger than memory: block by block, keeping the best."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

BLOCK_NUMBERS = 1_000_000
"""Numbers of the matrix that are in memory as float32 at once: 4 MB, which stays in the processor's cache; 32 MB took twice
as long for one query and as long for 64."""

SLACK = 64
"""Rows kept beyond k, so that those too near the k-th to be told apart in float32 are usually all at hand."""


def candidates(
    matrix: np.ndarray, rows: np.ndarray, norms: np.ndarray, queries: np.ndarray, k: int, tolerance: float
) -> list[np.ndarray]:
    """For each of the queries (Q, D) the positions in ``rows`` among which its ``k`` nearest are, by cosine.

    matrix: (N, D) float16, memory-mapped; rows: (n,) int64, ascending, which of its rows to look at; norms: (n,)
    their lengths. All rows are returned whose cosine is not smaller than the k-th largest by more than
    ``tolerance``: float32 decides who is looked at again, and not the order. Raises FloatingPointError where one of
    the best is no finite number.
    """
    lengths = np.maximum(np.linalg.norm(queries.astype(np.float64), axis=1), 1e-8)
    q = torch.from_numpy((queries / lengths[:, None]).astype(np.float32))
    kept = min(k + SLACK, len(rows))
    scores = torch.full((len(q), 0), -torch.inf)
    places = torch.zeros((len(q), 0), dtype=torch.long)
    step = max(1, BLOCK_NUMBERS // matrix.shape[1])
    for start in range(0, len(rows), step):
        cosine = _cosines(matrix, rows, norms, q, slice(start, start + step))  # (Q, b)
        best, place = cosine.topk(min(kept, cosine.shape[1]), dim=1, sorted=False)
        scores, places = torch.cat([scores, best], 1), torch.cat([places, place + start], 1)
        scores, chosen = scores.topk(min(kept, scores.shape[1]), dim=1)
        if not torch.isfinite(scores).all():
            raise FloatingPointError("its features hold NaN or infinity")
        places = places.gather(1, chosen)
    if kept == 0:
        return [np.zeros(0, dtype=np.int64) for _ in queries]
    bounds = scores[:, min(k, kept) - 1] - tolerance  # (Q,)
    found = [place[score >= bound].numpy() for score, place, bound in zip(scores, places, bounds, strict=True)]
    crowded = torch.nonzero(scores[:, -1] >= bounds)[:, 0] if kept < len(rows) else torch.zeros(0, dtype=torch.long)
    for i, more in zip(crowded.tolist(), _above(matrix, rows, norms, q[crowded], bounds[crowded], step), strict=True):
        found[i] = more
    return found


def _above(
    matrix: np.ndarray, rows: np.ndarray, norms: np.ndarray, q: Tensor, bounds: Tensor, step: int
) -> list[np.ndarray]:
    """All positions whose cosine is at least the query's bound: a second pass, where many tie with the k-th."""
    found: list[list[np.ndarray]] = [[] for _ in q]
    for start in range(0, len(rows), step) if len(q) else ():
        reached = _cosines(matrix, rows, norms, q, slice(start, start + step)) >= bounds[:, None]
        for i, row in enumerate(reached):
            found[i].append(torch.nonzero(row)[:, 0].numpy() + start)
    return [np.concatenate(parts) for parts in found]


def _cosines(matrix: np.ndarray, rows: np.ndarray, norms: np.ndarray, q: Tensor, part: slice) -> Tensor:
    """(Q, b) float32 cosines of queries of length 1 with some of the rows; the block is read from the disk here."""
    wanted = rows[part]
    whole = wanted[-1] - wanted[0] + 1 == len(wanted)
    # Without deletions and filters the rows are a piece of the file, which needs no gathering and no copy.
    block = np.asarray(matrix[wanted[0] : wanted[-1] + 1] if whole else matrix[wanted])
    inverse = torch.from_numpy(1 / np.maximum(norms[part], 1e-8)).float()
    return (q @ torch.from_numpy(block).float().T) * inverse

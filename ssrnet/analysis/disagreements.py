"""Pairs of images that one model ranks near and another far: where a person's answer tells the models apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.errors import DataError
from ssrnet.retrieval.ranking import BLOCK_ELEMENTS

NEAR = 10
"""A pair is near where one image is among the first this many of the other's list."""


class Disagreement(NamedTuple):
    """Rows of two images, ``a`` before ``b``; by model the pair's rank and its cosine.

    The rank is the better one of b in a's list and of a in b's, from 1 on, the image itself left out.
    """

    a: int
    b: int
    ranks: tuple[int, int]
    cosines: tuple[float, float]


def disagreements(
    first: Tensor, second: Tensor, progress_callback: Callable[[int, int], None] | None = None
) -> list[Disagreement]:
    """All pairs that are near to one model, the largest ratio of the two ranks first; pairs that both rank alike are not listed.

    first: (N, D) and second: (N, E) features of the same N images. Equal ratios are in the order of the better rank, then of
    the rows, so the list is the same every time. ``progress_callback(blocks done, total)``.
    Raises :class:`DataError` where the models' features are of different numbers of images.
    """
    if len(first) != len(second):
        raise DataError(
            f"one model has features of {len(first):,} images and the other of {len(second):,}; use the same images."
        )
    if len(first) < 2:
        return []
    units = [F.normalize(each.float()) for each in (first, second)]
    total = 4 * -(-len(first) // _step(len(first)))
    done = iter(range(1, total + 1))

    def advance() -> None:
        at = next(done)
        if progress_callback:
            progress_callback(at, total)

    near = set().union(*(_near_pairs(each, advance) for each in units))
    pairs = np.array(sorted(near), dtype=np.int64)  # (P, 2)
    ranks, cosines = (
        np.stack(values) for values in zip(*(_standing(each, pairs, advance) for each in units))
    )  # (2, P)
    ratio = ranks.max(0) / ranks.min(0)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], ranks.min(0), -ratio))
    return [
        Disagreement(*pairs[i].tolist(), tuple(ranks[:, i].tolist()), tuple(cosines[:, i].tolist()))
        for i in order[ratio[order] > 1]
    ]


def _near_pairs(unit: Tensor, advance: Callable[[], None]) -> set[tuple[int, int]]:
    """Pairs of rows of which one is among the other's :data:`NEAR` nearest."""
    near = min(NEAR, len(unit) - 1)
    pairs: set[tuple[int, int]] = set()
    for rows, cosines in _cosines(unit):
        listed = cosines.topk(near, dim=1).indices.tolist()
        pairs.update((min(a, b), max(a, b)) for a, of_row in zip(rows, listed, strict=True) for b in of_row)
        advance()
    return pairs


def _standing(unit: Tensor, pairs: np.ndarray, advance: Callable[[], None]) -> tuple[np.ndarray, np.ndarray]:
    """Rank (P,) int64 and cosine (P,) float32 of each of the pairs (P, 2)."""
    ranks, values = np.full(len(pairs), len(unit)), np.empty(len(pairs), np.float32)
    both = np.concatenate([pairs, pairs[:, ::-1]])  # b in a's list, a in b's
    by_row = np.argsort(both[:, 0], kind="stable")
    starts = np.searchsorted(both[by_row, 0], np.arange(len(unit) + 1))
    for rows, cosines in _cosines(unit):
        block = cosines.numpy()
        ordered = np.sort(block, axis=1)
        for at, row in enumerate(rows):
            of_row = by_row[starts[row] : starts[row + 1]]
            value = block[at, both[of_row, 1]]
            pair = of_row % len(pairs)
            rank = 1 + len(unit) - np.searchsorted(ordered[at], value, side="right")
            ranks[pair], values[pair] = np.minimum(ranks[pair], rank), value
        advance()
    return ranks, values


def _cosines(unit: Tensor) -> Iterator[tuple[range, Tensor]]:
    """Rows of ``unit`` (N, D) in blocks, with their cosines (b, N) to all rows; below all others to themselves."""
    step = _step(len(unit))
    for start in range(0, len(unit), step):
        rows = range(start, min(start + step, len(unit)))
        cosines = unit[start : rows.stop] @ unit.T
        cosines[torch.arange(len(rows)), torch.tensor(rows)] = -torch.inf
        yield rows, cosines


def _step(images: int) -> int:
    return max(1, BLOCK_ELEMENTS // images)

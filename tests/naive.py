"""Definitions for one query and one image at a time, against which the fast code is tested."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Score(NamedTuple):
    average_precision: float
    inp: float
    first_hit: int


def ranked(distance, match) -> list[int]:
    """Gallery indices, nearest first; at equal distance wrong before right, then by index."""
    return sorted(range(len(distance)), key=lambda g: (distance[g], bool(match[g]), g))


def score(distance, match, junk) -> Score:
    """AP, INP and the first hit's rank of one query; junk is skipped."""
    rank, precisions, first = 0, [], 0
    for g in ranked(distance, match):
        if junk[g]:
            continue
        rank += 1
        if match[g]:
            first = first or rank
            precisions.append((len(precisions) + 1) / rank)
            last = rank
    if not precisions:
        return Score(float("nan"), float("nan"), 0)
    return Score(sum(precisions) / len(precisions), len(precisions) / last, first)


def listed(distance, match, junk, top_k: int) -> list[int]:
    """Gallery indices of a rank list: until ``top_k`` of them are not junk."""
    shown, counted = [], 0
    for g in ranked(distance, match):
        if counted == top_k:
            break
        shown.append(g)
        counted += not junk[g]
    return shown


def k_reciprocal(features: np.ndarray, queries: int, k1: int, k2: int, weight: float) -> np.ndarray:
    """Zhong et al., CVPR 2017, Sec. 3, set by set; (Q, G)."""
    x = features / np.linalg.norm(features, axis=1, keepdims=True)
    N = len(x)
    d = np.array([[((x[i] - x[j]) ** 2).sum() for j in range(N)] for i in range(N)])
    d = d / d.max(1, keepdims=True)
    nearest = np.argsort(d, axis=1, kind="stable")

    def reciprocal(i: int, k: int) -> set[int]:
        return {j for j in nearest[i, : k + 1] if i in nearest[j, : k + 1]}

    V = np.zeros((N, N))
    for i in range(N):
        neighbours = reciprocal(i, k1)
        expanded = set(neighbours)
        for j in neighbours:
            other = reciprocal(j, round(k1 / 2))
            if len(neighbours & other) > 2 / 3 * len(other):
                expanded |= other
        for j in expanded:
            V[i, j] = np.exp(-d[i, j])
        V[i] /= V[i].sum()
    V = np.array([np.mean([V[j] for j in nearest[i, :k2]], axis=0) for i in range(N)])
    result = np.zeros((queries, N - queries))
    for q in range(queries):
        for g in range(N - queries):
            jaccard = 1 - np.minimum(V[q], V[queries + g]).sum() / np.maximum(V[q], V[queries + g]).sum()
            result[q, g] = (1 - weight) * jaccard + weight * d[q, queries + g]
    return result

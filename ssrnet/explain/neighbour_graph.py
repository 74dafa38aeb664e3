"""The weighted graph of neighbours that UMAP lays out (McInnes et al. 2018, Sec. 3.1 and Algorithms 2, 3), in NumPy.

umap-learn's own function gives the same weights; it is compiled when it is first called, which takes nine seconds.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix

ROUNDS = 64
"""Of bisection."""
TOLERANCE = 1e-5
LEAST_WIDTH = 1e-3
"""Of a point's kernel, as a share of the mean distance to its neighbours."""


def neighbour_graph(points: np.ndarray, neighbours: int) -> coo_matrix:
    """(N, N) symmetric weights in (0, 1] of (N, D) points, each with its ``neighbours`` nearest, itself among these.

    The weight from i to j is exp(-(d_ij - r_i) / s_i), where r_i is the distance to i's nearest other point, and s_i is
    such that i's weights sum to log2 of ``neighbours``; the two of a pair, a and b, are joined as a + b - ab.
    """
    from sklearn.neighbors import NearestNeighbors  # takes a second

    distance, index = NearestNeighbors(n_neighbors=neighbours).fit(points).kneighbors(points)
    N = len(points)
    nearest, width = kernels(distance)
    weight = np.exp(-np.maximum(distance - nearest[:, None], 0) / width[:, None])
    weight[index == np.arange(N)[:, None]] = 0
    rows = np.repeat(np.arange(N), neighbours)
    directed = coo_matrix((weight.ravel().astype(np.float32), (rows, index.ravel())), shape=(N, N)).tocsr()
    graph = directed + directed.T - directed.multiply(directed.T)
    graph.eliminate_zeros()
    return graph.tocoo()


def kernels(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """r and s of :func:`neighbour_graph`, each (N,); distance: (N, k) to the neighbours, ascending, the point first."""
    positive = np.where(distance > 0, distance, np.inf).min(1)
    nearest = np.where(np.isfinite(positive), positive, 0)
    beyond, target = np.maximum(distance[:, 1:] - nearest[:, None], 0), np.log2(distance.shape[1])
    low, high, width = np.zeros(len(distance)), np.full(len(distance), np.inf), np.ones(len(distance))
    for _ in range(ROUNDS):
        total = np.exp(-beyond / width[:, None]).sum(1)
        open = np.abs(total - target) >= TOLERANCE
        if not open.any():
            break
        wide = total > target
        high, low = np.where(open & wide, width, high), np.where(open & ~wide, width, low)
        middle = np.where(np.isinf(high), 2 * width, (low + high) / 2)
        width = np.where(open, middle, width)
    mean = np.where(nearest > 0, distance.mean(1), distance.mean())
    return nearest, np.maximum(width, np.maximum(LEAST_WIDTH * mean, np.finfo(np.float32).tiny))

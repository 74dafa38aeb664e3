"""The graph that UMAP lays out, against umap-learn's own and by hand."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from ssrnet.explain.neighbour_graph import kernels, neighbour_graph


@pytest.mark.parametrize(("points", "neighbours", "copies"), [(200, 15, 0), (200, 15, 3), (6, 5, 0), (40, 15, 20)])
def test_weights_are_those_of_umap_learn(points, neighbours, copies):
    from umap.umap_ import fuzzy_simplicial_set

    x = np.random.default_rng(0).normal(size=(points, 20)).astype(np.float32)
    x[:copies] = x[0]
    distance, index = NearestNeighbors(n_neighbors=neighbours).fit(x).kneighbors(x)
    given = {"knn_indices": index, "knn_dists": distance}
    expected = fuzzy_simplicial_set(x, neighbours, np.random.RandomState(0), "euclidean", **given)[0]
    np.testing.assert_allclose(neighbour_graph(x, neighbours).toarray(), expected.toarray(), atol=2e-5)


def test_a_kernel_is_as_wide_as_its_neighbours_are_far():
    distance = np.array([[0, 1.0, 2.0, 3.0], [0, 10.0, 20.0, 30.0], [0, 0, 0, 0]])
    nearest, width = kernels(distance)
    assert nearest.tolist() == [1, 10, 0]
    assert np.exp(-np.array([0, 1, 2]) / width[0]).sum() == pytest.approx(2, abs=1e-4), "log2 of 4"
    assert width[1] == pytest.approx(10 * width[0], rel=1e-3)
    assert np.isfinite(width).all() and width[2] > 0


def test_the_graph_is_symmetric_without_loops():
    graph = neighbour_graph(np.arange(12.0)[:, None] ** 1.5, 4).toarray()
    np.testing.assert_array_equal(graph, graph.T)
    assert not graph.diagonal().any() and graph.max() <= 1 and (graph > 0).sum(1).min() >= 3

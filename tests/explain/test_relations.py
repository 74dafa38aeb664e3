"""Cosines between nodes, by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ssrnet.errors import SettingsError
from ssrnet.explain.graph import GraphEdit, edit_trace
from ssrnet.explain.relations import (
    cell_cosines,
    mean_of_pairs,
    node_cosines,
    node_pair_cosines,
    region_cosines,
    smoothness,
)
from tests import tiny


@pytest.fixture(scope="module")
def model():
    return tiny.network().requires_grad_(False)


@pytest.fixture(scope="module")
def trace(model):
    return model.trace(tiny.images(3))


def with_rows(trace, rows):
    """``trace`` with one layer of two channels: rows of global, ul, ur, mid, dl, dr, token."""
    return replace(trace, H=(torch.tensor([rows], dtype=torch.float32),))


def test_regions_by_hand(trace):
    a = with_rows(trace, [[9, 9], [1, 0], [0, 2], [3, 3], [0, 0], [4, 0], [9, 9]])
    b = with_rows(trace, [[8, 8], [2, 0], [1, 0], [0, 1], [1, 1], [3, 4], [8, 8]])
    root = 0.5**0.5
    cosines = region_cosines(a, b)
    assert cosines.regions == ("ul", "ur", "mid", "dl", "dr") and cosines.cosine.shape == (1, 1, 5, 5)
    expected = [
        [1, 1, 0, root, 0.6],
        [0, 0, 1, root, 0.8],
        [root, root, root, 1, 1.4 * root],
        [0, 0, 0, 0, 0],
        [1, 1, 0, root, 0.6],
    ]
    np.testing.assert_allclose(cosines.cosine[0, 0], expected, atol=1e-6)


def test_smoothness_by_hand(trace):
    """Two rows along x, three along y among the regions: 1 + 3 of 10 pairs agree; global and token point along x."""
    smooth = smoothness(with_rows(trace, [[5, 0], [1, 0], [2, 0], [0, 1], [0, 2], [0, 3], [7, 0]]))
    assert smooth.regions.tolist() == [[pytest.approx(0.4)]]
    assert smooth.nodes.tolist() == [[pytest.approx((6 + 3) / 21)]]  # 4 rows along x, 3 along y
    alike = smoothness(with_rows(trace, [[1, 2]] * 7))
    assert alike.nodes.item() == pytest.approx(1) and alike.regions.item() == pytest.approx(1)


def test_layers_and_images_stand_apart(model, trace):
    one = model.trace(tiny.images(3)[:1])
    cosines = region_cosines(one, trace)
    assert cosines.cosine.shape == (3, 3, 5, 5)
    for layer in range(3):
        expected = torch.cosine_similarity(trace.H[layer][0, 1:6, None], trace.H[layer][2, None, 1:6], dim=-1)
        torch.testing.assert_close(cosines.cosine[layer, 2], expected, atol=1e-5, rtol=1e-4)
    same = region_cosines(trace, trace).cosine
    torch.testing.assert_close(same, same.transpose(2, 3))
    torch.testing.assert_close(same.diagonal(dim1=2, dim2=3), torch.ones(3, 3, 5))
    smooth = smoothness(trace)
    assert smooth.nodes.shape == smooth.regions.shape == (3, 3)
    torch.testing.assert_close(smooth.regions[1, 2], (same[1, 2].sum() - 5) / 20)


def test_a_graph_smooths_until_it_is_cut(model):
    """With W = I a layer only averages, so nodes grow alike; without an edge they stay what they were."""
    plain = tiny.network(gcn_depth=3).requires_grad_(False)
    for layer in plain.graph.weights:
        layer.weight.copy_(torch.eye(512))
    trace = plain.trace(tiny.images(1))
    over = smoothness(trace).regions[:, 0]
    assert (over.diff() > 0).all() and over[-1] > 0.99
    edges = {tuple(sorted((trace.nodes[i], trace.nodes[j]))) for i, j in plain.graph.A.nonzero().tolist()}
    cut = edit_trace(plain, trace, GraphEdit(edges_off=tuple(edges))).trace
    torch.testing.assert_close(smoothness(cut).regions[:, 0], over[:1].expand(4))


@torch.no_grad()
@pytest.mark.parametrize("graph", [dict(global_node=False), dict(token_node=False), dict(attention="stn")])
@pytest.mark.parametrize("depth", [1, 3])
def test_every_graph_has_its_regions(graph, depth):
    trace = tiny.network(gcn_depth=depth, **graph).trace(tiny.images(2))
    assert region_cosines(trace, trace).cosine.shape == (depth + 1, 2, 5, 5)
    assert smoothness(trace).nodes.isfinite().all()


@torch.no_grad()
def test_networks_without_regions_say_so(trace):
    for changes, words in ((tiny.BASELINE, "this network has no relation branch"), (dict(parts="pcb"), "PCB's")):
        bare = tiny.network(**changes).trace(tiny.images(1))
        pairs = [lambda x, of=of: of(x, trace) for of in (region_cosines, node_pair_cosines)]
        pairs += [lambda x, of=of: of(trace, x) for of in (region_cosines, node_pair_cosines)]
        for function in (smoothness, *pairs):
            with pytest.raises(SettingsError, match=words):
                function(bare)


def test_node_cosines_by_hand(trace):
    rows = [[1, 0], [0, 1], [3, 4], [0, 0], [2, 0], [0, 5], [-1, 0]]
    cosines = node_cosines(with_rows(trace, rows))
    assert cosines.shape == (1, 1, 7, 7)
    expected = [1, 0, 0.6, 0, 1, 0, -1]
    np.testing.assert_allclose(cosines[0, 0, 0], expected, atol=1e-6)
    np.testing.assert_allclose(cosines[0, 0, :, 0], expected, atol=1e-6)
    assert cosines[0, 0, 3].tolist() == [0] * 7


def test_node_cosines_average_to_the_smoothness(trace):
    cosines = node_cosines(trace)
    above = cosines[:, :, *np.triu_indices(7, 1)].mean(-1)
    np.testing.assert_allclose(above, smoothness(trace).nodes, atol=1e-6)
    np.testing.assert_allclose(mean_of_pairs(cosines[:, 0]), smoothness(trace).nodes[:, 0], atol=1e-6)
    with pytest.raises(SettingsError, match="no relation branch"):
        node_cosines(replace(trace, nodes=()))


def test_cells_by_hand(trace):
    """Two channels on 1 x 2 and 2 x 2 cells; a cell of zeros is like no other."""
    a = replace(trace, F_G=torch.tensor([[[[3.0, 0.0]], [[4.0, 2.0]]]]))
    b = replace(trace, F_G=torch.tensor([[[[1.0, 0.0], [0.0, -6.0]], [[0.0, 5.0], [0.0, -8.0]]]]))
    cosines = cell_cosines(a, b, "F_G")
    assert cosines.shape == (1, 2, 2, 2)
    torch.testing.assert_close(cosines[0], torch.tensor([[[0.6, 0.8], [0, -1]], [[0, 1], [0, -0.8]]]))


def test_cells_of_f_attn_are_alike_whatever_m_s_says(model, trace):
    one, other = model.trace(tiny.images(3)[:1]), model.trace(tiny.images(3)[1:2])
    channels = [replace(each, F_attn=each.M_c * each.F_G) for each in (one, other)]
    torch.testing.assert_close(
        cell_cosines(one, other, "F_attn"), cell_cosines(*channels, "F_attn"), atol=1e-5, rtol=1e-4
    )


def test_pairs_of_nodes_hold_those_of_regions(model, trace):
    one = model.trace(tiny.images(3)[:1])
    cosines = node_pair_cosines(one, trace)
    assert cosines.shape == (3, 3, 7, 7)
    torch.testing.assert_close(cosines[:, :, 1:6, 1:6], region_cosines(one, trace).cosine)
    torch.testing.assert_close(cosines[0, :, 6, 6], torch.ones(3))  # the learned token is every image's

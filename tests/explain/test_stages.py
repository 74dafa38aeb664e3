"""The numbers of the Story page's stages against the trace, and messages against edits of the graph."""

import numpy as np
import pytest
import torch

from ssrnet.errors import SettingsError
from ssrnet.explain.graph import GraphEdit, edit_trace
from ssrnet.explain.stages import channel_weights, largest_means, length_shares, messages, peak
from ssrnet.model.graph import normalised_adjacency
from ssrnet.retrieval.alignment import Standardisation
from tests import tiny


@torch.no_grad()
def traced(seed=0, **changes):
    model = tiny.network(seed=seed, **changes)
    return model, model.trace(tiny.images(1, seed=seed))


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"token_node": False}, {"gcn_depth": 1}, {"gcn_depth": 3}])
def test_the_last_layers_shares_are_the_terms_of_its_sum(changes):
    model, trace = traced(**changes)
    sent, readout = messages(model, trace), model.graph.readout
    assert sent.shares.sum().item() == pytest.approx(1, abs=1e-5)
    f_token, P = trace.f_token[0], normalised_adjacency(trace.A)
    terms = P[readout, :, None] * model.graph.weights[-1](trace.H[-2][0])  # (n, d)
    expected = (terms @ f_token) / f_token.square().sum()
    assert sent.shares.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert sent.shares[P[readout] == 0].abs().sum() == 0, "what does not reach the node that is read out has no share"


@torch.no_grad()
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_first_layers_effects_are_those_of_silenced_nodes(depth):
    model, trace = traced(gcn_depth=depth)
    sent = messages(model, trace)
    assert sent.effects.shape == (depth - 1, len(sent.nodes))
    for node, effect in zip(sent.nodes, sent.effects[0].tolist() if depth > 1 else ()):
        silenced = edit_trace(model, trace, GraphEdit(nodes_silenced=(node,))).trace.f_token
        moved = (silenced - trace.f_token).norm() / trace.f_token.norm()
        assert effect == pytest.approx(moved.item(), abs=1e-5)


@torch.no_grad()
def test_an_effect_of_a_middle_layer_by_hand():
    model, trace = traced(gcn_depth=3)
    H, P = trace.H[1][0].clone(), normalised_adjacency(trace.A)
    H[2] = 0
    for layer in model.graph.weights[1:]:
        H = torch.relu(P @ layer(H))
    moved = (H[model.graph.readout] - trace.f_token[0]).norm() / trace.f_token.norm()
    assert messages(model, trace).effects[1, 2].item() == pytest.approx(moved.item(), abs=1e-5)


def test_a_network_without_a_graph_sends_nothing():
    with pytest.raises(SettingsError, match="no relation branch"):
        messages(*traced(**tiny.BASELINE))


def test_channels_of_F_G_by_their_means():
    _, trace = traced()
    found, maps = largest_means(trace, 3), trace.F_G[0].numpy()
    order = np.argsort(-maps.mean((1, 2)))[:3]
    assert found.channels.tolist() == order.tolist()
    assert found.means == pytest.approx(maps.mean((1, 2))[order], rel=1e-5)
    assert (found.maps == maps[order]).all() and found.all_means == pytest.approx(trace.f_G[0].numpy(), rel=1e-5)
    assert found.zeros == pytest.approx((maps == 0).mean())
    assert len(largest_means(trace, 10_000).channels) == len(maps)


def test_channels_by_M_c():
    _, trace = traced()
    found, M_c = channel_weights(trace), trace.M_c[0, :, 0, 0].numpy()
    assert (found.weights == M_c).all() and found.order[0] == M_c.argmax()
    assert (np.diff(M_c[found.order]) <= 0).all() and sorted(found.order) == list(range(len(M_c)))
    assert channel_weights(traced(**tiny.BASELINE)[1]) is None


def test_the_highest_cell():
    cells = np.array([[0.2, 0.1, 0.3], [0.5, 0.9, 0.9]])
    assert peak(cells) == (0.1, 0.9, 2, 2)


def test_each_branchs_part_of_the_embeddings_length():
    _, trace = traced()
    squared = {branch: float(x.square().sum()) for branch, x in trace.after.items()}
    total = sum(squared.values())
    assert length_shares(trace) == pytest.approx({branch: each / total for branch, each in squared.items()}, rel=1e-4)
    embedding = trace.embedding()
    flat = Standardisation(embedding.clone(), torch.ones_like(embedding))
    flat.mean[:, 0] -= 2
    assert length_shares(trace, flat) == pytest.approx({"G": 1, "attn": 0, "token": 0})

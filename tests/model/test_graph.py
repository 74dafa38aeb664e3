import numpy as np
import pytest
import torch

from ssrnet.model.graph import RelationGraph, adjacency, node_names, normalised_adjacency

# rows and columns: global, ul, ur, mid, dl, dr, token
FULL = [
    [0, 0, 0, 0, 0, 0, 1],
    [0, 0, 1, 1, 1, 0, 1],
    [0, 1, 0, 1, 0, 1, 1],
    [0, 1, 1, 0, 1, 1, 1],
    [0, 1, 0, 1, 0, 1, 1],
    [0, 0, 1, 1, 1, 0, 1],
    [1, 1, 1, 1, 1, 1, 0],
]
# global, ul, ur, mid, dl, dr
WITHOUT_TOKEN = [
    [0, 1, 1, 1, 1, 1],
    [1, 0, 1, 1, 1, 0],
    [1, 1, 0, 1, 0, 1],
    [1, 1, 1, 0, 1, 1],
    [1, 1, 0, 1, 0, 1],
    [1, 0, 1, 1, 1, 0],
]


@pytest.mark.parametrize(
    ("global_node", "token_node", "nodes", "A"),
    [
        (True, True, "global ul ur mid dl dr token", FULL),
        (True, False, "global ul ur mid dl dr", WITHOUT_TOKEN),
        (False, True, "ul ur mid dl dr token", [row[1:] for row in FULL[1:]]),
    ],
    ids=["full", "without token", "without global node"],
)
def test_adjacency_by_hand(global_node, token_node, nodes, A):
    names = node_names(global_node, token_node)
    assert names == tuple(nodes.split())
    assert adjacency(names).tolist() == A
    graph = RelationGraph(4, 2, global_node=global_node, token_node=token_node)
    assert graph.A.tolist() == A
    assert names[graph.readout] == ("token" if token_node else "global")


def test_rows_are_divided_by_their_degree_with_the_self_loop():
    P = normalised_adjacency(torch.tensor(FULL, dtype=torch.float32))
    assert torch.allclose(P[0], torch.tensor([1, 0, 0, 0, 0, 0, 1]) / 2)
    assert torch.allclose(P[1], torch.tensor([0, 1, 1, 1, 1, 0, 1]) / 5)
    assert torch.allclose(P[6], torch.full((7,), 1 / 7))


@torch.no_grad()
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_equation_4_against_a_loop(depth):
    torch.manual_seed(depth)
    graph = RelationGraph(6, 3, depth)
    H0 = torch.randn(2, 7, 6)
    H = graph(H0)
    assert len(H) == depth + 1 and H[0] is H0
    A_tilde = np.array(FULL) + np.eye(7)
    for b in range(2):
        h = H0[b].numpy()
        for layer, weight in enumerate(graph.weights, start=1):
            W = weight.weight.numpy().T  # (in, out)
            new = np.zeros((7, W.shape[1]))
            for i in range(7):
                for j in range(7):
                    for c in range(W.shape[1]):
                        new[i, c] += A_tilde[i, j] / A_tilde[i].sum() * (h[j] * W[:, c]).sum()
            h = np.maximum(new, 0)
            assert np.allclose(H[layer][b], h, atol=1e-5)
    assert h.shape == (7, 3)


def test_nodes_start_in_row_order():
    graph = RelationGraph(4, 2)
    f_G, local = torch.full((3, 4), 9.0), [torch.full((3, 4), float(i)) for i in range(5)]
    H0 = graph.initial_nodes(f_G, local)
    assert H0.shape == (3, 7, 4)
    assert H0[:, :6, 0].tolist() == [[9, 0, 1, 2, 3, 4]] * 3
    assert torch.equal(H0[:, 6], graph.token.expand(3, 4))


def test_another_adjacency_cuts_a_node_off():
    torch.manual_seed(0)
    graph = RelationGraph(4, 8)
    cut = graph.A.clone()
    cut[0, 6] = cut[6, 0] = 0  # the global node is now alone
    H0 = torch.randn(1, 7, 4)
    moved = H0.clone()
    moved[0, 0] += 1
    assert torch.equal(graph(H0, cut)[-1][0, 6], graph(moved, cut)[-1][0, 6])
    assert not torch.equal(graph(H0)[-1][0, 6], graph(moved)[-1][0, 6])


def test_a_token_learns():
    graph = RelationGraph(4, 2)
    graph(graph.initial_nodes(torch.randn(2, 4), [torch.randn(2, 4) for _ in range(5)]))[-1].sum().backward()
    assert graph.token.grad.abs().sum() > 0

"""Leads by branch and node: exact sums, and ablation against the network without the node."""

import pytest
import torch

from ssrnet.errors import SettingsError
from ssrnet.explain.graph import GraphEdit, edit_trace
from ssrnet.explain.lead import branch_lead, node_lead
from ssrnet.explain.shares import branch_products
from ssrnet.model import EmbeddingSettings
from ssrnet.retrieval.alignment import Standardisation
from tests import tiny


@pytest.fixture(scope="module")
def model():
    return tiny.network().requires_grad_(False)


@pytest.fixture(scope="module")
def traces(model):
    return [model.trace(tiny.images(3)[i : i + 1]) for i in range(3)]


def cosine(a, b, embedding=EmbeddingSettings()):
    return torch.cosine_similarity(a.embedding(embedding), b.embedding(embedding)).item()


def test_branches_and_nodes_add_up_to_the_lead(model, traces):
    query, first, second = traces
    features = torch.cat([trace.embedding() for trace in traces])
    shares = branch_products(features[0], features[1:], model.branch_dims).shares()
    branches = branch_lead(*(dict(zip(model.branch_dims, each, strict=True)) for each in shares.T.tolist()))
    lead = cosine(query, first) - cosine(query, second)
    assert sum(branches.values()) == pytest.approx(lead, abs=1e-5)
    by_node = node_lead(model, query, first, second)
    assert tuple(by_node.nodes) == (*model.graph.nodes, "neck")
    assert sum(by_node.nodes.values()) == pytest.approx(branches["token"], abs=1e-5)


def test_an_ablated_lead_is_that_of_three_graphs_without_the_node(model, traces):
    without = node_lead(model, *traces).without
    assert set(without) == set(model.graph.nodes) - {"token"}
    for node in ("global", "dr"):
        query, first, second = (edit_trace(model, each, GraphEdit(nodes_off=(node,))).trace for each in traces)
        assert without[node] == pytest.approx(cosine(query, first) - cosine(query, second), abs=1e-5)


def test_an_aligned_lead_is_that_of_the_aligned_embeddings(model, traces):
    generator = torch.Generator().manual_seed(1)
    dim = traces[0].embedding().shape[1]
    each = [
        Standardisation(torch.randn(1, dim, generator=generator) / 9, torch.rand(1, dim, generator=generator) + 0.5)
        for _ in traces
    ]
    aligned = torch.cat([one(trace.embedding()) for one, trace in zip(each, traces)])
    shares = branch_products(aligned[0], aligned[1:], model.branch_dims).shares()
    lead = node_lead(model, *traces, standardisations=((each[0], each[1]), (each[0], each[2])))
    assert sum(lead.nodes.values()) == pytest.approx((shares[2, 0] - shares[2, 1]).item(), abs=1e-5)
    only = EmbeddingSettings(branches=("G",))
    with pytest.raises(SettingsError, match="choose branches with token"):
        node_lead(model, *traces, embedding=only)

"""Edits of the graph against the network with that graph, by hand, and what they must not change."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import SettingsError
from ssrnet.explain.graph import VARIANTS, GraphEdit, edit_label, edit_trace, rank_edited_query, variant_graph
from ssrnet.explain.shares import BranchFeatures
from ssrnet.model import EmbeddingSettings
from ssrnet.model.graph import RelationGraph, normalised_adjacency
from ssrnet.retrieval.extraction import FeatureSet
from tests import tiny

GRAPHS = [dict(), dict(global_node=False), dict(token_node=False), dict(global_node_from="after")]


def split_of(trace, **changes) -> tuple[Split, FeatureSet]:
    """The first image is the query, the others are the gallery."""
    images = [VehicleImage(Path("/"), str(i), f"v{i % 3}", f"c{i % 2}") for i in range(len(trace.F_G))]
    x = trace.embedding(EmbeddingSettings(**changes)).detach()
    dims = dict.fromkeys(trace.before, 512)
    return Split((images[0],), tuple(images[1:]), True), FeatureSet(x, tuple(i.name for i in images), dims)


def test_equal_edits_are_equal():
    a = GraphEdit(nodes_off=("ul", "mid", "ul"), edges_off=(("ur", "mid"), ("mid", "ur")))
    b = GraphEdit(nodes_off=("mid", "ul"), edges_off=(("mid", "ur"),))
    assert a == b and hash(a) == hash(b) and a.edges_off == (("mid", "ur"),)
    assert str(a) == "without mid, without ul, without edge mid-ur" and str(GraphEdit()) == "unedited"
    assert str(GraphEdit(nodes_silenced=("dl",), crop_ratio=0.5)) == "dl silenced, λ = 0.5 at test time"
    assert a.switches and not GraphEdit(crop_ratio=0.5).switches


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_the_graphs_of_networks_with_these_settings(variant):
    network, graph = tiny.network(**VARIANTS[variant]).graph, variant_graph(variant)
    assert graph.nodes == network.nodes and graph.readout == network.readout and torch.equal(graph.A, network.A)


def test_adjacency_by_hand():
    """Without mid and the edge ul-ur, ul keeps dl and the token: its row of D^-1 (A + I) is thirds."""
    graph = RelationGraph(4, 2)
    before = graph.A.clone()
    P = normalised_adjacency(GraphEdit(nodes_off=("mid",), edges_off=(("ur", "ul"),)).adjacency(graph))
    third = 1 / 3
    assert P[1].tolist() == pytest.approx([0, third, 0, 0, third, 0, third])
    assert P[6].tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 0, 1 / 6, 1 / 6, 1 / 6])
    assert torch.equal(graph.A, before)


@torch.no_grad()
def test_a_node_that_is_off_is_a_smaller_graph():
    """The rows of the others are those of the graph that never had it."""
    graph, small = RelationGraph(4, 2), RelationGraph(4, 2, global_node=False)
    P = normalised_adjacency(GraphEdit(nodes_off=("global",)).adjacency(graph))
    assert torch.equal(P[1:, 1:], normalised_adjacency(small.A)) and not P[1:, 0].any()


@torch.no_grad()
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("graph", GRAPHS, ids=["full", "without global", "without token", "global after BN"])
def test_an_edit_gives_the_output_of_the_network_with_that_graph(graph, depth):
    model = tiny.network(gcn_depth=depth, **graph)
    feature_map = model.feature_map(tiny.images())
    trace = model.head(feature_map)
    edits = [
        GraphEdit(),
        GraphEdit(nodes_off=("mid",)),
        GraphEdit(edges_off=(("ul", "ur"), ("mid", "dl")), crop_ratio=0.75),
        GraphEdit(nodes_off=("ul", "dr"), edges_off=(("ur", "mid"),)),
        GraphEdit(crop_ratio=1),
    ]
    for edit in edits:
        edited = edit_trace(model, trace, edit).trace
        expected = model.head(feature_map, edit.crop_ratio, edit.adjacency(model.graph))
        assert edited.boxes == expected.boxes and edited.crop_ratio == expected.crop_ratio
        for a, b in zip(edited.H, expected.H, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
        for settings in (EmbeddingSettings(), EmbeddingSettings("before", True)):
            a, b = edited.embedding(settings), expected.embedding(settings)
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
        changed = not torch.allclose(edited.f_token, trace.f_token, atol=1e-4)
        assert changed == (edit != GraphEdit())


@torch.no_grad()
def test_a_silenced_node_still_passes_on_its_neighbours():
    model = tiny.network()
    trace = model.trace(tiny.images())
    H0 = trace.H[0].clone()
    H0[:, 3] = 0
    edited = edit_trace(model, trace, GraphEdit(nodes_silenced=("mid",))).trace
    assert torch.equal(edited.H[0], H0) and edited.H[1][:, 3].any()
    torch.testing.assert_close(edited.f_token, model.graph(H0)[-1][:, 6])
    assert trace.H[0][:, 3].any(), "the trace that was given keeps its nodes"
    first, others = GraphEdit(nodes_silenced=("mid",)).propagation(model.graph)
    assert not first[:, 3].any() and torch.equal(others, normalised_adjacency(model.graph.A))


@torch.no_grad()
def test_an_edit_adds_to_the_one_before():
    model = tiny.network()
    trace = model.trace(tiny.images())
    once = edit_trace(model, trace, GraphEdit(nodes_off=("mid",), edges_off=(("dl", "dr"),))).trace
    twice = edit_trace(
        model, edit_trace(model, trace, GraphEdit(nodes_off=("mid",))).trace, GraphEdit(edges_off=(("dl", "dr"),))
    ).trace
    assert torch.equal(once.A, twice.A) and torch.equal(once.f_token, twice.f_token)


def test_an_edit_costs_the_graph_alone_and_leaves_the_model():
    model = tiny.network()
    calls = []
    for name in ("backbone", "attention", "attention_head"):
        getattr(model, name).register_forward_hook(lambda *_, name=name: calls.append(name))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    A = model.graph.A.clone()
    trace = model.trace(tiny.images())
    assert calls == ["backbone", "attention", "attention_head"]
    edited = edit_trace(model, trace, GraphEdit(("mid",), ("ul",), (("ur", "dr"),), 0.5)).trace
    assert len(calls) == 3 and not edited.f_token.requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(model.graph.A, A) and not model.training


def test_labels_have_a_sentence_per_caveat():
    model = tiny.network(attention="stn")

    def words(edit, sides):
        return [sentence.partition(":")[0] for sentence in edit_label(model, edit, sides, edit.crop_ratio).sentences]

    warped = "The regions lie in the image as warped by the network's spatial transformer."
    assert words(GraphEdit(), "query") == [warped]
    assert words(GraphEdit(crop_ratio=2 / 3), "query") == [warped]
    assert words(GraphEdit(nodes_off=("mid",)), "query") == ["Asymmetric", warped]
    assert words(GraphEdit(nodes_off=("mid",)), "both") == [warped]
    assert words(GraphEdit(crop_ratio=0.5), "both") == ["Test-time λ", warped]
    assert words(GraphEdit(crop_ratio=0.5), "query") == ["Asymmetric", "Test-time λ", warped]
    label = edit_label(tiny.network(), GraphEdit(crop_ratio=0.5), "both", 0.5)
    assert label.test_time_ratio and not label.asymmetric and not label.warped
    assert "0.5 with a network trained at 0.667" in label.sentences[0]


@torch.no_grad()
def test_a_trace_at_another_ratio_stays_labelled():
    model = tiny.network()
    trace = model.trace(tiny.images(1), crop_ratio=0.5)
    edited = edit_trace(model, trace, GraphEdit(nodes_off=("mid",)))
    assert edited.trace.crop_ratio == 0.5 and edited.label.test_time_ratio


@torch.no_grad()
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_the_gallery_is_ranked_for_the_edited_query_alone(distance):
    model = tiny.network()
    trace = model.trace(tiny.images(8))
    split, stored = split_of(trace)
    features = BranchFeatures.of(stored, split)
    edited = edit_trace(model, model.trace(tiny.images(8)[:1]), GraphEdit(nodes_off=("mid", "ul")))
    ranked = rank_edited_query(edited, features, 0, distance=distance)
    x = edited.trace.embedding()
    y = trace.embedding()[1:]
    expected = 1 - torch.cosine_similarity(x, y) if distance == "cosine" else torch.cdist(x, y)[0]
    order = ranked.ranking.order[0]
    np.testing.assert_allclose(ranked.ranking.distance[0], expected[order], atol=2e-4)
    assert ranked.label.asymmetric and len(order) == 7
    junk = ranked.ranking.junk[0]
    assert ranked.ranks[order[~junk]].tolist() == list(range(1, 1 + (~junk).sum()))
    assert junk.any() and not ranked.ranks[order[junk]].any()


@torch.no_grad()
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (GraphEdit(nodes_off=("roof",)), "no node roof; it has global, ul, ur, mid, dl, dr, token"),
        (GraphEdit(nodes_silenced=("roof",)), "no node roof"),
        (GraphEdit(edges_off=(("ul", "roof"),)), "no node roof"),
        (GraphEdit(edges_off=(("ul", "dr"),)), "no edge dr-ul"),
        (GraphEdit(edges_off=(("global", "mid"),)), "no edge global-mid"),
        (GraphEdit(nodes_off=("token",)), "the node token is the one that is read out"),
        (GraphEdit(crop_ratio=1.5), "crop ratio is 1.5"),
        (GraphEdit(crop_ratio=0.1), "leaves no cell of a 4x4"),
    ],
)
def test_impossible_edits(edit, message):
    model = tiny.network()
    with pytest.raises(SettingsError, match=message):
        edit_trace(model, model.trace(tiny.images(1)), edit)


@torch.no_grad()
def test_networks_without_a_graph_say_so():
    for changes, words in ((tiny.BASELINE, r"Baseline \(GB\) has no relation branch"), (dict(parts="pcb"), "PCB's")):
        model = tiny.network(**changes)
        with pytest.raises(SettingsError, match=words):
            edit_trace(model, model.trace(tiny.images(1)), GraphEdit(nodes_off=("mid",)))
    model = tiny.network()
    trace = model.trace(tiny.images(1))
    with pytest.raises(ValueError, match="eval mode"):
        edit_trace(model.train(), trace, GraphEdit())

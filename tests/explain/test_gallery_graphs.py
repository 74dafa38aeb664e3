"""Every image's f_token from its cached graph, against an edit of its trace; and the features of both sides."""

import numpy as np
import pytest
import torch

from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from ssrnet.errors import DataError, SettingsError
from ssrnet.explain import gallery_graphs
from ssrnet.explain.gallery_graphs import GalleryGraphs, cache_graphs, distinct_ratios, extract_graphs, seconds_an_image
from ssrnet.explain.graph import GraphEdit, edit_trace
from ssrnet.explain.shares import BranchFeatures
from ssrnet.model import EmbeddingSettings, FeatureMap
from ssrnet.model.regions import region_boxes
from ssrnet.retrieval.alignment import AlignmentSettings, camera_statistics
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, extract
from ssrnet.retrieval.ranking import rank
from tests import tiny

GRAPHS = [dict(), dict(global_node=False), dict(token_node=False)]
NAMES = [f"{i}.jpg" for i in range(5)]


def edits_of(graph) -> list[GraphEdit]:
    hub = graph.nodes[graph.readout]
    others = tuple(node for node in graph.nodes if node != hub)
    return [
        GraphEdit(),
        GraphEdit(nodes_off=("mid",)),
        GraphEdit(nodes_off=("ul", "ur", "dl", "dr"), edges_off=((hub, "mid"),)),
        GraphEdit(nodes_silenced=("mid", hub), edges_off=(("ul", "ur"),)),
        GraphEdit(nodes_off=others),  # the read-out has only itself
        GraphEdit(nodes_silenced=graph.nodes),
    ]


@torch.no_grad()
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("graph", GRAPHS, ids=["full", "without global", "without token"])
def test_every_images_token_is_that_of_its_edited_trace(graph, depth, monkeypatch):
    monkeypatch.setattr(gallery_graphs, "CHUNK", 2)
    model = tiny.network(gcn_depth=depth, **graph)
    feature_map = model.feature_map(tiny.images(5))
    batches = [FeatureMap(feature_map.F_G[:2]), FeatureMap(feature_map.F_G[2:])]
    graphs = cache_graphs(model, batches, NAMES)
    trace = model.head(feature_map)
    for edit in edits_of(model.graph):
        expected = edit_trace(model, trace, edit).trace.f_token
        # float16 keeps three digits of H(0) W(0)
        error = (graphs.tokens(edit) - expected).abs().max()
        assert error <= 3e-3 * expected.abs().max(), str(edit)
    for ratio in (0.25, 0.4, 2 / 3, 0.75, 0.99, 1):
        edit = GraphEdit(crop_ratio=ratio)
        expected = model.head(feature_map, ratio).f_token
        torch.testing.assert_close(graphs.tokens(edit), expected, rtol=1e-3, atol=1e-3)


def test_float32_is_exact_and_has_no_gradient():
    model = tiny.network()
    feature_map = FeatureMap(torch.rand(5, 512, 4, 4))
    graphs = cache_graphs(model, [feature_map], NAMES, torch.float32)
    edit = GraphEdit(nodes_off=("mid",), nodes_silenced=("ul",), edges_off=(("dl", "dr"),))
    tokens = graphs.tokens(edit)
    expected = edit_trace(model, model.head(feature_map), edit).trace.f_token
    torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-5)
    assert not (tokens.requires_grad or graphs.products.requires_grad or graphs.by_ratio.requires_grad)


@torch.no_grad()
def test_only_the_relation_branch_of_the_head_is_computed():
    model = tiny.network()
    calls = []
    for name in ("backbone", "attention", "attention_head"):
        getattr(model, name).register_forward_hook(lambda *_, name=name: calls.append(name))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    cache_graphs(model, [model.feature_map(tiny.images(5))], NAMES).tokens(GraphEdit(nodes_off=("mid",)))
    assert calls == ["backbone", "attention"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(("height", "width", "count"), [(16, 16, 16), (4, 4, 4), (2, 3, 3), (1, 1, 1)])
def test_ratios_give_every_set_of_boxes_once(height, width, count):
    ratios = distinct_ratios(height, width)
    boxes = [region_boxes(height, width, ratio) for ratio in ratios]
    assert len(ratios) == len(set(boxes)) == count and list(ratios) == sorted(ratios)
    fine = np.linspace(1 / min(height, width), 1, 997)
    assert {region_boxes(height, width, ratio) for ratio in fine} <= set(boxes)


@torch.no_grad()
def test_numbers_that_float16_cannot_hold_are_stored_as_float32():
    model = tiny.network()
    small, large = (FeatureMap(torch.rand(2, 512, 4, 4) * scale) for scale in (1, 1e6))
    graphs = cache_graphs(model, [small, large], NAMES[:4])
    assert graphs.products.dtype == graphs.by_ratio.dtype == torch.float32
    for half, rows in ((small, slice(0, 2)), (large, slice(2, 4))):
        expected = edit_trace(model, model.head(half), GraphEdit(nodes_off=("mid",))).trace.f_token
        tokens = graphs.tokens(GraphEdit(nodes_off=("mid",)))[rows]
        torch.testing.assert_close(tokens, expected, rtol=1e-2, atol=float(expected.max()) * 3e-3)


@torch.no_grad()
def test_lambda_and_switches_together_reach_no_gallery():
    model = tiny.network()
    graphs = cache_graphs(model, [model.feature_map(tiny.images(5))], NAMES)
    with pytest.raises(SettingsError, match="cached at λ = 0.667 alone, so without mid, λ = 1 at test time cannot"):
        graphs.tokens(GraphEdit(nodes_off=("mid",), crop_ratio=1))
    # 0.5 makes the boxes that 2/3 makes on a 4x4 map
    same = graphs.tokens(GraphEdit(nodes_off=("mid",), crop_ratio=0.5))
    assert torch.equal(same, graphs.tokens(GraphEdit(nodes_off=("mid",))))
    with pytest.raises(SettingsError, match="no cell of a 4x4"):
        graphs.tokens(GraphEdit(crop_ratio=0.1))
    with pytest.raises(SettingsError, match="no node roof"):
        graphs.tokens(GraphEdit(nodes_off=("roof",)))


@pytest.fixture(scope="module")
def opened(city):
    """A network, the toy city, its features and its graphs."""
    model, dataset = tiny.network(), open_dataset(city)
    images = dataset.test[::-1]
    seen = []

    def progress(batches, total):
        for batch in batches:
            seen.append(total)
            yield batch

    graphs = extract_graphs(model, images, 32, batch_size=5, progress=progress)
    assert seen == [3, 3, 3] and graphs.names == tuple(image.name for image in images)
    return model, dataset, graphs


@torch.no_grad()
@pytest.mark.parametrize(
    "settings", [EmbeddingSettings(), EmbeddingSettings("before", True), EmbeddingSettings(branches=("attn", "token"))]
)
@pytest.mark.parametrize("edit", [GraphEdit(), GraphEdit(nodes_off=("mid",)), GraphEdit(crop_ratio=1)])
def test_both_sides_features_are_those_of_an_edited_network(opened, edit, settings):
    model, dataset, graphs = opened
    stored = extract(model, dataset.test, ExtractSettings(embedding=settings), 32, torch.device("cpu"))
    split = Protocol("cross_camera").split(dataset)
    expected = []
    for image in dataset.test:
        feature_map = model.feature_map(_pixels(image))
        expected.append(model.head(feature_map, edit.crop_ratio, edit.adjacency(model.graph)).embedding(settings))
    wanted = FeatureSet(torch.cat(expected), stored.names, stored.branch_dims)
    everywhere = graphs.edit_all(stored, edit, settings)
    features, label = everywhere.features, everywhere.label
    assert features.names == stored.names and features.branch_dims == stored.branch_dims
    torch.testing.assert_close(features.features, wanted.features, rtol=1e-2, atol=2e-2)
    edited = graphs.edit(BranchFeatures.of(stored, split), edit, settings)
    again = BranchFeatures.of(features, split)
    for branch in stored.branch_dims:
        assert torch.equal(edited.features.query[branch], again.query[branch])
        assert torch.equal(edited.features.gallery[branch], again.gallery[branch])
        torch.testing.assert_close(edited.features.squared[branch], again.squared[branch])
    assert edited.label == label and label.sides == "both" and not label.asymmetric
    assert edited.label.test_time_ratio == (edit.crop_ratio == 1)
    whole = rank(features.rows(split.query), features.rows(split.gallery), split, top_k=len(split.gallery))
    for query in range(len(split.query)):
        ranking = edited.rank(query)
        assert ranking.label == edited.label
        listed = whole.order[query][whole.order[query] >= 0]
        assert ranking.ranking.order[0].tolist() == listed.tolist()


@torch.no_grad()
@pytest.mark.parametrize("edit", [GraphEdit(nodes_off=("mid",)), GraphEdit(crop_ratio=1)])
def test_an_edited_gallery_is_aligned_by_the_statistics_of_the_unedited_one(opened, edit):
    model, dataset, graphs = opened
    stored = extract(model, dataset.test, ExtractSettings(), 32, torch.device("cpu"))
    split = Protocol("cross_camera").split(dataset)
    statistics = camera_statistics(stored, split, AlignmentSettings(prior=1, min_images=1))
    assert len(statistics.cameras) > 1
    edited = graphs.edit(BranchFeatures.of(stored, split, statistics), edit)
    features = graphs.edit_all(stored, edit).features
    by_hand = []
    for images in (split.query, split.gallery):
        rows = [statistics.cameras.index(image.camera_id) for image in images]
        by_hand.append((features.rows(images) - statistics.mean[rows]) / statistics.deviation[rows])
    expected = rank(*by_hand, split, top_k=len(split.gallery))
    for query in range(len(split.query)):
        ranking = edited.rank(query).ranking
        listed = expected.order[query][expected.order[query] >= 0]
        assert ranking.order[0].tolist() == listed.tolist()
        np.testing.assert_allclose(ranking.distance[0], expected.distance[query][: len(listed)], atol=1e-5)


def _pixels(image):
    from ssrnet.data.images import read_image
    from ssrnet.data.transforms import test_transform

    return test_transform(32)(read_image(image.path))[None]


def test_graphs_on_disk_are_those_in_memory(opened, tmp_path):
    model, _, graphs = opened
    path = tmp_path / "graphs.safetensors"
    graphs.save(path, {"checkpoint_hash": "0123"})
    loaded, record = GalleryGraphs.load(path, model)
    assert record == {"checkpoint_hash": "0123"}
    assert (loaded.names, loaded.ratios, loaded.size) == (graphs.names, graphs.ratios, graphs.size)
    assert torch.equal(loaded.products, graphs.products) and torch.equal(loaded.by_ratio, graphs.by_ratio)
    with pytest.raises(DataError, match="graphs of another network"):
        GalleryGraphs.load(path, tiny.network(global_node=False))
    (tmp_path / "other").write_bytes(b"no graphs")
    with pytest.raises(DataError, match="holds no graphs of ssrnet"):
        GalleryGraphs.load(tmp_path / "other", model)


def test_some_ratios_alone_are_stored_and_know_no_switch(opened, tmp_path):
    model, _, graphs = opened
    graphs.at_ratios((1 / 2, 1)).save(tmp_path / "some.graphs", {})
    some, _ = GalleryGraphs.load(tmp_path / "some.graphs", model)
    assert some.ratios == (0.5, 1) and some.names == graphs.names and (tmp_path / "some.graphs").stat().st_size < 40_000
    for ratio in some.ratios:
        assert torch.equal(some.tokens(GraphEdit(crop_ratio=ratio)), graphs.tokens(GraphEdit(crop_ratio=ratio)))
    with pytest.raises(SettingsError, match="hold f_token by λ alone, so without mid cannot reach"):
        some.tokens(GraphEdit(nodes_off=("mid",)))


def test_the_rate_is_a_time():
    assert 0 < seconds_an_image(tiny.network(), 32, batch_size=2) < 10


def test_images_and_branches_that_are_not_there(opened):
    model, dataset, graphs = opened
    features = FeatureSet(torch.rand(1, 512), ("stranger.jpg",), {"token": 512})
    with pytest.raises(DataError, match="1 images have no graph here, for example stranger.jpg"):
        graphs.edit_all(features, GraphEdit())
    with pytest.raises(SettingsError, match="the features have no branch token"):
        graphs.edit_all(FeatureSet(torch.rand(1, 512), ("stranger.jpg",), {"G": 512}), GraphEdit())
    with pytest.raises(DataError, match="the gallery has no image"):
        cache_graphs(model, [], [])


@pytest.mark.parametrize(("changes", "words"), [(tiny.BASELINE, "no relation branch"), (dict(parts="pcb"), "PCB's")])
def test_networks_without_a_graph_say_so_before_any_image_is_read(changes, words, city):
    with pytest.raises(SettingsError, match=words):
        extract_graphs(tiny.network(**changes), open_dataset(city).test, 32, progress=lambda *_: pytest.fail("read"))


def test_lists_that_were_cached_one_after_another_are_as_one():
    model = tiny.network()
    feature_map = FeatureMap(torch.rand(5, 512, 4, 4, generator=torch.Generator().manual_seed(0)))
    whole = cache_graphs(model, [feature_map], NAMES)
    parts = [cache_graphs(model, [FeatureMap(feature_map.F_G[rows])], NAMES[rows]) for rows in (slice(2), slice(2, 5))]
    together = gallery_graphs.joined(parts)
    assert together.names == whole.names and together.ratios == whole.ratios and together.size == whole.size
    torch.testing.assert_close(together.products, whole.products, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(together.by_ratio, whole.by_ratio, rtol=1e-3, atol=1e-3)

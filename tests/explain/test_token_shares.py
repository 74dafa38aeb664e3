"""Shares within f_token: by hand, as exact sums for every variant, and ablation against the network itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ssrnet.errors import SettingsError
from ssrnet.explain.shares import branch_products
from ssrnet.explain.token_shares import ablate_nodes, token_shares, token_terms
from ssrnet.model import EmbeddingSettings
from ssrnet.retrieval.alignment import Standardisation
from tests import tiny

GRAPHS = [dict(), dict(global_node=False), dict(token_node=False)]
EMBEDDINGS = [
    EmbeddingSettings(neck, normalise, branches)
    for neck in ("after", "before")
    for normalise in (False, True)
    for branches in ((), ("G", "token"))
]
BEFORE_TOKEN = EmbeddingSettings("before", branches=("token",))


@torch.no_grad()
def with_nodes(model, trace, **rows):
    """``trace`` with H(0) zero but for some nodes, whose first channels are given."""
    H0 = torch.zeros_like(trace.H[0])
    for node, channels in rows.items():
        H0[:, trace.nodes.index(node), : len(channels)] = torch.tensor(channels)
    H = tuple(model.graph(H0))
    token = H[-1][:, model.graph.readout]
    after = {**trace.after, "token": model.necks["token"](token)}
    return replace(trace, H=H, before={**trace.before, "token": token}, after=after)


@pytest.fixture(scope="module")
def identity():
    """A graph of depth 1 with W = I: f_token is the ReLU of the mean of the seven rows of H(0)."""
    model = tiny.network(gcn_depth=1)
    with torch.no_grad():
        model.graph.weights[0].weight.copy_(torch.eye(512))
        return model, model.trace(tiny.images(1))


def test_shares_by_hand(identity):
    """Tokens (1, 1, 0) and (2, 0, 0): in the query's third unit mid outweighs ul, so neither has a share there."""
    model, trace = identity
    query = with_nodes(model, trace, ul=[7.0, 0.0, 7.0], mid=[0.0, 7.0, -14.0])
    image = with_nodes(model, trace, ul=[7.0, 0.0, 0.0], dr=[7.0, 0.0, 0.0])
    assert query.f_token[0, :3].tolist() == [1, 1, 0] and image.f_token[0, :3].tolist() == [2, 0, 0]
    shares = token_shares(model, query, image, BEFORE_TOKEN)
    assert shares.terms == ("global", "ul", "ur", "mid", "dl", "dr", "token", "neck")
    half = 1 / 8**0.5  # 1 * 1 / (sqrt(2) * 2)
    assert shares.query[0].tolist() == pytest.approx([0, 2 * half, 0, 0, 0, 0, 0, 0])
    assert shares.gallery[0].tolist() == pytest.approx([0, half, 0, 0, 0, half, 0, 0])
    assert shares.pair[0, 1, 5].item() == pytest.approx(half) and shares.total.item() == pytest.approx(2 * half)


@torch.no_grad()
def test_the_necks_term_by_hand(identity):
    """gamma 2, variance 4, mean 3, shift 5: y = f + 2 on every unit, so the neck's term is 2 everywhere."""
    model, trace = identity
    neck = model.necks["token"]
    trained = {name: value.clone() for name, value in neck.state_dict().items()}
    neck.weight.fill_(2)
    neck.bias.fill_(5)
    neck.running_mean.fill_(3)
    neck.running_var.fill_(4 - neck.eps)
    terms = token_terms(model, with_nodes(model, trace, ul=[7.0, 7.0]))[0]
    neck.load_state_dict(trained)
    torch.testing.assert_close(terms[-1], torch.full((512,), 2.0))
    torch.testing.assert_close(terms[1, :3], torch.tensor([1.0, 1.0, 0.0]))


@torch.no_grad()
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("graph", GRAPHS, ids=["full", "without global", "without token"])
def test_shares_sum_to_the_token_branchs_for_every_embedding(graph, depth):
    model = tiny.network(gcn_depth=depth, **graph)
    traces = model.trace(tiny.images(1)), model.trace(tiny.images(3, seed=1))
    for settings in EMBEDDINGS:
        shares = token_shares(model, *traces, settings)
        x, y = (trace.embedding(settings) for trace in traces)
        dims = dict.fromkeys(settings.branches or model.branches, 512)
        whole = branch_products(x[0], y, dims).shares()[list(dims).index("token")]
        torch.testing.assert_close(shares.total, whole, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(shares.query.sum(1), whole, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(shares.gallery.sum(1), whole, atol=1e-6, rtol=1e-5)
        assert shares.pair.shape == (3, len(traces[0].nodes) + 1, len(traces[0].nodes) + 1)
        if settings.neck == "before":
            assert not shares.pair[:, -1].any() and not shares.pair[:, :, -1].any()


def of_a_camera(dim: int, images: int = 1, seed: int = 0) -> Standardisation:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(images, dim, generator=generator)
    return Standardisation(mean, 0.5 + torch.rand(images, dim, generator=generator))


@torch.no_grad()
@pytest.mark.parametrize("settings", EMBEDDINGS, ids=str)
def test_shares_sum_to_the_token_branchs_of_aligned_embeddings(settings):
    model = tiny.network()
    traces = model.trace(tiny.images(1)), model.trace(tiny.images(3, seed=1))
    dims = dict.fromkeys(settings.branches or model.branches, 512)
    dim = sum(dims.values())
    aligned = of_a_camera(dim), of_a_camera(dim, images=3, seed=1)
    shares = token_shares(model, *traces, settings, aligned)
    x, y = ((trace.embedding(settings) - each.mean) / each.deviation for trace, each in zip(traces, aligned))
    whole = branch_products(x[0], y, dims).shares()[list(dims).index("token")]
    torch.testing.assert_close(shares.total, whole, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_falls_are_of_the_aligned_cosine():
    model = tiny.network()
    maps = model.feature_map(tiny.images(1)), model.feature_map(tiny.images(2, seed=1))
    query, gallery = (model.head(m) for m in maps)
    aligned = of_a_camera(1536), of_a_camera(1536, images=2, seed=1)
    ablation = ablate_nodes(model, query, gallery, standardisations=aligned)

    def cosine(trace):
        x, y = ((t.embedding() - each.mean) / each.deviation for t, each in zip((trace, gallery), aligned))
        return torch.cosine_similarity(x, y)

    A = model.graph.A.clone()
    A[1] = A[:, 1] = 0
    torch.testing.assert_close(ablation.cosine, cosine(query))
    torch.testing.assert_close(ablation.effect[:, 1], cosine(query) - cosine(model.head(maps[0], A=A)))


@torch.no_grad()
def test_terms_against_a_loop_over_the_equation():
    model = tiny.network()
    trace = model.trace(tiny.images(1))
    terms = token_terms(model, trace, EmbeddingSettings("before"))[0].numpy()
    W, H1 = model.graph.weights[1].weight.numpy().T, trace.H[1][0].numpy()
    rows = np.stack([H1[j] @ W / 7 for j in range(7)])
    np.testing.assert_allclose(terms[:7], np.where(rows.sum(0) > 0, rows, 0), atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("sides", ["query", "both"])
def test_removal_is_the_network_with_a_cut_adjacency(sides):
    model = tiny.network()
    maps = model.feature_map(tiny.images(1)), model.feature_map(tiny.images(2, seed=1))
    query, gallery = (model.head(m) for m in maps)
    ablation = ablate_nodes(model, query, gallery, sides=sides)
    whole = torch.cosine_similarity(query.embedding(), gallery.embedding())
    torch.testing.assert_close(ablation.cosine, whole)
    for column in range(6):
        A = model.graph.A.clone()
        A[column] = A[:, column] = 0
        other = model.head(maps[1], A=A) if sides == "both" else gallery
        cut = torch.cosine_similarity(model.head(maps[0], A=A).embedding(), other.embedding())
        torch.testing.assert_close(ablation.effect[:, column], whole - cut, atol=1e-6, rtol=1e-4)
    assert ablation.effect[:, 6].isnan().all(), "the token is read out and cannot be removed"
    assert (ablation.off, ablation.sides, ablation.asymmetric) == ("removed", sides, sides == "query")


def test_silencing_by_hand(identity):
    """Tokens (1, 1) and (2, 0): without mid the query is (1, 0), and the cosine rises from 1/sqrt(2) to 1."""
    model, trace = identity
    query = with_nodes(model, trace, ul=[7.0, 0.0], mid=[0.0, 7.0])
    image = with_nodes(model, trace, dr=[14.0, 0.0])
    ablation = ablate_nodes(model, query, image, BEFORE_TOKEN, off="silenced")
    half = 0.5**0.5
    assert ablation.cosine.item() == pytest.approx(half)
    # ul carries the first unit, mid the second; without ul nothing is in common; the other nodes are zero anyway
    assert ablation.effect[0].tolist() == pytest.approx([0, half, 0, half - 1, 0, 0, 0], abs=1e-6)


@pytest.mark.parametrize("function", [token_shares, ablate_nodes])
@torch.no_grad()
def test_what_has_no_shares_says_so(function):
    x = tiny.images(1)
    for changes, words in ((tiny.BASELINE, "has no relation branch"), (dict(parts="pcb"), "PCB's stripes")):
        model = tiny.network(**changes)
        with pytest.raises(SettingsError, match=words):
            function(model, model.trace(x), model.trace(x))
    model = tiny.network(attention="stn")
    trace = model.trace(x)
    with pytest.raises(SettingsError, match="the embedding has only G, so the graph has no share"):
        function(model, trace, trace, EmbeddingSettings(branches=("G",)))
    function(model, trace, trace)  # a spatial transformer's network has a graph like any other
    with pytest.raises(ValueError, match="eval mode"):
        function(model.train(), trace, trace)

import numpy as np
import pytest
import torch

from ssrnet.errors import ResourceError, SettingsError
from ssrnet.retrieval import reranking
from ssrnet.retrieval.reranking import ReRankSettings, k_reciprocal_distances
from tests import naive


def clustered(queries: int = 8, gallery: int = 24, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(6, 5))
    return centres[np.arange(queries + gallery) % 6] + generator.normal(0, 0.5, (queries + gallery, 5))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("k1", "k2", "weight"), [(20, 6, 0.3), (6, 3, 0.3), (5, 1, 0.5), (7, 2, 0.0), (4, 4, 1.0)])
def test_against_sets(k1, k2, weight, seed):
    x = clustered(seed=seed)
    got = k_reciprocal_distances(torch.tensor(x[:8]), torch.tensor(x[8:]), ReRankSettings(k1, k2, weight))
    assert got.shape == (8, 24)
    assert np.allclose(got, naive.k_reciprocal(x, 8, k1, k2, weight), atol=1e-5)


def test_every_query_is_reported():
    x, calls = torch.tensor(clustered()), []
    k_reciprocal_distances(x[:8], x[8:], progress_callback=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 8) for done in range(1, 9)]


def test_the_weight_1_leaves_the_order_as_it_was():
    x = torch.tensor(clustered())
    got = k_reciprocal_distances(x[:8], x[8:], ReRankSettings(weight=1))
    plain = -torch.nn.functional.normalize(x[:8]) @ torch.nn.functional.normalize(x[8:]).T
    assert torch.equal(got.argsort(1), plain.argsort(1))


def test_k_larger_than_what_there_is_means_all():
    x = clustered(2, 4)
    got = k_reciprocal_distances(torch.tensor(x[:2]), torch.tensor(x[2:]))
    assert np.allclose(got, naive.k_reciprocal(x, 2, 5, 6, 0.3), atol=1e-5)


@pytest.mark.parametrize("k2", [1, 6])
def test_more_copies_than_neighbours_stay_numbers(k2):
    x = torch.ones(60, 4)
    x[40:] = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    got = k_reciprocal_distances(x[:10], x[10:], ReRankSettings(k2=k2))
    assert torch.isfinite(got).all() and got.min() >= 0 and got.max() <= 1 + 1e-6


def test_what_does_not_fit_is_refused_with_the_memory_named():
    query, gallery = torch.zeros(1_678, 1), torch.zeros(11_579, 1)
    with pytest.raises(ResourceError) as caught:
        k_reciprocal_distances(query, gallery, memory=2 * 2**30)
    assert str(caught.value) == (
        "re-ranking 1,678 queries with 11,579 gallery images needs 4.6 GiB and 2.0 GiB are free; "
        "evaluate without re-ranking or on a smaller test set."
    )


def test_the_limit_is_what_is_free(monkeypatch):
    x = torch.tensor(clustered())
    needed = 7 * 32 * 32 * 4
    monkeypatch.setattr(reranking, "available_memory", lambda device: needed - 1)
    with pytest.raises(ResourceError):
        k_reciprocal_distances(x[:8], x[8:])
    monkeypatch.setattr(reranking, "available_memory", lambda device: needed)
    k_reciprocal_distances(x[:8], x[8:])


@pytest.mark.parametrize("values", [(0, 1, 0.3), (20, 21, 0.3), (20, 0, 0.3), (20, 6, 1.1), (20, 6, -0.1)])
def test_settings_that_cannot_work(values):
    with pytest.raises(SettingsError, match="1 <= k2 <= k1 and a weight in"):
        ReRankSettings(*values)

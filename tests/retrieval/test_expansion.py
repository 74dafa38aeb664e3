import math
from dataclasses import asdict

import pytest
import torch

from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from ssrnet.errors import SettingsError
from ssrnet.retrieval import expansion
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.expansion import ExpansionSettings, expand_queries
from ssrnet.retrieval.extraction import FeatureSet

QUERY = torch.tensor([[2.0, 0.0]])
GALLERY = torch.tensor([[0.6, 0.8], [0.0, 5.0], [-3.0, 0.0], [1.6, 1.2]])
"""Cosines 0.6, 0, -1 and 0.8 with the query."""


def unit(x: float, y: float) -> list[float]:
    length = math.hypot(x, y)
    return [x / length, y / length]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (ExpansionSettings(1), unit(1 + 0.8, 0.6)),
        (ExpansionSettings(2), unit(1 + 0.8 + 0.6, 0.6 + 0.8)),
        (ExpansionSettings(9), unit(1 + 0.8 + 0.6 + 0 - 1, 0.6 + 0.8 + 1)),
        (ExpansionSettings(2, alpha=3), unit(1 + 0.512 * 0.8 + 0.216 * 0.6, 0.512 * 0.6 + 0.216 * 0.8)),
        # cosines of 0 and below weigh nothing once they are taken to a power
        (ExpansionSettings(4, alpha=1), unit(1 + 0.8 * 0.8 + 0.6 * 0.6, 0.8 * 0.6 + 0.6 * 0.8)),
    ],
)
def test_by_hand(settings, expected):
    assert expand_queries(QUERY, GALLERY, settings).tolist() == [pytest.approx(expected, abs=1e-6)]


def test_block_by_block_is_the_same(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    query, gallery = torch.randn(7, 4, generator=generator), torch.randn(9, 4, generator=generator)
    whole = expand_queries(query, gallery)
    monkeypatch.setattr(expansion, "BLOCK_ELEMENTS", 20)
    assert torch.allclose(expand_queries(query, gallery), whole, atol=1e-6)
    assert expand_queries(query[:0], gallery).shape == (0, 4)


@pytest.mark.parametrize("values", [(0, 0.0), (5, -1.0)])
def test_settings_that_cannot_work(values):
    with pytest.raises(SettingsError, match="at least 1 neighbour and an alpha of at least 0"):
        ExpansionSettings(*values)


def test_an_evaluation_expands_and_names_it(city):
    dataset = open_dataset(city)
    generator = torch.Generator().manual_seed(1)
    features = FeatureSet(
        torch.randn(len(dataset.test), 8, generator=generator), tuple(i.name for i in dataset.test), {"G": 8}
    )
    settings = ExpansionSettings(3)

    def score(features, **options):
        return evaluate(features, dataset, Protocol("single_gallery_shot"), made_by={}, top_k=4, **options)

    plain, expanded = score(features), score(features, expansion=settings)
    split = plain.split
    rows = {image.name: i for i, image in enumerate(dataset.test)}
    by_hand = features.features.clone()
    queries = [rows[image.name] for image in split.query]
    by_hand[queries] = expand_queries(features.rows(split.query), features.rows(split.gallery), settings)
    again = score(FeatureSet(by_hand, features.names, features.branch_dims))
    assert (expanded.ranking.order == again.ranking.order).all()
    assert not (expanded.ranking.distance == plain.ranking.distance).all()
    assert plain.record.query_expansion == "none"
    assert expanded.record.query_expansion == "average, 3 neighbours"
    assert asdict(expanded.record) | {"query_expansion": "none"} == asdict(plain.record)


def test_query_expansion_starts_from_cosines(city):
    dataset = open_dataset(city)
    features = FeatureSet(torch.eye(len(dataset.test)), tuple(i.name for i in dataset.test), {"G": len(dataset.test)})
    with pytest.raises(SettingsError, match="cosine"):
        evaluate(
            features, dataset, Protocol("cross_camera"), made_by={}, distance="euclidean", expansion=ExpansionSettings()
        )

"""Branch shares against sums worked by hand, and ranks with some branches against the definitions."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError, SettingsError
from ssrnet.explain.shares import BranchFeatures, branch_products, image_ranks
from ssrnet.model import EmbeddingSettings
from ssrnet.retrieval.alignment import AlignmentSettings, CameraStatistics, cameras_of
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.ranking import rank, rank_by_cosine
from tests import naive, tiny

DIMS = {"G": 2, "attn": 1, "token": 1}
SUBSETS = [subset for size in (1, 2, 3) for subset in combinations(DIMS, size)]


def split_of(queries: int, gallery: int, seed: int = 0, junk: bool = True) -> Split:
    generator = np.random.default_rng(seed)
    images = [
        VehicleImage(Path("/nowhere"), f"{i}.jpg", f"v{generator.integers(5)}", f"c{generator.integers(3)}")
        for i in range(queries + gallery)
    ]
    return Split(tuple(images[:queries]), tuple(images[queries:]), same_camera_is_junk=junk)


def features_of(split: Split, columns, dims=DIMS) -> FeatureSet:
    names = tuple(image.name for image in (*split.query, *split.gallery))
    return FeatureSet(torch.as_tensor(columns, dtype=torch.float32), names, dims)


def test_shares_by_hand():
    """Lengths 6 and 3: (1*2 + 3*2) / 18 from G, 5*0 / 18 from attn, 1*1 / 18 from token."""
    query, image = torch.tensor([1.0, 3, 5, 1]), torch.tensor([[2.0, 2, 0, 1]])
    products = branch_products(query, image, DIMS)
    assert products.shares()[:, 0].tolist() == pytest.approx([8 / 18, 0, 1 / 18])
    # Without attn the query is (1, 3, 1), of length sqrt(11).
    assert products.shares(["token", "G"])[:, 0].tolist() == pytest.approx([8 / 11**0.5 / 3, 1 / 11**0.5 / 3])


@torch.no_grad()
@pytest.mark.parametrize("branches", [(), ("attn", "token"), ("token",)])
@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("neck", ["after", "before"])
def test_shares_sum_to_the_cosine_for_every_embedding(neck, normalise, branches):
    model, settings = tiny.network(), EmbeddingSettings(neck, normalise, branches)
    trace = model.trace(tiny.images(4))
    x = trace.embedding(settings).double()
    names = branches or model.branches
    shares = branch_products(x[0], x, dict.fromkeys(names, 512)).shares()
    assert shares.sum(0).tolist() == pytest.approx(torch.cosine_similarity(x[:1], x).tolist(), abs=1e-6)
    for row, branch in enumerate(names):
        part = (trace.after if neck == "after" else trace.before)[branch].double()
        if normalise:
            part = part / part.norm(dim=1, keepdim=True)
        expected = [float((part[0] * part[i]).sum() / (x[0].norm() * x[i].norm())) for i in range(4)]
        assert shares[row].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_zero_vector_has_no_share():
    assert not branch_products(torch.zeros(4), torch.ones(2, 4), DIMS).shares().any()
    assert not branch_products(torch.ones(4), torch.zeros(2, 4), DIMS).shares().any()


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("branches", [(), *SUBSETS])
def test_ranks_with_some_branches_are_those_of_a_ranking(branches, distance):
    """Whole numbers, so that many distances tie exactly, and junk; every row of the order must agree."""
    split = split_of(6, 40)
    features = features_of(split, np.random.default_rng(1).integers(-1, 2, (46, 4)))
    chosen = features.only(branches)
    whole = rank(chosen.rows(split.query), chosen.rows(split.gallery), split, distance, top_k=40)
    by_branch = BranchFeatures.of(features, split)
    for query in range(6):
        ranking = by_branch.rank(query, branches, distance)
        expected = whole.take([query])
        for name in ("order", "match", "junk"):
            np.testing.assert_array_equal(getattr(ranking, name), getattr(expected, name))
        np.testing.assert_allclose(ranking.distance, expected.distance, atol=1e-6)
        assert ranking.first_hit == expected.first_hit


@pytest.mark.parametrize("junk", [True, False])
def test_the_rank_of_every_image_against_the_definition(junk):
    split = split_of(5, 30, junk=junk)
    features = features_of(split, np.random.default_rng(2).integers(-1, 2, (35, 4)))
    by_branch = BranchFeatures.of(features, split)
    for query, query_image in enumerate(split.query):
        distance = by_branch.products(query).distance("euclidean", ("G", "token")).numpy()
        match = np.array([image.vehicle_id == query_image.vehicle_id for image in split.gallery])
        is_junk = junk & match & np.array([image.camera_id == query_image.camera_id for image in split.gallery])
        ranks, counted = np.zeros(30, int), 0
        for g in naive.ranked(distance, match & ~is_junk):
            counted += not is_junk[g]
            ranks[g] = 0 if is_junk[g] else counted
        computed = image_ranks(by_branch.rank(query, ("G", "token"), "euclidean"))
        np.testing.assert_array_equal(computed, ranks)


def test_a_branch_that_alone_knows_the_match_pulls_it_up():
    """G prefers the wrong images 1, 2, 3 to image 0; only the token matches image 0 to the query's vehicle."""
    vehicles = ["a", "a", "b", "b", "b", "a"]  # query, then the gallery; the last image is junk
    cameras = ["1", "2", "2", "2", "2", "1"]
    images = [VehicleImage(Path("/"), str(i), v, c) for i, (v, c) in enumerate(zip(vehicles, cameras, strict=True))]
    split = Split((images[0],), tuple(images[1:]), same_camera_is_junk=True)
    columns = [[4, 0, 0, 9], [0, 4, 0, 9], [4, 1, 0, 0], [4, 2, 0, 0], [4, 3, 0, 0], [4, 0, 0, 9]]
    ranks = BranchFeatures.of(features_of(split, columns), split).branch_ranks(0)
    assert ranks.whole.tolist() == [1, 2, 3, 4, 0]
    assert ranks.without["token"].tolist() == [4, 1, 2, 3, 0]
    assert ranks.pulled_up("token").tolist() == [3, -1, -1, -1, 0]
    assert ranks.pulled_up("attn").tolist() == [0] * 5, "a column of zeros moves nothing"


def test_a_model_of_one_branch_has_nothing_to_leave_out():
    split = split_of(1, 6)
    ranks = BranchFeatures.of(features_of(split, np.eye(7), {"G": 7}), split).branch_ranks(0)
    assert ranks.without == {} and ranks.whole.max() <= 6


def test_another_embedding_can_replace_the_querys():
    split = split_of(2, 20, junk=False)
    by_branch = BranchFeatures.of(features_of(split, np.random.default_rng(3).normal(size=(22, 4))), split)
    stranger = by_branch.rank(0, embedding=by_branch.embedding(1))
    np.testing.assert_array_equal(stranger.order, by_branch.rank(1).order)


def test_a_picture_from_elsewhere_is_ranked_by_its_cosines_and_aligned_by_the_whole_set():
    split = split_of(2, 6)
    features = features_of(split, torch.randn(8, 4, generator=torch.Generator().manual_seed(1)))
    upload = torch.tensor([0.3, -1.0, 2.0, 0.5])
    gallery = features.rows(split.gallery)
    statistics = CameraStatistics.of(
        features.features, cameras_of((*split.query, *split.gallery)), AlignmentSettings(1, 1)
    )
    aligned = statistics.align(upload[None], [None]), statistics.align(gallery, cameras_of(split.gallery))
    for stats, (query, images) in ((None, (upload[None], gallery)), (statistics, aligned)):
        products = BranchFeatures.of(features, split, stats).products(None, upload)
        expected = rank_by_cosine(query[0], images, 4)
        found = products.nearest(4)
        assert [each[:2] for each in found] == [each[:2] for each in expected]
        assert [each.cosine for each in found] == pytest.approx([each.cosine for each in expected], abs=1e-5)
        assert products.shares().sum(0)[found[0].index].item() == pytest.approx(found[0].cosine)


def test_no_image_is_junk_or_a_match_for_a_picture_from_elsewhere():
    split = split_of(2, 12)
    by_branch = BranchFeatures.of(features_of(split, np.random.default_rng(3).normal(size=(14, 4))), split)
    embedding = by_branch.embedding(1)
    found, known = by_branch.rank(None, embedding=embedding), by_branch.rank(1)
    assert known.junk.any() and not found.junk.any() and not found.match.any() and not found.is_labelled
    np.testing.assert_array_equal(found.order, known.order)
    ranks = by_branch.branch_ranks(None, embedding=embedding)
    assert ranks.whole[found.order[0]].tolist() == list(range(1, 13)) and list(ranks.without) == ["G", "attn", "token"]


def test_features_that_cannot_be_ranked():
    split = split_of(2, 8)
    features = features_of(split, np.ones((10, 4)))
    with pytest.raises(SettingsError, match="the features have no branch part1; they have G, attn, token"):
        BranchFeatures.of(features, split).rank(0, ("part1",))
    features.features[5, 3] = torch.nan
    with pytest.raises(DataError, match="the gallery features hold NaN"):
        BranchFeatures.of(features, split)
    with pytest.raises(DataError, match="no features for"):
        BranchFeatures.of(features_of(split_of(1, 2), np.ones((3, 4))), split)

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError, SettingsError
from ssrnet.retrieval import ranking
from ssrnet.retrieval.ranking import rank, rank_blocks
from tests import naive


def image(prefix: str, number: int, vehicle: int, camera: int) -> VehicleImage:
    name = f"{prefix}{number}.jpg"
    return VehicleImage(Path("/nowhere") / name, name, f"v{vehicle}", f"c{camera}")


def random_split(seed: int, queries: int = 30, gallery: int = 50, vehicles: int = 8, junk: bool = True) -> Split:
    """Queries 0 and 1 are of vehicles that are not in the gallery; query 2's are all of its own camera, so junk."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, vehicles, queries + gallery)
    camera = generator.integers(0, 3, queries + gallery)
    label[:3], camera[2] = (100, 101, 102), 1
    label[queries], camera[queries] = 102, 1
    return Split(
        tuple(image("q", i, label[i], camera[i]) for i in range(queries)),
        tuple(image("g", i, label[i], camera[i]) for i in range(queries, queries + gallery)),
        same_camera_is_junk=junk,
    )


def masks(split: Split):
    """match and junk, each (Q, G)."""
    same = np.array([[q.vehicle_id == g.vehicle_id for g in split.gallery] for q in split.query])
    camera = np.array([[q.camera_id == g.camera_id for g in split.gallery] for q in split.query])
    junk = same & camera & split.same_camera_is_junk
    return same & ~junk, junk


def expect(result, distance: np.ndarray, split: Split, top_k: int) -> None:
    """``result`` is what a loop over the queries finds."""
    match, junk = masks(split)
    for q, row in enumerate(distance):
        ap, inp, first = naive.score(row, match[q], junk[q])
        assert result.first_hit[q] == first
        assert result.average_precision[q] == pytest.approx(ap, abs=1e-6, nan_ok=True)
        assert result.inp[q] == pytest.approx(inp, abs=1e-6, nan_ok=True)
        found = [g for g in naive.ranked(row, match[q]) if match[q][g]]
        hit = result.first(q)
        assert (hit is None) == (not found)
        assert hit is None or (hit.index, hit.rank, hit.match) == (found[0], first, True)
        assert hit is None or hit.distance == pytest.approx(row[found[0]], abs=1e-5)
        shown = naive.listed(row, match[q], junk[q], top_k)
        assert [hit.index for hit in result.hits(q)] == shown
        assert [hit.match for hit in result.hits(q)] == [match[q, g] for g in shown]
        assert [hit.rank is None for hit in result.hits(q)] == [junk[q, g] for g in shown]
        assert [hit.rank for hit in result.hits(q) if hit.rank] == list(range(1, top_k + 1))
        assert [hit.distance for hit in result.hits(q)] == pytest.approx([row[g] for g in shown], abs=1e-5)
    scores = [naive.score(*row) for row in zip(distance, match, junk)]
    valid = [s for s in scores if s.first_hit]
    assert result.metrics.mAP == pytest.approx(np.mean([s.average_precision for s in valid]), abs=1e-6)
    assert result.metrics.mINP == pytest.approx(np.mean([s.inp for s in valid]), abs=1e-6)
    assert result.metrics.excluded == len(scores) - len(valid)
    for k in (1, 5, 10, 50):
        assert result.metrics.rank(k) == pytest.approx(np.mean([s.first_hit <= k for s in valid]), abs=1e-6)


@pytest.mark.parametrize("elements", [16_000_000, 120, 1])
@pytest.mark.parametrize("junk", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_euclidean_against_a_loop_with_ties_junk_and_absent_matches(seed, junk, elements, monkeypatch):
    monkeypatch.setattr(ranking, "BLOCK_ELEMENTS", elements)
    split = random_split(seed, junk=junk)
    generator = np.random.default_rng(seed)
    # Small whole numbers: every distance is exact, and many are equal.
    query, gallery = generator.integers(0, 3, (30, 3)), generator.integers(0, 3, (50, 3))
    distance = np.sqrt(((query[:, None] - gallery[None]) ** 2).sum(2))
    assert len(np.unique(distance)) < 15
    result = rank(torch.tensor(query), torch.tensor(gallery), split, "euclidean", top_k=10)
    expect(result, distance, split, 10)
    assert result.metrics.excluded >= (3 if junk else 2)


@pytest.mark.parametrize("elements", [16_000_000, 120])
@pytest.mark.parametrize("seed", range(3))
def test_cosine_against_a_loop_with_ties(seed, elements, monkeypatch):
    monkeypatch.setattr(ranking, "BLOCK_ELEMENTS", elements)
    split = random_split(seed)
    generator = np.random.default_rng(seed)
    # Four entries of +-1 or +-2 in eight: norms 2 and 4, so every cosine is exact.
    signs = [generator.permutation([*generator.choice([-1, 1], 4), 0, 0, 0, 0]) for _ in range(80)]
    x = np.array(signs) * generator.choice([1, 2], (80, 1))
    norm = np.linalg.norm(x, axis=1)
    distance = 1 - x[:30] @ x[30:].T / np.outer(norm[:30], norm[30:])
    result = rank(torch.tensor(x[:30]), torch.tensor(x[30:]), split, "cosine", top_k=7)
    expect(result, distance, split, 7)


@pytest.mark.parametrize("top_k", [1, 3, 50])
@pytest.mark.parametrize("values", [1, 2, 5])
def test_ties_across_the_end_of_the_list(values, top_k):
    split = random_split(7)
    distance = np.random.default_rng(values).integers(0, values, (30, 50)).astype(np.float32)
    result = rank_blocks(torch.from_numpy(distance).__getitem__, split, top_k)
    match, junk = masks(split)
    for q, row in enumerate(distance):
        assert [hit.index for hit in result.hits(q)] == naive.listed(row, match[q], junk[q], top_k)
        listed = [hit.rank for hit in result.hits(q) if hit.match]
        assert (0 < result.first_hit[q] <= top_k) == bool(listed)  # the list tells what the metrics count
    assert result.order.shape[1] <= top_k + junk.sum(1).max()


def test_distances_that_are_really_different_rank_differently():
    split = Split((image("q", 0, 1, 1),), (image("g", 0, 1, 2), image("g", 1, 2, 2)), True)
    query, gallery = torch.tensor([[1.0, 0.0]]), torch.tensor([[10.0, 0.0], [1.0, 0.5]])
    assert rank(query, gallery, split, "cosine", 2).order.tolist() == [[0, 1]]
    assert rank(query, gallery, split, "euclidean", 2).order.tolist() == [[1, 0]]
    assert rank(query, gallery, split, "euclidean", 2).distance[0] == pytest.approx([0.5, 9])


def test_junk_stands_in_the_list_without_a_rank():
    cameras, vehicles = (1, 2, 1, 2, 2), (1, 2, 1, 1, 2)
    split = Split((image("q", 0, 1, 1),), tuple(map(image, "ggggg", range(5), vehicles, cameras)), True)
    result = rank(torch.zeros(1, 1), torch.arange(5.0)[:, None], split, "euclidean", top_k=2)
    assert [(h.index, h.distance, h.match, h.rank) for h in result.hits(0)] == [
        (0, 0, False, None),
        (1, 1, False, 1),
        (2, 2, False, None),
        (3, 3, True, 2),
    ]
    assert result.first_hit[0] == 2


def test_rows_of_different_length_are_padded():
    gallery = (image("g", 0, 1, 1), image("g", 1, 1, 2), image("g", 2, 2, 1))
    split = Split((image("q", 0, 1, 1), image("q", 1, 9, 1)), gallery, True)
    result = rank(torch.zeros(2, 1), torch.arange(3.0)[:, None], split, "euclidean", top_k=1)
    assert result.order.tolist() == [[0, 1], [0, -1]]
    assert math.isinf(result.distance[1, 1]) and len(result.hits(1)) == 1 and math.isnan(result.average_precision[1])


def test_a_zero_vector_has_cosine_0_with_everything():
    split = random_split(0, 4, 6)
    result = rank(torch.zeros(4, 3), torch.randn(6, 3), split, top_k=6)
    assert (result.distance[np.isfinite(result.distance)] == 1).all()


def test_half_precision_features_are_ranked():
    split = random_split(0)
    x = torch.randn(80, 16, generator=torch.Generator().manual_seed(0)).half()
    whole = rank(x[:30].float(), x[30:].float(), split)
    assert np.array_equal(rank(x[:30], x[30:], split).order, whole.order)


@pytest.mark.parametrize("top_k", [0, 51, 1000])
def test_k_must_fit_the_gallery(top_k):
    x = torch.randn(80, 2)
    with pytest.raises(SettingsError, match=rf"K is {top_k}, but the gallery has 50 images; choose K from 1 to 50\."):
        rank(x[:30], x[30:], random_split(0), top_k=top_k)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("which", ["query", "gallery"])
def test_features_that_are_no_numbers(which, value):
    x = {"query": torch.randn(30, 2), "gallery": torch.randn(50, 2)}
    x[which][5, 1] = value
    with pytest.raises(DataError, match=f"the {which} features hold NaN or infinity"):
        rank(x["query"], x["gallery"], random_split(0))


def test_features_of_another_data_set():
    with pytest.raises(DataError, match="there are 50 query features for 30 query images; extract"):
        rank(torch.randn(50, 2), torch.randn(50, 2), random_split(0))
    with pytest.raises(DataError, match="there are 30 gallery features for 50 gallery images; extract"):
        rank(torch.randn(30, 2), torch.randn(30, 2), random_split(0))


def test_an_empty_split():
    split = Split((), random_split(0).gallery, True)
    with pytest.raises(DataError, match="nothing to rank: the split has 0 queries and 50 gallery images"):
        rank(torch.randn(0, 2), torch.randn(50, 2), split)


def test_without_labels_nothing_is_right_and_the_query_leaves_itself_out():
    """Two queries have images of their own name in the gallery, the first of them an exact copy under another name."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(6, 4, generator=generator)
    features[3] = features[0]
    images = tuple(VehicleImage(Path("/nowhere"), f"{i}.jpg", None) for i in range(6))
    split = Split(images[:2], images, same_camera_is_junk=False, is_labelled=False)
    result = rank(features[:2], features, split, top_k=5)
    cosine = torch.nn.functional.cosine_similarity(features[:2, None], features[None], dim=2)
    for q in range(2):
        others = [g for g in cosine[q].argsort(descending=True, stable=True).tolist() if g != q]
        assert [hit.index for hit in result.hits(q)] == others
        assert [(hit.rank, hit.match) for hit in result.hits(q)] == [(rank, None) for rank in range(1, 6)]
    assert not result.match.any() and np.isnan(result.average_precision).all() and not result.first_hit.any()
    assert result.hits(0)[0].index == 3 and result.take([1]).hits(0) == result.hits(1)

"""Camera alignment against its equation, one image at a time, and what must not change a rank."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ssrnet.data.protocols import Protocol, Split
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import SettingsError
from ssrnet.explain.shares import BranchFeatures
from ssrnet.retrieval import alignment
from ssrnet.retrieval.alignment import AlignmentSettings, CameraStatistics, align_cameras, camera_statistics
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.ranking import rank

CAMERAS = ["a"] * 9 + ["b"] * 12 + ["c"] * 3 + [None] * 2 + [""]
ALONE = AlignmentSettings(prior=0, min_images=1)
"""Each camera's own statistics and nothing else."""


def random(rows: int, columns: int = 6, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator) * torch.arange(1, columns + 1) + 3


def naive(features: np.ndarray, cameras: list[str | None], k: float, least: int) -> np.ndarray:
    """The equation, one image at a time."""
    m, v, aligned = features.mean(0), features.var(0), []
    for x, camera in zip(features, cameras, strict=True):
        by_it = features[[other == camera for other in cameras]]
        n, mean, variance = len(by_it), m, v
        if camera and n >= least:
            mean, variance = (n * by_it.mean(0) + k * m) / (n + k), (n * by_it.var(0) + k * v) / (n + k)
        aligned.append((x - mean) / np.sqrt(variance))
    return np.array(aligned)


@pytest.mark.parametrize("block", [4, 1024])
@pytest.mark.parametrize(("k", "least"), [(0, 1), (0, 4), (8, 4), (2.5, 1)])
def test_the_equation(k, least, block, monkeypatch):
    monkeypatch.setattr(alignment, "BLOCK_ROWS", block)
    features = random(len(CAMERAS))
    aligned = align_cameras(features, CAMERAS, AlignmentSettings(k, least))
    assert aligned.dtype == torch.float32
    np.testing.assert_allclose(aligned, naive(features.double().numpy(), CAMERAS, k, least), atol=1e-5)


def test_half_precision_is_read_and_the_features_stay_as_they_are():
    features = random(len(CAMERAS)).half()
    before = features.clone()
    assert torch.equal(align_cameras(features, CAMERAS), align_cameras(features.float(), CAMERAS))
    assert torch.equal(features, before)


def test_one_camera_is_plain_standardisation():
    features = random(20)
    plain = (features - features.mean(0)) / features.std(0, correction=0)
    for k in (0, 8):
        assert torch.allclose(align_cameras(features, ["a"] * 20, AlignmentSettings(k)), plain, atol=1e-5)
    assert torch.allclose(align_cameras(features, [None] * 20), plain, atol=1e-5)


def test_what_a_camera_adds_to_all_its_images_or_multiplies_them_by_changes_no_rank():
    split = split_of(60)
    features = random(60)
    changed = features.clone()
    by_b = torch.tensor([image.camera_id == "c1" for image in split.gallery])
    changed[by_b] = changed[by_b] * 2.5 + 100
    rankings = []
    for rows in (features, changed):
        aligned = align_cameras(rows, [image.camera_id for image in split.gallery], ALONE)
        rankings.append(rank(aligned, aligned, split, top_k=60).order)
    assert np.array_equal(*rankings)
    raw = [rank(rows, rows, split, top_k=60).order for rows in (features, changed)]
    assert not np.array_equal(*raw)


def test_a_dimension_that_a_camera_does_not_vary_in_takes_the_whole_sets_deviation():
    features = random(24)
    features[:12, 2], features[:, 4] = 7.0, 1.5  # constant in camera a, and in all
    statistics = CameraStatistics.of(features, ["a"] * 12 + ["b"] * 12, ALONE)
    aligned = statistics.align(features, ["a"] * 12 + ["b"] * 12)
    assert aligned.isfinite().all() and not aligned[:12, 2].any() and not aligned[:, 4].any()
    deviation = features[:, 2].std(correction=0)
    assert statistics.align(features[:1] + 1, ["a"])[0, 2] == pytest.approx(float(1 / deviation), rel=1e-5)


def test_images_from_elsewhere_are_aligned_by_frozen_statistics():
    features = random(len(CAMERAS))
    statistics = CameraStatistics.of(features, CAMERAS, AlignmentSettings(8, 4))
    whole = align_cameras(features, CAMERAS, AlignmentSettings(8, 4))
    assert torch.equal(statistics.align(features[9:12], CAMERAS[9:12]), whole[9:12])
    unknown = (features[:1] - features.mean(0)) / features.std(0, correction=0)
    for camera in (None, "", "never seen", "c"):  # c has three images, fewer than four
        assert torch.allclose(statistics.align(features[:1], [camera]), unknown, atol=1e-5)


@pytest.mark.parametrize(("k", "least"), [(0, 1), (8, 4), (2.5, 13)])
def test_other_images_by_cameras_of_their_own(k, least):
    """A camera of theirs is not the set's of the same name; the set's whole is the prior and aligns all others."""
    features, others = random(30), random(len(CAMERAS), seed=1) + 5
    statistics = CameraStatistics.of(features, ["a"] * 15 + ["b"] * 15, AlignmentSettings(k, least))
    elsewhere = statistics.with_cameras(others, CAMERAS)
    rows, m, v = others.double().numpy(), features.double().numpy().mean(0), features.double().numpy().var(0)
    expected = []
    for x, camera in zip(rows, CAMERAS, strict=True):
        by_it = rows[[camera == other for other in CAMERAS]]
        n, mean, variance = len(by_it), m, v
        if camera and n >= least:
            mean, variance = (n * by_it.mean(0) + k * m) / (n + k), (n * by_it.var(0) + k * v) / (n + k)
        expected.append((x - mean) / np.sqrt(variance))
    np.testing.assert_allclose(elsewhere.align(others, CAMERAS), np.array(expected), atol=1e-5)
    counts = {"a": 9, "b": 12, "c": 3}
    assert elsewhere.cameras == tuple(camera for camera, count in counts.items() if count >= least)
    assert elsewhere.images == 27 and elsewhere.by_whole_set == 27 - sum(counts[c] for c in elsewhere.cameras)


@pytest.mark.parametrize("values", [(-1, 8), (8, 0), (float("nan"), 8), (float("inf"), 8)])
def test_settings_that_cannot_work(values):
    with pytest.raises(SettingsError, match="a finite prior of at least 0 and at least 1 image"):
        AlignmentSettings(*values)


def test_no_features_cannot_be_aligned():
    with pytest.raises(SettingsError, match="no features to align"):
        align_cameras(torch.zeros(0, 3), [])


def images_of(count: int, seed: int = 1) -> list[VehicleImage]:
    generator = np.random.default_rng(seed)
    return [
        VehicleImage(Path("/nowhere"), f"{i}.jpg", f"v{generator.integers(6)}", f"c{generator.integers(3)}")
        for i in range(count)
    ]


def split_of(count: int) -> Split:
    images = tuple(images_of(count))
    return Split(images, images, same_camera_is_junk=True)


def dataset_of(count: int) -> ReIDDataset:
    images = images_of(count)
    return ReIDDataset(
        "tiny", Path("/nowhere"), "none", "", (), tuple(images[: count // 2]), tuple(images), "cross_camera"
    )


def features_of(dataset: ReIDDataset, dims: dict[str, int]) -> FeatureSet:
    return FeatureSet(random(len(dataset.test), sum(dims.values())), tuple(i.name for i in dataset.test), dims)


@pytest.mark.parametrize("name", ["cross_camera", "single_gallery_shot", "multi_gallery_shot"])
@pytest.mark.parametrize("dims", [{"G": 4, "token": 2}, {"features": 6}])
def test_an_evaluation_ranks_what_is_aligned_over_the_splits_images(name, dims):
    """A network's branches and another model's features, under every protocol; junk stays junk."""
    dataset = dataset_of(60)
    features, protocol = features_of(dataset, dims), Protocol(name, seed=3, n=3)
    settings = AlignmentSettings(prior=2, min_images=5)
    aligned = evaluate(features, dataset, protocol, made_by={}, alignment=settings, dataset_hash="0")
    split = aligned.split
    names = {image.name for image in (*split.query, *split.gallery)}
    images = [image for image in dataset.test if image.name in names]
    by_name = dict(
        zip(
            [image.name for image in images],
            naive(features.rows(images).double().numpy(), [i.camera_id for i in images], 2, 5),
            strict=True,
        )
    )
    query, gallery = (
        torch.tensor(np.array([by_name[i.name] for i in side]), dtype=torch.float32)
        for side in (split.query, split.gallery)
    )
    expected = rank(query, gallery, split, top_k=min(20, len(split.gallery)))
    assert np.array_equal(aligned.ranking.order, expected.order)
    assert np.array_equal(aligned.ranking.junk, expected.junk)
    assert aligned.metrics == expected.metrics
    assert (
        f"over the {len(names)} test images without vehicle labels (transductive); cameras with statistics of their own: 3"
        in (aligned.record.camera_alignment)
    )
    raw = evaluate(features, dataset, protocol, made_by={}, dataset_hash="0")
    assert raw.record.camera_alignment == "none"
    assert not np.array_equal(raw.ranking.order, aligned.ranking.order)


def test_the_record_counts_images_that_take_the_whole_sets_statistics():
    dataset = dataset_of(60)
    features, split = features_of(dataset, {"G": 6}), Protocol().split(dataset)
    by_camera = {c: sum(i.camera_id == c for i in dataset.test) for c in ("c0", "c1", "c2")}
    least = sorted(by_camera.values())[0] + 1
    statistics = camera_statistics(features, split, AlignmentSettings(8, least))
    few = [count for count in by_camera.values() if count < least]
    assert str(statistics).endswith(f"aligned by the whole set's statistics: {sum(few)}")
    assert len(statistics.cameras) == 3 - len(few)


def test_branch_shares_and_edited_embeddings_are_those_of_what_was_ranked():
    dataset = dataset_of(60)
    features, split = features_of(dataset, {"G": 4, "token": 2}), Protocol().split(dataset)
    statistics = camera_statistics(features, split)
    branches = BranchFeatures.of(features, split, statistics)
    evaluation = evaluate(features, dataset, Protocol(), made_by={}, alignment=statistics, dataset_hash="0")
    hits = evaluation.ranking.hits(5)
    shares = branches.products(5).shares().sum(0)
    assert [float(shares[hit.index]) for hit in hits] == pytest.approx([1 - hit.distance for hit in hits], abs=1e-5)
    # The query's own embedding given from outside, and its columns put back, are aligned once and the same way.
    raw = features.rows(split.query)
    given = branches.rank(5, embedding=raw[5])
    assert np.array_equal(given.order, branches.rank(5).order)
    again = branches.replaced("token", raw[:, 4:], features.rows(split.gallery)[:, 4:])
    assert torch.allclose(again.gallery["token"], branches.gallery["token"])

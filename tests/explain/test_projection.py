"""Projections of vectors whose principal components are known by hand."""

from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch

from ssrnet.errors import DataError, SettingsError
from ssrnet.explain.projection import FEWEST, PCAAxes, principal_components, project, turned_onto, unit_rows

GROUPS = np.repeat(np.arange(3), 8)


@pytest.fixture(scope="module")
def groups():
    """24 vectors around three orthogonal directions."""
    return np.eye(3, 12)[GROUPS] * 5 + np.random.default_rng(0).normal(0, 0.1, (24, 12))


def test_principal_components_by_hand():
    # A cross: variance 8 of 10 along the first axis, 2 of 10 along the second, moved off the origin.
    x = np.array([[2, 0, 7], [-2, 0, 7], [0, 1, 7], [0, -1, 7]], dtype=float)
    points, shares = principal_components(x, 3)
    np.testing.assert_allclose(np.abs(points), [[2, 0, 0], [2, 0, 0], [0, 1, 0], [0, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(shares, [0.8, 0.2, 0], atol=1e-9)
    assert points[:, 0].sum() == pytest.approx(0) and (np.abs(points).max(0) == points.max(0))[:2].all()


def test_wide_and_tall_data_agree(groups):
    wide, _ = principal_components(groups[:8], 2)
    padded = np.vstack([groups[:8]] * 2)  # each twice: the same axes, from the other side
    tall, _ = principal_components(padded, 2)
    assert groups[:8].shape[0] < groups.shape[1] < len(padded)
    np.testing.assert_allclose(tall[:8], wide, atol=1e-4)


def test_pca_looks_at_directions_not_at_lengths(groups):
    long = project(groups * np.linspace(1, 9, 24)[:, None], "PCA")
    np.testing.assert_allclose(long.points, project(groups, "PCA").points, atol=1e-5)
    assert long.variance[0] >= long.variance[1] > 0 and sum(long.variance) <= 1


def test_zero_rows_and_copies_have_a_place():
    assert unit_rows(np.zeros((2, 3))).tolist() == [[0, 0, 0]] * 2
    same = project(np.ones((4, 6)), "PCA")
    np.testing.assert_allclose(same.points, 0, atol=1e-5)
    assert project(np.ones((1, 6)), "PCA").points.shape == (1, 2)


@pytest.mark.parametrize("method", ["UMAP", "t-SNE"])
def test_equal_vectors_are_one_sentence(method):
    rounded = (np.full((20, 6), 0.3) + np.random.default_rng(0).normal(0, 1e-5, (20, 6))).astype(np.float16)
    assert len(np.unique(rounded, axis=0)) == 1
    row = np.random.default_rng(0).normal(size=(1, 64))
    near = row + np.random.default_rng(1).normal(0, 1e-8, (20, 64))
    for vectors in (np.ones((20, 6)), np.repeat(row, 20, 0), near, rounded, row * np.arange(1, 21)[:, None]):
        with pytest.raises(DataError, match=f"{method} needs different vectors, and the 20 here are equal .* PCA"):
            project(vectors, method)
        assert not project(vectors, "PCA").points.any() and project(vectors, "PCA").variance == (0, 0)
    with pytest.raises(DataError, match="the 20 here are all zeros"):
        project(np.zeros((20, 6)), method)


@pytest.mark.parametrize("method", ["PCA", "UMAP", "t-SNE"])
def test_copies_zeros_and_any_scale_have_a_place(groups, method):
    row = groups[:1]
    for vectors in (
        np.vstack([np.repeat(row, 19, 0), groups[-1:]]),
        np.vstack([np.repeat(row, 10, 0), np.repeat(-row, 10, 0)]),
        np.repeat(np.eye(2, 12), 10, 0),  # on a line: the second axis has no range
        np.vstack([np.zeros((10, 12)), groups]),
        np.repeat(groups[:8], 2, 0),
    ):
        assert np.isfinite(project(vectors, method).points).all()
    if method == "PCA":  # float32 squares of these overflow, or vanish
        for scale in (1e30, 1e-30, 1e300):
            np.testing.assert_allclose(project(groups * scale, "PCA").points, project(groups, "PCA").points, atol=1e-5)


@pytest.mark.parametrize("method", ["UMAP", "t-SNE"])
def test_groups_stay_together_and_a_second_run_is_the_same(groups, method):
    calls = []
    projection = project(groups, method, lambda done, total: calls.append((done, total)))
    assert projection.points.shape == (24, 2) and projection.variance is None
    near = np.linalg.norm(projection.points[:, None] - projection.points, axis=2)
    np.fill_diagonal(near, np.inf)
    assert (GROUPS[near.argmin(1)] == GROUPS).all()
    np.testing.assert_array_equal(project(groups, method).points, projection.points)
    if method == "UMAP":
        assert calls[-1][0] == calls[-1][1]


@pytest.mark.parametrize("method", ["UMAP", "t-SNE"])
def test_torch_keeps_its_number_of_threads(groups, method):
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            project(groups, method)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_a_report_can_end_the_work(groups):
    class Cancelled(Exception):
        pass

    def report(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        project(groups, "UMAP", report)

    later = Thread(target=project, args=(groups, "UMAP", lambda done, total: None), daemon=True)
    later.start()
    later.join(90)
    assert not later.is_alive(), "it waits for the lock of tqdm's bars"


def test_numba_keeps_what_it_compiled_of_umap_for_later_processes(groups):
    from umap import layouts, umap_

    project(groups, "UMAP")
    for function in (umap_.smooth_knn_dist, layouts._nb_optimize_layout_euclidean_single_epoch):
        assert list(Path(function.stats.cache_path).glob(f"*.{function.__name__}-*.nbc"))


def distances(points):
    return np.linalg.norm(points[:, None] - points, axis=2)


def test_a_turned_mirrored_and_shifted_copy_comes_back(groups):
    points, angle = project(groups, "PCA").points, 2.0
    turn = np.array([[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]])  # determinant -1: it mirrors too
    np.testing.assert_allclose(turned_onto(points @ turn + [30, -4], points), points, atol=1e-5)
    np.testing.assert_allclose(turned_onto(points * [-1, 1], points), points, atol=1e-6)  # an axis of PCA flipped


def test_turning_one_map_onto_another_changes_no_distance_and_no_scale(groups):
    reference = project(groups, "PCA").points
    points = 7 * np.random.default_rng(1).normal(size=(24, 2)).astype(np.float32)
    turned = turned_onto(points, reference)
    assert turned.dtype == np.float32
    np.testing.assert_allclose(distances(turned), distances(points), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(turned.mean(0), reference.mean(0), atol=1e-5)
    away = points - points.mean(0) + reference.mean(0)
    assert np.square(turned - reference).sum() < np.square(away - reference).sum(), "nearer than without turning it"
    assert not turned_onto(np.zeros((24, 2), np.float32), np.zeros((24, 2), np.float32)).any()


def test_further_points_go_along_and_change_nothing(groups):
    reference = project(groups, "PCA").points
    points = np.random.default_rng(1).normal(size=(26, 2)).astype(np.float32)
    turned = turned_onto(points, reference)
    np.testing.assert_allclose(turned[:24], turned_onto(points[:24], reference), atol=1e-6)
    np.testing.assert_allclose(distances(turned), distances(points), atol=1e-5)


@pytest.mark.parametrize("rows", [slice(0, 8), slice(None)])
def test_axes_place_a_maps_own_vectors_where_they_are_and_a_mean_in_the_middle(groups, rows):
    vectors = np.vstack([groups] * 2)[rows]  # fewer than dimensions, and more
    points = project(vectors, "PCA").points
    axes = PCAAxes.of(vectors, points)
    np.testing.assert_allclose(axes.place(7 * vectors), points, atol=1e-5)
    np.testing.assert_allclose(axes.axes.T @ axes.axes, np.eye(2), atol=1e-5)
    new = unit_rows(np.random.default_rng(2).normal(size=(3, 12)))
    between = axes.place(new)[0] - axes.place(new)[1]
    np.testing.assert_allclose(between, (new[0] - new[1]) @ axes.axes, atol=1e-6)
    same = PCAAxes.of(np.ones((4, 12)), project(np.ones((4, 12)), "PCA").points)
    assert not same.place(new).any()


def test_maps_of_different_images_are_not_turned(groups):
    points = project(groups, "PCA").points
    with pytest.raises(DataError, match="a map of 23 points cannot be turned onto one of 24; draw both of the same"):
        turned_onto(points[1:], points)


def test_what_cannot_be_drawn_says_why(groups):
    with pytest.raises(DataError, match=f"UMAP needs at least {FEWEST} points, and here are 4"):
        project(groups[:4], "UMAP")
    with pytest.raises(DataError, match="no vector"):
        project(groups[:0], "PCA")
    with pytest.raises(DataError, match="NaN"):
        project(np.full((6, 2), np.nan), "PCA")
    with pytest.raises(SettingsError, match="choose one of PCA, UMAP, t-SNE"):
        project(groups, "MDS")

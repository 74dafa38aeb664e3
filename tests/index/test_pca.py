"""The projection, an index behind it, and what it is measured to cost."""

import numpy as np
import pytest

from ssrnet.errors import DataError, SettingsError
from ssrnet.index.entries import Filters
from ssrnet.index.opening import make_index, open_index
from ssrnet.index.pca import FILE, Projection, ReScored, evenly
from tests.index.galleries import BACKENDS, DIMENSION, MADE_BY, entries, features, make

COUNT = 60


@pytest.fixture(scope="module")
def projection():
    return Projection.fit([features(COUNT)[:25], features(COUNT)[25:]], 8)


def test_directions_are_those_of_the_svd(projection):
    unit = features(COUNT) / np.linalg.norm(features(COUNT), axis=1, keepdims=True)
    _, lengths, directions = np.linalg.svd(unit, full_matrices=False)
    assert np.allclose(np.abs((projection.directions * directions[:8]).sum(1)), 1, atol=1e-4)
    assert np.allclose(projection.directions @ projection.directions.T, np.eye(8), atol=1e-5)
    assert projection.kept == pytest.approx((lengths[:8] ** 2).sum() / (lengths**2).sum(), abs=1e-5)
    assert projection.fitted_on == COUNT
    most = np.abs(projection.directions).argmax(1)
    assert (projection.directions[np.arange(8), most] > 0).all()


def test_no_random_number_has_a_part(projection):
    again = Projection.fit([features(COUNT)[:25], features(COUNT)[25:]], 8)
    assert np.array_equal(again.directions, projection.directions)


def test_all_directions_keep_every_cosine():
    whole = Projection.fit([features(COUNT)], DIMENSION)
    for values in (features(20, seed=4), 100 * features(20, seed=4)):
        unit = values / np.linalg.norm(values, axis=1, keepdims=True)
        assert np.allclose(whole(values) @ whole(values).T, unit @ unit.T, atol=1e-5)


def test_too_many_directions():
    with pytest.raises(SettingsError, match="--pca is 25, but 60 features of 24 numbers have at most 24 directions"):
        Projection.fit([features(COUNT)], 25)
    with pytest.raises(SettingsError, match="--pca is 8, but 5 features of 24 numbers have at most 5 directions"):
        Projection.fit([features(5)], 8)


@pytest.mark.parametrize(("most", "step"), [(100, 1), (60, 1), (59, 2), (7, 9), (1, 60)])
def test_the_sample_is_evenly_spaced(most, step):
    rows = np.arange(COUNT)[:, None]
    blocks = [rows[:7], rows[7:8], rows[8:41], rows[41:]]
    assert np.concatenate(list(evenly(blocks, COUNT, most)))[:, 0].tolist() == list(range(0, COUNT, step))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_projected_index_searches_projected_features(tmp_path, projection, backend):
    index, record = make_index(tmp_path, backend, MADE_BY, DIMENSION, projection)
    assert (index.dimension, record.dimension, record.stored) == (DIMENSION, DIMENSION, 8)
    index.add(entries(COUNT), features(COUNT))
    found = index.search(features(COUNT)[:5], 10)
    index.close()
    again, _ = open_index(tmp_path)
    short = projection(features(COUNT)).astype(np.float16).astype(np.float64)
    for i, row in enumerate(again.search(features(COUNT)[:5], 10)):
        assert [n.entry for n in row] == [n.entry for n in found[i]]
        query = projection(features(COUNT)[i : i + 1])[0].astype(np.float64)
        cosine = short @ query / np.linalg.norm(short, axis=1) / np.linalg.norm(query)
        assert [n.entry.name for n in row] == [f"{j:04d}.jpg" for j in np.argsort(-cosine)[:10]]
    with pytest.raises(DataError, match="the features are 1 x 8, but this index takes 24 numbers"):
        again.search(np.zeros((1, 8)), 1)
    again.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_candidates_are_ordered_by_whole_features(tmp_path, projection, backend):
    short, _ = make_index(tmp_path / "short", backend, MADE_BY, DIMENSION, projection)
    whole = make(tmp_path / "whole", "exact")
    for index in (short, whole):
        index.add(entries(COUNT), features(COUNT))
    queries, filters = features(4, seed=3), Filters(not_cameras=("c1",))
    for asked in (Filters(), filters):
        exact = whole.search(queries, 10, asked)
        assert ReScored(short, whole, COUNT).search(queries, 10, asked) == exact
        assert short.search(queries, 10, asked) != exact
        found, everything = ReScored(short, whole, 15).search(queries, 10, asked), whole.search(queries, COUNT)
        for row, near, ordered in zip(found, short.search(queries, 15, asked), everything, strict=True):
            candidates = {entry for entry, _ in near}
            assert row == [neighbour for neighbour in ordered if neighbour.entry in candidates][:10]
    short.close()


def test_a_damaged_or_foreign_projection_is_refused(tmp_path, projection):
    make_index(tmp_path, "exact", MADE_BY, DIMENSION, projection)[0].close()
    Projection.fit([features(COUNT)], 5).save(tmp_path)
    with pytest.raises(DataError, match="the projection in .* is 5 x 24, but the index needs 8 x 24"):
        open_index(tmp_path)
    (tmp_path / FILE).write_bytes(b"x")
    with pytest.raises(DataError, match="projection.safetensors is missing or damaged"):
        open_index(tmp_path)

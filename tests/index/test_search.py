"""Both backends against the package's own ranking, and against each other."""

import numpy as np
import pytest
import torch

from ssrnet.errors import DataError, SettingsError
from ssrnet.index import exact_store, search
from ssrnet.index.entries import Filters
from ssrnet.retrieval.ranking import rank
from tests.index.galleries import BACKENDS, DIMENSION, crowded, entries, features, make, passes, split

COUNT = 300
FILTERS = [
    Filters(),
    Filters(cameras=("c1", "c3", "no such camera")),
    Filters(not_cameras=("c1", "c2")),
    Filters(vehicle_ids=("v2", "v3")),
    Filters(not_vehicle_ids=("v0",), not_cameras=("c4",)),
    Filters(after=30, before=200),
    Filters(after=250.0),
    Filters(cameras=("c2",), vehicle_ids=("v1", "v4"), not_vehicle_ids=("v4",), before=280),
    Filters(vehicle_types=("van", "no such type"), before=290),
    Filters(junk=("v3", "c3")),
]


@pytest.fixture(scope="module", params=BACKENDS)
def filled(request, tmp_path_factory):
    """An index of random features and one full of ties, added in another order than their names'."""
    made = []
    for values in (features(COUNT), crowded(COUNT)):
        index = make(tmp_path_factory.mktemp("index"), request.param)
        shuffled = np.random.default_rng(2).permutation(COUNT)
        listed = entries(COUNT)
        assert index.add([listed[i] for i in shuffled], values[shuffled]) == COUNT
        made.append((index, values))
    yield made
    for index, _ in made:
        index.close()


@pytest.mark.parametrize("filters", FILTERS, ids=str)
@pytest.mark.parametrize("kind", [0, 1], ids=["random", "ties"])
def test_equal_to_the_ranking(filled, kind, filters):
    index, values = filled[kind]
    queries = features(6, seed=3) if kind == 0 else crowded(6)
    listed = entries(COUNT)
    kept = [i for i, entry in enumerate(listed) if passes(entry, filters)]
    gallery = [listed[i] for i in kept]
    k = min(20, len(gallery))
    expected = rank(torch.from_numpy(queries), torch.from_numpy(values[kept]), split(6, gallery), top_k=k)
    found = index.search(queries, 20, filters)
    for q, row in enumerate(found):
        assert [entry.name for entry, _ in row] == [gallery[i].name for i in expected.order[q]]
        assert np.allclose([distance for _, distance in row], expected.distance[q], rtol=0, atol=3e-7)
        assert all(entry == gallery[i] for (entry, _), i in zip(row, expected.order[q], strict=True))
    if kind == 1:
        assert all(len({distance for _, distance in row}) < len(row) for row in found), "no ties were tested"


def test_float16_is_the_only_loss(tmp_path):
    """Features that float16 rounds: distances are off by less than 1e-3, and by nothing once they are rounded."""
    values = np.random.default_rng(5).normal(size=(50, DIMENSION)).astype(np.float32)
    index = make(tmp_path, "exact")
    index.add(entries(50), values)
    (row,) = index.search(values[:1], 50)
    by_name = {entry.name: distance for entry, distance in row}
    expected = rank(torch.from_numpy(values[:1]), torch.from_numpy(values), split(1, entries(50)), top_k=50)
    for i, distance in zip(expected.order[0], expected.distance[0], strict=True):
        assert abs(by_name[f"{i:04d}.jpg"] - distance) < 1e-3


@pytest.mark.parametrize("block", [1, 7 * DIMENSION, 64 * DIMENSION])
@pytest.mark.parametrize("slack", [0, 3])
def test_neither_blocks_nor_slack_show(tmp_path, monkeypatch, block, slack):
    for number, values in enumerate((features(COUNT), crowded(COUNT))):
        index = make(tmp_path / str(number), "exact")
        index.add(entries(COUNT), values)
        queries = np.concatenate([values[:3], np.zeros((1, DIMENSION), dtype=np.float32)])
        whole = index.search(queries, 5)
        with monkeypatch.context() as patch:
            patch.setattr(search, "BLOCK_NUMBERS", block)
            patch.setattr(search, "SLACK", slack)
            assert index.search(queries, 5) == whole
        assert [entry.name for entry, _ in whole[3]] == [f"{i:04d}.jpg" for i in range(5)]  # all are equally far


def test_the_matrix_is_never_in_memory_whole(tmp_path, monkeypatch):
    index = make(tmp_path, "exact")
    index.add(entries(COUNT), features(COUNT))
    monkeypatch.setattr(search, "BLOCK_NUMBERS", 10 * DIMENSION)
    read = []
    plain = search._cosines
    monkeypatch.setattr(search, "_cosines", lambda *a: read.append(plain(*a)) or read[-1])
    index.search(features(2), 5)
    assert len(read) == 30 and {tuple(block.shape) for block in read} == {(2, 10)}
    assert isinstance(index._matrix(), np.memmap)


@pytest.mark.parametrize("backend", BACKENDS)
def test_few_or_none(tmp_path, backend):
    index = make(tmp_path, backend)
    assert len(index) == 0 and index.search(features(2), 5) == [[], []]
    index.add(entries(3), features(3))
    assert [len(row) for row in index.search(features(2), 5)] == [3, 3]
    assert index.search(features(2), 5, Filters(cameras=("absent",))) == [[], []]
    index.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_cannot_be_compared_is_refused(tmp_path, backend):
    index = make(tmp_path, backend)
    with pytest.raises(DataError, match="the queries are 2 x 5, but this index holds 24 numbers"):
        index.search(features(2, 5), 5)
    with pytest.raises(DataError, match="query features hold NaN"):
        index.search(np.full((1, DIMENSION), np.nan), 5)
    with pytest.raises(SettingsError, match="k is 0"):
        index.search(features(1), 0)
    with pytest.raises(DataError, match="the features are 2 x 5, but 3 entries of an index of 24"):
        index.add(entries(3), features(2, 5))
    with pytest.raises(DataError, match="beyond 65,504, which float16 cannot store"):
        index.add(entries(1), np.full((1, DIMENSION), 1e6))
    assert len(index) == 0
    index.close()


def test_a_range_that_is_empty():
    with pytest.raises(SettingsError, match="from 3 s to 2 s, which is empty"):
        Filters(after=3, before=2)


def test_a_damaged_row_is_not_served(tmp_path):
    index = make(tmp_path, "exact")
    index.add(entries(20), features(20))
    with open(tmp_path / exact_store.MATRIX, "r+b") as file:
        file.seek(7 * 2 * DIMENSION)
        file.write(b"\x01\x02")
    for ask in (lambda: index.search(features(20)[7:8], 20), index.verify):
        with pytest.raises(
            DataError, match=r"is damaged \(row 7 of features.f16 is not what was written there\); restore"
        ):
            ask()

"""The recall of approximate searches, counted by hand."""

import numpy as np
import pytest

from ssrnet.index.opening import make_index, open_index
from ssrnet.index.recall import Recall, measure_recall
from tests.index.galleries import DIMENSION, MADE_BY, entries, features, make


class Forgetful:
    """An index that misses the nearest of every query, and lists others in its place."""

    dimension = DIMENSION

    def __init__(self, index):
        self.index = index

    def blocks(self):
        return self.index.blocks(16)

    def search(self, queries, k):
        return [row[1:] for row in self.index.search(queries, k + 1)]


def test_what_is_missed_is_counted(tmp_path):
    with make(tmp_path, "exact") as index:
        index.add(entries(60), features(60))
        assert measure_recall(index, 10, 16) == Recall(1.0, 10, 16, 60)
        missed = measure_recall(Forgetful(index), 10, 16)
        assert missed == Recall(pytest.approx(0.9), 10, 16, 60)
        assert str(missed) == "finds 90.0% of the 10 nearest, measured on 16 of its images when it held 60"
        assert measure_recall(index, 100, 5) == Recall(1.0, 100, 5, 60)


def test_an_empty_index(tmp_path):
    with make(tmp_path, "exact") as index:
        assert measure_recall(index).queries == 0


def test_an_approximate_file_is_said_to_be_one_and_searched_through_its_graph(tmp_path):
    index, record = make_index(tmp_path, "milvus", MADE_BY, DIMENSION, approximate=True)
    index.add(entries(400), features(400))
    index.save()
    recall = measure_recall(index)
    assert 0.9 < recall.share <= 1 and (recall.k, recall.queries, recall.images) == (50, 200, 400)
    (row,) = index.search(features(400)[7:8], 3)
    assert row[0].entry == entries(400)[7] and record.collection.endswith("_hnsw")
    index.close()
    again, record = open_index(tmp_path)
    assert record.how == "approximately (HNSW): its recall is measured when a build of it ends"
    assert np.array_equal([n.distance for n in again.search(features(400)[7:8], 3)[0]], [n.distance for n in row])
    again.close()

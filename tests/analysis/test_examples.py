from dataclasses import replace

from ssrnet.analysis.comparison import compare
from ssrnet.analysis.examples import largest_gain, worst_failure
from ssrnet.analysis.inspection import inspect
from ssrnet.data.records import ReIDDataset
from tests.analysis import toys


def test_a_sibling_goes_before_a_lower_ap():
    """The worse model fails on qj, whose place a sibling took, and on qd with a far lower AP."""
    worse, _ = toys.inspections()
    ap = dict(zip([image.name for image in toys.QUERIES], worse.evaluation.ranking.average_precision))
    assert ap["qd"] < ap["qj"]
    assert worst_failure(worse).name == "qj"


def test_without_siblings_the_lowest_ap():
    without = {"query": toys.DATASET.query, "gallery": toys.DATASET.gallery}
    stripped = {
        split: tuple(replace(image, attributes={"type": "car"}) for image in images)
        for split, images in without.items()
    }
    dataset = ReIDDataset(
        "toys", toys.DATASET.root, "CSV", "", (), stripped["query"], stripped["gallery"], "cross_camera"
    )
    assert worst_failure(inspect(toys.WORSE, toys.evaluation(toys.WORSE, dataset))).name == "qd"


def test_gain_and_nothing_to_show():
    worse, better = toys.inspections()
    assert largest_gain(compare(worse.evaluation, better.evaluation)).name == "qj"
    assert largest_gain(compare(worse.evaluation, worse.evaluation)) is None
    only = ReIDDataset(
        "toys", toys.DATASET.root, "CSV", "", (), toys.DATASET.query[2:3], toys.DATASET.gallery, "cross_camera"
    )
    assert worst_failure(inspect(toys.WORSE, toys.evaluation(toys.WORSE, only))) is None, "qc is right at rank 1"

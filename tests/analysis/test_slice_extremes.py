from ssrnet.analysis.query_slices import Slice, Slicing
from ssrnet.analysis.slice_extremes import slice_extremes
from ssrnet.retrieval.metric_intervals import Estimate


def slicing(by: str, *gains: float, vehicles: int = 20) -> Slicing:
    slices = []
    for number, gain in enumerate(gains):
        difference = {"mAP": Estimate(gain, gain - 0.1, gain + 0.1)}
        slices.append(Slice(f"{by}{number}", 40, vehicles, None, {}, {}, difference))
    return Slicing(by, "all matches of a query count", tuple(slices), 0)


def labels(slices) -> list[str]:
    return [one.label for one in slices]


def test_the_ends_are_over_all_properties():
    ends = slice_extremes({"type": slicing("t", 0.1, -0.3, 0.5), "camera": slicing("c", 0.4, -0.1, 0.2, -0.2)})
    assert labels(ends.best) == ["type: t2", "camera: c0", "camera: c2"]
    assert labels(ends.worst) == ["type: t1", "camera: c3", "camera: c1"]
    assert ends.sentence.startswith(
        "The ends of a look at 7 slices by 2 properties of the query, each with at least 20"
    )
    assert "Left out" not in ends.sentence


def test_slices_with_few_vehicles_are_counted_and_left_out():
    ends = slice_extremes({"type": slicing("t", 0.9, -0.9, vehicles=19), "camera": slicing("c", 0.1, 0.3)})
    assert (labels(ends.best), labels(ends.worst)) == (["camera: c1"], ["camera: c0"])
    assert (ends.slices, ends.properties, ends.left_out) == (2, 1, 2)
    assert ends.sentence.endswith("Left out: 2 with fewer vehicles.") and "1 property of" in ends.sentence


def test_no_slice_is_at_both_ends():
    ends = slice_extremes({"type": slicing("t", 0.3, 0.2, 0.1)})
    assert (labels(ends.best), labels(ends.worst)) == (["type: t0"], ["type: t2"])


def test_a_property_that_parts_nothing_is_none():
    assert slice_extremes({"type": slicing("t", 0.3)}) == ((), (), 0, 0, 0)

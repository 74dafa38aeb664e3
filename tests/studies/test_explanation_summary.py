"""Numbers and verdict from rows whose truth was planted, and the intervals that they rest on."""

import numpy as np
import pytest

from ssrnet.analysis.mean_intervals import difference, interval, mean, ratio, spearman
from ssrnet.errors import DataError
from ssrnet.studies.explanations.measurements import Measurements, ModelMeasurements, read_measurements
from ssrnet.studies.explanations.report import markdown
from ssrnet.studies.explanations.summary import summarise
from ssrnet.studies.verdicts import ExplanationVerdicts, MapVerdict, ModelVerdicts, read_verdicts, write_verdicts

LABELS = ("background", "body", "sticker")


def photograph(vehicle, jitter):
    """One row: "good" deletes fast and points at the sticker, "bad" does neither, "centre" lies between."""
    area = {"background": 0.2, "body": 0.75, "sticker": 0.05}

    def shown(sticker, hit):
        return {"mass": {"background": 0.1, "body": 0.9 - sticker, "sticker": sticker}, "hit": hit, "marks": sticker}

    curve = {"good": (0.2, 0.9), "bad": (0.5, 0.6), "random": (0.5, 0.6), "centre": (0.4, 0.7)}
    return {
        "image": f"{vehicle}.jpg",
        "reference": "r.jpg",
        "vehicle": vehicle,
        "similarity": 1.0,
        "sibling": True,
        "area": area,
        "marks": 0.05,
        "chance": 0.1,
        "maps": {
            "good": shown(0.25, True),
            "bad": shown(0.05, False),
            "random": shown(0.05, False),
            "centre": shown(0.05, False),
        },
        "curves": {
            name: {"deletion": [1, d + jitter, 0], "insertion": [0, i + jitter, 1]} for name, (d, i) in curve.items()
        },
    }


def pair(vehicle, number):
    fall = 0.01 * (number + 1)
    maps = {"good": {"share": 0.02 + fall, "change": 0.4}, "bad": {"share": 0.04 - fall / 2, "change": 0.02}}
    maps |= {control: {"share": 0.02, "change": 0.02} for control in ("random", "centre")}
    similarity = {"as it is": 0.9, "removed": 0.9 - fall, "moved": 0.9 - fall / 2}
    return {
        "image": f"p{number}.jpg",
        "reference": "r.jpg",
        "vehicle": vehicle,
        "mark": "sticker-1",
        "kind": "sticker",
        "area": 0.02,
        "similarity": similarity,
        "maps": maps,
    }


def randomised(vehicle):
    stages = {"heads": {"good": 0.8, "bad": 0.99}, "stem": {"good": 0.1, "bad": 0.97}}
    return {"image": "a.jpg", "reference": "r.jpg", "vehicle": vehicle, "stages": stages, "other": {"good": 0.3}}


@pytest.fixture
def model():
    vehicles = [f"{number:04d}" for number in range(6)]
    rows = {
        "photographs": [photograph(vehicle, 0.01 * number) for number, vehicle in enumerate(vehicles)],
        "pairs": [pair(vehicle, number) for number, vehicle in enumerate(vehicles)],
        "randomised": [randomised(vehicle) for vehicle in vehicles],
    }
    made_by = {"checkpoint": "m.safetensors", "checkpoint_hash": "00", "image_size": 64}
    return ModelMeasurements("Toy", made_by, "key", None, rows)


def test_the_true_map_is_trusted_and_the_other_is_not(model):
    summary = summarise(model, LABELS)
    by_name = {one.name: one for one in summary.methods}
    assert list(by_name) == ["good", "bad", "random", "centre"]
    good, bad = by_name["good"], by_name["bad"]
    assert good.tests == {"faithful": True, "finds the change": True, "depends on training": True}
    assert bad.tests == {"faithful": False, "finds the change": False, "depends on training": False}
    assert [one.name for one in summary.trusted] == ["good"]
    # insertion (0 + 2 * 0.9 + 1) / 4 minus deletion (1 + 2 * 0.2 + 0) / 4, the jitter in both alike
    assert good.gain.value == pytest.approx(0.35) and good.over_centre.value == pytest.approx(0.35 - 0.15)
    assert good.hits.value == 1 and bad.hits.value == 0 and summary.chance.value == pytest.approx(0.1)
    assert good.marks.value == pytest.approx(5) and good.parts["sticker"] == pytest.approx(5)
    assert good.parts["background"] == pytest.approx(0.5)
    assert good.pair_change.value == pytest.approx(20) and bad.pair_change.value == pytest.approx(1)
    assert good.agreement.value == pytest.approx(1) and bad.agreement.value == pytest.approx(-1)
    assert list(good.randomised) == ["heads", "stem"] and good.untrained.value == pytest.approx(0.1)
    assert summary.removed.value == pytest.approx(-0.035) and summary.moved.value == pytest.approx(-0.0175)
    assert summary.fell.value == 1 and summary.siblings_only


def test_the_share_on_the_vehicle_decides_nothing(model):
    """What is not background: 0.9 for all; then a blob in the middle gets all of it and is trusted no more for it."""
    before = summarise(model, LABELS)
    assert [one.vehicle.value for one in before.methods] == pytest.approx([0.9] * 4)
    for row in model.rows["photographs"]:
        row["maps"]["bad"]["mass"] = {"background": 0.0, "body": 1.0, "sticker": 0.0}
    after = summarise(model, LABELS)
    assert after.methods[1].vehicle.value == 1 and after.trusted == before.trusted
    assert summarise(model, ("sky", *LABELS[1:])).methods[0].vehicle is None, "nothing says what is not the vehicle"


def test_verdicts_are_published_and_read_back(model, tmp_path):
    published = ExplanationVerdicts({"dataset": "toys"}, (summarise(model, LABELS).verdicts("00ff"),))
    write_verdicts(tmp_path / "e.json", published)
    verdicts = read_verdicts(tmp_path / "e.json")
    assert verdicts == published and verdicts.of("ff00") is None
    published_model = verdicts.of("00ff")
    (best,) = published_model.trusted
    assert (best.name, best.gain, best.photographs) == ("good", pytest.approx(0.35), 6)
    assert best.low <= best.gain <= best.high
    assert best.on_vehicle == pytest.approx(0.9) and set(best.passes.values()) == {True}
    assert (
        published_model.of("centre").passes == {}
        and not published_model.of("centre").trusted
        and published_model.of("absent") is None
    )


def test_the_largest_gain_comes_first():
    maps = tuple(
        MapVerdict(name, gain, 0, 1, 8, vehicle, {}, trusted)
        for name, gain, vehicle, trusted in (("a", 0.2, 0.9, True), ("b", 0.3, 0.1, True), ("c", 0.9, 1.0, False))
    )
    assert [one.name for one in ModelVerdicts("Toy", "00", maps).trusted] == ["b", "a"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": "diary"}',
        '{"format": "ssrnet explanation verdicts 1"}',
        '{"format": "ssrnet explanation verdicts 1", "record": {}, "models": [{"title": "x"}]}',
        '{"format": "ssrnet explanation verdicts 1", "record": {}, "models": [{"title": "x", "checkpoint_hash": "0",'
        ' "maps": [{"name": "a", "gain": "b", "low": 0, "high": 1, "photographs": 1, "on_vehicle": null, "passes": {},'
        ' "trusted": true}]}]}',
    ],
)
def test_a_file_of_something_else_is_one_sentence(text, tmp_path):
    (tmp_path / "e.json").write_text(text)
    with pytest.raises(DataError, match="holds no verdicts of `ssrnet study explanations`"):
        read_verdicts(tmp_path / "e.json")


def test_a_map_no_better_than_a_centred_one_is_not_faithful(model):
    for row in model.rows["photographs"]:
        row["curves"]["good"] = row["curves"]["centre"]
    good = summarise(model, LABELS).methods[0]
    assert good.over_random.is_positive and good.tests["faithful"] is False and not good.is_trusted


def test_few_vehicles_judge_nothing(model):
    for rows in model.rows.values():
        for row in rows:
            row["vehicle"] = "0001"
    good = summarise(model, LABELS).methods[0]
    assert set(good.tests.values()) == {None} and not good.is_trusted


def test_marks_of_vehicles_without_look_alikes_count_where_there_are_no_others(model):
    for row in model.rows["photographs"][:2]:
        row |= {"sibling": False}
    assert summarise(model, LABELS).methods[0].hits.rows == 4
    for row in model.rows["photographs"]:
        row |= {"sibling": False}
    summary = summarise(model, LABELS)
    assert summary.methods[0].hits.rows == 6 and not summary.siblings_only


def test_the_report_gives_the_verdict_and_the_file_reads_back(model, tmp_path):
    record = {
        "dataset": "toys",
        "dataset_hash": "1",
        "annotations_hash": "2",
        "photographs": [["a", "b"]],
        "pairs": [],
        "similarity": "cosine",
        "deletion": "mean colour",
        "insertion": "blur",
        "version": "0",
        "settings": {"steps": 2, "score_channels": 2, "seed": 0},
    }
    measurements = Measurements(record, {"masks": "none"}, [model])
    summary = summarise(model, LABELS)
    text = markdown(measurements, [summary])
    assert "- **Toy**: good deserves trust: of the maps that pass every test it gains most." in text
    assert "fails: faithful, finds the change, depends on training |" in text and "Left out: masks (none)." in text
    assert "Removing a mark changes the similarity by −0.0350" in text
    measurements.write(tmp_path / "e.json", [summary.plain()])
    assert read_measurements(tmp_path / "e.json") == measurements
    assert summary.plain()["trusted"] == ["good"]


def test_intervals_draw_vehicles_not_rows():
    """Two vehicles that differ: a replicate is all of one, half and half, or all of the other."""
    rows = np.array([0.0] * 10 + [1.0] * 10)
    both = interval(["a"] * 10 + ["b"] * 10, rows, mean)
    assert (both.value, both.low, both.high, both.rows, both.vehicles) == (0.5, 0, 1, 20, 2)
    alone = interval(["a"] * 20, rows, mean)
    assert alone.low == alone.high == 0.5
    assert interval([], np.array([]), mean) is None


def test_statistics_by_hand():
    rows = np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]])
    assert difference(rows) == 1 and ratio(rows) == 1.5
    assert spearman(np.array([[1, 10], [2, 30], [3, 20]])) == pytest.approx(0.5)
    # ties share ranks: 1.5, 1.5, 3 against 1, 2, 3
    assert spearman(np.array([[1, 1], [1, 2], [2, 3]])) == pytest.approx(0.75**0.5)
    assert np.isnan(spearman(rows)) and np.isnan(ratio(rows * 0))
    assert interval(["a", "b", "c"], rows, spearman) is None

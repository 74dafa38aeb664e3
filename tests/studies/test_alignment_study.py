"""Draws, their measurement, and what is chosen from results made by hand."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.retrieval.alignment import AlignmentSettings, align_cameras, cameras_of
from ssrnet.retrieval.ranking import rank
from ssrnet.studies.alignment.choose import best_threshold, choose, is_flagged, shares
from ssrnet.studies.alignment.draws import IMAGES, MIXES, VEHICLES, Draw, draw_images, draws
from ssrnet.studies.alignment.measure import ALIKE, PRIORS, DrawResult, measure_draws
from ssrnet.studies.alignment.report import markdown


@pytest.fixture(scope="module")
def town() -> list[VehicleImage]:
    """12 vehicles by 4 cameras, three images each; the first six vehicles are cars."""
    return [
        VehicleImage(Path("/nowhere"), f"{v}-{c}-{i}.jpg", str(v), f"c{c}", {"type": "car" if v < 6 else f"t{v % 3}"})
        for v in range(12)
        for c in range(4)
        for i in range(3)
    ]


def drawn(town, *draw) -> list[VehicleImage]:
    return [town[row] for row in draw_images(town, Draw(*draw))]


def test_a_draw_limits_images_and_vehicles_and_is_the_same_for_a_seed(town):
    images = drawn(town, "even", 4, 8, 0)
    assert len({image.vehicle_id for image in images}) == 4
    assert set(Counter(image.camera_id for image in images).values()) == {8}
    assert images == drawn(town, "even", 4, 8, 0) != drawn(town, "even", 4, 8, 1)
    assert drawn(town, "even", None, None, 0) == town
    assert len(list(draws(2))) == 2 * len(MIXES) * len(IMAGES) * len(VEHICLES)


def test_cameras_that_see_unlike_vehicles(town):
    images = drawn(town, "types apart", None, None, 0)
    cars = {
        c: np.mean([i.attributes["type"] == "car" for i in images if i.camera_id == c])
        for c in ("c0", "c1", "c2", "c3")
    }
    assert sorted(share > 0.5 for share in cars.values()) == [False, False, True, True]
    pairs = {(i.vehicle_id, i.camera_id) for i in drawn(town, "vehicles apart", None, None, 0)}
    assert 5 <= len(pairs) <= 24  # of 48, each kept with probability 0.3
    assert len(drawn(town, "vehicles apart", None, None, 0)) == 3 * len(pairs)


def test_gains_are_those_of_the_drawn_images_alone(town):
    features = torch.randn(len(town), 8, generator=torch.Generator().manual_seed(0))
    draw = Draw("even", 8, 4, 3)
    (result,) = measure_draws(town, {"net": features}, [draw])
    rows = draw_images(town, draw)
    images, chosen = tuple(town[row] for row in rows), features[rows]
    split = Split(images, images, same_camera_is_junk=True)
    raw = rank(chosen, chosen, split, top_k=1).metrics
    aligned = align_cameras(chosen, cameras_of(images), AlignmentSettings(PRIORS[2], 1))
    assert (result.raw, result.queries, result.images) == (raw.mAP, raw.queries, 4)
    assert result.gains[2] == pytest.approx(rank(aligned, aligned, split, top_k=1).metrics.mAP - raw.mAP)
    assert len(result.distinct) == len(ALIKE) and 0 <= result.mix <= 1
    few = measure_draws(town, {"net": features}, [Draw("vehicles apart", 4, 4, 0)])
    assert few == []  # fewer than eight queries have a match


def result(images=4, vehicles=None, mix="even", model="a", gains=(0.0,) * len(PRIORS), distinct=10.0, tv=0.1):
    draw = Draw(mix, vehicles, images, 0)
    return DrawResult(draw, model, 20, float(images or 50), (distinct,) * len(ALIKE), tv, 0.5, gains)


def gains(**by_prior: float) -> tuple[float, ...]:
    return tuple(by_prior.get(f"p{prior:g}", 0.02) for prior in PRIORS)


def test_the_prior_that_harms_the_fewest_draws_is_chosen_and_then_the_smallest_number_of_images():
    results = [
        result(gains=gains(p0=0.2, p2=-0.1, p4=-0.01, p8=-0.001), images=4),
        *(result(gains=gains(p0=-0.2, p8=0.05), images=8, mix=mix, model=m) for mix in MIXES for m in "ab"),
    ]
    choice = choose(results)
    assert choice.prior == 8 and choice.min_images == 8  # at four images the gain of 8 is below 0
    assert choice.harmed[:4] == pytest.approx((6 / 7, 1 / 7, 1 / 7, 0))


def test_the_threshold_that_tells_harmed_draws_from_others_is_chosen():
    bad = np.array([True, True, False, False, False])
    found = best_threshold("distinct", [2.0, 3.0, 3.2, 9.0, 9.0], bad)
    assert (found.value, found.flagged, found.separation) == (3.5, (1.0, pytest.approx(1 / 3)), pytest.approx(2 / 3))
    mix = best_threshold("mix", [0.5, 0.6, 0.1, 0.2, 0.3], bad, above=True)
    assert mix.flagged == (1.0, 0.0) and 0.3 <= mix.value < 0.5
    assert shares(np.array([True, False]), np.array([False, False])) == (0.0, 0.5)


def test_the_report_counts_what_the_rule_flags_on_the_other_town():
    harm, fine = (-0.1,) * len(PRIORS), (0.1,) * len(PRIORS)
    first = [result(gains=harm, distinct=3.0), *(result(gains=fine, model=m, mix=x) for m in "ab" for x in MIXES)]
    choice = choose(first)
    assert is_flagged(first[0], choice) and not is_flagged(first[1], choice)
    second = [
        result(gains=harm, distinct=3.0),
        result(gains=harm),
        result(gains=fine),
        result(gains=fine, distinct=2.0),
    ]
    place = {"dataset": "t", "dataset_hash": "0", "images": 10, "vehicles": 2, "cameras": 2}
    models = {"a": {"checkpoint": "a.safetensors", "checkpoint_hash": "1"}}
    text = markdown(
        {"choose": place, "report": place, "models": models, "seeds": 1, "version": "0"}, first, second, choice
    )
    assert "alignment harmed 50.0% of 4 draws; the rule flagged 50% of these and 50% of the others" in text
    assert "| harmed |" in text and "+10.0" in text and "\n\n\n" not in text

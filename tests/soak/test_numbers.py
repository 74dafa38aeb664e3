"""The short form: a sample of the city through the shipped networks in other ways, and everything that a seed draws."""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch

from ssrnet.data.datasets import open_dataset
from tests.soak import draws
from tests.soak.again import CITY, ROOT, Way, chosen, compute, scores, shipped, torch_as, values
from tests.soak.numbers import (
    COSINE,
    DRAWN_EXACTLY,
    KERNELS,
    POINTS,
    QUERIES,
    TRAINED,
    Difference,
    disagreements,
    feature_difference,
    metric_difference,
    row,
)
from tests.soak.report import NOTHING

# 24 images in all; the way of `ssrnet extract` is in tests/test_shipped.py.
SAMPLES = (
    (Way("ssrnet", threads=2, batch=7, layout="contiguous", every=140), 1),
    (Way("ssrnet", threads=1, batch=3, order="shuffled", workers=2, deterministic=True, every=140), 2),
    (Way("baseline", threads=2, batch=5, layout="contiguous", order="reversed", every=140), 3),
    (Way("baseline", threads=4, batch=16, every=140), 4),
)


@pytest.fixture(scope="module")
def city():
    return open_dataset(CITY)


@pytest.mark.parametrize(("way", "offset"), SAMPLES, ids=lambda value: str(value))
def test_a_sample_in_another_way_has_the_shipped_features(city, way, offset):
    images = chosen(city, way, offset)
    fresh = compute(way, images)
    assert len(images) == 6 and fresh.names == tuple(image.name for image in images)
    difference = feature_difference(fresh.features, shipped(way.network, city).rows(images))
    assert difference.failures() == [], difference


@pytest.mark.parametrize("network", ["ssrnet", "baseline"])
def test_the_shipped_features_score_what_the_card_says_on_every_protocol(city, network):
    with torch_as(Way(threads=3)):
        queries, points = metric_difference(values(scores(shipped(network, city), city)), network)
    assert queries <= QUERIES + 1e-6 and points <= POINTS


def test_settings_of_torch_are_put_back():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch_as(Way(threads=before[0] + 1, deterministic=True)):
        assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (before[0] + 1, True)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_other_numbers_are_told_apart(city):
    """The tolerances are narrow enough for what they are to find: another image, bfloat16, a changed weight."""
    features = shipped("ssrnet", city).features
    assert feature_difference(features[1:5], features[:4]).failures()
    assert feature_difference(features[:4].bfloat16().float(), features[:4]).failures()
    assert feature_difference(features[:4] * 1.001, features[:4]).failures()
    assert feature_difference(features[:4] + torch.full((1, 1), float("nan")), features[:4]).failures()
    nearly = features[:4] * (1 + 2**-12)
    assert feature_difference(nearly, features[:4]).failures() == []


def test_a_row_counts_what_was_off_and_keeps_the_largest():
    small, large = Difference(0.003, KERNELS / 2, COSINE / 2), Difference(0.004, KERNELS * 2, COSINE / 3, queries=1.0)
    made = row("tried", [small, large], 24, ["one process ended"])
    assert made.times == 24 and made.lost.startswith("2 times, first: one process ended")
    assert "0.0040" in made.measured and "rank-1 1.0 queries" in made.measured
    assert row("tried", [small], 12, []).lost == NOTHING
    assert row("tried", [], 0, ["ended"]).times == 0


def test_another_process_and_more_threads_draw_the_same_from_a_seed(tmp_path):
    """Maps are left to the long form, for their libraries load for seconds."""
    here = draws.exact(0) | draws.computed(0, tmp_path, projections=False)
    for name, expected in draws.DRAWN.items():
        assert str(here[name]) == expected, f"{name} of seed 0 is not what published numbers were made with"
    out = tmp_path / "there.npz"
    script = (
        "import sys; from pathlib import Path; import numpy as np; from tests.soak import draws; "
        "np.savez(sys.argv[2], **draws.exact(0), **draws.computed(0, Path(sys.argv[1]), projections=False))"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "3", "PYTHONHASHSEED": "7", "TQDM_DISABLE": "1"}
    command = [sys.executable, "-c", script, tmp_path / "there", out]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=300)
    with np.load(out) as there:
        for name, difference in disagreements(here, dict(there)).items():
            assert difference <= (TRAINED if "training" in name else DRAWN_EXACTLY), name
    other = draws.exact(1)  # that training goes elsewhere is in tests/test_train.py
    assert all(str(other[name]) != expected for name, expected in draws.DRAWN.items())


def test_a_way_survives_the_file_that_hands_it_to_another_process():
    for way, _ in SAMPLES:
        assert Way(**json.loads(json.dumps(asdict(way)))) == way
    assert str(Way(threads=2, batch=7, onednn=False)) == "2 threads, batches of 7, no oneDNN"

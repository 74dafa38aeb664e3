"""The city in assets/: complete, as its recipe draws it, and small enough for a repository."""

import csv
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssrnet.data.datasets import open_dataset
from ssrnet.synth.generate import plan, recorded_settings, settings_of_pixels
from ssrnet.synth.probes import probe_steps
from ssrnet.synth.settings import city_recipe
from ssrnet.synth.vehicle.fleet import draw_fleet
from ssrnet.synth.vehicle.part_names import PART_NAMES

ASSETS = Path(__file__).parents[2] / "assets"
CITY = ASSETS / "city"
MEGABYTE = 1 << 20


def rows_of(name: str) -> list[dict[str, str]]:
    with (CITY / name).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def manifest():
    return rows_of("manifest.csv")


def test_every_file_is_what_was_rendered():
    listed = dict(reversed(line.split("  ")) for line in (CITY / "checksums.sha256").read_text().splitlines())
    there = {path.relative_to(CITY).as_posix() for path in CITY.rglob("*.*g") if path.is_file()}
    assert there == set(listed)
    hashes = {name: hashlib.sha256((CITY / name).read_bytes()).hexdigest() for name in listed}
    assert hashes == listed


def test_holds_what_its_recipe_draws(manifest):
    settings = city_recipe("demo")
    assert recorded_settings(CITY) == settings_of_pixels(settings)
    fleet = draw_fleet(settings)
    _, names = plan(fleet, settings)
    assert {row["image"].split("/")[-1] for row in manifest} == set(names)
    assert [row["image"].split("/")[-1] for row in rows_of("probes.csv")] == [
        step.name for step in probe_steps(fleet, settings.seed)
    ]


def test_serves_every_protocol(manifest):
    images = [row for row in manifest if row["split"] == "test"]
    counts = Counter(row["vehicle_id"] for row in images)
    assert len(counts) >= 60 and min(counts.values()) >= 7 and len(images) >= 700
    assert len({row["sibling_group"] for row in images} - {""}) >= 8
    dataset = open_dataset(CITY)
    assert len(dataset.gallery) == len(images) and len(dataset.query) == len(manifest) - len(images)
    assert not dataset.train


def test_masks_and_probes_show_their_marks():
    masked = [row for row in rows_of("manifest.csv") if row["mask"]]
    assert len({row["mask"] for row in masked}) >= 100
    for row in masked[::20]:
        mask = np.asarray(Image.open(CITY / row["mask"]))
        assert mask.shape == (int(row["height"]), int(row["width"])) == Image.open(CITY / row["image"]).size[::-1]
        seen = {PART_NAMES[value].replace(" ", "-") for value in np.unique(mask)}
        assert set(row["visible_marks"].split()) <= seen
    pairs = [row for row in rows_of("probes.csv") if row["mark"]]
    assert {row["change"] for row in pairs} == {"as it is", "removed", "moved"}
    shown = [int(row["mark_pixels"]) for row in pairs if row["change"] != "removed"]
    assert all(int(row["mark_pixels"]) == 0 for row in pairs if row["change"] == "removed")
    assert np.mean(np.array(shown) >= 12) > 0.9


def test_is_small_enough_for_the_repository():
    assert sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()) <= 36 * MEGABYTE
    pictures = sum(path.stat().st_size for path in CITY.rglob("*.*g") if path.is_file())
    assert pictures <= 16 * MEGABYTE

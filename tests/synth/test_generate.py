"""The written data set: layout, resuming, refusing to mix two cities. The camera is a stub here."""

import csv
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from ssrnet.errors import DataError
from ssrnet.synth import generate as generating
from ssrnet.synth.generate import generate
from ssrnet.synth.settings import SynthSettings

PHOTO = {
    "pixels": np.full((20, 30, 3), 99, np.uint8), "parts": np.zeros((20, 30), np.uint8), "occlusion": 0.0, "azimuth": 10.0,
    "elevation": 12.0, "visible_marks": (),
}  # fmt: skip


class StubCamera:
    """Takes a grey card, and may be killed after a number of photographs."""

    samples = 9

    def __init__(self, lives=10**9):
        self.lives = lives
        self.taken = 0

    def take(self, vehicle, capture):
        if self.taken >= self.lives:
            raise KeyboardInterrupt
        self.taken += 1
        return type("Photo", (), PHOTO)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(generating, "load_mitsuba", lambda: None)
    monkeypatch.setattr("ssrnet.synth.vehicle.build", lambda identity: identity)
    monkeypatch.setattr(generating, "unresolvable_views", lambda a, b: ())
    return SynthSettings(tmp_path / "city", identities=14, seed=2, max_passes=5, max_frames=2, masks=True)


def use(monkeypatch, camera):
    monkeypatch.setattr(generating, "photographer", lambda samples: camera)
    return camera


def test_layout_is_veri(settings, monkeypatch):
    use(monkeypatch, StubCamera())
    report = generate(settings)
    rows = list(csv.DictReader((settings.out / "manifest.csv").open()))
    assert len(rows) == report.rows and report.taken == report.total
    for row in rows:
        path = settings.out / row["image"]
        assert path.exists() and (settings.out / row["mask"]).exists()
        vehicle, cam, stamp, index = path.stem.split("_")
        assert (vehicle, cam) == (row["vehicle_id"], row["camera_id"])
        assert len(stamp) == 8 and index.isdigit()
    by_split = defaultdict(set)
    for row in rows:
        by_split[row["split"]].add(row["vehicle_id"])
    assert not by_split["train"] & (by_split["test"] | by_split["query"])
    assert by_split["query"] == by_split["test"]


def test_round_trip_through_open_dataset(settings, monkeypatch):
    datasets = pytest.importorskip("ssrnet.data.datasets", reason="the readers are not on this branch yet")
    use(monkeypatch, StubCamera())
    generate(settings)
    dataset = datasets.open_dataset(settings.out)
    rows = list(csv.DictReader((settings.out / "manifest.csv").open()))
    for split, images in (("train", dataset.train), ("query", dataset.query), ("test", dataset.gallery)):
        assert {image.name for image in images} == {
            row["image"].split("/")[-1] for row in rows if row["split"] == split
        }


def test_continues_after_being_killed(settings, monkeypatch):
    use(monkeypatch, StubCamera(lives=11))
    with pytest.raises(KeyboardInterrupt):
        generate(settings)
    assert not (settings.out / "manifest.csv").exists()
    (settings.out / "image_test").mkdir(exist_ok=True)
    (settings.out / "image_test" / ".half.jpg.123.part").write_bytes(b"torn")
    second = use(monkeypatch, StubCamera())
    report = generate(settings)
    assert second.taken == report.taken == report.total - 11
    assert not list(settings.out.rglob("*.part"))
    third = use(monkeypatch, StubCamera())
    assert generate(settings).taken == 0 and third.taken == 0


def test_refuses_another_city_in_the_same_folder(settings, monkeypatch):
    use(monkeypatch, StubCamera())
    generate(settings)
    with pytest.raises(DataError, match="seed 2"):
        generate(replace(settings, seed=9))


def test_progress_counts_to_the_end(settings, monkeypatch):
    use(monkeypatch, StubCamera())
    calls = []
    report = generate(settings, lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, report.total) and calls[-1] == (report.total, report.total)

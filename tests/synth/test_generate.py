"""The files of a city: layout, resuming, refusing to mix two cities. A stub takes the photographs."""

import csv
import json
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError
from ssrnet.synth import generate as generating
from ssrnet.synth import jobs
from ssrnet.synth.generate import generate, plan
from ssrnet.synth.settings import SynthSettings, city_recipe
from ssrnet.synth.vehicle.fleet import draw_fleet

PHOTO = {
    "pixels": np.full((20, 30, 3), 99, np.uint8),
    "parts": np.zeros((20, 30), np.uint8),
    "occlusion": 0.0,
    "azimuth": 10.0,
    "elevation": 12.0,
    "visible_marks": (),
}


class StubPhotographer:
    """Takes grey cards; ``lives`` photographs later it is killed."""

    samples = 9

    def __init__(self, lives=10**9):
        self.lives = lives
        self.taken = 0

    def take(self, vehicle, capture, staging=None, framed_as=None):
        if self.taken >= self.lives:
            raise KeyboardInterrupt
        self.taken += 1
        return type("Photo", (), PHOTO)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(generating, "load_mitsuba", lambda: None)
    monkeypatch.setattr(jobs, "build", lambda identity: identity)
    monkeypatch.setattr(generating, "unresolvable_views", lambda a, b: ())
    return SynthSettings(tmp_path / "city", identities=14, seed=2, max_passes=5, max_frames=2, masks=True)


def use(monkeypatch, photographer):
    monkeypatch.setattr(jobs, "photographer", lambda samples: photographer)
    return photographer


def test_layout_is_veri(settings, monkeypatch):
    use(monkeypatch, StubPhotographer())
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
    use(monkeypatch, StubPhotographer())
    generate(settings)
    dataset = open_dataset(settings.out)
    rows = list(csv.DictReader((settings.out / "manifest.csv").open()))
    for split, images in (("train", dataset.train), ("query", dataset.query), ("test", dataset.gallery)):
        assert {image.name for image in images} == {
            row["image"].split("/")[-1] for row in rows if row["split"] == split
        }


def test_continues_after_being_killed(settings, monkeypatch):
    use(monkeypatch, StubPhotographer(lives=11))
    with pytest.raises(KeyboardInterrupt):
        generate(settings)
    assert not (settings.out / "manifest.csv").exists()
    (settings.out / "image_test").mkdir(exist_ok=True)
    dead = 2**22 + 1  # above Linux's highest process number
    (settings.out / "image_test" / f".half.jpg.{dead}.part").write_bytes(b"torn")
    second = use(monkeypatch, StubPhotographer())
    report = generate(settings)
    assert second.taken == report.taken == report.total - 11
    assert not list(settings.out.rglob("*.part"))
    third = use(monkeypatch, StubPhotographer())
    assert generate(settings).taken == 0 and third.taken == 0


def test_a_finished_city_grows(settings, monkeypatch):
    use(monkeypatch, StubPhotographer())
    first = generate(settings)
    before = (settings.out / "manifest.csv").read_text().splitlines()
    assert not (settings.out / ".records").exists()
    second = generate(replace(settings, identities=17))
    assert second.taken == second.total - first.total > 0
    assert set(before) <= set((settings.out / "manifest.csv").read_text().splitlines())


def test_a_lost_photograph_is_taken_again(settings, monkeypatch):
    use(monkeypatch, StubPhotographer())
    generate(settings)
    next(settings.out.glob("image_t*/*.jpg")).unlink()
    assert generate(settings).taken == 1


def test_masks_for_every_nth_image_only(settings, monkeypatch):
    use(monkeypatch, StubPhotographer())
    report = generate(replace(settings, mask_every=7))
    assert len(list((settings.out / "masks").iterdir())) == -(-report.total // 7)


def test_probes_have_a_table(settings, monkeypatch):
    use(monkeypatch, StubPhotographer())
    monkeypatch.setattr("ssrnet.synth.probes.PAIR_VEHICLES", 2)
    city = replace(settings, probes=True, train_share=0.0, sibling_share=1.0, identities=4)
    generate(city)
    rows = list(csv.DictReader((settings.out / "probes.csv").open()))
    assert {row["series"] for row in rows} == {"turn", "sun", "light", "distance", "occluder", "mark"}
    assert all((settings.out / row["image"]).exists() and (settings.out / row["mask"]).exists() for row in rows)
    listed = (settings.out / "checksums.sha256").read_text()
    assert all(row["image"] in listed and row["mask"] in listed for row in rows)
    assert generate(city).taken == 0


def test_demo_and_training_are_two_halves_of_one_fleet():
    demo, training = city_recipe("demo"), city_recipe("training")
    fleet = draw_fleet(demo)
    assert fleet == draw_fleet(training)
    half = {}
    for settings in (demo, training):
        jobs, names = plan(fleet, settings)
        counts = [len(job.captures) for job in jobs]
        assert sum(counts) == len(set(names))
        half[settings.recipe] = [job.identity for job in jobs]
        if settings is demo:
            assert min(counts) >= 7 and max(capture.frame for job in jobs for capture in job.captures) == 1
        else:
            assert len(jobs) >= 600 and len(names) >= 9000
    assert len({one.sibling_group for one in half["demo"]} - {-1}) >= 8
    assert len({one.model.body_type for one in half["demo"]}) == 10
    for trait in ("vehicle_id", "model", "marks"):
        ours, theirs = ({getattr(one, trait) for one in half[name]} - {()} for name in ("demo", "training"))
        assert not ours & theirs, trait


def test_refuses_another_city_in_the_same_folder(settings, monkeypatch):
    use(monkeypatch, StubPhotographer())
    generate(settings)
    with pytest.raises(DataError, match="seed 2"):
        generate(replace(settings, seed=9))


def test_continues_a_folder_from_before_there_were_camera_seeds(settings, monkeypatch):
    use(monkeypatch, StubPhotographer())
    generate(settings)
    path = settings.out / "settings.json"
    older = {key: value for key, value in json.loads(path.read_text()).items() if "camera" not in key}
    path.write_text(json.dumps(older))
    with pytest.raises(DataError, match="camera_seed None"):
        generate(replace(settings, camera_seed=4))
    assert generate(settings).taken == 0
    assert json.loads(path.read_text()) == older | {"camera_seed": None, "cameras": 20}


def test_a_town_has_the_layout_of_the_city(settings, monkeypatch):
    use(monkeypatch, StubPhotographer())
    generate(replace(settings, camera_seed=4, cameras=5, train_share=0.0))
    rows = list(csv.DictReader((settings.out / "manifest.csv").open()))
    assert {row["camera_id"] for row in rows} == {f"c{number:03d}" for number in range(1, 6)}
    assert all(row["type"] and row["colour"] for row in rows)
    dataset = open_dataset(settings.out)
    assert dataset.query and not dataset.train
    with pytest.raises(DataError, match="camera_seed 4"):
        generate(replace(settings, camera_seed=5, cameras=5, train_share=0.0))


def test_progress_counts_to_the_end(settings, monkeypatch):
    use(monkeypatch, StubPhotographer())
    calls = []
    report = generate(settings, lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, report.total) and calls[-1] == (report.total, report.total)

import json

import numpy as np
import pytest

from ssrnet import cli
from ssrnet.benchmarks import cost
from ssrnet.benchmarks.clusters import Clusters
from ssrnet.benchmarks.cost import CostBenchmarkSettings, Gallery, benchmark_cost, peak_memory
from ssrnet.errors import ResourceError, SettingsError


def small(**changes) -> CostBenchmarkSettings:
    values = {
        "sizes": (50, 300),
        "dimension": 48,
        "k": 5,
        "batches": (1, 3),
        "pca": 8,
        "rescore": (10, 400),
        "rounds": 1,
    }
    return CostBenchmarkSettings(**values | changes)


def test_one_run(tmp_path, capsys):
    costs = benchmark_cost(small(folder=tmp_path / "galleries", out=tmp_path))
    assert [c.gallery for c in costs.growth] == [50, 300]
    assert all(c.first > 0 and c.later > 0 for c in costs.growth)
    assert costs.growth[1].floor == pytest.approx(300 * 48 * 2 / costs.bandwidth)
    by_way = {(b.way, b.queries): b for b in costs.batches}
    assert len(by_way) == len(costs.batches) == 3 * 2 * 2
    for where in ("all cameras", "one camera"):
        assert by_way[f"exact, {where}", 1].recall == by_way[f"exact, {where}", 3].recall == 1
        # With all the gallery as candidates re-scoring is the exact search.
        assert by_way[f"PCA to 8, 400 re-scored, {where}", 3].recall == 1
    assert 0.2 < by_way["PCA to 8, 10 re-scored, all cameras", 3].recall < 1
    exact, short = by_way["exact, all cameras", 3], by_way["PCA to 8, 10 re-scored, all cameras", 3]
    assert exact.floor == pytest.approx(costs.growth[1].floor / 3) and short.floor == pytest.approx(exact.floor / 6)
    assert 0 < by_way["exact, one camera", 3].floor < 0.2 * exact.floor
    assert not list((tmp_path / "galleries").iterdir())
    said = capsys.readouterr().out
    assert "exact top-5 of features of 48 numbers" in said and "PCA to 8, 400 re-scored, one camera" in said
    assert [c["gallery"] for c in json.loads((tmp_path / "cost.json").read_text())["growth"]] == [50, 300]
    assert (tmp_path / "cost.svg").read_text().count("gallery images") >= 2


def test_the_gallery_grows_by_what_is_missing(tmp_path):
    gallery = Gallery(small(), tmp_path)
    gallery.grow(40)
    gallery.grow(300)
    entries = list(gallery.whole.entries())
    assert [entry.name for entry in entries] == [f"{i:07d}.jpg" for i in range(300)]
    assert len(gallery.short) == 300
    assert gallery.by_one_camera == sum(entry.camera_id == cost.ONE_CAMERA.cameras[0] for entry in entries) > 0
    gallery.close()


def test_variances_fall_as_those_of_trained_features():
    variances = Clusters(512, 2000, seed=0, decaying=True).whole(2000).features.var(0)
    assert variances[:4].mean() > 50 * variances[60:68].mean() / 4 > 10 * variances[-8:].mean()
    even = Clusters(512, 2000, seed=0).whole(2000).features.var(0)
    assert even.max() < 1.5 * even.min()


def test_peak_memory_sees_what_is_held_for_a_moment():
    with peak_memory() as grown:
        held = np.ones(30_000_000)
        held.sum()
        del held
    if not grown:
        pytest.skip("no /proc here")
    assert 200e6 < grown[0] < 600e6


def test_a_full_disk_is_said_before_anything_is_made(tmp_path):
    with pytest.raises(ResourceError, match=r"GB free, and 1,000,000,000 images need 8368.0 GB; name"):
        benchmark_cost(CostBenchmarkSettings(sizes=(1_000_000_000,), folder=tmp_path))
    assert not list(tmp_path.iterdir())


def test_the_command_line(monkeypatch):
    caught = []
    monkeypatch.setattr(cli, "HANDLERS", dict.fromkeys(cli.HANDLERS, caught.append))
    cli.run(["benchmark", "cost", "--sizes", "600", "1000", "--rescore", "200"])
    settings = caught[0].what
    assert isinstance(settings, CostBenchmarkSettings) and settings.sizes == (600, 1000) and settings.rescore == (200,)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sizes": (300, 50)}, r"--sizes is \(300, 50\); give whole numbers from 1, in ascending order"),
        ({"batches": ()}, r"--batches is \(\); give whole numbers"),
        ({"pca": 49}, "--pca is 49; it cannot be above --dimension"),
        ({"k": 0}, "k is 0; it must be at least 1"),
    ],
)
def test_settings_that_cannot_work(changes, sentence):
    with pytest.raises(SettingsError, match=sentence):
        small(**changes)

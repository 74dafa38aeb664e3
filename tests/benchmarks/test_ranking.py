import json
import sys

import numpy as np
import pytest
import torch

from ssrnet import cli
from ssrnet.benchmarks import ranking
from ssrnet.benchmarks.clusters import Retrieval
from ssrnet.benchmarks.contenders import CONTENDERS, Measured, measure
from ssrnet.benchmarks.ranking import RankingBenchmarkSettings, Row, benchmark_ranking, table
from ssrnet.errors import ResourceError, SettingsError
from ssrnet.retrieval.alignment import align_cameras, cameras_of
from ssrnet.retrieval.ranking import rank


@pytest.fixture(scope="module")
def data():
    return Retrieval.make(60, 300, 64, seed=0)


def test_features_are_clusters_and_the_same_for_a_seed(data, tmp_path):
    again, other = Retrieval.make(60, 300, 64, seed=0), Retrieval.make(60, 300, 64, seed=1)
    assert np.array_equal(again.gallery, data.gallery) and not np.array_equal(other.gallery, data.gallery)
    data.save(tmp_path)
    loaded = Retrieval.load(tmp_path)
    assert all(np.array_equal(getattr(loaded, name), getattr(data, name)) for name in Retrieval.__dataclass_fields__)
    chance = rank(torch.randn(60, 64), torch.randn(300, 64), data.split()).metrics
    scores = rank(torch.from_numpy(data.query), torch.from_numpy(data.gallery), data.split()).metrics
    assert 1.5 * chance.mAP < scores.mAP < 0.9  # neither noise nor solved
    head = data.head(5, 50).split()
    assert (len(head.query), len(head.gallery)) == (5, 50) and head.same_camera_is_junk


@pytest.mark.parametrize("name", [name for name in CONTENDERS if not name.startswith(("ours", "matrix"))])
def test_contenders_find_what_ours_does(data, name):
    own, expected = measure(CONTENDERS["ours"], data, 20)
    measured, answer = measure(CONTENDERS[name], data, 20)
    if measured.status == "absent":
        pytest.skip(measured.note)
    assert measured.status == "done" and measured.seconds > 0 and measured.memory >= 0
    if name == "faiss flat":
        assert measured.mAP is None
    else:
        assert measured.rank_1 == pytest.approx(own.rank_1, abs=1e-6)
        assert measured.mAP == pytest.approx(own.mAP, abs=1e-5)
    if answer.order is not None:
        assert answer.order.shape == expected.order.shape == (60, 20)
        assert (answer.order == expected.order).mean() > 0.999


def test_ours_aligned_ranks_what_camera_alignment_returns(data):
    measured, answer = measure(CONTENDERS["ours, aligned"], data, 20)
    both, split = torch.from_numpy(np.concatenate([data.query, data.gallery])), data.split()
    aligned = align_cameras(both, cameras_of((*split.query, *split.gallery)))
    expected = rank(aligned[:60], aligned[60:], split, top_k=20)
    assert measured.status == "done" and measured.mAP == pytest.approx(expected.metrics.mAP, abs=1e-6)
    assert (answer.order == expected.order[:, :20]).mean() > 0.999


def test_what_is_not_installed_is_absent(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    measured, _ = measure(CONTENDERS["faiss flat"], data, 20)
    assert measured.status == "absent" and measured.note == "faiss is not installed: pip install -e .[benchmark]"


def test_an_error_that_is_none_of_memory_is_raised(data):
    def broken(data, top_k):
        def run():
            if len(data.gallery) > 256:  # after the first, small call
                raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

        return run

    with pytest.raises(RuntimeError, match="shapes"):
        measure(broken, data, 20)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits a process's address space")
def test_one_run_with_a_contender_that_runs_out_of_memory(tmp_path, capsys):
    """The matrix of distances and its order need 108 MB."""
    settings = RankingBenchmarkSettings(
        ("1500x6000",), dimension=8, memory=0.1, rounds=1, top_k=5, only=("numpy",), out=tmp_path / "out.json"
    )
    (rows,) = benchmark_ranking(settings).values()
    status = {row.name: row.measured.status for row in rows}
    assert status["numpy argsort"] == "out of memory"
    said = capsys.readouterr().out
    assert "1,500 queries x 6,000 gallery images x 8 numbers" in said and "numpy argsort         out of memory" in said
    saved = json.loads((tmp_path / "out.json").read_text())["1500x6000"]
    assert [row["name"] for row in saved] == ["ours", "numpy argsort"]


def test_the_table():
    rows = [
        Row("ours", Measured("done", "", 2.0, 3.0, None, 400_000_000, 0.5, 0.25)),
        Row("numpy argsort", Measured("done", "", 5.0, 6.0, 1.5, 0, 0.5, 0.25 + 1e-8), 0.9999),
        Row("faiss flat", Measured("absent", "faiss is not installed")),
        Row("numpy argsort", Measured("out of memory", "", 3.0)),
    ]
    header, own, other, absent, out = table(rows).splitlines()
    assert header.split() == ["seconds", "of", "CPU", "over", "ours", "GB", "more", "rank-1", "mAP"]
    assert own.split() == ["ours", "2.00", "3.00", "1.00x", "0.40", "50.0000%", "25.0000%"]
    assert other.split()[2:7] == ["5.00", "6.00", "2.50x", "0.00", "equal"] and "+1e-08" in other
    assert other.endswith("(distances 1.50 s, 99.9900% of the top places as ours)")
    assert absent.endswith("absent  (faiss is not installed)") and out.endswith("out of memory after 3.0 s")


def test_a_contender_that_fails_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(ranking.sys, "executable", "/bin/false")
    with pytest.raises(ResourceError, match="the contender 'matrix product alone' ended with 'no message'"):
        benchmark_ranking(RankingBenchmarkSettings(("2x60",), dimension=4))


def test_the_command_line(monkeypatch):
    caught = []
    monkeypatch.setattr(cli, "HANDLERS", dict.fromkeys(cli.HANDLERS, caught.append))
    cli.run(["benchmark", "ranking", "--sizes", "5x100", "7x200", "--only", "faiss"])
    settings = caught[0].what
    assert settings.pairs == [(5, 100), (7, 200)] and settings.contenders == ["ours", "faiss flat"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sizes": ("big",)}, "--sizes has 'big'; write queries x gallery"),
        ({"sizes": ("5x20",)}, "the size 5x20 cannot be ranked: .* at least --top-k \\(50\\) images"),
        ({"only": ("annoy",)}, "--only names 'annoy'; choose from matrix product alone, ours"),
        ({"rounds": 0}, "rounds is 0; it must be above 0"),
        ({"memory": -1.0}, "memory is -1.0; it must be above 0"),
    ],
)
def test_settings_that_cannot_work(changes, sentence):
    with pytest.raises(SettingsError, match=sentence):
        RankingBenchmarkSettings(**changes)

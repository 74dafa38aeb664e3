import json

import pytest

from ssrnet import cli
from ssrnet.benchmarks.indexes import IndexBenchmarkSettings, Row, benchmark_index, table
from ssrnet.errors import SettingsError


def test_one_run(tmp_path, capsys):
    """In a file: all find what the exact store does."""
    settings = IndexBenchmarkSettings(300, 48, 5, (1, 3), 1, approximate=True, out=tmp_path / "out.json")
    rows = benchmark_index(settings)
    assert [row.name for row in rows] == ["exact store", "numpy", "faiss flat", "Milvus FLAT", "Milvus HNSW"]
    assert all(row.recall == 1 and row.build > 0 and row.search.keys() == {1, 3} for row in rows)
    said = capsys.readouterr().out
    assert "300 images of 48 numbers, top-5" in said and "Milvus HNSW" in said and "1.00x" in said
    saved = json.loads((tmp_path / "out.json").read_text())
    assert saved["settings"]["images"] == 300 and len(saved["rows"]) == 5


def test_the_table():
    ours = Row("exact store", 2.0, {1: 0.5}, 3_000_000_000, 1.0)
    rows = [ours, Row("Milvus FLAT", 6.0, {1: 1.0}, None, 0.99), Row("faiss flat", note="faiss is not installed")]
    _, header, own, other, absent = table(rows, IndexBenchmarkSettings(1000, batches=(1,))).splitlines()
    assert header.split() == ["build", "GB", "1", "queries", "recall"]
    assert own.split() == ["exact", "store", "2.0", "1.00x", "3.0", "0.5000", "1.00x", "100.0%"]
    assert other.split() == ["Milvus", "FLAT", "6.0", "3.00x", "-", "1.0000", "2.00x", "99.0%"]
    assert absent.split("  ")[-1] == "faiss is not installed"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": 9}, r"--images is 9; it must be at least k \(50\)"),
        ({"rounds": 0}, "rounds is 0; it must be at least 1"),
        ({"batches": ()}, r"--batches is \(\); give whole numbers from 1"),
    ],
)
def test_settings_that_cannot_work(changes, sentence):
    with pytest.raises(SettingsError, match=sentence):
        IndexBenchmarkSettings(**changes)


def test_the_command_line(monkeypatch):
    caught = []
    monkeypatch.setattr(cli, "HANDLERS", dict.fromkeys(cli.HANDLERS, caught.append))
    cli.run(["benchmark", "index", "--images", "2000", "--uri", "http://x", "--process", "7"])
    assert (caught[0].what.images, caught[0].what.uri, caught[0].what.process) == (2000, "http://x", 7)

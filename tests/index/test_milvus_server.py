"""A real Milvus server, one for all tests here: as exact as the store, and nothing is lost when it or a client dies."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssrnet import cli
from ssrnet.commands import index_build
from ssrnet.commands.index_build import BuildSettings, build_index
from ssrnet.commands.index_search import SearchSettings, search_index
from ssrnet.errors import DataError, ResourceError
from ssrnet.index import filling, milvus_client
from ssrnet.index.entries import Entry, Filters
from ssrnet.index.milvus import MilvusIndex
from ssrnet.index.opening import make_index, open_index
from ssrnet.index.record import read_index_record
from ssrnet.retrieval.extraction import ExtractSettings
from tests.index.galleries import DIMENSION, MADE_BY, crowded, entries, features, make
from tests.index.milvus_server import MilvusServer
from tests.index.test_search import FILTERS
from tests.processes import start
from tests.soak.commands import Command, Shortcuts

COUNT = 120
ODD = ("plain", '"', "\\", "'", "x\ny", "\r", "\t", "☃😀", "{x}", "%", '" or true or "', "\\u0041", "\x7f", "e\u0301")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = MilvusServer(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(milvus_client, "TIMEOUT_SECONDS", 15)
    monkeypatch.setattr(milvus_client, "CONNECT_SECONDS", 5)


def served(server: MilvusServer, folder: Path, collection: str, **changes) -> MilvusIndex:
    index, _ = make_index(folder, "milvus", MADE_BY, DIMENSION, uri=server.uri, collection=collection, **changes)
    assert isinstance(index, MilvusIndex)
    return index


@pytest.fixture
def settings(city, checkpoints, tmp_path, server):
    return BuildSettings(
        city,
        Path(checkpoints["ssrnet"]),
        tmp_path / "served",
        backend="milvus",
        uri=server.uri,
        collection=f"c{tmp_path.name.replace('-', '_')}",
        features=(),
        extraction=ExtractSettings(batch_size=1),
        workers=0,
        device="cpu",
    )


def exact_of(settings: BuildSettings) -> BuildSettings:
    return replace(settings, backend="exact", uri=None, collection=None, out=settings.out.with_name("exact"))


def assert_the_same(settings: BuildSettings) -> None:
    """The served index answers as the exact one, for each of its features and under a filter."""
    with closing(open_index(exact_of(settings).out)[0]) as own, closing(open_index(settings.out)[0]) as theirs:
        queries = np.concatenate([rows for _, rows in own.blocks()]).astype(np.float32)
        assert len(own) == len(theirs) == len(queries)
        for filters in (Filters(), Filters(not_cameras=("c001",))):
            assert theirs.search(queries, 5, filters) == own.search(queries, 5, filters)


def test_every_filter_answers_as_the_exact_store(server, tmp_path):
    """Random features, ties, and labels that would be something else in a filter unless they are quoted."""
    listed = entries(COUNT)
    for i, text in enumerate(ODD):
        listed[i] = replace(listed[i], vehicle_id=text, camera_id=f"c{text}", name=f"{text}.jpg", vehicle_type=text)
    values = np.concatenate([features(COUNT)[: COUNT // 2], crowded(COUNT)[COUNT // 2 :]])
    odd = [Filters(vehicle_ids=ODD), Filters(not_cameras=tuple(f"c{text}" for text in ODD), vehicle_types=ODD)]
    odd += [Filters(junk=(text, f"c{text}"), vehicle_types=(text, "car")) for text in ODD[1:6]]
    queries = np.concatenate([features(2, seed=3), crowded(2), np.zeros((1, DIMENSION), dtype=np.float32)])
    with make(tmp_path / "exact", "exact") as own, closing(served(server, tmp_path / "served", "filters")) as theirs:
        assert own.add(listed, values) == theirs.add(listed, values) == COUNT
        assert theirs.add(listed, values) == 0
        for filters in (*FILTERS[3:], *odd):
            assert theirs.search(queries, 20, filters) == own.search(queries, 20, filters), filters
        names = [entry.name for entry in listed]
        assert sorted(theirs.named("toys/test", names), key=names_of) == sorted(listed, key=names_of)
        changed = replace(listed[3], vehicle_id=None, camera_id="new", time="12.5")
        for index in (own, theirs):
            index.relabel([changed])
            assert index.delete([listed[9].key, "no such key"]) == 1 and len(index) == COUNT - 1
        assert theirs.search(queries, 20) == own.search(queries, 20)
        assert sorted(theirs.entries(), key=names_of) == sorted(own.entries(), key=names_of)


def names_of(entry: Entry) -> str:
    return entry.name


def test_another_schema_model_or_search_is_refused_in_a_sentence(server, tmp_path):
    served(server, tmp_path / "one", "refused").close()
    client = milvus_client.connect(server.uri)
    with closing(client):
        client.client.create_collection("of_others", dimension=DIMENSION)
    record = (tmp_path / "one/index.json").read_text()
    for name, words, sentence in (
        ("collection", ('"refused"', '"of_others"'), "was not made by this version of ssrnet"),
        ("absent", ('"refused"', '"no_such"'), "has no collection no_such; build it with"),
        ("model", ("c" * 16, "d" * 16), "holds features of another checkpoint or other settings"),
        ("search", ('"approximate": false', '"approximate": true'), "index FLAT and metric COSINE, but .* 24, HNSW"),
        ("length", ('"dimension": 24,\n  "stored": 24', '"dimension": 32,\n  "stored": 32'), "has dimension 24, .* 32"),
    ):
        (tmp_path / name).mkdir()
        assert words[0] in record
        (tmp_path / name / "index.json").write_text(record.replace(*words))
        with pytest.raises(DataError, match=sentence):
            open_index(tmp_path / name)


def test_from_the_exact_store_to_the_server_with_one_command(settings, server, capsys):
    """Same images in the same order, from the same features; then once more approximately, with its recall."""
    build_index(exact_of(settings))
    moved = replace(settings, features=(exact_of(settings).out,))
    capsys.readouterr()
    build_index(moved)
    assert "12 images of 1,536 numbers, milvus; 0 images were there, 12 added (12 from" in capsys.readouterr().out
    assert_the_same(settings)
    build_index(moved)
    assert "12 images were there, 0 added" in capsys.readouterr().out

    image = sorted((settings.data / "image_query").iterdir())[1]
    tables = []
    for folder in (exact_of(settings).out, settings.out):
        search_index(SearchSettings(folder, settings.checkpoint, image, k=5, device="cpu"))
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] and tables[0].count("\n") == 6
    record = read_index_record(settings.out)
    assert (record.uri, record.stored_as, record.recall) == (server.uri, "float32", None)

    cli.run(["index", "serve-check", "--uri", server.uri, "--index", str(settings.out)])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{server.uri} answers: Milvus {server.version}") and "as the index needs" in said[1]
    assert said[2] == "It holds 12 images." and "returns it first, at distance 0" in said[3]

    near = replace(
        moved, approximate=True, collection=f"{settings.collection}_near", out=settings.out.with_name("near")
    )
    build_index(near)
    clause = "approximately (HNSW): finds 100.0% of the 50 nearest, measured on 12 of its images when it held 12"
    assert f"searched {clause}" in capsys.readouterr().out
    search_index(SearchSettings(near.out, settings.checkpoint, image, k=5, device="cpu"))
    assert capsys.readouterr().out == tables[0] + f"of 12 images, found {clause}\n"
    assert json.loads((near.out / "index.json").read_text())["recall"]["share"] == 1.0


def add_some(folder: str, first: int) -> None:
    index, _ = open_index(Path(folder))
    with closing(index):
        for i in range(first, first + 30, 10):
            index.add(entries(COUNT)[i : i + 10], features(COUNT)[i : i + 10])


def test_two_clients_at_once(server, tmp_path):
    """Two processes add overlapping parts while a third searches; each image is there once."""
    with closing(served(server, tmp_path / "served", "together")) as index:
        clients = [start(add_some, str(tmp_path / "served"), first) for first in (0, 20)]
        while any(client.is_alive() for client in clients):
            (row,) = index.search(features(1), COUNT)
            assert len({entry.key for entry, _ in row}) == len(row)
            time.sleep(0.2)
        assert [client.exitcode for client in clients] == [0, 0]
        assert len(index) == 50
        with make(tmp_path / "exact", "exact") as own:
            own.add(entries(50), features(50))
            assert index.search(features(9, seed=4), 50) == own.search(features(9, seed=4), 50)


def test_a_client_that_is_killed_goes_on(settings, server, tmp_path):
    settings = replace(settings, split="all")
    build_index(exact_of(settings))
    of = ["--data", settings.data, "--checkpoint", settings.checkpoint, "--out", settings.out, "--split", "all"]
    where = ["--backend", "milvus", "--uri", server.uri, "--collection", settings.collection, "--features", tmp_path]
    options = ["--workers", "0", "--device", "cpu", "--extraction.batch-size", "1"]
    victim = Command(
        ["index", "build", *map(str, (*of, *where, *options))], tmp_path / "output.txt", Shortcuts(steadily=0)
    )
    with closing(milvus_client.connect(server.uri)) as connection:
        while victim.code is None and added(connection, settings.collection) < 3:
            time.sleep(0.01)
    victim.kill()
    kept = images_in(settings)
    assert 3 <= kept < 30, victim.output()
    build_index(settings)
    assert_the_same(settings)


def test_a_server_that_is_killed_loses_nothing(settings, server, monkeypatch):
    settings = replace(settings, split="all")
    build_index(exact_of(settings))
    embed = index_build.embed_batches

    def dies_meanwhile(*arguments):
        for number, batch in enumerate(embed(*arguments)):
            if number == 4:
                server.kill()
            yield batch

    with monkeypatch.context() as patch, pytest.raises(ResourceError, match=f"Milvus at {server.uri} did not do as"):
        patch.setattr(filling, "SECONDS", 0.0)
        patch.setattr(milvus_client, "TIMEOUT_SECONDS", 3)
        patch.setattr(index_build, "embed_batches", dies_meanwhile)
        build_index(settings)
    server.start()
    assert images_in(settings) == 4
    build_index(settings)
    assert_the_same(settings)


def added(connection: milvus_client.Connection, collection: str) -> int:
    try:
        return connection.client.query(collection, output_fields=["count(*)"], timeout=2)[0]["count(*)"]
    except Exception:  # the collection is not made or loaded yet
        return 0


def images_in(settings: BuildSettings) -> int:
    with closing(open_index(settings.out)[0]) as index:
        return len(index)

"""Adding, deleting and opening again, in both backends; damage in the exact store."""

import json
import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from ssrnet.errors import DataError, ResourceError
from ssrnet.index.entries import Entry, Filters, read_time
from ssrnet.index.exact_store import INDEX, MATRIX
from ssrnet.index.opening import collection_name, make_index, open_index
from ssrnet.index.record import read_index_record
from tests import tiny
from tests.index.galleries import BACKENDS, DIMENSION, MADE_BY, entries, features, make


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def alike(found, expected) -> bool:
    """The same entries in the same order; both rank by float64 distances of the same numbers."""
    return [[n.entry for n in row] for row in found] == [[n.entry for n in row] for row in expected] and np.allclose(
        [n.distance for row in found for n in row], [n.distance for row in expected for n in row], rtol=0, atol=3e-7
    )


def names(index) -> list[str]:
    return sorted(entry.name for entry in index.entries())


def test_what_was_added_is_there_when_opened_again(tmp_path, backend):
    index = make(tmp_path, backend)
    assert index.add(entries(10), features(10)) == 10
    before = index.search(features(3), 10)
    index.save()
    index.close()
    again, record = open_index(tmp_path)
    assert alike(again.search(features(3), 10), before) and len(again) == 10
    assert sorted(again.entries(), key=lambda e: e.name) == entries(10)
    assert record.features == MADE_BY and (record.dimension, record.stored) == (DIMENSION, DIMENSION)
    again.close()


def test_an_image_added_twice_is_one_entry(tmp_path, backend):
    index = make(tmp_path, backend)
    listed, values = entries(10), features(10)
    assert index.add(listed + listed[:4], np.concatenate([values, values[:4]])) == 10
    assert index.add(listed[2:6], values[2:6]) == 0
    assert index.add([*listed[5:], *entries(12)[10:]], features(7, seed=1)) == 2
    assert len(index) == 12 and names(index) == [f"{i:04d}.jpg" for i in range(12)]
    assert index.search(values[:1], 1)[0][0].entry == listed[0]
    # The same content under another name or from another source is another image.
    others = [replace(listed[0], name="copy.jpg"), replace(listed[0], source="toys/train")]
    assert index.add(others, values[[0, 0]]) == 2
    assert [neighbour.distance for neighbour in index.search(values[:1], 3)[0]] == [pytest.approx(0, abs=1e-6)] * 3
    index.close()


def test_deleted_entries_are_gone_and_the_rest_stays(tmp_path, backend):
    index = make(tmp_path, backend)
    listed, values = entries(10), features(10)
    index.add(listed, values)
    gone = {listed[i].key for i in (0, 4, 9)}
    assert index.delete(gone) == 3 and index.delete(gone) == 0 and len(index) == 7
    found = index.search(values, 10)
    assert all(len(row) == 7 and gone.isdisjoint(entry.key for entry, _ in row) for row in found)
    assert [found[i][0].entry for i in (1, 5, 8)] == [listed[i] for i in (1, 5, 8)]
    index.close()
    again, _ = open_index(tmp_path)
    assert alike(again.search(values, 10), found)
    assert again.add(listed, values) == 3 and names(again) == [entry.name for entry in listed]
    assert again.search(values[9:], 1)[0][0].entry == listed[9]
    again.close()


def test_labels_are_corrected(tmp_path, backend):
    index = make(tmp_path, backend)
    listed, values = entries(10), features(10)
    index.add(listed, values)
    index.search(values, 3)  # so that a store that keeps columns has some to renew
    index.relabel([replace(listed[3], vehicle_id="new", camera_id=None, time="12.5", vehicle_type="bus")])
    (row,) = index.search(values[:1], 10, Filters(vehicle_ids=("new",), after=12, before=13, vehicle_types=("bus",)))
    assert [entry.name for entry, _ in row] == ["0003.jpg"] and row[0].entry.camera_id is None
    assert len(index) == 10
    index.close()


def test_names_are_looked_up_within_their_source(tmp_path, backend):
    index = make(tmp_path, backend)
    index.add(entries(5) + entries(5, "other/test"), features(10))
    wanted = ["0001.jpg", "0003.jpg", "none.jpg"]
    assert sorted(entry.name for entry in index.named("other/test", wanted)) == wanted[:2]
    assert index.named("absent", wanted) == []
    index.close()


def test_two_processes_see_each_others_entries(tmp_path):
    one = make(tmp_path, "exact")
    other, _ = open_index(tmp_path)
    assert one.add(entries(5), features(5)) == 5 and other.search(features(1), 9) == one.search(features(1), 9)
    assert other.add(entries(8), features(8)) == 3 and other.delete([entries(1)[0].key]) == 1
    assert one.search(features(8), 9) == other.search(features(8), 9) and len(one) == 7


def test_an_index_made_otherwise_is_refused(tmp_path):
    make(tmp_path, "exact").close()
    with pytest.raises(
        DataError, match=r"checkpoint hash c{16} \(toy.safetensors\), but checkpoint hash d{16} was given"
    ):
        make_index(tmp_path, "exact", MADE_BY | {"checkpoint_hash": "d" * 16}, DIMENSION)
    with pytest.raises(DataError, match="flip test False .* flip test True"):
        make_index(tmp_path, "exact", MADE_BY | {"flip_test": True}, DIMENSION)
    with pytest.raises(DataError, match="with backend exact, but milvus was given"):
        make_index(tmp_path, "milvus", MADE_BY, DIMENSION)
    with pytest.raises(DataError, match="with precision float32, but bfloat16 was given"):
        make_index(tmp_path, "exact", MADE_BY | {"precision": "bfloat16"}, DIMENSION)
    make_index(tmp_path, "exact", MADE_BY | {"checkpoint": "copy.safetensors"}, DIMENSION)[0].close()


def test_an_index_of_bfloat16_takes_queries_of_float32(tmp_path):
    made_by = MADE_BY | {"precision": "bfloat16"}
    index, record = make_index(tmp_path, "exact", made_by, DIMENSION)
    index.close()
    record.check(tmp_path, MADE_BY)
    assert record.features == made_by and record.extraction.precision == "float32"
    assert collection_name(MADE_BY) == "ssrnet_e9f4cc23554e1dca" != collection_name(made_by)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def scribble(path):
    path.write_bytes(b"no database, not at all, " * 100)


@pytest.mark.parametrize(
    ("file", "harm", "sentence"),
    [
        (MATRIX, cut, "is damaged .*features.f16 has 479 bytes, and 10 rows of 24 numbers need 480"),
        (MATRIX, lambda path: path.unlink(), "features.f16 is missing; restore it"),
        (INDEX, lambda path: path.unlink(), "entries.sqlite is missing; restore it"),
        (INDEX, scribble, "is damaged .*; restore it from a copy, or build it again"),
        (INDEX, lambda path: path.write_bytes(b""), "is damaged .*no such table"),
        ("index.json", lambda path: path.unlink(), "is no gallery index: it has no index.json"),
        ("index.json", lambda path: path.write_text("{"), "index.json is damaged"),
        (
            "index.json",
            lambda path: path.write_text(json.dumps({"format": "other"})),
            "its format is not 'ssrnet index 1'",
        ),
        ("index.json", lambda path: path.write_text(path.read_text().replace("24", "0")), "dimension is invalid"),
    ],
)
def test_a_damaged_store_is_refused_in_a_sentence(tmp_path, file, harm, sentence):
    index = make(tmp_path, "exact")
    index.add(entries(10), features(10))
    index.close()
    harm(tmp_path / file)
    with pytest.raises(DataError, match=sentence) as caught:
        open_index(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_index_in_qdrant_is_refused_in_a_sentence(tmp_path):
    make(tmp_path, "exact").close()
    path = tmp_path / "index.json"
    path.write_text(path.read_text().replace('"exact"', '"qdrant"'))
    with pytest.raises(DataError, match="holds an index in Qdrant, which ssrnet no longer reads; build it again"):
        read_index_record(tmp_path)


@pytest.fixture
def earlier(tmp_path):
    """A store of three entries as earlier versions wrote it: its record names a URL, and no entry has a type."""
    make(tmp_path, "exact").close()
    record = json.loads((tmp_path / "index.json").read_text())
    later = ("uri", "stored_as", "approximate", "recall")
    written = {name: value for name, value in record.items() if name not in later} | {"url": None}
    (tmp_path / "index.json").write_text(json.dumps(written))
    with closing(sqlite3.connect(tmp_path / INDEX)) as db:
        db.execute("ALTER TABLE entries DROP COLUMN vehicle_type")
    listed = [replace(entry, vehicle_type=None) for entry in entries(3)]
    half = features(3).astype("<f2")
    (tmp_path / MATRIX).write_bytes(half.tobytes())
    with closing(sqlite3.connect(tmp_path / INDEX)) as db:
        for row, (entry, values) in enumerate(zip(listed, half, strict=True), 1):
            fields = [
                entry.source,
                entry.name,
                entry.content,
                entry.vehicle_id,
                entry.camera_id,
                entry.time,
                entry.path,
            ]
            norm = float(np.linalg.norm(values.astype(np.float64)))
            marks = ", ".join("?" * 12)
            db.execute(
                "INSERT INTO entries (row, key, source, name, content, vehicle_id, camera_id, time, path, seconds, norm, crc)"
                f" VALUES ({marks})",
                (row, entry.key, *fields, entry.seconds, norm, zlib.crc32(values.tobytes())),
            )
        db.commit()
    return listed


def test_a_store_of_an_earlier_version_is_read_as_it_is(tmp_path, earlier):
    before = (tmp_path / INDEX).read_bytes()
    index, record = open_index(tmp_path)
    with index:
        assert [row[0].entry for row in index.search(features(3), 3)] == earlier and len(index) == 3
        assert index.search(features(1), 3, Filters(vehicle_types=("car",))) == [[]]
        index.verify()
    assert (record.uri, record.stored_as, record.how) == (None, "float16", "compared one by one")
    assert (tmp_path / INDEX).read_bytes() == before


def test_a_store_of_an_earlier_version_gets_types_with_its_first_change(tmp_path, earlier):
    with open_index(tmp_path)[0] as index, open_index(tmp_path)[0] as reader:
        index.relabel([replace(earlier[1], vehicle_type="car")])
        assert index.add(entries(5), features(5)) == 2
        (row,) = index.search(features(1), 9, Filters(vehicle_types=("car",)))
        assert sorted(n.entry.name for n in row) == ["0001.jpg", "0004.jpg"]
        assert len(reader.search(features(1), 9)[0]) == 5
        assert reader.add(entries(6), features(6)) == 1 and len(index) == 6


def test_features_by_key(tmp_path):
    with make(tmp_path, "exact") as index:
        index.add(entries(9), features(9))
        wanted = [entries(9)[i].key for i in (7, 2)]
        found = index.features([*wanted, "no such key"])
        assert found.keys() == set(wanted) and np.array_equal(found[wanted[0]], features(9)[7].astype(np.float16))


def test_no_folder_at_all(tmp_path):
    with pytest.raises(DataError, match="absent is no gallery index: it has no index.json; build one with"):
        read_index_record(tmp_path / "absent")


def test_a_full_disk_leaves_what_was_committed(tmp_path):
    index = make(tmp_path, "exact", 1000)
    index.add(entries(10), features(10, 1000))
    with tiny.small_disk(60_000), pytest.raises(ResourceError, match="what was committed is untouched"):
        index.add(entries(40), features(40, 1000))
    assert names(index) == [f"{i:04d}.jpg" for i in range(10)]
    index.verify()
    assert index.add(entries(40), features(40, 1000)) == 30
    index.verify()


def test_bytes_after_the_last_row_are_nobodys(tmp_path):
    """A process that died while it wrote: its bytes are not read, and the next batch takes their place."""
    index = make(tmp_path, "exact")
    index.add(entries(5), features(5))
    index.close()
    with open(tmp_path / MATRIX, "ab") as file:
        file.write(b"\xff" * 1001)
    again, _ = open_index(tmp_path)
    again.add(entries(8), features(8))
    again.verify()
    assert (tmp_path / MATRIX).stat().st_size == 8 * 2 * DIMENSION
    assert again.search(features(8)[7:], 1)[0][0].entry.name == "0007.jpg"


def test_a_reader_keeps_its_rows_when_the_entries_are_removed_and_the_index_made_again(tmp_path):
    """What a reader has mapped is replaced and never cut off, which would end it by SIGBUS."""
    with make(tmp_path, "exact") as reader:
        reader.add(entries(2000), features(2000))
        mapped, before = reader._matrix(), features(2000).astype(np.float16)
        for name in (INDEX, "index.json"):
            (tmp_path / name).unlink()
        with make(tmp_path, "exact") as again:
            again.add(entries(3), features(3, seed=1))
            assert (tmp_path / MATRIX).stat().st_size == 3 * 2 * DIMENSION
            again.verify()
        assert np.array_equal(mapped, before)
        with pytest.raises(DataError, match="is damaged .* restore it from a copy"):
            reader.search(features(1), 1)
    assert not list(tmp_path.glob(".*.part"))


def test_an_index_that_shrinks_between_the_look_and_the_map(tmp_path, monkeypatch):
    with make(tmp_path, "exact") as index:
        index.add(entries(9), features(9))
        (tmp_path / MATRIX).write_bytes(b"")
        monkeypatch.setattr(index, "_check_size", lambda: None)
        with pytest.raises(DataError, match="is damaged .* restore it from a copy"):
            index.search(features(1), 1)


def test_another_writer_is_waited_for_and_then_named(tmp_path, monkeypatch):
    monkeypatch.setattr("ssrnet.index.exact_store.WAIT_SECONDS", 0.1)
    index = make(tmp_path, "exact")
    other = sqlite3.connect(tmp_path / INDEX, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ResourceError, match=r"database is locked\); wait for another process that writes to it"):
        index.add(entries(1), features(1))
    other.execute("ROLLBACK")
    assert index.add(entries(1), features(1)) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12.5", 12.5),
        ("day 2 01:00:03", 2 * 86400 + 3603),
        ("1970-01-02T00:00:01", 86401),
        ("1970-01-01T01:00:00+01:00", 0),
        ("yesterday", None),
        ("", None),
        ("nan", None),
    ],
)
def test_times(text, seconds):
    assert read_time(text) == seconds


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(DataError, match="is not UTF-8, which an index needs; rename"):
        Entry("toys/test", b"\xff.jpg".decode(errors="surrogateescape"), "0" * 64)

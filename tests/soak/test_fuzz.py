"""Readers of names, lists, CSV tables and checkpoint metadata, fuzzed with hypothesis: each opens or ends in one sentence.

What broke once is an explicit example. ``FUZZ_EXAMPLES=20000`` tries as many random inputs in place of the fixed 120.
"""

from __future__ import annotations

import copy
import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from ssrnet.data.datasets import available_subsets, open_dataset
from ssrnet.data.parts import part_names
from ssrnet.data.probes import mark_probes, probe_series
from ssrnet.data.readers.text_files import read_csv
from ssrnet.data.uploads import read_uploads
from ssrnet.errors import LONGEST, DataError, SSRNetError
from ssrnet.index.entries import Entry, read_time
from ssrnet.retrieval.feature_files import file_name, slug
from ssrnet.training.checkpoint import FORMAT, read_checkpoint
from ssrnet.training.runs import stored_metrics
from tests import tiny

T = TypeVar("T")
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 120))
fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def opens_or_says_why_not(read: Callable[[], T], folder: str = "") -> T | None:
    """The result of ``read``, or None where it ends in one sentence; ``folder`` has the same files afterwards."""
    before = sizes(folder)
    try:
        result = read()
    except SSRNetError as error:
        message = str(error)
        assert message.isprintable() and message.endswith(".") and len(message) <= LONGEST, message
        result = None
    assert sizes(folder) == before
    return result


def sizes(folder: str) -> dict[str, int]:
    """Every file below ``folder`` with its size."""
    return {
        os.path.join(at, name): os.lstat(os.path.join(at, name)).st_size
        for at, _, names in (os.walk(folder) if folder else ())
        for name in names
    }


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = picture()

# Names: of images in folders, of uploads, of index entries and of exported files

PIECES = (
    "0002_c002_00030600_0.jpg|0001_c1s1_000451_03.jpg|-1_c3s2_1.png|0000_c1_1.jpg|_|c001|..|.|.jpg|.JPEG|\u0663|\u00b2"
)
PIECES += "|\n|\t|\x1b[2J|\u202e|\ud800|\udcff|e\u0301|\U0001f697|C:|\\|$(x)|'|\"|<b>|%00| "
NAMES = st.lists(st.sampled_from(PIECES.split("|")) | st.text(max_size=12), max_size=8).map("".join)


@fuzzed
@given(st.lists(NAMES, max_size=6))
def test_names_of_images_in_folders(names):
    with TemporaryDirectory() as root:
        for folder in ("image_test", "bounding_box_test"):
            Path(root, folder).mkdir()
            for name in ("0002_c2_1.jpg", *filter(possible, names)):
                Path(root, folder, name).touch()
        dataset = opens_or_says_why_not(lambda: open_dataset(root), root)
        assert dataset is not None and len(dataset.gallery) >= 1
        assert len(dataset.content_hash()) == 16


def possible(name: str) -> bool:
    """Whether a file can have this name."""
    try:
        return name not in ("", ".", "..") and not {"/", "\0"} & set(name) and len(os.fsencode(name)) < 256
    except UnicodeEncodeError:
        return False


@fuzzed
@example(["\ud800.png", "a\nb.png", "..", "x/../../y.png"])
@given(st.lists(NAMES, max_size=5))
def test_names_of_uploads(names):
    uploads = read_uploads([(name, data) for name in names for data in (PICTURE, b"none")])
    assert all(name.isprintable() and "/" not in name for name in uploads.pictures)
    assert all(sentence.isprintable() and sentence.endswith(".") for sentence in uploads.refused)
    assert len(uploads.pictures) + len(uploads.refused) >= min(len(names), 1)


@fuzzed
@given(st.lists(NAMES, min_size=4, max_size=4))
def test_names_of_index_entries_and_of_written_files(texts):
    name, source, time, label = texts
    seconds = read_time(time)
    assert seconds is None or seconds == seconds
    entry = opens_or_says_why_not(lambda: Entry(source, name, "0" * 64, label, label, time, name))
    assert entry is None or len(entry.key) == 36
    letters = slug(name)
    assert letters and letters.isascii() and not set(letters) & set("./\\ \n") and len(letters) <= 40
    written = file_name({"dataset": name, "checkpoint": source})
    assert Path(written).name == written and written.isascii() and len(written) < 120


# Lists of VeRi-776, VehicleID, VERI-Wild, VRIC and CityFlow

LINES = b"0000001 1|0000002 2|1 1|7 x-y|1\t\t2|v1/a|v1/a.jpg|v2/b;3;t;m;ty;c|v1/a;;;;|;|| |\r|0002_c002_00030600_0.jpg"
LINES += (
    b"|0002_c003_1_0.jpg|1 2 3|-1|999999999999999999999999999999|1e9|\xd9\xa3|\xff|\0|\xef\xbb\xbf|../x|/etc/passwd 1"
)
LINES += b"|a.jpg 1 1|b.jpg,2,2|<a><Item imageName='000001.jpg' vehicleID='1'/></a>"
LINES += b"|<TrainingImages><Items><Item imageName='0002_c002_00030600_0.jpg' colorID='1'/></Items></TrainingImages>|1 yellow"
LISTS = st.lists(st.sampled_from(LINES.split(b"|")) | st.binary(max_size=20), max_size=8).map(b"\n".join)
LAYOUTS = {  # the images, and the lists
    "VRIC": (("train_images/a.jpg", "gallery_images/b.jpg"), ("vric_train.txt", "vric_gallery.txt")),
    "CityFlow": (("image_train/000001.jpg", "image_test/000002.jpg"), ("train_label.xml", "test_label.xml")),
    "VehicleID": (
        ("image/0000001.jpg", "image/0000002.jpg", "image/0000007.jpg"),
        ("train_test_split/train_list.txt", "train_test_split/test_list_800.txt", "attribute/model_attr.txt"),
    ),
    "VERI-Wild": (
        ("images/v1/a.jpg", "images/v2/b.jpg"),
        (
            "train_test_split/train_list.txt",
            "train_test_split/test_3000.txt",
            "train_test_split/test_3000_query.txt",
            "train_test_split/vehicle_info.txt",
        ),
    ),
    "VeRi": (
        ("image_train/0002_c001_1_0.jpg", "image_query/0002_c002_1_0.jpg", "image_test/0002_c003_1_0.jpg"),
        tuple(f"{name}.txt" for name in ("name_query", "name_test", "gt_index", "jk_index", "list_color"))
        + ("train_label.xml", "manifest.csv"),
    ),
}


def write(root: str, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def check_dataset(root: str) -> None:
    dataset = opens_or_says_why_not(lambda: open_dataset(root), root)
    if dataset is not None:
        assert dataset.train or dataset.query or dataset.gallery
        top = Path(root).resolve()
        assert all(image.path.is_file() and image.path.resolve().is_relative_to(top) for image in dataset.test)
        assert len(dataset.content_hash()) == 16 and dataset.summary()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lists(layout):
    images, names = LAYOUTS[layout]

    @fuzzed
    @given(st.tuples(*[LISTS] * len(names)))
    def check(lists):
        with TemporaryDirectory() as root:
            write(root, dict.fromkeys(images, PICTURE) | dict(zip(names, lists, strict=True)))
            opens_or_says_why_not(lambda: available_subsets(root), root)
            check_dataset(root)
            if layout == "VeRi":  # its lists only add notes: whatever they hold, the folders open
                assert len(open_dataset(root).gallery) == 1

    check()


# A manifest, and the tables beside it

CELLS = (
    "image|vehicle_id|split|camera_id|a/0.jpg|a/1.jpg|a\\0.jpg|./a/0.jpg|a/./0.jpg|a//0.jpg|a/0.jpg/|a|.|..|../a/0.jpg"
)
CELLS += (
    "|a/../a/0.jpg|/a/0.jpg|C:/a/0.jpg|query|gallery|test|TRAIN|train|v1|c1||\"|'|=1+1|\n|\r|\0|\ufeff|\u202e|mark|yaw"
)
CELLS += "|as it is|removed|series|step|value|change|mask|1|\u00b2|-1"
ROWS = st.lists(st.lists(st.sampled_from(CELLS.split("|")) | st.text(max_size=6), max_size=6).map(",".join), max_size=8)
HEADS = "image,vehicle_id,camera_id,split|image,vehicle_id,split|image,vehicle_id,split,color|"
HEADS += "image,series,step,value,vehicle_id,camera_id|image,series,value,vehicle_id,camera_id,mark,change,mask|"
TABLES = st.tuples(
    st.sampled_from(HEADS.split("|")), ROWS, st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "latin-1"))
).map(lambda drawn: "\n".join((drawn[0], *drawn[1])).encode(drawn[2], "replace"))


@fuzzed
@example(b"image,series,step,value,vehicle_id,camera_id\na,yaw," + b"9" * 5000 + b",1,v,c")
@given(TABLES)
def test_tables(content):
    with TemporaryDirectory() as root:
        write(root, dict.fromkeys(("a/0.jpg", "a/1.jpg"), PICTURE))
        write(root, dict.fromkeys(("manifest.csv", "probes.csv", "parts.txt"), content))
        check_dataset(root)
        for read in (probe_series, mark_probes, part_names):
            opens_or_says_why_not(lambda: read(Path(root)), root)
        rows = opens_or_says_why_not(lambda: list(read_csv(Path(root, "manifest.csv"), ("image",))), root)
        assert rows is None or all(row.values["image"] == row.values["image"].strip() for row in rows)


# Metadata of a checkpoint

LEAVES = st.sampled_from(
    (0, 8, -1, 2**63, 10**30, 0.5, float("nan"), True, None, "", "x\ny", "\ud800", "resnet18", "64")
)
VALUES = st.recursive(
    LEAVES | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
CHANGES = st.lists(st.tuples(st.integers(0, 200), st.sampled_from(("set", "remove")), VALUES), min_size=1, max_size=4)


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The path of every value in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def changed(value: object, changes: list[tuple[int, str, object]]) -> object:
    """``value`` with values set or removed, wherever in it."""
    value = copy.deepcopy(value)
    for number, kind, new in changes:
        inner = places(value)[1:]
        if not inner:
            return new
        *above, key = inner[number % len(inner)]
        at = value
        for step in above:
            at = at[step]
        if kind == "set":
            at[key] = new
        else:
            del at[key]
    return value


@pytest.fixture(scope="module")
def network():
    return tiny.network(5)


def test_metadata_of_checkpoints(network):
    """What opens can be named, recorded and drawn."""
    metrics = {"held_back": {"mAP": 0.5, "cmc": [0.1, 0.2]}, "test": {"metrics": {"mAP": 1}, "record": {"a": 1}}}
    info = asdict(tiny.info(network, training={"epochs": 3, "holdout": 0.1}, metrics=metrics))
    tensors = {"b": network.state_dict()["backbone.bn1.weight"]}

    @fuzzed
    @example([(2, "set", 10**400)])
    @given(CHANGES)
    def check(changes):
        with TemporaryDirectory() as root:
            path = Path(root, "a.safetensors")
            path.write_bytes(save(tensors, {"format": FORMAT, "info": json.dumps(changed(info, changes))}))
            os.utime(path, (10**9, 10**9))  # readers wait where a file was written just now
            read = opens_or_says_why_not(lambda: read_checkpoint(path), root)
            assert read is None or (read.info.model.title and read.record and read.info.image_size >= 1)
            stored = opens_or_says_why_not(lambda: stored_metrics(path), root)
            values = [value for each in stored or () for value in each.values.values()]
            assert all(isinstance(value, int | float) for value in values)

    check()


def test_other_errors_and_other_sentences_are_failures(tmp_path):
    def raises(error):
        def read():
            raise error

        return read

    assert opens_or_says_why_not(raises(DataError("It says so."))) is None
    for error in (IndexError("list index out of range"), DataError("no full stop")):
        with pytest.raises((IndexError, AssertionError)):
            opens_or_says_why_not(raises(error))
    with pytest.raises(AssertionError):
        opens_or_says_why_not((tmp_path / "left").touch, str(tmp_path))

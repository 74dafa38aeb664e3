"""What hypothesis makes of the lists of VeRi-776, VehicleID and VERI-Wild, and of CSV tables."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import example
from hypothesis import strategies as st

from ssrnet.data.datasets import available_subsets, open_dataset
from ssrnet.data.parts import mark_probes, part_names
from ssrnet.data.probes import probe_series
from ssrnet.data.readers.tables import read_csv
from tests.soak.fuzzing import PICTURE, Target, opens_or_says_why_not

LINES = st.sampled_from(
    (
        b"0000001 1",
        b"0000002 2",
        b"1 1",
        b"7 x-y",
        b"1\t\t2",
        b"v1/a",
        b"v1/a.jpg",
        b"v2/b;3;t;m;ty;c",
        b"v1/a;;;;",
        b";",
        b"",
        b" ",
        b"\r",
        b"0002_c002_00030600_0.jpg",
        b"0002_c003_1_0.jpg",
        b"1 2 3",
        b"-1",
        b"9" * 30,
        b"1e9",
        b"\xd9\xa3",
        b"\xff",
        b"\0",
        b"\xef\xbb\xbf",
        b"../x",
        b"/etc/passwd 1",
        b"<TrainingImages><Items><Item imageName='0002_c002_00030600_0.jpg' colorID='1'/></Items></TrainingImages>",
        b"1 yellow",
    )
)
LISTS = st.lists(LINES | st.binary(max_size=20), max_size=8).map(b"\n".join)
VEHICLEID = ("train_test_split/train_list.txt", "train_test_split/test_list_800.txt", "attribute/model_attr.txt")
VERI_WILD = (
    "train_test_split/train_list.txt",
    "train_test_split/test_3000.txt",
    "train_test_split/test_3000_query.txt",
    "train_test_split/vehicle_info.txt",
)
VERI = (
    "name_query.txt",
    "name_test.txt",
    "gt_index.txt",
    "jk_index.txt",
    "train_label.xml",
    "list_color.txt",
    "manifest.csv",
)

CELLS = st.sampled_from(
    (
        "image",
        "vehicle_id",
        "split",
        "camera_id",
        "a/0.jpg",
        "a/1.jpg",
        "a\\0.jpg",
        "./a/0.jpg",
        "a/./0.jpg",
        "a//0.jpg",
        "a/0.jpg/",
        "a",
        ".",
        "..",
        "../a/0.jpg",
        "a/../a/0.jpg",
        "/a/0.jpg",
        "C:/a/0.jpg",
        "query",
        "gallery",
        "test",
        "TRAIN",
        "train",
        "v1",
        "c1",
        "",
        '"',
        "'",
        "=1+1",
        "\n",
        "\r",
        "\0",
        "\ufeff",
        "\u202e",
        "mark",
        "yaw",
        "as it is",
        "removed",
        "series",
        "step",
        "value",
        "mark",
        "change",
        "mask",
        "1",
        "\u00b2",
        "-1",
    )
)
ROWS = st.lists(st.lists(CELLS | st.text(max_size=6), max_size=6).map(",".join), max_size=8)
HEADS = st.sampled_from(
    (
        "image,vehicle_id,camera_id,split",
        "image,vehicle_id,split",
        "image,vehicle_id,split,color",
        "image,series,step,value,vehicle_id,camera_id",
        "image,series,value,vehicle_id,camera_id,mark,change,mask",
        "",
    )
)
TABLES = st.tuples(HEADS, ROWS, st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "latin-1"))).map(
    lambda drawn: "\n".join((drawn[0], *drawn[1])).encode(drawn[2], "replace")
)


def _written(root: str, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _opened(root: str) -> None:
    dataset = opens_or_says_why_not(lambda: open_dataset(root), root)
    if dataset is not None:
        assert dataset.train or dataset.query or dataset.gallery
        assert all(
            image.path.is_file() and image.path.resolve().is_relative_to(Path(root).resolve()) for image in dataset.test
        )
        assert len(dataset.content_hash()) == 16 and dataset.summary()


def vehicleid(lists: tuple[bytes, ...]) -> None:
    with tempfile.TemporaryDirectory() as root:
        _written(root, {f"image/000000{i}.jpg": PICTURE for i in (1, 2, 7)} | dict(zip(VEHICLEID, lists, strict=True)))
        opens_or_says_why_not(lambda: available_subsets(root), root)
        _opened(root)


def veri_wild(lists: tuple[bytes, ...]) -> None:
    with tempfile.TemporaryDirectory() as root:
        _written(
            root,
            {f"images/{name}.jpg": PICTURE for name in ("v1/a", "v2/b")} | dict(zip(VERI_WILD, lists, strict=True)),
        )
        _opened(root)


def veri(lists: tuple[bytes, ...]) -> None:
    """Its lists only add notes: whatever is in them, the folders open."""
    with tempfile.TemporaryDirectory() as root:
        images = {
            f"{folder}/0002_c00{i}_1_0.jpg": PICTURE
            for i, folder in enumerate(("image_train", "image_query", "image_test"))
        }
        _written(root, images | dict(zip(VERI, lists, strict=True)))
        assert len(opens_or_says_why_not(lambda: open_dataset(root), root).gallery) == 1
        _opened(root)


@example(b"image,series,step,value,vehicle_id,camera_id\na,yaw," + b"9" * 5000 + b",1,v,c")
def tables(content: bytes) -> None:
    """A manifest, and the other tables that lie beside one."""
    with tempfile.TemporaryDirectory() as root:
        _written(
            root,
            {"a/0.jpg": PICTURE, "a/1.jpg": PICTURE}
            | dict.fromkeys(("manifest.csv", "probes.csv", "parts.txt"), content),
        )
        _opened(root)
        for read in (probe_series, mark_probes, part_names):
            opens_or_says_why_not(lambda: read(Path(root)), root)
        rows = opens_or_says_why_not(lambda: list(read_csv(Path(root, "manifest.csv"), ("image",))), root)
        assert rows is None or all(row.values["image"] == row.values["image"].strip() for row in rows)


TARGETS = (
    Target("lists", vehicleid, st.tuples(*[LISTS] * len(VEHICLEID))),
    Target("lists", veri_wild, st.tuples(*[LISTS] * len(VERI_WILD))),
    Target("lists", veri, st.tuples(*[LISTS] * len(VERI))),
    Target("csv", tables, TABLES),
)

"""What hypothesis makes of file names: those of images in folders, of uploads, of index entries and of exports."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import example
from hypothesis import strategies as st

from ssrnet.data.datasets import open_dataset
from ssrnet.data.uploads import read_uploads
from ssrnet.index.entries import Entry, read_time
from ssrnet.retrieval.feature_files import file_name, in_letters
from tests.soak.fuzzing import PICTURE, Target, opens_or_says_why_not

PIECES = st.sampled_from(
    (
        "0002_c002_00030600_0.jpg",
        "0001_c1s1_000451_03.jpg",
        "-1_c3s2_1.png",
        "0000_c1_1.jpg",
        "_",
        "c001",
        "..",
        ".",
        ".jpg",
        ".JPEG",
        "\u0663",
        "\u00b2",
        "\n",
        "\t",
        "\x1b[2J",
        "\u202e",
        "\ud800",
        "\udcff",
        "e\u0301",
        "\U0001f697",
        "C:",
        "\\",
        "$(x)",
        "'",
        '"',
        "<b>",
        "%00",
        " ",
    )
)
NAMES = st.lists(PIECES | st.text(max_size=12), max_size=8).map("".join)
MAKES = ("image_test", "bounding_box_test")


def folders(names: list[str]) -> None:
    """Folders of both layouts whose images have these names."""
    with tempfile.TemporaryDirectory() as root:
        for folder in MAKES:
            os.mkdir(os.path.join(root, folder))
            for name in ("0002_c2_1.jpg", *(name for name in names if _can_be(name))):
                Path(root, folder, name).touch()
        found = opens_or_says_why_not(lambda: open_dataset(root), root)
        assert found is not None and len(found.gallery) >= 1
        assert len(found.content_hash()) == 16


def _can_be(name: str) -> bool:
    """Whether a file can be called so at all."""
    try:
        return bool(name) and name not in (".", "..") and not {"/", "\0"} & set(name) and len(os.fsencode(name)) < 256
    except UnicodeEncodeError:
        return False


@example(["\ud800.png", "a\nb.png", "..", "x/../../y.png"])
def uploads(names: list[str]) -> None:
    """Uploads of these names, of images and of none: every picture's name is one that can be shown."""
    found = read_uploads([(name, data) for name in names for data in (PICTURE, b"none")])
    assert all(name.isprintable() and "/" not in name for name in found.pictures)
    assert all(sentence.isprintable() and sentence.endswith(".") for sentence in found.refused)
    assert len(found.pictures) + len(found.refused) >= min(len(names), 1)


def entries(texts: list[str]) -> None:
    """Entries of an index, their keys and times; names of files that are written."""
    name, source, time, label = texts
    seconds = read_time(time)
    assert seconds is None or seconds == seconds
    entry = opens_or_says_why_not(lambda: Entry(source, name, "0" * 64, label, label, time, name))
    assert entry is None or len(entry.key) == 36
    letters = in_letters(name)
    assert letters and letters.isascii() and not set(letters) & set("./\\ \n") and len(letters) <= 40
    written = file_name({"dataset": name, "checkpoint": source})
    assert Path(written).name == written and written.isascii() and len(written) < 120


TARGETS = (
    Target("names", folders, st.lists(NAMES, max_size=6)),
    Target("names", uploads, st.lists(NAMES, max_size=5)),
    Target("names", entries, st.lists(NAMES, min_size=4, max_size=4)),
)

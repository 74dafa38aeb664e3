"""Data folders of the known layouts whose lists, names and files are not what they say."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from tests.data import layouts
from tests.soak.hostile import Case, Make, special, written
from tests.soak.hostile_tables import HEADER, LINE, opened_data


def cases() -> list[Case]:
    return _lists() + _folders()


LAYOUTS: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "VeRi": (
        layouts.veri_index,
        (
            "name_query.txt",
            "name_test.txt",
            "gt_index.txt",
            "jk_index.txt",
            "train_label.xml",
            "list_color.txt",
            "manifest.csv",
        ),
    ),
    "VehicleID": (layouts.vehicleid, ("train_test_split/train_list.txt", "attribute/model_attr.txt")),
    "VERI-Wild": (layouts.veri_wild, ("train_test_split/train_list.txt", "train_test_split/vehicle_info.txt")),
}


def _lists() -> list[Case]:
    """Every list of every layout with every content; a layout may go without most of its lists."""
    contents: dict[str, bytes | Callable[[random.Random], bytes]] = {
        "nothing": b"",
        "noise": lambda draw: draw.randbytes(5000),
        "NUL": bytes(5000),
        "UTF-16": "1 1\n".encode("utf-16"),
        "a long line": lambda draw: b"1 " * 2_000_000,
        "numbers of 5,000 digits": b"9" * 5000 + b" " + b"9" * 5000,
        "500,000 lines": lambda draw: b"".join(b"%07d %d\n" % (i, i % 99) for i in range(500_000)),
        "text": b"<a>=1+1;;;\n" * 9,
    }
    found = []
    for layout, (make, lists) in LAYOUTS.items():
        for name in lists:
            things = {what: written(name, content) for what, content in contents.items()} | special(name)
            for what, thing in things.items():
                # In the short form a third of them, of each list another.
                long = what == "500,000 lines" or (len(found) + len(name)) % 3 != 0
                found.append(
                    Case(f"{layout} {name}: {what}", _with(make, thing), opened_data, "either", long=long, seconds=10)
                )
    bomb = "<!DOCTYPE a [<!ENTITY b 'bbbbbbbbbb'>" + "".join(
        f"<!ENTITY {'b' * (i + 1)} '{f'&{chr(98) * i};' * 10}'>" for i in range(1, 12)
    )
    documents = {
        "entities that grow": f"{bomb}]><a>&{'b' * 12};</a>".encode(),
        "an entity of a file": b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a><Item imageName='&b;'/>&b;</a>",
        "a million levels": lambda draw: b"<a>" * 1_000_000 + b"</a>" * 1_000_000,
        "many elements": lambda draw: b"<a>" + b"<b/>" * 3_900_000 + b"</a>",
        "40 MB": lambda draw: b"<a>" + b" " * 40_000_000 + b"</a>",
    }
    found += [
        Case(
            f"VeRi train_label.xml: {name}",
            _with(layouts.veri, written("train_label.xml", text)),
            opened_data,
            "opens",
            long=name in ("many elements", "a million levels"),
        )
        for name, text in documents.items()
    ]
    found.append(Case("VeRi index: every query alike", _alike, opened_data, "opens"))
    return found


def _alike(folder: Path, draw: random.Random) -> Path:
    """As many queries as matches: 20,000 times 20,000 to compare, if one by one."""
    layouts.veri(folder)
    for name in ("name_query.txt", "name_test.txt"):
        (folder / name).write_text("0001_c001_1_0.jpg\n" * 20_000)
    for name in ("gt_index.txt", "jk_index.txt"):
        (folder / name).write_text("1\n" * 20_000)
    return folder


def _with(layout: Callable[[Path], Path], make: Make) -> Make:
    """The layout with one of its lists replaced."""

    def made(folder: Path, draw: random.Random) -> Path:
        root = folder / "data"
        layout(root)
        spare = folder / "spare"
        made = make(spare, draw)
        wanted = root / made.relative_to(spare)
        wanted.parent.mkdir(parents=True, exist_ok=True)
        wanted.unlink(missing_ok=True)
        os.rename(made, wanted)
        return root

    return made


def _folders() -> list[Case]:
    """Folders that the layouts know, with names and things in them that nobody expects."""
    names = {
        "line breaks": "0001_c001_a\nb.jpg",
        "no UTF-8": os.fsdecode(b"0001_c001_\xff\xfe.jpg"),
        "emoji": "0001_c001_\U0001f697.jpg",
        "controls": "0001_c001_\x1b[2J.jpg",
        "direction": "0001_c001_\u202egpj.jpg",
        "255 letters": "0001_c001_" + "n" * 240 + ".jpg",
        "other digits": "\u0661_c001_1.jpg",
        "a script": "0001_c001_<script>.jpg",
        "a quote": "0001_c001_'\";--.jpg",
    }
    found = []
    for folder, recogniser in (("image_test", "VeRi"), ("bounding_box_test", "Market")):
        for what, name in names.items():

            def make(at: Path, draw: random.Random, folder=folder, name=name) -> Path:
                layouts.jpeg(at / folder / "0002_c1_1.jpg")
                layouts.jpeg(at / "x.jpg").rename(at / folder / name)
                return at

            found.append(
                Case(f"{recogniser} name of {what}", make, opened_data, "opens", lambda d: len(d.gallery) >= 1)
            )
        for what, thing in special(f"{folder}/0001_c1_1.jpg").items():
            found.append(Case(f"{recogniser} image is {what}", _inside_folder(thing, folder), opened_data, "opens"))
        for what, thing in special(folder).items():
            found.append(Case(f"{recogniser} folder is {what}", _root(thing), opened_data))
    found.append(Case("VeRi names in both normal forms", _twins, opened_data, "opens", lambda d: len(d.gallery) == 2))
    for what, thing in special("root").items():
        found.append(Case(f"root is {what}", thing, opened_data))
    for name in (
        "\0",
        "n" * 300,
        "~nobody-of-this-name/x",
        "a\nb",
        "\ud800",
        "\udcff",
        "x/" * 3000,
        "",
        "//",
        "\u202e",
    ):
        found.append(
            Case(
                f"root named {name!r:.30}",
                lambda folder, draw, name=name: name if name[:1] == "~" else f"{folder}/{name}",
                opened_data,
            )
        )
    found.append(Case("a link in the manifest's path that is a loop", _looped, opened_data))
    found.append(
        Case("a folder in the manifest that is outside", _outside, opened_data, says="leads out of the folder")
    )
    return found


def _inside_folder(thing: Make, folder: str) -> Make:
    def make(at: Path, draw: random.Random) -> Path:
        layouts.jpeg(at / folder / "0002_c1_1.jpg")
        thing(at, draw)
        return at

    return make


def _root(thing: Make) -> Make:
    def make(at: Path, draw: random.Random) -> Path:
        thing(at, draw)
        return at

    return make


def _twins(folder: Path, draw: random.Random) -> Path:
    for name in ("0001_c001_caf\u00e9.jpg", "0001_c001_cafe\u0301.jpg"):
        layouts.jpeg(folder / "image_test" / name)
    return folder


def _looped(folder: Path, draw: random.Random) -> Path:
    (folder / "a").symlink_to("a")
    (folder / "manifest.csv").write_text(HEADER + LINE)
    return folder


def _outside(folder: Path, draw: random.Random) -> Path:
    layouts.jpeg(folder / "elsewhere" / "0.jpg")
    (folder / "data").mkdir()
    (folder / "data" / "a").symlink_to(folder / "elsewhere")
    (folder / "data" / "manifest.csv").write_text(HEADER + LINE)
    return folder / "data"

"""Data folders whose lists, tables, names and files are not what they seem; a shared server may offer such a folder."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from ssrnet.data.datasets import open_dataset
from ssrnet.data.parts import part_names
from ssrnet.data.probes import mark_probes, probe_series
from tests.data import layouts
from tests.soak.hostile import Case, Content, Make, special, written

HEADER = "image,vehicle_id,camera_id,split\n"
LINE = "a/0.jpg,v1,c1,gallery\n"


def cases() -> list[Case]:
    return _manifests() + _tables() + _lists() + _folders()


def opened(root: Path) -> object:
    """The data set, after hashing and summarising it."""
    dataset = open_dataset(root)
    dataset.content_hash()
    dataset.summary()
    return dataset


def _with(layout: Callable[[Path], object], make: Make) -> Make:
    """The layout in ``data``, with one of its files replaced by what ``make`` makes under the same name."""

    def made(folder: Path, draw: random.Random) -> Path:
        root, spare = folder / "data", folder / "spare"
        layout(root)
        thing = make(spare, draw)
        place = root / thing.relative_to(spare)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        os.rename(thing, place)
        return root

    return made


def _one_image(root: Path) -> None:
    layouts.jpeg(root / "a" / "0.jpg")


def _manifest_of_one(root: Path) -> None:
    root.mkdir(parents=True)
    (root / "manifest.csv").write_text(HEADER + LINE)


def _manifests() -> list[Case]:
    refused: dict[str, Content] = {
        "nothing": b"",
        "a header alone": HEADER,
        "noise": lambda draw: draw.randbytes(10_000),
        "UTF-16": ("\ufeff" + HEADER + LINE).encode("utf-16"),
        "a quote that is never closed": HEADER + '"a/0.jpg,v1,c1,gallery\n' + LINE * 1000,
        "ragged rows": HEADER + "a,b\n",
        "too many fields": HEADER + LINE.strip() + ",x,y\n",
        "a column twice": "image,image,vehicle_id,split\na,b,c,query\n",
        "100,000 columns": ",".join(f"c{i}" for i in range(100_000)) + "\n",
        "a line of 100 MB": lambda draw: b"a" * 100_000_000,
        "NUL in a name": HEADER + "a/0.jpg\0,v1,c1,gallery\n",
        "a name out of the folder": HEADER + "../x.jpg,v,c,query\n",
        "an absolute name": HEADER + "/etc/passwd,v,c,query\n",
        "a name of Windows": HEADER + "C:\\x.jpg,v,c,query\n",
        "a share of Windows": HEADER + "\\\\s\\x.jpg,v,c,query\n",
        "a name that climbs": HEADER + "a/../../x.jpg,v,c,query\n",
        "an unknown split": HEADER + "a/0.jpg,v,c,=1+1\n",
        "a name of 5,000 letters": HEADER + "n" * 5000 + ".jpg,v,c,gallery\n",
        "no vehicle": HEADER + "a/0.jpg,,c,gallery\n",
        "two vehicles of an image": HEADER + LINE + "a/0.jpg,v2,c1,train\n",
        "a lone surrogate": HEADER.encode() + b"\xed\xa0\x80,v,c,d\n",
        "control characters": HEADER + "a\x1b[2J\x07.jpg,v,c,gallery\n",
        "names of line breaks": HEADER + '"a\nTraceback (most recent call last)",v,c,gallery\n',
    }
    opens: dict[str, Content] = {
        "an honest line": HEADER + LINE,
        "a byte order mark": "\ufeff" + HEADER + LINE,
        "formula cells": HEADER + "a/0.jpg,=1+1,@x,gallery\n",
        "other line ends": (HEADER + LINE).replace("\n", "\r\r\r"),
        "blank lines": HEADER + "\n,,,\n" + LINE + "\n" * 1000,
        "both directions and emoji": HEADER + "a/0.jpg,\u202ev\u200f,\U0001f4f7,gallery\n",
        "missing images too": HEADER + LINE + "a/1\t.jpg,v,c,gallery\n",
        "a step up inside": HEADER + "a/../a/0.jpg,v,c,gallery\n",
        "a vehicle of NUL and 100,000 letters": HEADER + f'a/0.jpg,"\n\0{"v" * 100_000}",c,gallery\n',
        "other separators in names": HEADER + "a\\0.jpg,v,c,gallery\n",
    }

    def manifest(content: Content) -> Make:
        return _with(_one_image, written("manifest.csv", content))

    trials = [Case(f"manifest: {n}", manifest(content), opened, says="manifest.csv") for n, content in refused.items()]
    trials += [Case(f"manifest: {n}", manifest(content), opened, "opens") for n, content in opens.items()]
    trials += [
        Case(
            f"manifest: {count:,} honest lines",
            manifest(lambda draw, count=count: _honest(count)),
            opened,
            "opens",
            lambda dataset: len(dataset.gallery) == 1,
            seconds=max(5, count // 12_000),
            long=count > 30_000,
        )
        for count in (30_000, 1_000_000)
    ]
    trials += [
        Case(f"manifest is {n}", _with(_one_image, m), opened, "either") for n, m in special("manifest.csv").items()
    ]
    trials += [
        Case(f"manifest names {n}", _with(_manifest_of_one, make), opened, says="manifest.csv")
        for n, make in special("a/0.jpg").items()
    ]
    return trials


def _honest(count: int) -> bytes:
    lines = (b"a/%d.jpg,v%d,c%d,%s" % (i, i // 20, i % 20, (b"gallery", b"train")[i % 2]) for i in range(count))
    return HEADER.encode() + b"\n".join((b"a/0.jpg,v0,c0,train", *lines))


def _tables() -> list[Case]:
    """``probes.csv`` and ``parts.txt``, each with the readers of both."""
    columns = "image,series,step,value,vehicle_id,camera_id,mark,change,mask\n"
    texts = {
        "nothing": "",
        "no columns": "a,b\n0 a\n2 b\n",
        "a step of 5,000 digits": columns + f"a,yaw,{'9' * 5000},1,v,c,,,\n",
        "names out of the folder": columns + "../../etc/passwd,mark,0,1,v,c,m,as it is,../../x\n",
        "NUL": columns + "\0,yaw,1,1,v,c,,,\n",
        "a billion": "1000000000 a\n",
    }

    def make(text: str) -> Make:
        def made(folder: Path, draw: random.Random) -> Path:
            for name in ("probes.csv", "parts.txt"):
                (folder / name).write_text(text)
            return folder

        return made

    return [
        Case(f"{reader.__name__}: {name}", make(text), reader, "either")
        for reader in (probe_series, mark_probes, part_names)
        for name, text in texts.items()
    ]


LAYOUTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "VeRi": (
        layouts.veri_index,
        "name_query.txt name_test.txt gt_index.txt jk_index.txt train_label.xml list_color.txt manifest.csv",
    ),
    "VehicleID": (layouts.vehicleid, "train_test_split/train_list.txt attribute/model_attr.txt"),
    "VERI-Wild": (layouts.veri_wild, "train_test_split/train_list.txt train_test_split/vehicle_info.txt"),
    "VRIC": (layouts.vric, "vric_train.txt"),
    "CityFlow": (layouts.cityflow, "train_label.xml"),
}


def _lists() -> list[Case]:
    """Every list of every layout with every content; a layout may go without most of its lists."""
    contents: dict[str, Content] = {
        "noise": lambda draw: draw.randbytes(5000),
        "UTF-16": "1 1\n".encode("utf-16"),
        "a long line": lambda draw: b"1 " * 2_000_000,
        "numbers of 5,000 digits": b"9" * 5000 + b" " + b"9" * 5000,
        "text": b"<a>=1+1;;;\n" * 9,
    }
    trials = []
    for layout, (make, names) in LAYOUTS.items():
        for name in names.split():
            things = {what: written(name, content) for what, content in contents.items()} | special(name)
            for what, thing in things.items():
                # The short form has a third of them, others of each list.
                long = (len(trials) + len(name)) % 3 != 0
                trials.append(Case(f"{layout} {name}: {what}", _with(make, thing), opened, "either", long=long))
    growing = "".join(f"<!ENTITY {'b' * (i + 1)} '{('&' + 'b' * i + ';') * 10}'>" for i in range(1, 12))
    documents: dict[str, Content] = {
        "entities that grow": f"<!DOCTYPE a [<!ENTITY b 'bbbbbbbbbb'>{growing}]><a>&{'b' * 12};</a>",
        "an entity of a file": "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a><Item imageName='&b;'/></a>",
        "a million levels": lambda draw: b"<a>" * 1_000_000 + b"</a>" * 1_000_000,
    }
    trials += [
        Case(f"train_label.xml: {name}", _with(layouts.veri, written("train_label.xml", text)), opened, "opens")
        for name, text in documents.items()
    ]
    return [*trials, Case("VeRi index: every query alike", _alike, opened, "opens")]


def _alike(folder: Path, draw: random.Random) -> Path:
    """As many queries as matches: 20,000 times 20,000 comparisons, if one by one."""
    layouts.veri(folder)
    for name in ("name_query.txt", "name_test.txt"):
        (folder / name).write_text("0001_c001_1_0.jpg\n" * 20_000)
    for name in ("gt_index.txt", "jk_index.txt"):
        (folder / name).write_text("1\n" * 20_000)
    return folder


def _folders() -> list[Case]:
    """Known layouts with unexpected names and files, and roots that are no folder."""
    names = {
        "line breaks": "0001_c001_a\nb.jpg",
        "no UTF-8": os.fsdecode(b"0001_c001_\xff\xfe.jpg"),
        "controls and directions": "0001_c001_\x1b[2J\u202egpj.jpg",
        "255 letters": "0001_c001_" + "n" * 240 + ".jpg",
        "other digits": "\u0661_c001_1.jpg",
        "a script": "0001_c001_<script>'\";--\U0001f697.jpg",
    }
    trials = []
    for folder in ("image_test", "bounding_box_test"):

        def beside(root: Path, folder=folder) -> None:
            layouts.jpeg(root / folder / "0002_c1_1.jpg")

        def named(name: str, folder=folder) -> Make:
            return lambda at, draw: layouts.jpeg(at / folder / "0003_c1_1.jpg").rename(at / folder / name)

        trials += [
            Case(f"{folder}: a name of {what}", _with(beside, named(name)), opened, "opens", lambda d: d.gallery)
            for what, name in names.items()
        ]
        for what, thing in special(f"{folder}/0001_c1_1.jpg").items():
            trials.append(Case(f"{folder}: an image is {what}", _with(beside, thing), opened, "opens"))
        for what, thing in special(folder).items():
            trials.append(Case(f"{folder} is {what}", lambda at, draw, thing=thing: thing(at, draw).parent, opened))
    trials += [Case(f"root is {what}", thing, opened) for what, thing in special("root").items()]
    roots = ("\0", "n" * 300, "~nobody-of-this-name/x", "a\nb", "\ud800", "\udcff", "x/" * 3000, "", "//", "\u202e")
    for name in roots:

        def root(folder: Path, draw: random.Random, name=name) -> str:
            return name if name[:1] == "~" else f"{folder}/{name}"

        trials.append(Case(f"root named {name!r:.30}", root, opened))
    return [
        *trials,
        Case("VeRi names in both normal forms", _twins, opened, "opens", lambda d: len(d.gallery) == 2),
        Case("a link in the manifest's path that is a loop", _looped, opened),
        Case("a folder in the manifest that is outside", _outside, opened, says="leads out of the folder"),
    ]


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
    _manifest_of_one(folder / "data")
    (folder / "data" / "a").symlink_to(folder / "elsewhere")
    return folder / "data"

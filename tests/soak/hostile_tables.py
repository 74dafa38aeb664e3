"""Lists, tables and folders of data sets that are not what they say, and features of other programs."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from pathlib import Path

from ssrnet.data.datasets import open_dataset
from ssrnet.data.parts import mark_probes, part_names
from ssrnet.data.probes import probe_series
from tests.data import layouts
from tests.soak.hostile import Case, Make, special, written

HEADER = "image,vehicle_id,camera_id,split\n"
LINE = "a/0.jpg,v1,c1,gallery\n"


def cases() -> list[Case]:
    return _manifests() + _others()


def opened_data(root: Path) -> object:
    """Opens, hashes and summarises; what a summary quotes of names may not be more than a line each."""
    dataset = open_dataset(root)
    dataset.content_hash()
    dataset.summary()
    return dataset


def _manifest(content: str | bytes | Callable[[random.Random], bytes]) -> Make:
    def make(folder: Path, draw: random.Random) -> Path:
        layouts.jpeg(folder / "a" / "0.jpg")
        written("manifest.csv", content)(folder, draw)
        return folder

    return make


def _manifests() -> list[Case]:
    refused: dict[str, str | bytes | Callable[[random.Random], bytes]] = {
        "nothing": b"",
        "a header alone": HEADER,
        "NUL bytes": bytes(1000),
        "noise": lambda draw: draw.randbytes(10_000),
        "UTF-16": ("\ufeff" + HEADER + LINE).encode("utf-16"),
        "UTF-32": (HEADER + LINE).encode("utf-32"),
        "a quote that is never closed": HEADER + '"a/0.jpg,v1,c1,gallery\n' + LINE * 1000,
        "ragged rows": HEADER + "a,b\n",
        "too many fields": HEADER + LINE.strip() + ",x,y\n",
        "a column twice": "image,image,vehicle_id,split\na,b,c,query\n",
        "100,000 columns": ",".join(f"c{i}" for i in range(100_000)) + "\n",
        "100,000 columns of one name": "a," * 100_000,
        "1,001 columns": HEADER.strip() + "".join(f",c{i}" for i in range(997)) + "\n",
        "a line of 100 MB": lambda draw: b"a" * 100_000_000,
        "a field of 100 MB": lambda draw: HEADER.encode() + b"a" * 10**8,
        "100 MB of commas": lambda draw: b"," * 100_000_000,
        "100 MB of line ends": lambda draw: b"\n" * 100_000_000,
        "100 MB of quotes": lambda draw: b'"' * 100_000_000,
        "NUL in a name": HEADER + "a/0.jpg\0,v1,c1,gallery\n",
        "a name out of the folder": HEADER + "../x.jpg,v,c,query\n",
        "an absolute name": HEADER + "/etc/passwd,v,c,query\n",
        "a name of Windows": HEADER + "C:\\x.jpg,v,c,query\n",
        "a share of Windows": HEADER + "\\\\s\\x.jpg,v,c,query\n",
        "a name that climbs": HEADER + "a/../../x.jpg,v,c,query\n",
        "an unknown split": HEADER + "a/0.jpg,v,c,=1+1\n",
        "a name of 5,000 letters": HEADER + "n" * 5000 + ".jpg,v,c,gallery\n",
        "no vehicle": HEADER + "a/0.jpg,,c,gallery\n",
        "a folder of 300 letters": HEADER + "n" * 300 + "/0.jpg,v,c,gallery\n",
        "no images": HEADER + "b.jpg,v,c,gallery\n",
        "an image twice": HEADER + LINE * 2,
        "two vehicles of an image": HEADER + LINE + "a/0.jpg,v2,c1,train\n",
        "a lone surrogate": HEADER.encode() + b"\xed\xa0\x80,v,c,d\n",
        "1,100,002 lines": lambda draw: HEADER.encode() + b"\n".join(b"%d.jpg,v,c,query" % i for i in range(1_100_002)),
        "a line of control characters": HEADER + "a\x1b[2J\x07.jpg,v,c,gallery\n",
        "queries alone": HEADER + "a/0.jpg,v,c,query\n",
        "a header of 300,000 letters": "x" * 300_000 + "\n",
        "JSON": '{"image": 1}',
        "a pickle": lambda draw: pickle.dumps([1]),
        "names of line breaks": HEADER + '"a\nTraceback (most recent call last)",v,c,gallery\n',
    }
    opened: dict[str, str | bytes | Callable[[random.Random], bytes]] = {
        "an honest line": HEADER + LINE,
        "a mark of UTF-8": "\ufeff" + HEADER + LINE,
        "formula cells": HEADER + "a/0.jpg,=1+1,@x,gallery\n",
        "other line ends": (HEADER + LINE).replace("\n", "\r\r\r"),
        "blank lines": HEADER + "\n,,,\n" + LINE + "\n" * 1000,
        "texts of both directions": HEADER + "a/0.jpg,\u202ev\u200f,c,gallery\n",
        "emoji": HEADER + "a/0.jpg,\U0001f697,\U0001f4f7,gallery\n",
        "missing images too": HEADER + LINE + "a/1\t.jpg,v,c,gallery\n",
        "a step up inside": HEADER + "a/../a/0.jpg,v,c,gallery\n",
        "a vehicle of line breaks": HEADER + 'a/0.jpg,"v\n1",c,gallery\n',
        "a vehicle of NUL": HEADER + "a/0.jpg,v\0,c,gallery\n",
        "a vehicle of 100,000 letters": HEADER + f"a/0.jpg,{'v' * 100_000},c,gallery\n",
        "other separators in names": HEADER + "a\\0.jpg,v,c,gallery\n",
    }
    found = [
        Case(f"manifest: {name}", _manifest(content), opened_data, says="manifest.csv")
        for name, content in refused.items()
    ]
    found += [Case(f"manifest: {name}", _manifest(content), opened_data, "opens") for name, content in opened.items()]
    for count, long in ((30_000, False), (500_000, True), (1_000_000, True)):
        found.append(
            Case(
                f"manifest: {count:,} honest lines",
                _manifest(lambda draw, count=count: _honest(count)),
                opened_data,
                "opens",
                lambda dataset: len(dataset.gallery) == 1,
                seconds=max(5, count // 12_000),
                long=long,
            )
        )
    found += [Case(f"CSV file: {name}", make, opened_data) for name, make in special("a.csv").items()]
    for name, make in special("manifest.csv").items():
        found.append(Case(f"manifest: {name}", _inside(make), opened_data))
    for name, make in special("a/0.jpg").items():
        found.append(Case(f"manifest names {name}", _beside(make), opened_data, says="manifest.csv"))
    return found


def _honest(count: int) -> bytes:
    lines = (b"a/%d.jpg,v%d,c%d,%s" % (i, i // 20, i % 20, (b"gallery", b"train")[i % 2]) for i in range(count))
    return HEADER.encode() + b"\n".join((b"a/0.jpg,v0,c0,train", *lines))


def _inside(make: Make) -> Make:
    def made(folder: Path, draw: random.Random) -> Path:
        layouts.jpeg(folder / "a" / "0.jpg")
        make(folder, draw)
        return folder

    return made


def _beside(make: Make) -> Make:
    def made(folder: Path, draw: random.Random) -> Path:
        make(folder, draw)
        (folder / "manifest.csv").write_text(HEADER + LINE)
        return folder

    return made


def _others() -> list[Case]:
    """``parts.txt`` and ``probes.csv``."""
    found = []
    columns = "image,series,step,value,vehicle_id,camera_id,mark,change,mask\n"
    probes = {
        "nothing": "",
        "no columns": "a,b\n",
        "a step that is none": columns + "a,yaw,x,1,v,c,,,\n",
        "a step of 5,000 digits": columns + f"a,yaw,{'9' * 5000},1,v,c,,,\n",
        "a step of other digits": columns + "a,yaw,\u00b2,1,v,c,,,\n",
        "names out of the folder": columns + "../../etc/passwd,mark,0,1,v,c,m,as it is,../../x\n",
        "NUL": columns + "\0,yaw,1,1,v,c,,,\n",
    }
    for reader in (probe_series, mark_probes):
        for name, text in probes.items():
            made = _folder_with("probes.csv", text)
            found.append(Case(f"{reader.__name__}: {name}", made, reader, "either"))
    parts = {
        "nothing": "",
        "gaps": "0 a\n2 b\n",
        "no names": "0\n1\n",
        "noise": "\0\0\n",
        "a billion": "1000000000 a\n",
    }
    found += [
        Case(f"parts.txt: {name}", _folder_with("parts.txt", text), part_names, "either")
        for name, text in parts.items()
    ]
    return found


def _folder_with(name: str, text: str) -> Make:
    def make(folder: Path, draw: random.Random) -> Path:
        (folder / name).write_text(text)
        return folder

    return make

"""Lists, tables and folders of data sets that are not what they say, and features of other programs."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ssrnet.data.datasets import open_dataset
from ssrnet.data.parts import mark_probes, part_names
from ssrnet.data.probes import probe_series
from ssrnet.imports import ImportSettings, import_features
from tests.data import layouts
from tests.soak.hostile import Case, Make, Payload, special, written

HEADER = "image,vehicle_id,camera_id,split\n"
LINE = "a/0.jpg,v1,c1,gallery\n"


def cases() -> list[Case]:
    return _manifests() + _lists() + _folders() + _others() + _features()


def _opened(root: Path) -> object:
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
        "nothing": b"", "a header alone": HEADER, "NUL bytes": bytes(1000), "noise": lambda draw: draw.randbytes(10_000),
        "UTF-16": ("\ufeff" + HEADER + LINE).encode("utf-16"), "UTF-32": (HEADER + LINE).encode("utf-32"),
        "a quote that is never closed": HEADER + '"a/0.jpg,v1,c1,gallery\n' + LINE * 1000, "ragged rows": HEADER + "a,b\n",
        "too many fields": HEADER + LINE.strip() + ",x,y\n", "a column twice": "image,image,vehicle_id,split\na,b,c,query\n",
        "100,000 columns": ",".join(f"c{i}" for i in range(100_000)) + "\n", "100,000 columns of one name": "a," * 100_000,
        "1,001 columns": HEADER.strip() + "".join(f",c{i}" for i in range(997)) + "\n",
        "a line of 100 MB": lambda draw: b"a" * 100_000_000, "a field of 100 MB": lambda draw: HEADER.encode() + b"a" * 10**8,
        "100 MB of commas": lambda draw: b"," * 100_000_000, "100 MB of line ends": lambda draw: b"\n" * 100_000_000,
        "100 MB of quotes": lambda draw: b'"' * 100_000_000, "NUL in a name": HEADER + "a/0.jpg\0,v1,c1,gallery\n",
        "a name out of the folder": HEADER + "../x.jpg,v,c,query\n", "an absolute name": HEADER + "/etc/passwd,v,c,query\n",
        "a name of Windows": HEADER + "C:\\x.jpg,v,c,query\n", "a share of Windows": HEADER + "\\\\s\\x.jpg,v,c,query\n",
        "a name that climbs": HEADER + "a/../../x.jpg,v,c,query\n", "an unknown split": HEADER + "a/0.jpg,v,c,=1+1\n",
        "a name of 5,000 letters": HEADER + "n" * 5000 + ".jpg,v,c,gallery\n", "no vehicle": HEADER + "a/0.jpg,,c,gallery\n",
        "a folder of 300 letters": HEADER + "n" * 300 + "/0.jpg,v,c,gallery\n", "no images": HEADER + "b.jpg,v,c,gallery\n",
        "an image twice": HEADER + LINE * 2, "two vehicles of an image": HEADER + LINE + "a/0.jpg,v2,c1,train\n",
        "a lone surrogate": HEADER.encode() + b"\xed\xa0\x80,v,c,d\n",
        "1,100,002 lines": lambda draw: HEADER.encode() + b"\n".join(b"%d.jpg,v,c,query" % i for i in range(1_100_002)),
        "a line of control characters": HEADER + "a\x1b[2J\x07.jpg,v,c,gallery\n", "queries alone": HEADER + "a/0.jpg,v,c,query\n",
        "a header of 300,000 letters": "x" * 300_000 + "\n", "JSON": '{"image": 1}', "a pickle": lambda draw: pickle.dumps([1]),
        "names of line breaks": HEADER + '"a\nTraceback (most recent call last)",v,c,gallery\n',
    }  # fmt: skip
    opened: dict[str, str | bytes | Callable[[random.Random], bytes]] = {
        "an honest line": HEADER + LINE, "a mark of UTF-8": "\ufeff" + HEADER + LINE, "formula cells": HEADER + "a/0.jpg,=1+1,@x,gallery\n",
        "other line ends": (HEADER + LINE).replace("\n", "\r\r\r"), "blank lines": HEADER + "\n,,,\n" + LINE + "\n" * 1000, "texts of both directions": HEADER + "a/0.jpg,\u202ev\u200f,c,gallery\n",
        "emoji": HEADER + "a/0.jpg,\U0001f697,\U0001f4f7,gallery\n", "missing images too": HEADER + LINE + "a/1\t.jpg,v,c,gallery\n",
        "a step up inside": HEADER + "a/../a/0.jpg,v,c,gallery\n", "a vehicle of line breaks": HEADER + 'a/0.jpg,"v\n1",c,gallery\n',
        "a vehicle of NUL": HEADER + "a/0.jpg,v\0,c,gallery\n", "a vehicle of 100,000 letters": HEADER + f"a/0.jpg,{'v' * 100_000},c,gallery\n",
        "other separators in names": HEADER + "a\\0.jpg,v,c,gallery\n",
    }  # fmt: skip
    found = [
        Case(f"manifest: {name}", _manifest(content), _opened, says="manifest.csv") for name, content in refused.items()
    ]
    found += [Case(f"manifest: {name}", _manifest(content), _opened, "opens") for name, content in opened.items()]
    for count, long in ((30_000, False), (500_000, True), (1_000_000, True)):
        found.append(
            Case(
                f"manifest: {count:,} honest lines", _manifest(lambda draw, count=count: _honest(count)), _opened, "opens",
                lambda dataset: len(dataset.gallery) == 1, seconds=max(5, count // 12_000), long=long,
            )
        )  # fmt: skip
    found += [Case(f"CSV file: {name}", make, _opened) for name, make in special("a.csv").items()]
    for name, make in special("manifest.csv").items():
        found.append(Case(f"manifest: {name}", _inside(make), _opened))
    for name, make in special("a/0.jpg").items():
        found.append(Case(f"manifest names {name}", _beside(make), _opened, says="manifest.csv"))
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


LAYOUTS: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "VeRi": (
        layouts.veri_index,
        (
            "name_query.txt", "name_test.txt", "gt_index.txt", "jk_index.txt", "train_label.xml", "list_color.txt", "manifest.csv"
        ),
    ),
    "VehicleID": (layouts.vehicleid, ("train_test_split/train_list.txt", "attribute/model_attr.txt")),
    "VERI-Wild": (layouts.veri_wild, ("train_test_split/train_list.txt", "train_test_split/vehicle_info.txt")),
}  # fmt: skip


def _lists() -> list[Case]:
    """Every list of every layout with every content; a layout may go without most of its lists."""
    contents: dict[str, bytes | Callable[[random.Random], bytes]] = {
        "nothing": b"", "noise": lambda draw: draw.randbytes(5000), "NUL": bytes(5000), "UTF-16": "1 1\n".encode("utf-16"),
        "a long line": lambda draw: b"1 " * 2_000_000, "numbers of 5,000 digits": b"9" * 5000 + b" " + b"9" * 5000,
        "500,000 lines": lambda draw: b"".join(b"%07d %d\n" % (i, i % 99) for i in range(500_000)), "text": b"<a>=1+1;;;\n" * 9,
    }  # fmt: skip
    found = []
    for layout, (make, lists) in LAYOUTS.items():
        for name in lists:
            things = {what: written(name, content) for what, content in contents.items()} | special(name)
            for what, thing in things.items():
                # In the short form a third of them, of each list another.
                long = what == "500,000 lines" or (len(found) + len(name)) % 3 != 0
                found.append(
                    Case(f"{layout} {name}: {what}", _with(make, thing), _opened, "either", long=long, seconds=10)
                )
    bomb = "<!DOCTYPE a [<!ENTITY b 'bbbbbbbbbb'>" + "".join(
        f"<!ENTITY {'b' * (i + 1)} '{f'&{chr(98) * i};' * 10}'>" for i in range(1, 12)
    )
    documents = {
        "entities that grow": f"{bomb}]><a>&{'b' * 12};</a>".encode(),
        "an entity of a file": b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a><Item imageName='&b;'/>&b;</a>",
        "a million levels": lambda draw: b"<a>" * 1_000_000 + b"</a>" * 1_000_000, "many elements":
        lambda draw: b"<a>" + b"<b/>" * 3_900_000 + b"</a>", "40 MB": lambda draw: b"<a>" + b" " * 40_000_000 + b"</a>",
    }  # fmt: skip
    found += [
        Case(
            f"VeRi train_label.xml: {name}",
            _with(layouts.veri, written("train_label.xml", text)),
            _opened,
            "opens",
            long=name in ("many elements", "a million levels"),
        )
        for name, text in documents.items()
    ]
    found.append(Case("VeRi index: every query alike", _alike, _opened, "opens"))
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
        "line breaks": "0001_c001_a\nb.jpg", "no UTF-8": os.fsdecode(b"0001_c001_\xff\xfe.jpg"), "emoji": "0001_c001_\U0001f697.jpg",
        "controls": "0001_c001_\x1b[2J.jpg", "direction": "0001_c001_\u202egpj.jpg", "255 letters": "0001_c001_" + "n" * 240 + ".jpg",
        "other digits": "\u0661_c001_1.jpg", "a script": "0001_c001_<script>.jpg", "a quote": "0001_c001_'\";--.jpg",
    }  # fmt: skip
    found = []
    for folder, recogniser in (("image_test", "VeRi"), ("bounding_box_test", "Market")):
        for what, name in names.items():

            def make(at: Path, draw: random.Random, folder=folder, name=name) -> Path:
                layouts.jpeg(at / folder / "0002_c1_1.jpg")
                layouts.jpeg(at / "x.jpg").rename(at / folder / name)
                return at

            found.append(Case(f"{recogniser} name of {what}", make, _opened, "opens", lambda d: len(d.gallery) >= 1))
        for what, thing in special(f"{folder}/0001_c1_1.jpg").items():
            found.append(Case(f"{recogniser} image is {what}", _inside_folder(thing, folder), _opened, "opens"))
        for what, thing in special(folder).items():
            found.append(Case(f"{recogniser} folder is {what}", _root(thing), _opened))
    found.append(Case("VeRi names in both normal forms", _twins, _opened, "opens", lambda d: len(d.gallery) == 2))
    for what, thing in special("root").items():
        found.append(Case(f"root is {what}", thing, _opened))
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
                _opened,
            )
        )
    found.append(Case("a link in the manifest's path that is a loop", _looped, _opened))
    found.append(Case("a folder in the manifest that is outside", _outside, _opened, says="leads out of the folder"))
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


def _others() -> list[Case]:
    """``parts.txt`` and ``probes.csv``."""
    found = []
    columns = "image,series,step,value,vehicle_id,camera_id,mark,change,mask\n"
    probes = {
        "nothing": "", "no columns": "a,b\n", "a step that is none": columns + "a,yaw,x,1,v,c,,,\n",
        "a step of 5,000 digits": columns + f"a,yaw,{'9' * 5000},1,v,c,,,\n", "a step of other digits": columns + "a,yaw,\u00b2,1,v,c,,,\n",
        "names out of the folder": columns + "../../etc/passwd,mark,0,1,v,c,m,as it is,../../x\n", "NUL": columns + "\0,yaw,1,1,v,c,,,\n",
    }  # fmt: skip
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


def _features() -> list[Case]:
    """What ``ssrnet import`` is given, for a data set of two images."""
    good = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    paths = np.array(layouts.VERI_TEST)

    def npz(packed: bool = False, **arrays) -> bytes:
        buffer = io.BytesIO()
        (np.savez_compressed if packed else np.savez)(buffer, **arrays)
        return buffer.getvalue()

    def spoiled(value: float) -> np.ndarray:
        return np.where(np.arange(40).reshape(5, 8) == 7, value, good).astype(np.float32)

    def npy(shape: str, kind: str = "<f4", data: bytes = b"", length: int | None = None) -> bytes:
        header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
        size = len(header) if length is None else length
        return b"\x93NUMPY\x02\0" + struct.pack("<I", size) + header + data

    def declared(member: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            archive.writestr("features.npy", member)
            archive.writestr("paths.npy", npy("(5,)", "<U30", bytes(600)))
        return buffer.getvalue()

    refused: dict[str, bytes | Callable[[random.Random], bytes]] = {
        "nothing": b"", "noise": lambda draw: draw.randbytes(3000), "one array": _npy_bytes(good), "no features": npz(paths=paths),
        "no paths": npz(features=good), "NaN": npz(features=spoiled(np.nan), paths=paths), "infinity":
        npz(features=spoiled(np.inf), paths=paths), "zeros": npz(features=good * 0, paths=paths), "integers":
        npz(features=good.astype(int), paths=paths), "complex": npz(features=good.astype(complex), paths=paths),
        "no rows": npz(features=good[:0], paths=paths[:0]), "no columns": npz(features=good[:, :0], paths=paths),
        "three dimensions": npz(features=good[:, :, None], paths=paths), "no dimension": npz(features=np.float32(1), paths=paths),
        "other images": npz(features=good, paths=np.array(["x.jpg"] * 5)), "fewer paths": npz(features=good, paths=paths[:3]),
        "numbers for paths": npz(features=good, paths=np.arange(5)), "paths of NUL": npz(features=good, paths=np.array(["\0"] * 5)),
        "paths of line breaks": npz(features=good, paths=np.array(["a\nb\x1b.jpg"] * 5)), "paths of many folders":
        npz(features=good, paths=np.array(["/" * 200_000 + "x"] * 5)), "objects":
        npz(features=good, paths=paths, ids=np.array([{}] * 5, dtype=object)), "records":
        npz(features=good, paths=paths, ids=np.zeros(5, dtype=[("a", "f4", (2,))])), "dates":
        npz(features=good, paths=paths, ids=np.zeros(5, dtype="M8[s]")), "raw bytes": npz(features=good, paths=paths, ids=np.zeros(5, "V8")),
        "10^15 rows": declared(npy("(1000000000000000, 2048)")), "10^9 rows": declared(npy("(1000000000, 64)")),
        "negative rows": declared(npy("(-1, 8)")), "a shape of texts": declared(npy("('a', 8)")), "a shape of code":
        declared(npy("(__import__('os').mkdir('executed'), 8)")), "a header of 4 GB": declared(npy("(5, 8)", length=2**32 - 1)),
        "a header of 4 GB, packed": lambda draw: declared(
            npy("(5, 8)", length=2**32 - 1, data=b" " * 100_000_000), zipfile.ZIP_DEFLATED
        ), "texts beyond Unicode": npz(features=good, paths=np.full(20 * 5, 0xFFFFFFFF, "<u4").view("<U20")), "an unknown kind":
        declared(npy("(5, 8)", "<q9")), "rows of no size": declared(npy("(1000000000000, 8)", "<U0")), "a bomb":
        lambda draw: declared(npy("(50000000, 8)", data=bytes(1_600_000_000 // 8)), zipfile.ZIP_DEFLATED), "cut short":
        npz(features=good, paths=paths)[:300], "LZMA": declared(npy("(5, 8)", data=bytes(160)), zipfile.ZIP_LZMA),
    }  # fmt: skip
    opened = {
        "float16": npz(features=good.astype(np.float16), paths=paths), "float64": npz(features=good.astype(float), paths=paths),
        "big-endian": npz(features=good.astype(">f4"), paths=paths), "in columns": npz(features=np.asfortranarray(good), paths=paths),
        "packed": npz(True, features=good, paths=paths), "bytes for paths": npz(features=good, paths=paths.astype("S")),
        "other folders": npz(features=good, paths=np.array([f"C:\\x\\{p}" for p in paths])), "tiny numbers":
        npz(features=(good * 1e-30).astype(np.float64), paths=paths), "huge numbers": npz(features=good.astype(float) * 1e300, paths=paths),
    }  # fmt: skip
    found = [Case(f"import: {name}", _import(data), _imported, says="features.npz") for name, data in refused.items()]
    found += [Case(f"import: {name}", _import(data), _imported, "opens") for name, data in opened.items()]
    found.append(
        Case("import: a pickle", lambda folder, draw: _import(pickle.dumps(Payload(folder)))(folder, draw), _imported)
    )
    for name, make in special("features.npz").items():
        found.append(
            Case(f"import: {name}", lambda folder, draw, make=make: _data(folder, make(folder, draw)), _imported)
        )
    return found


def _npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _data(folder: Path, path: Path) -> ImportSettings:
    layouts.veri(folder / "data")
    return ImportSettings(path, folder / "data", "other", folder / "imported")


def _import(data: bytes | Callable[[random.Random], bytes]) -> Make:
    return lambda folder, draw: _data(folder, written("features.npz", data)(folder, draw))


def _imported(settings: ImportSettings) -> None:
    import contextlib

    with contextlib.redirect_stdout(io.StringIO()):
        import_features(settings)

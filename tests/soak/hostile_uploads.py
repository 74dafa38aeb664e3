"""Uploads: hostile names, zip files whose members are not what they seem, files of tags and views."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable

from ssrnet.data.uploads import read_uploads
from ssrnet.explain.gallery_notes import GalleryNotes, View, read_notes
from tests.soak.hostile import Case, Make
from tests.soak.hostile_images import drawn, encoded, large, zipped


def cases() -> list[Case]:
    cases = [Case(f"upload named {name!r:.40}", drawn(lambda draw: b"no"), _named(name)) for name in NAMES]
    cases += [
        Case(f"good upload named {name!r:.40}", drawn(lambda draw: encoded("PNG")), _named(name), "opens", _printable)
        for name in NAMES
    ]
    cases += [
        Case(f"zip: {name}", drawn(make), _zipped, expected, long=name.startswith(("100,000", "flat")))
        for name, (make, expected) in _zips().items()
    ]
    return cases + _tables() + _notes()


NAMES = (
    "a\nTraceback: b.png",
    "tab\there.png",
    "\x1b[2J.png",
    "\u202egpj.exe.png",
    "caf\u00e9.png",
    "cafe\u0301.png",
    "\U0001f697.png",
    "\ud800.png",
    "../../../etc/passwd.png",
    "/etc/passwd.png",
    "nul\0.png",
    "n" * 300 + ".png",
    "C:\\Windows\\x.png",
    "\\\\server\\share\\x.png",
    "CON.png",
    "",
    ".",
    "..",
    "<script>alert(1)</script>.png",
    " .png",
)


def _zips() -> dict[str, tuple[Callable[[random.Random], bytes], str]]:
    good = encoded("PNG")
    one = zipped({"a.png": good})
    nested = zipped({"b.zip": zipped({"c.zip": one})})

    def patched(at: bytes, offset: int, value: bytes) -> bytes:
        data = bytearray(one)
        place = data.rindex(at) + offset
        data[place : place + len(value)] = value
        return bytes(data)

    def overlapping(draw: random.Random) -> bytes:
        """Many entries of the directory that name one and the same member (Fifield, WOOT 2019)."""
        directory = one[one.rindex(b"PK\1\2") : one.rindex(b"PK\5\6")]
        start = one.rindex(b"PK\1\2")
        entries = b"".join(directory.replace(b"a.png", f"{i:x}.png"[-5:].rjust(5, "z").encode()) for i in range(4000))
        end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 4000, 4000, len(entries), start, 0)
        return one[:start] + entries + end

    def linked(draw: random.Random) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            link = zipfile.ZipInfo("a.png")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
        return buffer.getvalue()

    def many(count: int, name: str, data: bytes) -> Callable[[random.Random], bytes]:
        return lambda draw: zipped({name.format(i): data for i in range(count)}, zipfile.ZIP_STORED)

    unpacked = {
        "flat bomb of 2 GB": lambda draw: _bomb(2048),
        "bomb of many members": lambda draw: _bomb(60, 40),
        "nested zips": lambda draw: nested,
        "overlapping members": overlapping,
        "no image": lambda draw: zipped({"a.txt": b""}),
        "100,000 members that are no images": many(100_000, "{}.txt", b""),
        "cut short": lambda draw: one[:-30],
        "100,000 images that are none": many(100_000, "{}.png", b"x"),
        "a link": linked,
        "nothing": lambda draw: b"",
        "a directory that lies of sizes": lambda draw: patched(b"PK\1\2", 24, b"\xff\xff\xff\x7f"),
        "a directory that lies of packed sizes": lambda draw: patched(b"PK\1\2", 20, b"\xff\xff\xff\x7f"),
        "a directory that lies of places": lambda draw: patched(b"PK\1\2", 42, b"\xff\xff\xff\x7f"),
        "an unknown method": lambda draw: patched(b"PK\1\2", 10, b"\x63\0"),
        "LZMA": lambda draw: zipped({"a.png": good}, zipfile.ZIP_LZMA),
        "a directory of 65,535 that are not there": lambda draw: patched(b"PK\5\6", 8, b"\xff\xff\xff\xff"),
        "noise with an end": lambda draw: draw.randbytes(900) + one[-22:],
        "40 images of 49 million pixels": lambda draw: zipped(
            {f"{i}.jpg": large("RGB", "JPEG") for i in range(40)}, zipfile.ZIP_STORED
        ),
    }
    names = ("../../up.png", "/abs.png", "a\nb.png", "C:\\x\\y.png", "\u202e.png", "d/" * 400 + "x.png", "\x07.png")
    zips = {name: (make, "sentence") for name, make in unpacked.items()}
    zips |= {f"a member {n!r:.30}": (lambda draw, n=n: zipped({n: good}), "opens") for n in names}
    zips |= {name: (zips[name][0], "either") for name in zips if name.startswith("a directory")}
    zips["bits flipped"] = lambda draw: _spoiled(one, draw), "either"
    return zips


def _tables() -> list[Case]:
    """Tables of cameras: each is read or refused, and the picture beside it is taken with a name that can be shown."""
    good = encoded("PNG")
    tables = {
        "nothing": b"",
        "noise": bytes(range(256)) * 4000,
        "NUL bytes": b"image,camera\na.png,\0\0\n",
        "70,000 lines": b"image,camera\n" + b"a.png,north-1\n" * 70_000,
        "500,000 columns": b"image,camera" + b"," * 500_000 + b"\n" + b"," * 500_000,
        "a quote that never ends": b'image,camera\n"' + b"a\n" * 400_000,
        "a long camera": b"image,camera\na.png," + b"c" * 130_000,
        "a long path": b"image,camera\n" + b"d/" * 60_000 + b"a.png,c\n",
        "a path that leads out": b"image,camera\n../../../etc/passwd,c\n/etc/passwd,d\n",
        "a camera that is none": "image,camera\na.png,\u202e\x1b[2J\n".encode(),
        "a formula": b"image,camera\na.png,=cmd()\n",
    }

    def beside(data: bytes) -> object:
        return read_uploads([("list.csv", data), ("a.png", good)])

    def within(data: bytes) -> object:
        return read_uploads([("all.zip", zipped({"d/list.csv": data, "d/a.png": good}))])

    cases = [
        Case(f"cameras {where}: {name}", drawn(lambda draw, data=data: data), read, "either", _cameras_printable)
        for name, data in tables.items()
        for where, read in (("beside", beside), ("within", within))
    ]
    zips: dict[str, Callable[[], dict[str, bytes]]] = {
        "20,000 tables": lambda: {f"{i}.csv": b"image,camera\n" for i in range(20_000)} | {"a.png": good},
        "tables that unpack to 150 MB": lambda: {f"{i}.csv": bytes(50 * 2**20) for i in range(3)} | {"a.png": good},
        "a folder that is none": lambda: {"\u202e/a.png": good},
    }
    return cases + [
        Case(f"cameras: {name}", drawn(lambda draw, make=make: zipped(make())), _zipped, "either")
        for name, make in zips.items()
    ]


def _cameras_printable(uploads) -> bool:
    return list(uploads.pictures) == ["a.png"] and all(
        c.isprintable() and len(c) <= 120 for c in uploads.cameras.values()
    )


def _bomb(megabytes: int, members: int = 1) -> bytes:
    """Zeros, packed a thousand to one."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    block = bytes(2**20)
    data = b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(members):
            info = zipfile.ZipInfo(f"{number}.png")
            archive.writestr(info, data)
    whole = bytearray(buffer.getvalue())
    for mark, method, size in ((b"PK\3\4", 8, 22), (b"PK\1\2", 10, 24)):
        at = -1
        while (at := whole.find(mark, at + 1)) >= 0:
            whole[at + method : at + method + 2] = b"\x08\0"
            whole[at + size : at + size + 4] = struct.pack("<I", megabytes * 2**20 % 2**32)
    return bytes(whole)


def _spoiled(data: bytes, draw: random.Random) -> bytes:
    whole = bytearray(data)
    for _ in range(6):
        whole[draw.randrange(len(whole))] = draw.randrange(256)
    return bytes(whole)


def _named(name: str) -> Callable[[bytes], object]:
    return lambda data: read_uploads([(name, data)])


def _zipped(data: bytes) -> object:
    return read_uploads([("all.zip", data)])


def _printable(uploads) -> bool:
    return len(uploads.pictures) == 1 and all(n.isprintable() and "/" not in n for n in uploads.pictures)


def _notes() -> list[Case]:
    """An uploaded file of the Gallery map's tags and views."""
    good = GalleryNotes("city", "hash", {"odd": ("a.jpg",)}, {"v": View("UMAP", None, "camera", "a.jpg", ("a.jpg",))})
    contents = {
        "nothing": b"",
        "noise": bytes(range(256)),
        "levels": b"[" * 99_999,
        "a list": b"[]",
        "keys": b"{}",
        "digits": b"9" * 5000,
        "UTF-16 that is none": b"\xff\xfe" + bytes(3),
        "lists of 19 MB": b"[" + b"[]," * 6_000_000 + b"1]",
    }
    values: dict[str, dict] = {
        "another version": {"version": "x" * 9999},
        "another data set": {"dataset_hash": "no", "dataset": "x\n\x1b[2J" * 999},
        "tags that are a list": {"tags": []},
        "tags of inner lists": {"tags": {"a": [["b"] * 9999]}},
        "unknown images": {"tags": {"a": ["no\nsuch.jpg" * 500]}},
        "views that are none": {"views": None},
        "a view of texts": {"views": {"v": "abc"}},
        "no tags": {"tags": None},
        "a view of numbers": {"views": {"v": dict.fromkeys(("method", "branch", "colouring", "query", "selected"), 7)}},
    }
    contents |= {name: json.dumps(json.loads(good.json()) | value).encode() for name, value in values.items()}

    def reader(name: str) -> Callable[[bytes], object]:
        return lambda data: read_notes(data, name, "city", "hash", {"a.jpg"})

    def given(data: bytes) -> Make:
        return lambda folder, draw: data

    trials = [
        Case(f"notes: {name}", given(data), reader("map.json"), says="map.json") for name, data in contents.items()
    ]
    as_it_was = Case("notes: as they were", given(good.json().encode()), reader("map.json"), "opens", good.__eq__)
    names = ("a\nb.json", "\ud800.json", "\u202e.json", "n" * 3000, "")
    return [*trials, as_it_was, *(Case(f"notes named {name!r:.20}", given(b"{"), reader(name)) for name in names)]

"""Images, uploads and zip files that are not what they say."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from ssrnet.data.images import read_image, read_image_bytes
from ssrnet.data.uploads import read_uploads
from tests.soak.hostile import Case, Make, Read, special, written

SIZE = (24, 16)


def cases() -> list[Case]:
    """Each file as a path, as bytes and as an upload."""
    found: list[Case] = []
    for number, (name, (data, expected)) in enumerate({**_good(), **_broken()}.items()):
        content = data if callable(data) else lambda draw, data=data: data
        suffix = "" if "." in name else ".png"
        path, drawn = written(f"{_file(name)}{suffix}", content), _drawn(content)
        ways: list[tuple[str, Make, Read, Callable[[object], bool] | None]] = [
            ("path", path, read_image, _is_picture), ("bytes", drawn, _decoded, _is_picture), ("upload", drawn, _uploaded, None),
        ]  # fmt: skip
        # In the short form one of the three, in turn.
        found += [
            Case(f"{way}: {name}", make, read, expected, check, long=(i + number) % 3 != 0)
            for i, (way, make, read, check) in enumerate(ways)
        ]
    for cut in range(1, 25):
        data = _encoded("JPEG", size=(64, 48))
        found.append(
            Case(
                f"truncated JPEG {cut}/25", written("cut.jpg", data[: len(data) * cut // 25]), read_image,
                "sentence", says="cut.jpg", long=cut % 3 != 1,
            )
        )  # fmt: skip
    for form in ("JPEG", "PNG", "WEBP", "TIFF", "BMP"):
        for number in range(3):
            found.append(
                Case(f"bits flipped in {form} {number}", _drawn(_flipped(form)), _decoded, "either", _is_picture)
            )
    found += [Case(f"image: {name}", make, read_image) for name, make in special("a.jpg").items()]
    found += [
        Case(f"image: name {name!r:.40}", lambda folder, draw, name=name: folder / name, read_image)
        for name in ("\0.jpg", "n" * 300 + ".jpg", "a\nb\x1b[31m.jpg", "\u202egnp.exe", "\udcff\udcfe.png", "x/" * 2500)
    ]
    found += [Case(f"upload named {name!r:.40}", _drawn(lambda draw: b"no"), _named(name)) for name in NAMES]
    found += [
        Case(f"good upload named {name!r:.40}", _drawn(lambda draw: _encoded("PNG")), _named(name), "opens", _printable)
        for name in NAMES
    ]
    for name, (make, expected) in _zips().items():
        found.append(Case(f"zip: {name}", _drawn(make), _zipped, expected, long=name.startswith(("100,000", "flat"))))
    return found


NAMES = (
    "a\nTraceback: b.png", "tab\there.png", "\x1b[2J.png", "\u202egpj.exe.png", "caf\u00e9.png", "cafe\u0301.png",
    "\U0001f697.png", "\ud800.png", "../../../etc/passwd.png", "/etc/passwd.png", "nul\0.png", "n" * 300 + ".png",
    "C:\\Windows\\x.png", "\\\\server\\share\\x.png", "CON.png", "", ".", "..", "<script>alert(1)</script>.png", " .png",
)  # fmt: skip


def _encoded(form: str, mode: str = "RGB", size: tuple[int, int] = SIZE, **more) -> bytes:
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    image = Image.fromarray(values, "RGBA").convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, form, **more)
    return buffer.getvalue()


def _good() -> dict[str, tuple[bytes, str]]:
    """Unusual, and yet images."""
    grey16 = Image.fromarray(np.arange(24 * 16, dtype=np.uint16).reshape(16, 24) * 170)
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "green", "blue")]
    more = {"save_all": True, "append_images": frames[1:]}

    def saved(image: Image.Image, form: str, **kwargs) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, form, **kwargs)
        return buffer.getvalue()

    found = {f"{mode} PNG": _encoded("PNG", mode) for mode in ("1", "L", "LA", "P", "RGBA")}
    palette = Image.fromarray(np.arange(24 * 16, dtype=np.uint8).reshape(16, 24), "P")
    palette.putpalette(bytes(range(256)) * 3)
    jpeg = _encoded("JPEG")
    found |= {
        "16 bits PNG": saved(grey16, "PNG"), "16 bits TIFF": saved(grey16, "TIFF"),
        "palette with alpha": saved(palette, "PNG", transparency=bytes(range(256))),
        "CMYK JPEG": _encoded("JPEG", "CMYK"), "inverted CMYK of Adobe": _adobe(_encoded("JPEG", "CMYK")),
        "YCCK-marked RGB": _adobe(_encoded("JPEG")), "grey JPEG": _encoded("JPEG", "L"),
        "progressive JPEG": _encoded("JPEG", progressive=True), "animated PNG": saved(frames[0], "PNG", **more),
        "animated WebP": saved(frames[0], "WEBP", **more), "TIFF of three pages": saved(frames[0], "TIFF", **more),
        "JPEG in TIFF": _encoded("TIFF", compression="jpeg"), "deflated TIFF": _encoded("TIFF", compression="tiff_deflate"),
        "LZW TIFF": _encoded("TIFF", compression="tiff_lzw"), "TIFF of one bit": _encoded("TIFF", "1", compression="group4"),
        "JPEG with a zip behind": jpeg + _zip({"a.txt": b"x"}), "JPEG named a.png": jpeg, "PNG with HTML behind":
        _encoded("PNG") + b"<html><script>alert(1)</script></html>", "PNG named a.jpg": _encoded("PNG"),
        "one pixel": _encoded("PNG", size=(1, 1)), "JPEG with broken EXIF": _with_exif(jpeg, b"MM\0*\xff\xff\xff\xff"),
        "JPEG with EXIF of noise": _with_exif(jpeg, bytes(range(200))),
        "JPEG with EXIF in a circle": _with_exif(jpeg, b"MM\0*\0\0\0\x08\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x08\0\0\0\x08"),
        "PNG with a long text": _png_text(b"tEXt", b"a\0" + b"x" * 100_000),
    }  # fmt: skip
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        found[f"EXIF orientation {orientation}"] = _encoded("JPEG", exif=exif.tobytes())
    return {name: (data, "opens") for name, data in found.items()}


def _broken() -> dict[str, tuple[bytes | Callable[[random.Random], bytes], str]]:
    gif = io.BytesIO()
    Image.new("P", SIZE).save(gif, "GIF")
    jpeg = _encoded("JPEG")
    found = {
        "nothing": b"", "one byte": b"\xff", "noise": lambda draw: draw.randbytes(5000),
        "PNG of 2^31 sides": _png(2**31 - 1, 2**31 - 1), "PNG of 100,000 x 100,000": _png(100_000, 100_000),
        "PNG of 1 x 2^31": _png(1, 2**31 - 1), "PNG of no width": _png(0, 10), "PNG of 7,000 x 7,100": _png(7000, 7100),
        "JPEG of 65535 x 65535": _jpeg_sides(jpeg, 65535, 65535), "JPEG of no height": _jpeg_sides(jpeg, 16, 0),
        "JPEG of 7,000 x 7,000 and no data": _jpeg_sides(jpeg[:-40], 7000, 7000),
        "BMP of a huge width": _bmp(2**31 - 1, 2**31 - 1), "BMP of negative sides": _bmp(-5, -5),
        "BMP of minus 2^31": _bmp(10, -(2**31)), "WebP cut short": _encoded("WEBP")[:40],
        "WebP of lies": b"RIFF\xff\xff\xff\xffWEBPVP8X\n\0\0\0\x10\0\0\0\xff\xff\xff\xff\xff\xff",
        "GIF with a script": gif.getvalue() + b"/*alert(1)*/", "GIF that is a script": b"GIF89a/*\0\0*/=1;alert(1)",
        "SVG named a.jpg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "PDF named a.png": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj", "HTML named a.jpg": b"<html><img src=x></html>",
        "EPS named a.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch /tmp/executed) (w) file\n",
        "ICO named a.png": b"\0\0\1\0\1\0\x10\x10" + bytes(40), "PSD named a.jpg": b"8BPS\0\1" + bytes(60),
        "zip named a.png": _zip({"a.png": b"x"}), "TIFF in a circle": _tiff([(256, 3, 1, 5)], following=8),
        "TIFF of huge sides": _tiff([(256, 4, 1, 2**31 - 1), (257, 4, 1, 2**31 - 1), *STRIPS]),
        "TIFF with strips past its end": _tiff([(256, 4, 1, 90), (257, 4, 1, 90), (273, 4, 1, 2**31), (279, 4, 1, 2**31)]),
        "TIFF with strips of 4 GB": _tiff([(256, 4, 1, 9), (257, 4, 1, 9), (273, 4, 2**30, 8), (279, 4, 2**30, 8)]),
        "TIFF of tags alone": _tiff([(n, 4, 2**20, 8) for n in range(256, 700)]), "TIFF header": b"II*\0\x08\0\0\0",
        "TIFF of floats": _floats(), "TIFF of half floats": _tiff(
            [(256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 16), (339, 3, 1, 3), (273, 4, 1, 8), (279, 4, 1, 32)]
        ), "BigTIFF": b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff" + bytes(50),
        "PNG with its first bytes only": b"\x89PNG\r\n\x1a\n", "PNG with a wrong sum": _png(5, 5, b"x").replace(b"IHDR", b"IHDR"),
        "JPEG of starts": b"\xff\xd8" * 5000, "JPEG of 1,000 scans": _scans(1000),
    }  # fmt: skip
    unclear = {
        "TIFF with a tag of 4 GB": _tiff([(256, 4, 1, 9), (257, 4, 1, 9), (270, 2, 2**32 - 1, 8), *STRIPS]),
        "PNG that unpacks to 200 MB": lambda draw: _png(60, 60, _zeros()),
        "PNG text that unpacks to 200 MB": lambda draw: _png_text(b"zTXt", b"a\0\0" + _zeros()),
        "PNG unicode text that unpacks to 200 MB": lambda draw: _png_text(b"iTXt", b"a\0\1\0\0\0" + _zeros()),
        "PNG colours that unpack to 200 MB": lambda draw: _png_text(b"iCCP", b"a\0\0" + _zeros()),
        "PNG of 20,000 texts": _png_text(b"tEXt", b"a\0b", 20_000), 
        "transparent PNG of 49 million pixels": lambda draw: _large("LA", "PNG"),
        "16-bit PNG of 49 million pixels": lambda draw: _large("I;16", "PNG"),
        "JPEG of 49 million pixels": lambda draw: _large("RGB", "JPEG"),
    }  # fmt: skip
    return {n: (d, "sentence") for n, d in found.items()} | {n: (d, "either") for n, d in unclear.items()}


STRIPS = ((258, 3, 1, 8), (273, 4, 1, 8), (278, 4, 1, 9), (279, 4, 1, 20))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, packed: bytes = b"") -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _png_text(kind: bytes, data: bytes, times: int = 1) -> bytes:
    whole = _encoded("PNG")
    return whole[:33] + _chunk(kind, data) * times + whole[33:]


@cache
def _zeros() -> bytes:
    return zlib.compress(bytes(200_000_000), 1)


@cache
def _large(mode: str, form: str) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (7000, 7000)).save(buffer, form, **({"compress_level": 1} if form == "PNG" else {}))
    return buffer.getvalue()


def _jpeg_sides(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def _scans(count: int) -> bytes:
    """A progressive JPEG of many pixels whose first scan comes again and again."""
    data = _jpeg_sides_progressive(_encoded("JPEG", progressive=True), 6000, 6000)
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff", start + 2)
    return data[:start] + data[start:end] * count + data[start:]


def _jpeg_sides_progressive(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\xff\xc2") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def _adobe(data: bytes) -> bytes:
    mark = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x02"
    return (
        data[:2] + mark + data[2:]
        if b"Adobe" not in data
        else data.replace(b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\2")
    )


def _with_exif(data: bytes, tiff: bytes) -> bytes:
    body = b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def _bmp(width: int, height: int) -> bytes:
    return (
        b"BM"
        + struct.pack("<IHHI", 100, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    )


def _tiff(tags: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)


def _floats() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), np.nan, dtype=np.float32)).save(buffer, "TIFF")
    return buffer.getvalue()


def _flipped(form: str) -> Callable[[random.Random], bytes]:
    def make(draw: random.Random) -> bytes:
        data = bytearray(_encoded(form, size=(64, 48)))
        for _ in range(draw.randint(1, 12)):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        return bytes(data[: draw.randint(len(data) // 2, len(data))] if draw.random() < 0.3 else data)

    return make


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _zips() -> dict[str, tuple[Callable[[random.Random], bytes], str]]:
    good = _encoded("PNG")
    one = _zip({"a.png": good})
    nested = _zip({"b.zip": _zip({"c.zip": one})})

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
        return lambda draw: _zip({name.format(i): data for i in range(count)}, zipfile.ZIP_STORED)

    unpacked = {
        "flat bomb of 2 GB": lambda draw: _bomb(2048), "bomb of many members": lambda draw: _bomb(60, 40),
        "nested zips": lambda draw: nested, "overlapping members": overlapping, "no image": lambda draw: _zip({"a.txt": b""}),
        "100,000 members that are no images": many(100_000, "{}.txt", b""), "cut short": lambda draw: one[:-30],
        "100,000 images that are none": many(100_000, "{}.png", b"x"), "a link": linked, "nothing": lambda draw: b"",
        "a directory that lies of sizes": lambda draw: patched(b"PK\1\2", 24, b"\xff\xff\xff\x7f"),
        "a directory that lies of packed sizes": lambda draw: patched(b"PK\1\2", 20, b"\xff\xff\xff\x7f"),
        "a directory that lies of places": lambda draw: patched(b"PK\1\2", 42, b"\xff\xff\xff\x7f"),
        "an unknown method": lambda draw: patched(b"PK\1\2", 10, b"\x63\0"), "LZMA":
        lambda draw: _zip({"a.png": good}, zipfile.ZIP_LZMA), "a directory of 65,535 that are not there":
        lambda draw: patched(b"PK\5\6", 8, b"\xff\xff\xff\xff"), "noise with an end": lambda draw: draw.randbytes(900) + one[-22:],
        "40 images of 49 million pixels": 
        lambda draw: _zip({f"{i}.jpg": _large("RGB", "JPEG") for i in range(40)}, zipfile.ZIP_STORED),
    }  # fmt: skip
    names = ("../../up.png", "/abs.png", "a\nb.png", "C:\\x\\y.png", "\u202e.png", "d/" * 400 + "x.png", "\x07.png")
    found = {name: (make, "sentence") for name, make in unpacked.items()}
    found |= {f"a member {n!r:.30}": (lambda draw, n=n: _zip({n: good}), "opens") for n in names}
    found |= {name: (found[name][0], "either") for name in found if name.startswith("a directory")}
    found["bits flipped"] = lambda draw: _spoiled(one, draw), "either"
    return found


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


def _file(name: str) -> str:
    return "".join(c if c.isalnum() or c == "." else "-" for c in name)


def _drawn(make: Callable[[random.Random], object]) -> Callable[[Path, random.Random], object]:
    return lambda folder, draw: make(draw)


def _decoded(data: bytes) -> Image.Image:
    return read_image_bytes(data, "flipped")


def _uploaded(data: bytes) -> object:
    return read_uploads([("up.png", data)])


def _named(name: str) -> Callable[[bytes], object]:
    return lambda data: read_uploads([(name, data)])


def _zipped(data: bytes) -> object:
    return read_uploads([("all.zip", data)])


def _is_picture(image: Image.Image) -> bool:
    return isinstance(image, Image.Image) and image.mode == "RGB" and min(image.size) > 0 and not image.getexif()


def _printable(found) -> bool:
    return len(found.pictures) == 1 and all(name.isprintable() and "/" not in name for name in found.pictures)

"""Image files that are damaged, unusual, or something else."""

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
from tests.soak.hostile import Case, special, written

SIZE = (24, 16)


def cases() -> list[Case]:
    """Each file as a path, as bytes and as an upload; the short form has one of the three, in turn."""
    cases: list[Case] = []
    for number, (name, (data, expected)) in enumerate({**_good(), **_broken()}.items()):
        content = data if callable(data) else lambda draw, data=data: data
        path, memory = written(f"{_file(name)}{'' if '.' in name else '.png'}", content), drawn(content)
        cases += [
            Case(f"path: {name}", path, read_image, expected, _is_picture, long=number % 3 != 0),
            Case(f"bytes: {name}", memory, _decoded, expected, _is_picture, long=number % 3 != 1),
            Case(f"upload: {name}", memory, _uploaded, expected, long=number % 3 != 2),
        ]
    jpeg = encoded("JPEG", size=(64, 48))
    cases += [
        Case(f"truncated JPEG {cut}/25", written("cut.jpg", jpeg[: len(jpeg) * cut // 25]), read_image, says="cut.jpg")
        for cut in range(1, 25, 3)
    ]
    cases += [
        Case(f"bits flipped in {form} {number}", drawn(_flipped(form)), _decoded, "either", _is_picture)
        for form in ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
        for number in range(3)
    ]
    cases += [Case(f"image: {name}", make, read_image) for name, make in special("a.jpg").items()]
    names = ("\0.jpg", "n" * 300 + ".jpg", "a\nb\x1b[31m.jpg", "\u202egnp.exe", "\udcff\udcfe.png", "x/" * 2500)
    return cases + [
        Case(f"image: name {name!r:.40}", lambda folder, draw, name=name: folder / name, read_image) for name in names
    ]


def encoded(form: str, mode: str = "RGB", size: tuple[int, int] = SIZE, **more) -> bytes:
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    image = Image.fromarray(values, "RGBA").convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, form, **more)
    return buffer.getvalue()


def _good() -> dict[str, tuple[bytes, str]]:
    """Unusual images that open."""
    grey16 = Image.fromarray(np.arange(24 * 16, dtype=np.uint16).reshape(16, 24) * 170)
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "green", "blue")]
    more = {"save_all": True, "append_images": frames[1:]}

    def saved(image: Image.Image, form: str, **kwargs) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, form, **kwargs)
        return buffer.getvalue()

    images = {f"{mode} PNG": encoded("PNG", mode) for mode in ("1", "L", "LA", "P", "RGBA")}
    palette = Image.fromarray(np.arange(24 * 16, dtype=np.uint8).reshape(16, 24), "P")
    palette.putpalette(bytes(range(256)) * 3)
    jpeg = encoded("JPEG")
    images |= {
        "16 bits PNG": saved(grey16, "PNG"),
        "16 bits TIFF": saved(grey16, "TIFF"),
        "palette with alpha": saved(palette, "PNG", transparency=bytes(range(256))),
        "CMYK JPEG": encoded("JPEG", "CMYK"),
        "inverted CMYK of Adobe": _adobe(encoded("JPEG", "CMYK")),
        "YCCK-marked RGB": _adobe(encoded("JPEG")),
        "grey JPEG": encoded("JPEG", "L"),
        "progressive JPEG": encoded("JPEG", progressive=True),
        "animated PNG": saved(frames[0], "PNG", **more),
        "animated WebP": saved(frames[0], "WEBP", **more),
        "TIFF of three pages": saved(frames[0], "TIFF", **more),
        "JPEG in TIFF": encoded("TIFF", compression="jpeg"),
        "deflated TIFF": encoded("TIFF", compression="tiff_deflate"),
        "LZW TIFF": encoded("TIFF", compression="tiff_lzw"),
        "TIFF of one bit": encoded("TIFF", "1", compression="group4"),
        "JPEG with a zip behind": jpeg + zipped({"a.txt": b"x"}),
        "JPEG named a.png": jpeg,
        "PNG with HTML behind": encoded("PNG") + b"<html><script>alert(1)</script></html>",
        "PNG named a.jpg": encoded("PNG"),
        "one pixel": encoded("PNG", size=(1, 1)),
        "JPEG with broken EXIF": _with_exif(jpeg, b"MM\0*\xff\xff\xff\xff"),
        "JPEG with EXIF of noise": _with_exif(jpeg, bytes(range(200))),
        "JPEG with EXIF in a circle": _with_exif(jpeg, b"MM\0*\0\0\0\x08\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x08\0\0\0\x08"),
        "PNG with a long text": _png_text(b"tEXt", b"a\0" + b"x" * 100_000),
    }
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        images[f"EXIF orientation {orientation}"] = encoded("JPEG", exif=exif.tobytes())
    return {name: (data, "opens") for name, data in images.items()}


def _broken() -> dict[str, tuple[bytes | Callable[[random.Random], bytes], str]]:
    gif = io.BytesIO()
    Image.new("P", SIZE).save(gif, "GIF")
    jpeg = encoded("JPEG")
    broken = {
        "nothing": b"",
        "one byte": b"\xff",
        "noise": lambda draw: draw.randbytes(5000),
        "PNG of 2^31 sides": _png(2**31 - 1, 2**31 - 1),
        "PNG of 100,000 x 100,000": _png(100_000, 100_000),
        "PNG of 1 x 2^31": _png(1, 2**31 - 1),
        "PNG of no width": _png(0, 10),
        "PNG of 7,000 x 7,100": _png(7000, 7100),
        "JPEG of 65535 x 65535": _jpeg_sides(jpeg, 65535, 65535),
        "JPEG of no height": _jpeg_sides(jpeg, 16, 0),
        "JPEG of 7,000 x 7,000 and no data": _jpeg_sides(jpeg[:-40], 7000, 7000),
        "BMP of a huge width": _bmp(2**31 - 1, 2**31 - 1),
        "BMP of negative sides": _bmp(-5, -5),
        "BMP of minus 2^31": _bmp(10, -(2**31)),
        "WebP cut short": encoded("WEBP")[:40],
        "WebP of lies": b"RIFF\xff\xff\xff\xffWEBPVP8X\n\0\0\0\x10\0\0\0\xff\xff\xff\xff\xff\xff",
        "GIF with a script": gif.getvalue() + b"/*alert(1)*/",
        "GIF that is a script": b"GIF89a/*\0\0*/=1;alert(1)",
        "SVG named a.jpg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "PDF named a.png": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj",
        "HTML named a.jpg": b"<html><img src=x></html>",
        "EPS named a.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch /tmp/executed) (w) file\n",
        "ICO named a.png": b"\0\0\1\0\1\0\x10\x10" + bytes(40),
        "PSD named a.jpg": b"8BPS\0\1" + bytes(60),
        "zip named a.png": zipped({"a.png": b"x"}),
        "TIFF in a circle": _tiff([(256, 3, 1, 5)], following=8),
        "TIFF of huge sides": _tiff([(256, 4, 1, 2**31 - 1), (257, 4, 1, 2**31 - 1), *STRIPS]),
        "TIFF with strips past its end": _tiff(
            [(256, 4, 1, 90), (257, 4, 1, 90), (273, 4, 1, 2**31), (279, 4, 1, 2**31)]
        ),
        "TIFF with strips of 4 GB": _tiff([(256, 4, 1, 9), (257, 4, 1, 9), (273, 4, 2**30, 8), (279, 4, 2**30, 8)]),
        "TIFF of tags alone": _tiff([(n, 4, 2**20, 8) for n in range(256, 700)]),
        "TIFF header": b"II*\0\x08\0\0\0",
        "TIFF of floats": _floats(),
        "TIFF of half floats": _tiff(
            [(256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 16), (339, 3, 1, 3), (273, 4, 1, 8), (279, 4, 1, 32)]
        ),
        "BigTIFF": b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff" + bytes(50),
        "PNG with its first bytes only": b"\x89PNG\r\n\x1a\n",
        "PNG with a wrong sum": _png(5, 5, b"x").replace(b"IHDR", b"IHDR"),
        "JPEG of starts": b"\xff\xd8" * 5000,
        "JPEG of 1,000 scans": _scans(1000),
    }
    unclear = {
        "TIFF with a tag of 4 GB": _tiff([(256, 4, 1, 9), (257, 4, 1, 9), (270, 2, 2**32 - 1, 8), *STRIPS]),
        "PNG that unpacks to 200 MB": lambda draw: _png(60, 60, _zeros()),
        "PNG text that unpacks to 200 MB": lambda draw: _png_text(b"zTXt", b"a\0\0" + _zeros()),
        "PNG unicode text that unpacks to 200 MB": lambda draw: _png_text(b"iTXt", b"a\0\1\0\0\0" + _zeros()),
        "PNG colours that unpack to 200 MB": lambda draw: _png_text(b"iCCP", b"a\0\0" + _zeros()),
        "PNG of 20,000 texts": _png_text(b"tEXt", b"a\0b", 20_000),
        "transparent PNG of 49 million pixels": lambda draw: large("LA", "PNG"),
        "16-bit PNG of 49 million pixels": lambda draw: large("I;16", "PNG"),
        "JPEG of 49 million pixels": lambda draw: large("RGB", "JPEG"),
    }
    return {n: (d, "sentence") for n, d in broken.items()} | {n: (d, "either") for n, d in unclear.items()}


STRIPS = ((258, 3, 1, 8), (273, 4, 1, 8), (278, 4, 1, 9), (279, 4, 1, 20))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, packed: bytes = b"") -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _png_text(kind: bytes, data: bytes, times: int = 1) -> bytes:
    whole = encoded("PNG")
    return whole[:33] + _chunk(kind, data) * times + whole[33:]


@cache
def _zeros() -> bytes:
    return zlib.compress(bytes(200_000_000), 1)


@cache
def large(mode: str, form: str) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (7000, 7000)).save(buffer, form, **({"compress_level": 1} if form == "PNG" else {}))
    return buffer.getvalue()


def _jpeg_sides(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def _scans(count: int) -> bytes:
    """A progressive JPEG of many pixels whose first scan is repeated."""
    data = _jpeg_sides_progressive(encoded("JPEG", progressive=True), 6000, 6000)
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
        data = bytearray(encoded(form, size=(64, 48)))
        for _ in range(draw.randint(1, 12)):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        return bytes(data[: draw.randint(len(data) // 2, len(data))] if draw.random() < 0.3 else data)

    return make


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _file(name: str) -> str:
    return "".join(c if c.isalnum() or c == "." else "-" for c in name)


def drawn(make: Callable[[random.Random], object]) -> Callable[[Path, random.Random], object]:
    return lambda folder, draw: make(draw)


def _decoded(data: bytes) -> Image.Image:
    return read_image_bytes(data, "flipped")


def _uploaded(data: bytes) -> object:
    return read_uploads([("up.png", data)])


def _is_picture(image: Image.Image) -> bool:
    return isinstance(image, Image.Image) and image.mode == "RGB" and min(image.size) > 0 and not image.getexif()

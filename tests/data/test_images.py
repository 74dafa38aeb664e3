import io
import os
import struct
import subprocess
import sys
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from ssrnet.data.images import MAX_PIXELS, read_image, read_image_bytes
from ssrnet.errors import DataError


def encode(image: Image.Image, format: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def noise(width: int = 64, height: int = 48) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A PNG that states its size and holds next to no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_every_format_gives_rgb_of_the_same_size(tmp_path, format):
    path = tmp_path / "car"
    path.write_bytes(encode(Image.new("RGB", (7, 5), (200, 30, 40)), format))
    image = read_image(path)
    assert (image.mode, image.size) == ("RGB", (7, 5))
    assert np.abs(np.asarray(image).astype(int) - (200, 30, 40)).max() <= 4


def test_file_and_upload_give_the_same_pixels(tmp_path):
    (tmp_path / "car.png").write_bytes(encode(noise()))
    from_file = read_image(str(tmp_path / "car.png"))
    assert np.array_equal(from_file, noise())
    assert np.array_equal(read_image_bytes(encode(noise()), "car.png"), from_file)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(orientation):
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3).repeat(3).reshape(2, 3, 3) * 40
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](upright)))
    image = read_image_bytes(encode(stored, exif=exif), "turned.png")
    assert np.array_equal(image, upright)
    assert 0x0112 not in image.getexif()


def test_unreadable_exif_leaves_the_pixels():
    data = encode(noise(), exif=b"Exif\0\0not a TIFF header at all")
    assert np.array_equal(read_image_bytes(data, "car.png"), noise())


def test_16_bit_grey_is_scaled_not_clipped():
    grey = Image.fromarray(np.array([[0, 257, 32896, 65535]], dtype=np.uint16))
    for format in ("PNG", "TIFF"):
        assert np.asarray(read_image_bytes(encode(grey, format), "deep"))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_12_bits_in_a_grey_file_of_16_are_not_nearly_black():
    grey = Image.fromarray(np.array([[0, 16, 2048, 4095]], dtype=np.uint16))
    for format in ("PNG", "TIFF"):
        assert np.asarray(read_image_bytes(encode(grey, format), "deep"))[0, :, 0].tolist() == [0, 1, 128, 255]
    brighter = Image.fromarray(np.array([[0, 16, 2048, 4096]], dtype=np.uint16))
    assert np.asarray(read_image_bytes(encode(brighter), "deep"))[0, :, 0].tolist() == [0, 0, 8, 16]


def deep_png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits a colour from (H, W, 3) uint16 in RGB."""
    return cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()


def test_12_bits_in_a_colour_png_of_16_are_not_nearly_black():
    pixels = np.array([[[0, 16, 4095], [2048, 255, 256]]], dtype=np.uint16)
    assert np.asarray(read_image_bytes(deep_png(pixels), "deep")).tolist() == [[[0, 1, 255], [128, 16, 16]]]
    noise = np.random.default_rng(0).integers(0, 4096, (37, 21, 3), dtype=np.uint16)
    read = np.asarray(read_image_bytes(deep_png(noise), "deep"))
    assert np.array_equal(read, (noise / 4095 * 255).round().astype(np.uint8))
    pixels[0, 0, 2] = 4096
    assert np.asarray(read_image_bytes(deep_png(pixels), "deep")).tolist() == [[[0, 0, 16], [8, 0, 1]]]


def test_32_bit_and_float_pixels_are_refused():
    for pixels in (np.array([[70000]], dtype=np.int32), np.array([[0.5]], dtype=np.float32)):
        with pytest.raises(DataError, match=r"deep\.tif holds .*; save it with 8 bits a channel\."):
            read_image_bytes(encode(Image.fromarray(pixels), "TIFF"), "deep.tif")


def test_cmyk_becomes_rgb():
    cmyk = Image.new("CMYK", (4, 4), (0, 255, 255, 0))  # no cyan, full magenta and yellow: red
    red, green, blue = read_image_bytes(encode(cmyk, "JPEG"), "print.jpg").getpixel((1, 1))
    assert red > 240 and green < 15 and blue < 15


def test_transparent_parts_become_white():
    hidden_black = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    hidden_black.putpixel((1, 0), (10, 20, 30, 255))
    palette = hidden_black.quantize(4)
    grey = Image.new("LA", (2, 1), (0, 0))
    grey.putpixel((1, 0), (20, 255))
    for image, opaque in ((hidden_black, (10, 20, 30)), (palette, (10, 20, 30)), (grey, (20, 20, 20))):
        read = read_image_bytes(encode(image), "logo.png")
        assert (read.mode, read.getpixel((0, 0)), read.getpixel((1, 0))) == ("RGB", (255, 255, 255), opaque)


def test_palette_with_one_transparent_colour():
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.putpixel((1, 0), 1)
    read = read_image_bytes(encode(image, transparency=0), "map.png")
    assert [read.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (200, 100, 50)]


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"car\.jpg does not exist; check the path"):
        read_image(tmp_path / "car.jpg")


def test_folder(tmp_path):
    with pytest.raises(DataError, match=rf"{tmp_path} is a folder, not an image; give the path"):
        read_image(tmp_path)


def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "car.png"
    path.write_bytes(encode(noise()))
    if os.geteuid() == 0:  # root may read everything

        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr("builtins.open", refuse)
    path.chmod(0)
    with pytest.raises(DataError, match=r"car\.png cannot be opened .*Permission denied.*; check"):
        read_image(path)


def test_name_that_no_file_can_have():
    with pytest.raises(DataError, match="cannot be opened .*null.*; check the path"):
        read_image("a\0b.jpg")


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg xmlns='x'/>", b"hello" * 100])
def test_not_an_image(data):
    with pytest.raises(DataError, match=r"notes\.jpg is not a JPEG, PNG, WebP, BMP or TIFF image; convert it"):
        read_image_bytes(data, "notes.jpg")


def test_other_formats_are_refused():
    with pytest.raises(DataError, match=r"car\.gif is not a JPEG"):
        read_image_bytes(encode(noise(), "GIF"), "car.gif")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_cut_short(format, kept):
    data = encode(noise(), format)
    with pytest.raises(DataError, match=r"car is (damaged or cut short .*; copy or export it again|not a JPEG)"):
        read_image_bytes(data[: int(len(data) * kept)], "car")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_damaged_bytes_give_an_image_or_a_sentence(format):
    data = np.frombuffer(encode(noise(), format), dtype=np.uint8)
    generator = np.random.default_rng(1)
    for _ in range(40):
        damaged = data.copy()
        damaged[generator.integers(0, len(data), 8)] = generator.integers(0, 256, 8)
        try:
            assert read_image_bytes(damaged.tobytes(), "car").mode == "RGB"
        except DataError as error:
            assert str(error).startswith("car ")


# 7,072 squared is just over our limit; Pillow warns from 89 million pixels and refuses from 179 million.
@pytest.mark.parametrize("side", [7_072, 10_000, 20_000])
@pytest.mark.parametrize("action", ["ignore", "error"])
def test_too_large_is_told_by_the_header_alone(side, action, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("the pixels were decoded"))
    assert side * side > MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter(action, Image.DecompressionBombWarning)
        with pytest.raises(DataError, match=r"wall\.png has .* pixels, over the limit of 50,000,000; .*scale"):
            read_image_bytes(png_header(side, side), "wall.png")


def test_too_large_leaves_no_warning_of_pillows_behind(tmp_path):
    (tmp_path / "wall.png").write_bytes(png_header(10_000, 10_000))
    code = f"""
from ssrnet.data.images import read_image
try:
    read_image({str(tmp_path / "wall.png")!r})
except Exception as error:
    print(type(error).__name__)
"""
    run = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, text=True)
    assert run.stdout == "DataError\n" and "Bomb" not in run.stderr


def test_size_is_named():
    with pytest.raises(DataError, match="has 7,072 x 7,072 pixels"):
        read_image_bytes(png_header(7072, 7072), "wall.png")

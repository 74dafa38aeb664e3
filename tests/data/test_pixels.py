import os
import shutil
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest
import torch

import ssrnet.data.pixels
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.data.pixels import CachedPixels, DecodedPixels, DevicePixels, cached_file, decode_into, fits_on, is_cached
from ssrnet.data.transforms import pixel_transform
from ssrnet.errors import DataError, ResourceError
from tests import tiny


@pytest.fixture
def images(city):
    return open_dataset(city).train


def test_cached_and_decoded_images_are_the_same(images, tmp_path):
    path = cached_file(tmp_path / "cache", images, 24)
    assert not is_cached(path, len(images), 24)
    decode_into(path, images, 24)
    assert is_cached(path, len(images), 24) and os.listdir(tmp_path / "cache") == [path.name]
    assert path.stat().st_size == pytest.approx(len(images) * 24 * 24 * 3, abs=200)
    batches = [[3, 1, 3], [0, 17, 5], [2, 2, 2], [7, 8, 9], [1, 2, 3], [10, 11, 12]]
    both = (CachedPixels(path), DecodedPixels(images, 24))
    for cached, decoded in zip(*(pixels.batches(batches) for pixels in both), strict=True):
        assert cached.shape == (3, 24, 24, 3) and cached.dtype == torch.uint8 and torch.equal(cached, decoded)
    first = next(CachedPixels(path).batches(batches))
    assert torch.equal(first[1], pixel_transform(24)(read_image(images[1].path)))


def test_worker_processes_decode_the_same(images, tmp_path):
    for workers in (0, 2):
        decode_into(tmp_path / f"{workers}.npy", images, 16, workers)
    assert (tmp_path / "0.npy").read_bytes() == (tmp_path / "2.npy").read_bytes()


def test_rows_choose_among_the_files_images(images, tmp_path):
    decode_into(tmp_path / "all.npy", images, 16)
    (whole,) = CachedPixels(tmp_path / "all.npy").batches([range(len(images))])
    (some,) = CachedPixels(tmp_path / "all.npy", rows=[5, 9, 2]).batches([[2, 0]])
    assert torch.equal(some, whole[[2, 5]])


def test_images_in_a_devices_memory_are_the_same(images, tmp_path, monkeypatch):
    monkeypatch.setattr(ssrnet.data.pixels, "CHUNK", 5)  # several copies, the last one smaller
    decode_into(tmp_path / "all.npy", images, 16)
    rows = [*range(3, 17), 0]
    on_device = DevicePixels(tmp_path / "all.npy", rows, torch.device("cpu"))
    batches = [[0, 14, 3], [7, 7, 1]]
    both = (on_device.batches(batches), CachedPixels(tmp_path / "all.npy", rows).batches(batches))
    assert all(torch.equal(a, b) for a, b in zip(*both, strict=True)) and len(on_device.images) == 15
    assert not fits_on(torch.device("cpu"), tmp_path / "all.npy")


def test_leaving_early_ends_the_reader(images, tmp_path):
    decode_into(tmp_path / "all.npy", images, 16)
    batches = CachedPixels(tmp_path / "all.npy").batches([[0]] * 100)
    next(batches)
    batches.close()


def test_changed_data_have_another_file(tmp_path):
    data = tiny.city(tmp_path / "data")
    images = open_dataset(data).train
    before = cached_file(tmp_path, images, 32)
    assert cached_file(tmp_path, images, 32) == before != cached_file(tmp_path, images, 48)
    assert cached_file(tmp_path, images[1:], 32) != before
    stat = images[0].path.stat()
    os.utime(images[0].path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))  # another picture of the same size, say
    assert cached_file(tmp_path, images, 32) != before


@pytest.mark.parametrize("damage", ["cut short", "text", "other shape", "empty"])
def test_a_damaged_file_is_not_taken(images, tmp_path, damage):
    path = tmp_path / "pixels.npy"
    decode_into(path, images, 16)
    if damage == "other shape":
        np.save(path, np.zeros((2, 16, 16, 3), np.uint8))
    else:
        path.write_bytes({"cut short": path.read_bytes()[:-1], "text": b"nothing of the kind", "empty": b""}[damage])
    assert not is_cached(path, len(images), 16)


def test_a_disk_without_room_is_told_before_anything_is_decoded(images, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 10_000))
    monkeypatch.setattr(ssrnet.data.pixels, "DecodedPixels", lambda *_: pytest.fail("images were decoded"))
    message = r"need 0\.2 GB and .*run has 0\.0 GB free; .*--cache, or .*--no-cache-images"
    with pytest.raises(ResourceError, match=message):
        decode_into(tmp_path / "run/pixels.npy", images * 20, 400)


def test_a_disk_that_fills_up_while_decoding(images, tmp_path):
    with tiny.small_disk(10_000):
        with pytest.raises(ResourceError, match="cannot write .*pixels.npy .*; free space or choose another folder"):
            decode_into(tmp_path / "pixels.npy", images, 32)
    assert not os.listdir(tmp_path)


def test_vanished_and_bad_images_are_named(tmp_path):
    data = tiny.city(tmp_path / "data")
    images = open_dataset(data).train
    images[4].path.write_text("no picture")
    with pytest.raises(DataError, match=f"{images[4].path} is not a JPEG"):
        decode_into(tmp_path / "cache/pixels.npy", images, 16, workers=1)
    assert not os.listdir(tmp_path / "cache")
    images[4].path.unlink()
    with pytest.raises(DataError, match=f"{images[4].path} cannot be found .*; restore the image"):
        cached_file(tmp_path, images, 16)


def test_what_a_killed_process_left_is_removed_and_a_living_ones_kept(images, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for process in (dead.pid, os.getpid()):
        (tmp_path / f".pixels.npy.{process}.part").write_bytes(b"half")
    decode_into(tmp_path / "other.npy", images, 16)
    assert sorted(os.listdir(tmp_path)) == [f".pixels.npy.{os.getpid()}.part", "other.npy"]

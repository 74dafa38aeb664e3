import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ssrnet.analysis.duplicates import SAME_PHOTOGRAPH, difference_hash, difference_hashes, near_duplicates
from ssrnet.analysis.neighbours import Neighbours, Pool, neighbours
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError

COPIES = {"2-copy.jpg": ("2-0.jpg", "other"), "7-copy.jpg": ("7-1.jpg", "7")}
"""By name: the image that it is a copy of, and the vehicle that it is filed under."""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Pool:
    """Ten vehicles in two photographs each, without two alike, and two re-encoded copies."""
    folder = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    images = []
    for vehicle in range(10):
        for number in range(2):
            coarse = generator.integers(0, 256, (9, 12, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((96, 72), Image.Resampling.BICUBIC)
            picture.save(folder / f"{vehicle}-{number}.jpg", quality=95)
            images.append(VehicleImage(folder / f"{vehicle}-{number}.jpg", f"{vehicle}-{number}.jpg", str(vehicle)))
    for name, (source, vehicle) in COPIES.items():
        read_image(folder / source).resize((80, 60)).save(folder / name, quality=60)
        images.append(VehicleImage(folder / name, name, vehicle))
    return Pool(tuple(images), ("gallery",) * 20 + ("train", "query"))


@pytest.fixture(scope="module")
def hashes(photographs) -> dict[str, np.ndarray]:
    return difference_hashes(photographs.images)


def features(pool: Pool) -> torch.Tensor:
    """Random directions, and almost the same ones for copies and for the two photographs of vehicle 4."""
    x = torch.randn(22, 8, generator=torch.Generator().manual_seed(0))
    place = {image.name: i for i, image in enumerate(pool.images)}
    for name, (source, _) in COPIES.items():
        x[place[name]] = x[place[source]] + 0.01
    x[place["4-1.jpg"]] = x[place["4-0.jpg"]] + 0.001  # nearer than the copies, and yet another photograph
    return x


def test_copies_are_found_and_what_only_has_like_features_is_not(photographs, hashes):
    duplicates = near_duplicates(photographs, neighbours(photographs.images, features(photographs)), hashes)
    assert {(one.a.name, one.b.name) for one in duplicates} == {("2-0.jpg", "2-copy.jpg"), ("7-1.jpg", "7-copy.jpg")}
    rows = {row["image_b"]: row for row in (one.row() for one in duplicates)}
    crossing = rows["2-copy.jpg"]
    assert (crossing["same_vehicle"], crossing["split_a"], crossing["split_b"]) == (False, "gallery", "train")
    assert rows["7-copy.jpg"]["same_vehicle"] is True and crossing["different_bits"] < 0.06
    assert [one.different for one in duplicates] == sorted(one.different for one in duplicates)


def test_only_the_nearest_pairs_are_looked_at(photographs, hashes):
    near = neighbours(photographs.images, features(photographs))
    # The nearest pair of one vehicle is 4-0 and 4-1, which are no copies; of two vehicles it is 2-0 and its copy.
    assert [one.b.name for one in near_duplicates(photographs, near, hashes, candidates=1)] == ["2-copy.jpg"]


def test_progress_hears_of_every_image(photographs, hashes):
    seen = []

    def progress(images, total):
        for image in images:
            seen.append(total)
            yield image

    again = difference_hashes(photographs.images, progress)
    assert seen == [22] * 22 and list(again) == [image.name for image in photographs.images]
    assert all((again[name] == hashes[name]).all() for name in hashes)


def test_a_set_without_copies(photographs, hashes):
    clean = Pool(photographs.images[:20], photographs.splits[:20])
    assert near_duplicates(clean, neighbours(clean.images, features(photographs)[:20]), hashes) == ()
    alone = Neighbours(*(np.full(20, value) for value in (-1, np.inf, -1, np.inf)), np.zeros(0))
    assert near_duplicates(clean, alone, hashes) == ()


def test_an_image_that_cannot_be_read(photographs):
    gone = replace(photographs.images[4], path=Path("nowhere.jpg"))
    with pytest.raises(DataError, match="nowhere.jpg does not exist"):
        difference_hashes([*photographs.images[:4], gone])


def test_the_hash_by_hand():
    # Grey grows to the right in the left half of each row and falls in the right half; it never grows downwards.
    row = np.array([*range(0, 90, 10), *range(70, -10, -10)], dtype=np.uint8)
    assert len(row) == 17
    bits = difference_hash(Image.fromarray(np.repeat(row[None], 16, axis=0)))
    assert bits.shape == (512,) and bits.dtype == bool
    assert (bits[:256].reshape(16, 16) == ([True] * 8 + [False] * 8)).all() and not bits[256:].any()
    assert difference_hash(Image.fromarray(np.repeat(row[:, None], 16, axis=1)))[256:].sum() == 8 * 16


def test_the_hash_forgives_encoding_size_and_brightness_and_not_another_photograph(photographs):
    one, other = (read_image(photographs.images[i].path) for i in (0, 1))
    bits = difference_hash(one)
    assert (difference_hash(one.resize((200, 150))) != bits).mean() < 0.06
    assert (difference_hash(one.point(lambda v: v * 0.8)) != bits).mean() < 0.06
    assert (difference_hash(other) != bits).mean() > 0.3


def test_the_limit_parts_the_citys_photographs_from_each_other_and_not_from_their_copies():
    """Every sixth of the city, siblings by one camera among them; the docstring's numbers are those of all."""
    dataset = open_dataset(Path(__file__).parents[2] / "assets/city")
    pictures = [read_image(image.path) for image in dataset.test[::6]]
    bits = np.array([difference_hash(picture) for picture in pictures])
    ones = bits.astype(np.float32)
    different = (ones @ (1 - ones).T + (1 - ones) @ ones.T) / bits.shape[1]
    assert different[np.triu_indices(len(bits), 1)].min() > SAME_PHOTOGRAPH
    for own, picture in zip(bits, pictures, strict=True):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=75)
        assert (difference_hash(Image.open(file)) != own).mean() < SAME_PHOTOGRAPH / 2

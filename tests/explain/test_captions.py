"""Captions follow the arrays: maps on the ring, in the middle, on the mask; nodes that grow alike or do not."""

import numpy as np
import pytest
from PIL import Image

from ssrnet.data.datasets import open_dataset
from ssrnet.explain.captions import (
    map_caption,
    map_shares,
    mask_caption,
    ratio_caption,
    ring_and_middle,
    smoothing_caption,
    turning_caption,
)
from ssrnet.explain.image_maps import ImageMap, mass_by_part
from tests import tiny

RING, MIDDLE = ring_and_middle((16, 16))


def test_ring_and_middle_are_60_and_64_of_256_cells():
    assert RING.sum() == 4 * 15 and RING[0].all() and RING[:, -1].all() and not RING[1:-1, 1:-1].any()
    assert MIDDLE.sum() == 64 and MIDDLE[4:12, 4:12].all()


@pytest.mark.parametrize(
    ("cells", "finding", "ring", "middle"),
    [
        (RING, "is densest on the border ring (4.3 times an even map)", "100 % (23 %)", "0 % (25 %)"),
        (MIDDLE, "is densest in the middle (4.0 times an even map)", "0 % (23 %)", "100 % (25 %)"),
        (np.ones((16, 16)), "is spread about evenly", "23 % (23 %)", "25 % (25 %)"),
        (RING + 3 * MIDDLE, "is densest in the middle", "24 % (23 %)", "76 % (25 %)"),
    ],
)
def test_a_caption_says_where_the_map_is_densest(cells, finding, ring, middle):
    caption = map_caption(map_shares([cells.astype(np.float32)]))
    assert caption.startswith(finding)
    assert f"{ring} on the border ring" in caption and f"{middle} in the middle" in caption
    assert "vehicle" not in caption, "no mask, so nothing is said of it"


def test_maps_count_alike_whatever_their_scale_and_empty_ones_not_at_all():
    ring, middle = RING.astype(np.float32), MIDDLE.astype(np.float32)
    shares = map_shares([1000 * ring, middle, 0 * ring])
    assert shares.ring.mass == shares.middle.mass == pytest.approx(0.5)
    assert map_caption(shares).endswith("(1 of 3 maps are zero everywhere and do not count).")
    assert map_caption(map_shares([0 * ring])) == "is zero everywhere."


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """The tiny city, and an image whose mask is a wheel in its lower left quarter, paint in the upper left one."""
    root = tiny.city(tmp_path_factory.mktemp("masked"))
    image = open_dataset(root).test[0]
    width, height = Image.open(image.path).size
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2, : width // 2], mask[height // 2 :, : width // 2] = 1, 2
    Image.fromarray(mask).save(root / "mask.png")
    (root / "parts.txt").write_text("0 background\n1 paint\n2 wheel\n")
    lines = (root / "manifest.csv").read_text().splitlines()
    rows = [f"{line},{'mask.png' if line.startswith(image.name) else ''}" for line in lines[1:]]
    (root / "manifest.csv").write_text("\n".join([f"{lines[0]},mask", *rows]) + "\n")
    dataset = open_dataset(root)
    return dataset, next(each for each in dataset.test if each.name == image.name)


@pytest.mark.parametrize(
    ("rows", "columns", "finding", "part"),
    [
        (slice(None), slice(0, 8), "is densest on the vehicle (2.0 times an even map)", None),
        (slice(8, 16), slice(0, 7), "is densest on the vehicle (2.0 times an even map)", "wheel"),
        (slice(0, 8), slice(0, 7), "is densest on the vehicle (2.0 times an even map)", "paint"),
        (slice(None), slice(15, 16), "is densest on the border ring (4.3 times an even map)", None),
    ],
)
def test_with_a_mask_the_caption_speaks_of_vehicle_and_parts(masked, rows, columns, finding, part):
    dataset, image = masked
    cells = np.zeros((16, 16), np.float32)
    cells[rows, columns] = 1
    shares = map_shares([cells], 1, mass_by_part(dataset, [image], [ImageMap(cells, None)]))
    assert shares.vehicle.area == pytest.approx(0.5, abs=0.02) and set(shares.parts) == {"paint", "wheel"}
    caption = map_caption(shares)
    assert caption.startswith(finding) and "on the vehicle" in caption
    assert part is None or f"exceeds its area most on the {part}, 9" in caption
    if "ring (" in finding:
        assert "0 % (50 %) on the vehicle" in caption and "of the parts" not in caption


def test_the_caption_says_on_how_many_images_the_vehicle_is_known():
    assert "None of these 3 images has a part mask, so nothing is said of the vehicle" in mask_caption(3, 0)
    assert "This image has no part mask" in mask_caption(1, 0)
    assert "on the 2 of 3 images that have a part mask" in mask_caption(3, 2)
    assert "part mask" not in mask_caption(3, 3)


@pytest.mark.parametrize(
    ("cosines", "caption"),
    [
        ([0.62, 0.91, 0.99], "alike to 0.99 after two layers (0.62 at H(0), 0.91 at H(1)): the graph smooths here."),
        ([0.9, 0.4], "alike to 0.40 after one layer (0.90 at H(0)): the graph tells them apart here."),
        ([0.9, 0.8, 0.91], "alike to 0.91 after two layers (0.90 at H(0), 0.80 at H(1)): the graph leaves them as"),
    ],
)
def test_a_caption_says_whether_the_graph_smooths(cosines, caption):
    sentence = smoothing_caption(cosines, "The nodes of this image")
    assert sentence.startswith(f"The nodes of this image are {caption}")


def test_a_caption_names_the_node_that_turns_the_token_most():
    turned = turning_caption({"upper left": 0.8, "global": 0.99999, "middle": 0.95})
    assert turned.startswith("Switching upper left off turns f_token most, to a cosine of 0.8000")
    assert "; global turns it least, to 1.0000" in turned
    still = turning_caption({"upper left": 0.9961, "global": 0.9999})
    assert still.startswith("No single node turns f_token by much: with upper left off") and "0.9961" in still


def test_the_regions_over_lambda_are_those_of_the_arrays():
    means = np.array([[0.3, 0.9], [0.7, 0.95], [1.0, 1.0]])
    assert ratio_caption([0.125, 0.5, 1.0], means) == (
        "Mean cosine between the regions of this image: 0.30 in H(0) and 0.90 in H(1) at λ = 0.125; 0.70 in H(0) and 0.95 "
        "in H(1) at λ = 0.5; 1.00 in H(0) and 1.00 in H(1) at λ = 1."
    )

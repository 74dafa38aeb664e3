import re

import numpy as np
import pytest
from PIL import Image

from app.services.attention import ImageMap, mass_by_part
from ssrnet.data.datasets import open_dataset
from tests import tiny
from tests.app.conftest import html

QUERY = "0007_c001_00000000_0.jpg"


def captions(test, title):
    """What stands below the maps of a row; none where the sheet says why there are none."""
    row = html(test).split(f"<b>{title}</b>")[1].split("<b>")[0].split("</figure></div>")[0]
    return re.findall(r"<figcaption>(.*?)</figcaption>", row)


@pytest.fixture
def masked(tmp_path):
    """The tiny city with a mask for each image of vehicle 0007: its left half is paint, the rest background."""
    root = tiny.city(tmp_path / "toys")
    lines = (root / "manifest.csv").read_text().splitlines()
    rows = [f"{lines[0]},mask"]
    (root / "masks").mkdir()
    for line in lines[1:]:
        name, mask = line.split(",")[0], ""
        if "0007" in line:
            mask = f"masks/{name}.png"
            width, height = Image.open(root / "image_test" / name).size
            values = np.zeros((height, width), np.uint8)
            values[:, : width // 2] = 1
            Image.fromarray(values).save(root / mask)
        rows.append(f"{line},{mask}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    (root / "parts.txt").write_text("0 background\n1 paint\n")
    return root


def test_m_s_stands_for_ssrnet_alone_and_a_cam_for_both(open_page, city, checkpoints):
    test = open_page("attention", data=str(city), query=QUERY, **checkpoints)
    assert not test.exception and not test.error
    own = sum(image.vehicle_id == "0007" for image in open_dataset(city).test)
    assert len(captions(test, "SSR-Net (GB+AB+RB): M_s")) == own > 1
    assert all(re.fullmatch(r"0\.\d\d to 0\.\d\d", text) for text in captions(test, "SSR-Net (GB+AB+RB): M_s"))
    assert captions(test, "Baseline (GB): M_s") == [] and "no spatial attention map" in html(test)
    for title in ("Baseline (GB): Grad-CAM", "SSR-Net (GB+AB+RB): Grad-CAM"):
        assert [text[:7] for text in captions(test, title)] == ["cosine "] * own


def test_images_beside_the_query_method_and_branch_come_from_the_url(open_page, city, checkpoints):
    url = {"query": QUERY, "attention_set": "Other vehicles", "attention_images": "3", "opacity": "0.8"}
    test = open_page(
        "attention", data=str(city), attention_cam="Layer-CAM", attention_branch="Attention", **url, **checkpoints
    )
    assert not test.exception and not test.error
    assert captions(test, "Baseline (GB): Layer-CAM") == [] and "Baseline (GB) has no attention branch" in html(test)
    assert len(captions(test, "SSR-Net (GB+AB+RB): Layer-CAM")) == 3
    photographs = re.findall(r"<figcaption>(.*?)</figcaption>", html(test).split("<b>")[0])
    assert photographs[0] == f"Query · 0007 · c001 · {QUERY}" and not any("0007" in text for text in photographs[1:])
    assert "opacity: 0.8" in html(test)


def test_the_strongest_channels_are_ssrnets(open_page, city, checkpoints):
    test = open_page("attention", data=str(city), attention_images="1", **checkpoints)
    weights = [float(text) for text in re.findall(r"channel \d+ · M_c ([\d.]+)<", html(test))]
    assert len(weights) == 8 and weights == sorted(weights, reverse=True)
    assert [each.value for each in test.subheader] == ["SSR-Net (GB+AB+RB): the 8 channels that M_c lets through most"]


def test_mass_by_part_stands_where_masks_are(open_page, masked, city, checkpoints):
    test = open_page("attention", data=str(masked), query=QUERY, **checkpoints)
    assert not test.exception and "Mass by part" in [each.value for each in test.subheader]
    other = open_page("attention", data=str(masked), query="0006_c001_00000000_0.jpg", **checkpoints)
    assert any("None of these images has a part mask" in each.value for each in other.caption)
    without = open_page("attention", data=str(city), query=QUERY, **checkpoints)
    assert "Mass by part" not in [each.value for each in without.subheader]
    assert not any("part mask" in each.value for each in without.caption)


def test_mass_is_shared_among_the_parts_of_the_masks(masked):
    dataset = open_dataset(masked)
    image = next(image for image in dataset.test if image.vehicle_id == "0007")
    cells = np.zeros((4, 4), np.float32)
    cells[:, 0] = 1  # all within the left half, but for what bilinear sampling spreads
    mass, area = mass_by_part(dataset, [image], [ImageMap(cells, None)])
    assert mass["paint"] > 0.95 and sum(mass.values()) == pytest.approx(1)
    assert area == pytest.approx({"background": 0.5, "paint": 0.5}, abs=0.02)

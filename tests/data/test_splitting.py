"""New splits by vehicle and camera, and what they leave out."""

import hashlib
from collections import Counter

import pytest

from ssrnet import cli
from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from ssrnet.data.splitting import LeftOut, divide, write_division
from ssrnet.errors import DataError, SettingsError
from tests.data import layouts


@pytest.fixture
def fleet(tmp_path):
    """Eight vehicles with two images by each of two cameras, one by one camera only, and one with a single image."""
    lines = ["image,vehicle_id,split,camera_id,colour"]
    for vehicle, cameras in [*((v, "nnss") for v in range(8)), (8, "nn"), (9, "s")]:
        for number, camera in enumerate(cameras):
            name = layouts.jpeg(tmp_path / f"fleet/{vehicle}/{number}.jpg").relative_to(tmp_path / "fleet")
            lines.append(f"{name},v{vehicle},{'train' if vehicle % 2 else 'gallery'},{camera},red")
    layouts.write(tmp_path / "fleet/manifest.csv", lines)
    return tmp_path / "fleet"


def test_no_vehicle_is_in_both_halves_and_each_camera_has_one_query(fleet):
    division = divide(open_dataset(fleet), 0.5, seed=3)
    train, query, gallery = (list(images.values()) for images in (division.train, division.query, division.gallery))
    tested = {image.vehicle_id for image in gallery}
    assert not {image.vehicle_id for image in train} & tested
    counts = Counter((image.vehicle_id, image.camera_id) for image in query)
    assert counts == dict.fromkeys([(vehicle, camera) for vehicle in tested for camera in "ns"], 1)
    assert set(division.query) <= set(division.gallery), "as VeRi's queries are"
    assert len({image.vehicle_id for image in train}) == round(0.5 * 9)
    assert not any(image.vehicle_id == "v9" for image in (*train, *gallery))


def test_what_is_left_out_is_counted(fleet):
    division = divide(open_dataset(fleet), 0.0)
    single = LeftOut("vehicles with one image, which nothing could match", 1, 1)
    one_camera = LeftOut("test vehicles by one camera only, for which every match would be junk", 1, 2)
    assert division.left_out == (single, one_camera)
    assert "2 images of 1 vehicle left out: test vehicles by one camera only" in division.summary()
    assert len(division.gallery) == 8 * 4 and not division.train


def test_a_written_split_opens_with_its_attributes_and_serves_cross_camera(fleet, tmp_path):
    division = divide(open_dataset(fleet), 0.5, seed=1)
    for out in (fleet / "new.csv", tmp_path / "above.csv", tmp_path / "else/where/away.csv"):
        write_division(division, out)
        data = open_dataset(out)
        assert Protocol().unavailable(data) is None and data.protocol == "cross_camera"
        counts = len(data.train), len(data.query), len(data.gallery)
        assert counts == (len(division.train), len(division.query), len(division.gallery))
        assert data.train[0].attributes == {"colour": "red"} and data.train[0].path.is_file()
    text = (fleet / "new.csv").read_text()
    assert text.startswith("image,vehicle_id,split,camera_id,colour\n") and str(tmp_path) not in text
    with pytest.raises(DataError, match="new.csv is there already and is not overwritten"):
        write_division(division, fleet / "new.csv")


def test_a_seed_is_the_same_file_everywhere_and_another_seed_another_one(fleet):
    def written(name: str, seed: int) -> bytes:
        write_division(divide(open_dataset(fleet), 0.5, seed), fleet / name)
        return (fleet / name).read_bytes()

    first = written("a.csv", 7)
    assert first == written("b.csv", 7) != written("c.csv", 8)
    # As first written: another hash means that everyone's splits have changed.
    assert hashlib.sha256(first).hexdigest()[:16] == "ebef7e8a9ce68b50"


def test_without_cameras_each_vehicle_has_one_query_that_is_not_in_the_gallery(tmp_path):
    lines = ["image,vehicle_id,split", *(f"a/{number}.jpg,v1,gallery" for number in (1, 2)), "b/3.jpg,v1,gallery"]
    division = divide(open_dataset(layouts.csv_manifest(tmp_path, lines)), 0)
    assert len(division.query) == 1 and len(division.gallery) == 2 and not set(division.query) & set(division.gallery)


def test_distractors_are_left_out(tmp_path):
    division = divide(open_dataset(layouts.market(tmp_path / "market")), 0)
    reasons = {each.reason: each.images for each in division.left_out}
    assert reasons["distractors, which are no one vehicle"] == 2
    assert set(division.query) == {
        "query/0003_c1s6_015971_00.jpg",
        "bounding_box_test/0003_c2s3_071002_01.jpg",
        "bounding_box_test/0003_c4s6_016021_00.jpg",
    }


def test_what_cannot_be_split_is_one_sentence(fleet, tmp_path):
    with pytest.raises(
        SettingsError, match=r"share of training vehicles is 1; it must be at least 0 and less than 1\."
    ):
        divide(open_dataset(fleet), 1)
    lines = ["image,vehicle_id,split", "a/1.jpg,v1,gallery", "a/2.jpg,v2,gallery"]
    with pytest.raises(DataError, match="leaves no vehicle to test with: 0 vehicles have two images or more"):
        divide(open_dataset(layouts.csv_manifest(tmp_path / "singles", lines)))


def test_the_command_says_what_it_wrote_and_left_out(fleet, tmp_path, capsys):
    out = tmp_path / "split.csv"
    cli.run(["split", "--data", str(fleet), "--out", str(out), "--train-share", "0.25", "--seed", "2"])
    printed = capsys.readouterr().out
    assert printed.startswith(f"{out} (seed 2, 25% of the vehicles train)\n  train")
    assert "1 image of 1 vehicle left out: vehicles with one image" in printed
    assert len(open_dataset(out).train) in (6, 8)

    lines = ["image,vehicle_id,split", "a/1.jpg,v1,train", "a/2.jpg,v1,gallery", "b/3.jpg,v1,gallery"]
    layouts.csv_manifest(tmp_path / "both", lines)
    cli.run(["split", "--data", str(tmp_path / "both"), "--out", str(tmp_path / "both.csv"), "--train-share", "0"])
    assert (
        "1 vehicle is in the training split and in the test split of both, and in one half here."
        in capsys.readouterr().out
    )

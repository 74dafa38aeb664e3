"""Labels that gave wrong numbers: each on a small data set whose right values are worked out by hand."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ssrnet.data import label_checks
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.data.protocols import Protocol, available_protocols
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import ProtocolError
from ssrnet.metrics import Metrics
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.external.arrays import Arrays
from ssrnet.retrieval.external.matching import match_to_dataset
from ssrnet.retrieval.extraction import FeatureSet
from tests.data import layouts
from tests.data.layouts import names


def measured(data: ReIDDataset, protocol: str = "cross_camera") -> Metrics:
    """Metrics of features that are each image's mean colour; ranks are those of the angle between colours."""
    rows = [np.asarray(read_image(image.path), dtype=np.float32).mean((0, 1)) for image in data.test]
    features = FeatureSet(torch.tensor(np.array(rows)), tuple(names(data.test)), {"G": 3})
    return evaluate(features, data, Protocol(protocol), made_by={}).metrics


def painted(root: Path, colours: dict[str, tuple[int, int, int]]) -> Path:
    """A PNG of one colour for each path."""
    for path, colour in colours.items():
        layouts.jpeg(root / path, "#{:02x}{:02x}{:02x}".format(*colour))
    return root


RED, GREEN, YELLOW, ORANGE = (255, 0, 0), (0, 255, 0), (200, 255, 0), (255, 80, 0)

TWO_PHOTOGRAPHS = {
    "image_query/0001_c001_00000001_0.png": RED,
    "image_query/0002_c001_00000001_0.png": GREEN,
    "image_test/0001_c001_00000001_0.png": GREEN,  # another photograph under the name of the query
    "image_test/0001_c002_00000002_0.png": ORANGE,
    "image_test/0002_c002_00000002_0.png": YELLOW,
}


def test_two_photographs_of_one_name_are_two_images(tmp_path):
    data = open_dataset(painted(tmp_path, TWO_PHOTOGRAPHS))
    assert names(data.gallery)[0] == "image_test/0001_c001_00000001_0.png" and len(data.test) == 5
    assert names(data.query)[0] == "0001_c001_00000001_0.png", "the query keeps its name"
    assert data.notes[-1] == (
        "image_test has other photographs than image_query under 1 of the same names (0001_c001_00000001_0.png); "
        "they count as images of their own, named image_test/0001_c001_00000001_0.png."
    )
    # The green query of 0002 meets the green photograph of 0001 first. Taken for the red query it was no rival: 100 %.
    assert measured(data).rank(1) == 0.5


def test_copies_of_queries_in_the_gallery_are_compared_and_no_other_file_is_read(tmp_path, monkeypatch):
    root = layouts.veri(tmp_path)
    compared = []
    same = label_checks.filecmp.cmp
    monkeypatch.setattr(label_checks.filecmp, "cmp", lambda a, b, **_: compared.append(a.name) or same(a, b, **_))
    data = open_dataset(root)
    assert sorted(compared) == sorted(layouts.VERI_QUERY), "not the gallery's other images"
    assert len(data.test) == 5
    with (root / "image_test" / layouts.VERI_QUERY[0]).open("ab") as file:
        file.write(b"\0")
    compared.clear()
    assert len(open_dataset(root).test) == 6
    assert compared == [layouts.VERI_QUERY[1]], "sizes that differ tell without reading"


def test_a_link_to_the_query_is_the_query(tmp_path):
    root = layouts.veri(tmp_path)
    for name in layouts.VERI_QUERY:
        (root / "image_test" / name).unlink()
        (root / "image_test" / name).symlink_to(root / "image_query" / name)
    assert len(open_dataset(root).test) == 5


TWO_SPELLINGS = {
    "image_query/0001_c1_00000001_0.png": RED,
    "image_test/0001_c001_00000002_0.png": RED,  # the query's own camera
    "image_test/0001_c002_00000003_0.png": YELLOW,
    "image_test/0002_c002_00000004_0.png": ORANGE,
}


def test_one_camera_in_two_spellings_is_junk_where_cameras_are_numbers(tmp_path):
    data = open_dataset(painted(tmp_path, TWO_SPELLINGS))
    assert {image.camera_id for image in (*data.query, *data.gallery)} == {"c002", "c001"}
    assert "One camera is written in several ways (c001 and c1) and read as one, c001." in data.notes
    assert measured(data).rank(1) == 0, "the orange image of another vehicle comes first; with the junk it was 100 %"


def test_one_vehicle_in_two_spellings(tmp_path):
    root = painted(tmp_path, {path.replace("image_test/0001", "image_test/01"): c for path, c in TWO_SPELLINGS.items()})
    data = open_dataset(root)
    assert "One vehicle is written in several ways (01 and 0001) and read as one, 01." in data.notes
    assert measured(data).rank(1) == 0 and measured(data).queries == 1


@pytest.mark.parametrize(
    "spellings",
    [("c1", "c001"), ("20", "0020"), ("20", "20.0"), ("North 1", "north 01"), ("Caf\u00e9", "Cafe\u0301"), ("0", "00")],
)
def test_a_manifest_keeps_its_spellings_and_warns(tmp_path, spellings):
    first, second = spellings
    lines = [
        "image,vehicle_id,camera_id,split",
        f"a/1.jpg,{first},c1,train",
        f"b/3.jpg,{first},{first},query",
        f"b/4.jpg,{second},{second},gallery",
        f"b/5.jpg,{second},x,gallery",
    ]
    data = open_dataset(layouts.csv_manifest(tmp_path, lines))
    written = {image.vehicle_id for image in data.test}
    assert written == {first, second}
    vehicle, camera = data.warnings[:2]
    assert vehicle.startswith("One vehicle may be written in several ways (")
    assert all(each in vehicle and each in camera for each in spellings)
    assert vehicle.endswith(
        "Here they count as different vehicles; if they are one, matches would count as errors: write one of them."
    )
    assert "different cameras; if they are one, junk would count as matches" in camera


@pytest.mark.parametrize("labels_", [("1", "10"), ("c1", "c11"), ("v1.05", "v1.5"), ("a-1", "a1"), ("100", "1")])
def test_other_numbers_are_other_labels(labels_, tmp_path):
    lines = ["image,vehicle_id,camera_id,split"]
    lines += [f"b/{i}.jpg,{label},c1,gallery" for i, label in zip((3, 4), labels_)]
    assert open_dataset(layouts.csv_manifest(tmp_path, lines)).warnings == ()


def manifest(root: Path, *cameras: str) -> ReIDDataset:
    """A query and two gallery images of vehicle v2 and one of v3 by these cameras."""
    rows = [f"b/3.jpg,v2,query,{cameras[0]}", f"b/4.jpg,v2,gallery,{cameras[1]}", f"a/1.jpg,v2,gallery,{cameras[2]}"]
    return open_dataset(
        layouts.csv_manifest(root, ["image,vehicle_id,split,camera_id", *rows, f"b/5.jpg,v3,gallery,{cameras[3]}"])
    )


@pytest.mark.parametrize("word", ["nan", "None", "null", "NA", "-1", "NaN", "unknown"])
def test_a_camera_that_is_written_as_unknown_is_unknown(tmp_path, word):
    data = manifest(tmp_path, *[word] * 4)
    assert {image.camera_id for image in data.test} == {None}
    assert f"The camera of 4 images is written {word}, which means that it is unknown." in data.notes
    assert data.protocol == "single_gallery_shot"
    with pytest.raises(ProtocolError) as caught:
        Protocol().split(data)
    assert str(caught.value) == (
        f"cross_camera cannot be used here: {data.name} does not say which camera took each image; "
        "choose another protocol, as --protocol single_gallery_shot."
    )


def test_some_unknown_cameras_are_counted(tmp_path):
    data = manifest(tmp_path, "north", "south", "null", "nan")
    assert "The camera of 2 images is written nan or null, which means that it is unknown." in data.notes
    assert (
        available_protocols(data)["cross_camera"]
        == f"{data.name} does not say which camera took 2 of its 4 test images"
    )


@pytest.mark.parametrize(
    ("cameras", "reason"),
    [
        (("c1", "c1", "c1", "c1"), "all test images of {} are by one camera (c1), so every match is junk"),
        (
            ("c1", "c1", "c1", "c2"),
            "no query of {} has a gallery image of its vehicle by another camera, so every match is junk",
        ),
    ],
)
def test_cameras_that_leave_no_match_are_told_from_the_labels(tmp_path, cameras, reason):
    data = manifest(tmp_path, *cameras)
    assert available_protocols(data)["cross_camera"] == reason.format(data.name)
    assert available_protocols(data)["single_gallery_shot"] is None
    with pytest.raises(ProtocolError, match=r"; choose another protocol, as --protocol single_gallery_shot\.$"):
        Protocol().split(data)


def test_queries_of_other_vehicles_than_the_gallerys():
    data = layouts.dataset(query=layouts.records({"a": 1}), gallery=layouts.records({"b": 2}, camera="c2"))
    assert Protocol().unavailable(data) == "no query vehicle of toys is in its gallery"


def test_vehicles_that_are_not_known_are_told(tmp_path):
    rows = ["image,vehicle_id,split,camera_id", "b/3.jpg,nan,query,c1", "b/4.jpg,nan,gallery,c2"]
    (warning,) = open_dataset(layouts.csv_manifest(tmp_path, rows)).warnings
    assert warning.startswith("The vehicle of 2 test images is written nan (b/3.jpg): they count as images of one")


def test_vehicles_in_training_and_test_split_are_told_once(tmp_path):
    root = layouts.veri(tmp_path / "VeRi")
    assert open_dataset(root).warnings == ()
    shutil.copy(root / "image_train" / layouts.VERI_TRAIN[0], root / "image_test")
    data = open_dataset(root)
    assert data.warnings == (
        "1 of the 3 test vehicles are in this data set's training split too: scores of a model that is trained on it are "
        "inflated, unless each split numbers its vehicles anew, which is harmless.",
    )
    assert data.summary().count("training split too") == 1


def test_distractors_are_no_shared_vehicle_and_follow_their_label(tmp_path):
    root = layouts.market(tmp_path)
    layouts.jpeg(root / "bounding_box_test/0_c4s1_000301_00.jpg")
    data = open_dataset(root)
    assert "One vehicle is written in several ways (0000 and 0) and read as one, 0000." in data.notes
    assert data.distractor_ids == {"0000"} and data.warnings == ()
    assert sum(image.vehicle_id == "0000" for image in data.gallery) == 3


def test_numbered_files_in_each_vehicles_folder_are_different_photographs(tmp_path):
    """Every folder begins at 1.png, so that all names of queries occur in the gallery."""
    data = open_dataset(
        painted(
            tmp_path,
            {
                "query/v1/1.png": RED,
                "query/v2/1.png": GREEN,
                "gallery/v1/1.png": GREEN,
                "gallery/v1/2.png": ORANGE,
                "gallery/v2/1.png": YELLOW,
                "gallery/v2/2.png": YELLOW,
            },
        )
    )
    assert names(data.gallery) == ["gallery/v1/1.png", "v1/2.png", "gallery/v2/1.png", "v2/2.png"]
    assert "gallery has other photographs than query under 2 of the same names (v1/1.png)" in data.notes[-1]
    assert len(data.test) == 6
    features = np.eye(6, dtype=np.float32)
    paths = [image.path.relative_to(tmp_path).as_posix() for image in data.test]
    found = match_to_dataset(Arrays(features, paths, None, None), data, tmp_path / "f.npz").features
    assert np.array_equal(found.features.argmax(1).numpy(), np.arange(6))

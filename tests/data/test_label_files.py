"""Labels on the disk: whole, atomic, never over another's file, and a data set that `ssrnet evaluate` reads."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from ssrnet.commands.evaluate import EvaluateSettings, evaluate_model
from ssrnet.data.datasets import open_dataset
from ssrnet.data.label_files import NO_FILE, KeptLabels, is_of_folder, read_labels, write_labels
from ssrnet.data.labels import Labels
from ssrnet.errors import DataError, ResourceError
from tests import tiny
from tests.data import layouts

LABELS = (
    Labels()
    .confirm("a/1.jpg", "a/2.jpg")
    .confirm("b/3.jpg", "a/2.jpg")
    .refuse("a/1.jpg", "b/4.jpg")
    .name(["b/4.jpg"], "é")
)


@pytest.fixture
def fleet(tmp_path) -> Path:
    """A folder of five images below two folders, without labels."""
    (layouts.csv_manifest(tmp_path / "fleet") / "manifest.csv").unlink()
    return tmp_path / "fleet"


@pytest.mark.parametrize("place", ["fleet.csv", "fleet/manifest.csv", "else/where/labels.csv"])
def test_labels_come_back_whole_and_open_as_a_data_set(fleet, tmp_path, place):
    images = open_dataset(fleet).gallery
    state = write_labels(tmp_path / place, fleet, images, LABELS, NO_FILE)
    kept = read_labels(tmp_path / place)
    assert kept == KeptLabels(LABELS, kept.folder, state) and is_of_folder(kept, fleet)
    assert not is_of_folder(kept, tmp_path)

    data = open_dataset(tmp_path / place)
    assert {image.name: image.vehicle_id for image in data.gallery} == LABELS.vehicle_of
    assert all(image.path.is_file() and not image.attributes for image in data.gallery)
    assert (data.protocol, len(data.query), len(data.train)) == ("single_gallery_shot", 0, 0)
    assert data.skipped[0].count == 1 and data.skipped[0].example == "b/5.jpg"
    with open(tmp_path / place, newline="", encoding="utf-8") as file:
        assert [row["image"] for row in csv.DictReader(file)] == [image.name for image in images]


def test_a_folder_with_its_labels_can_be_moved(fleet, tmp_path):
    (tmp_path / "before").mkdir()
    fleet = fleet.rename(tmp_path / "before/fleet")
    write_labels(tmp_path / "before/fleet.csv", fleet, open_dataset(fleet).gallery, LABELS, NO_FILE)
    shutil.move(tmp_path / "before", tmp_path / "after")
    assert len(open_dataset(tmp_path / "after/fleet.csv").gallery) == 4
    assert is_of_folder(read_labels(tmp_path / "after/fleet.csv"), tmp_path / "after/fleet")


def test_no_file_is_written_over_that_changed_meanwhile_or_is_not_ours(fleet, tmp_path):
    images, path = open_dataset(fleet).gallery, tmp_path / "fleet.csv"
    assert read_labels(path) is None
    state = write_labels(path, fleet, images, Labels(), NO_FILE)
    other = write_labels(path, fleet, images, LABELS, state)
    for old in (state, NO_FILE):
        with pytest.raises(DataError, match="fleet.csv was written by someone else since it was read here; take its"):
            write_labels(path, fleet, images, Labels(), old)
    assert read_labels(path).state == other
    layouts.csv_manifest(fleet)
    with pytest.raises(DataError, match="is no file of labels: it lacks the columns same_as and not_same_as; choose"):
        read_labels(fleet / "manifest.csv")


def test_a_full_disk_leaves_the_answers_before(fleet, tmp_path):
    images, path = open_dataset(fleet).gallery, tmp_path / "fleet.csv"
    state = write_labels(path, fleet, images, LABELS, NO_FILE)
    many = LABELS
    for number in range(40):
        many = many.refuse("b/5.jpg", "x" * 60 + str(number))
    with tiny.small_disk(1000), pytest.raises(ResourceError, match="the earlier file is untouched"):
        write_labels(path, fleet, images, many, state)
    assert read_labels(path) == KeptLabels(LABELS, read_labels(path).folder, state)
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["fleet.csv"]


def test_vehicles_edited_by_hand_are_taken_and_contradictions_named(fleet, tmp_path):
    header = "image,vehicle_id,split,same_as,not_same_as,image_folder"
    lines = [
        header,
        "a/1.jpg,truck,gallery,,,fleet",
        "a/2.jpg,truck,gallery,,,fleet",
        'b/3.jpg,,unlabelled,,"[""a/1.jpg""]",fleet',
    ]
    path = layouts.write(tmp_path / "fleet.csv", lines)
    labels = read_labels(path).labels
    assert labels.vehicles == {"truck": ("a/1.jpg", "a/2.jpg")} and labels.relation("b/3.jpg", "a/2.jpg") == "other"
    layouts.write(path, [*lines[:3], 'b/3.jpg,truck,gallery,,"[""a/1.jpg""]",fleet'])
    with pytest.raises(
        DataError, match="fleet.csv: a/1.jpg and b/3.jpg are refused .* by a/1.jpg = a/2.jpg = b/3.jpg;"
    ):
        read_labels(path)
    layouts.write(path, [header, "a/1.jpg,,unlabelled,,b/3.jpg,fleet"])
    with pytest.raises(DataError, match="fleet.csv, line 2: not_same_as is 'b/3.jpg'; write a list such as"):
        read_labels(path)


def test_names_that_no_manifest_holds_are_left_out_and_those_of_lost_images_stay(fleet, tmp_path):
    layouts.jpeg(fleet / " space.jpg")
    (fleet / "a/2.jpg").unlink()
    path = tmp_path / "fleet.csv"
    write_labels(path, fleet, open_dataset(fleet).gallery, LABELS, NO_FILE)
    assert read_labels(path).labels == LABELS and "space" not in path.read_text()
    assert [each.reason for each in open_dataset(path).skipped if "missing" in each.reason] == [
        "named in fleet.csv but missing"
    ]


def test_evaluate_reads_labels(fleet, tmp_path, checkpoints, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # features are kept in runs
    write_labels(tmp_path / "fleet.csv", fleet, open_dataset(fleet).gallery, LABELS, NO_FILE)
    evaluate_model(EvaluateSettings(Path("fleet.csv"), Path(checkpoints["baseline"]), device="cpu", workers=0))
    printed = capsys.readouterr().out
    assert "1 skipped: not labelled yet, in fleet.csv" in printed and "single_gallery_shot" in printed
    record = json.loads(printed.partition("protocol record: ")[2].rpartition("}")[0] + "}")
    assert (record["queries"], record["gallery"], record["junk_rule"]) == (2, 2, "none")

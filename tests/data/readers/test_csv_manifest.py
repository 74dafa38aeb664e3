import unicodedata

import pytest

from ssrnet.data.datasets import open_dataset
from ssrnet.data.records import Skipped
from tests.data import layouts
from tests.data.layouts import fails_to_open, names


def test_csv_in_a_folder(tmp_path):
    data = open_dataset(layouts.csv_manifest(tmp_path / "fleet"))
    assert (data.name, data.layout, data.why) == ("fleet", "CSV", "it holds manifest.csv")
    assert data.protocol == "cross_camera"
    assert names(data.train) == ["a/1.jpg", "a/2.jpg"]
    assert names(data.query) == ["b/3.jpg"] and names(data.gallery) == ["b/4.jpg", "b/5.jpg"]
    first = data.train[0]
    assert (first.path, first.vehicle_id, first.camera_id) == (tmp_path / "fleet/a/1.jpg", "v1", "north")
    assert [dict(image.attributes) for image in data.train] == [{"color": "red"}, {}]


def test_csv_by_its_path(tmp_path):
    data = open_dataset(layouts.csv_manifest(tmp_path, name="trucks.csv") / "trucks.csv")
    assert (data.name, data.layout, data.why) == ("trucks", "CSV", "it is a CSV file")
    assert len(data.test) == 3


def test_csv_without_cameras_or_queries(tmp_path):
    lines = ["image,vehicle_id,split", "b/3.jpg,v2,gallery", "b/4.jpg,v2,gallery"]
    data = open_dataset(layouts.csv_manifest(tmp_path, lines))
    assert data.protocol == "single_gallery_shot"
    assert data.notes == ("The manifest has no train images.", "The manifest has no query images.")
    assert data.gallery[0].camera_id is None


def test_csv_from_a_spreadsheet(tmp_path):
    root = layouts.csv_manifest(tmp_path)
    lines = [
        "image,vehicle_id,split,remark",
        'a\\1.jpg, v1 ,Train,"two',
        'lines, one comma"',
        ",,,",
        "a\\2.jpg,v1,Train,x",
    ]
    (root / "manifest.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    data = open_dataset(root)
    assert names(data.train) == ["a/1.jpg", "a/2.jpg"]
    assert data.train[0].vehicle_id == "v1"
    assert data.train[0].attributes["remark"] == "two\r\nlines, one comma"


def test_csv_same_image_asks_and_answers(tmp_path):
    lines = ["image,vehicle_id,split,camera_id", "b/3.jpg,v2,query,n", "b/3.jpg,v2,gallery,n", "b/4.jpg,v2,test,s"]
    data = open_dataset(layouts.csv_manifest(tmp_path, lines))
    assert names(data.test) == ["b/3.jpg", "b/4.jpg"]


def test_csv_image_in_train_and_test_is_noted(tmp_path):
    lines = ["image,vehicle_id,split", "a/1.jpg,v1,train", "a/1.jpg,v1,gallery"]
    notes = open_dataset(layouts.csv_manifest(tmp_path, lines)).notes
    assert "1 images are in the train split and in the test split (a/1.jpg)." in notes


def test_csv_skips_missing_files_and_other_files(tmp_path):
    lines = [*layouts.CSV_LINES, "a/9.jpg,v1,train,north,", "nowhere/1.jpg,v1,train,north,", "a/1.txt,v1,train,,"]
    data = open_dataset(layouts.csv_manifest(tmp_path, lines))
    assert len(data.train) == 2
    assert data.skipped == (
        Skipped("named in manifest.csv but missing", 2, "a/9.jpg"),
        Skipped("not an image file, in manifest.csv", 1, "a/1.txt"),
    )


HEADER = "image,vehicle_id,split"
COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "é/Citroën.jpg") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("disk", "manifest"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_accents_composed_or_decomposed_name_one_file(tmp_path, disk, manifest):
    root = layouts.csv_manifest(tmp_path, [HEADER, f"{manifest},v1,query", f"{disk},v1,gallery", "b/3.jpg,v1,gallery"])
    path = layouts.jpeg(root / disk)
    data = open_dataset(root)
    assert names(data.query) == [disk] and data.query[0].path == path and path.is_file()
    assert names(data.test) == [disk, "b/3.jpg"], "one picture, not two"
    layouts.write(root / "manifest.csv", [HEADER, f"{manifest},v1,query", f"{disk},v2,gallery"])
    fails_to_open(root, "lines 2 and 3 give", "different vehicles or cameras")
    layouts.write(root / "manifest.csv", [HEADER, f"{manifest},v1,gallery", f"{disk},v1,gallery"])
    fails_to_open(root, "lines 2 and 3 both name", "remove one")


def test_two_files_that_differ_in_their_accents_alone_are_two(tmp_path):
    root = layouts.csv_manifest(tmp_path, [HEADER, f"{COMPOSED},v1,test", f"{DECOMPOSED},v2,test"])
    for name in (COMPOSED, DECOMPOSED):
        layouts.jpeg(root / name)
    if len(list(root.glob("*/*Citro*"))) == 1:
        pytest.skip("this disk takes both names for one file")
    assert names(open_dataset(root).gallery) == [COMPOSED, DECOMPOSED]


def test_whole_paths_into_the_folder(tmp_path):
    """Also through a link to it."""
    root, link = tmp_path / "fleet", tmp_path / "link"
    link.symlink_to(root)
    lines = [HEADER, f"{root}/a/1.jpg,v1,train", f"{root}//b/../a/2.jpg,v1,train", f"{link}/b/3.jpg,v2,test"]
    layouts.csv_manifest(root, lines[:-1])
    assert names(open_dataset(root).train) == ["a/1.jpg", "a/2.jpg"]
    layouts.write(root / "manifest.csv", lines)
    assert names(open_dataset(link).gallery) == ["b/3.jpg"]
    layouts.write(root / "manifest.csv", [HEADER, f"{root}/../secret/1.jpg,v1,train"])
    fails_to_open(root, "line 2", f"{root}/../secret/1.jpg' leads out")
    layouts.write(root / "manifest.csv", [HEADER, f"{root}-2/1.jpg,v1,train"])
    fails_to_open(root, "line 2", f"'{root}-2/1.jpg' leads out")


def test_ways_of_writing_one_path_name_one_picture(tmp_path):
    lines = [HEADER, "./a/1.jpg,v1,query", "b/../a//1.jpg,v1,gallery", "a\\2.jpg,v1,gallery"]
    data = open_dataset(layouts.csv_manifest(tmp_path, lines))
    assert names(data.test) == ["a/1.jpg", "a/2.jpg"]


BAD_CSV = {
    "missing columns": (
        ["image,label,split", "a/1.jpg,v1,train"],
        ["lacks the column vehicle_id", "image, label, split", "commas"],
    ),
    "semicolons": (["image;vehicle_id;split"], ["lacks the columns image, vehicle_id, split", "separated by commas"]),
    "column twice": (["image,vehicle_id,split,split"], ["column 'split' twice", "rename"]),
    "empty file": ([], ["is empty", "image, vehicle_id, split"]),
    "header only": ([HEADER], ["neither training nor test images", "add images"]),
    "queries without gallery": (
        [HEADER, "a/1.jpg,v1,query"],
        ["1 query images but an empty gallery", "add the gallery"],
    ),
    "unknown split": (
        [HEADER, "a/1.jpg,v1,train", "a/2.jpg,v1,val"],
        ["line 3", "'val'", "write train, query or gallery"],
    ),
    "empty vehicle": ([HEADER, "a/1.jpg,,train"], ["line 2", "vehicle_id is empty", "fill it in"]),
    "too few fields": ([HEADER, "a/1.jpg,v1"], ["line 2", "2 fields where the header names 3", "double quotes"]),
    "too many fields": ([HEADER, "a/1.jpg,v1,train,red"], ["line 2", "4 fields where the header names 3"]),
    "open quote": (
        [HEADER, "a/1.jpg,v1,train", 'a/2.jpg,"v1,train'],
        ["line 3", "not valid CSV", "correct the quotes"],
    ),
    "twice in a split": (
        [HEADER, "a/1.jpg,v1,train", "a/2.jpg,v1,train", "a/1.jpg,v1,train"],
        ["lines 2 and 4", "a/1.jpg", "remove one"],
    ),
    "two vehicles": ([HEADER, "a/1.jpg,v1,train", "a/1.jpg,v2,gallery"], ["lines 2 and 3", "a/1.jpg", "correct one"]),
    "parent folder": ([HEADER, "../x.jpg,v1,train"], ["line 2", "'../x.jpg' leads out", "relative to it"]),
    "parent folder inside": ([HEADER, "a/../../x.jpg,v1,train"], ["line 2", "leads out"]),
    "windows parent folder": ([HEADER, "..\\x.jpg,v1,train"], ["line 2", "leads out"]),
    "absolute": ([HEADER, "/etc/x.jpg,v1,train"], ["line 2", "'/etc/x.jpg' leads out"]),
    "windows drive": ([HEADER, "C:\\x.jpg,v1,train"], ["line 2", "leads out"]),
    "null byte": ([HEADER, "a/\0.jpg,v1,train"], ["line 2", "leads out"]),
    "all missing": (
        [HEADER, "x/1.jpg,v1,train", "x/2.jpg,v1,train"],
        ["not one of the 2 images of the train split", "x/1.jpg"],
    ),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_bad_csv(tmp_path, case):
    lines, parts = BAD_CSV[case]
    fails_to_open(layouts.csv_manifest(tmp_path, lines), "manifest.csv", *parts)


def test_csv_line_numbers_count_lines_not_records(tmp_path):
    root = layouts.csv_manifest(tmp_path, [HEADER + ",remark", 'a/1.jpg,v1,train,"one\ntwo\nthree"', "a/2.jpg,v1,val,"])
    fails_to_open(root, "line 5", "'val'")


def test_csv_in_another_encoding(tmp_path):
    root = layouts.csv_manifest(tmp_path)
    (root / "manifest.csv").write_bytes(f"{HEADER},color\na/1.jpg,v1,train,gr\xfcn\n".encode("latin-1"))
    fails_to_open(root, "manifest.csv, line 2", "not UTF-8", "save the file as UTF-8")


@pytest.mark.parametrize("link", ["file", "folder"])
def test_csv_link_out_of_the_folder(tmp_path, link):
    root = layouts.csv_manifest(tmp_path / "fleet", [HEADER, "a/1.jpg,v1,train", "links/7.jpg,v1,train"])
    secret = layouts.jpeg(tmp_path / "secret/7.jpg")
    if link == "folder":
        (root / "links").symlink_to(secret.parent)
    else:
        (root / "links").mkdir()
        (root / "links/7.jpg").symlink_to(secret)
    fails_to_open(root, "manifest.csv, line 3", "links/7.jpg is a link that leads out", "copy the image")


def test_csv_link_inside_the_folder_is_fine(tmp_path):
    root = layouts.csv_manifest(tmp_path, [HEADER, "a/link.jpg,v1,train"])
    (root / "a/link.jpg").symlink_to(root / "b/3.jpg")
    assert names(open_dataset(root).train) == ["a/link.jpg"]


def test_csv_counts_what_nobody_has_labelled_yet_and_skips_it(tmp_path):
    lines = [
        "image,vehicle_id,split,same_as,not_same_as",
        'b/3.jpg,v1,gallery,"[""b/4.jpg""]",',
        "b/4.jpg,v1,gallery,,",
        'a/1.jpg,,unlabelled,,"[""b/3.jpg""]"',
        "a/2.jpg,,Unlabelled,,",
    ]
    data = open_dataset(layouts.csv_manifest(tmp_path, lines))
    assert names(data.gallery) == ["b/3.jpg", "b/4.jpg"] and not data.train and not data.query
    assert data.skipped == (Skipped("not labelled yet, in manifest.csv", 2, "a/1.jpg"),)
    assert dict(data.gallery[0].attributes) == {}, "pairs are no attribute"
    data = open_dataset(layouts.csv_manifest(tmp_path / "none", [lines[0], *lines[3:]]))
    assert not data.is_labelled and names(data.gallery) == ["a/1.jpg", "a/2.jpg"] and not data.notes
    assert {image.vehicle_id for image in data.gallery} == {None} and not data.skipped


def test_csv_away_from_its_images(tmp_path):
    root = layouts.csv_manifest(tmp_path / "fleet")
    lines = ["image,vehicle_id,split,image_folder", f"a/1.jpg,v1,gallery,{root}", f"b/3.jpg,v1,gallery,{root}"]
    for image_folder, place in ((str(root), tmp_path / "away/labels.csv"), ("fleet", tmp_path / "fleet.csv")):
        source = layouts.write(place, [line.replace(str(root), image_folder) for line in lines])
        data = open_dataset(source)
        assert names(data.gallery) == ["a/1.jpg", "b/3.jpg"] and data.gallery[0].path.samefile(root / "a/1.jpg")
    (root / "b/5.jpg").unlink()
    (root / "b/5.jpg").symlink_to(source)
    away = layouts.write(tmp_path / "away/labels.csv", [*lines, f"b/5.jpg,v2,gallery,{root}"])
    fails_to_open(away, "line 4", "b/5.jpg is a link that leads out")
    mixed = layouts.write(tmp_path / "mixed.csv", [*lines, "b/4.jpg,v1,gallery,"])
    fails_to_open(mixed, "line 4", "image_folder is ''", "write one folder that holds all images")
    upwards = layouts.write(tmp_path / "away/up.csv", [lines[0], "a/1.jpg,v1,gallery,../fleet"])
    fails_to_open(upwards, "line 2", "image_folder is '../fleet'", "write the whole path")

import zipfile

import pytest

from ssrnet.data.datasets import open_dataset
from ssrnet.data.readers import zip_files
from tests.data import layouts
from tests.data.layouts import fails_to_open, jpeg, names


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def pack(path, files):
    """A zip file of ``files``: content by name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def picture(tmp_path):
    return jpeg(tmp_path / "picture.jpg").read_bytes()


def test_a_zip_file_is_the_folder_that_it_holds(tmp_path, picture):
    files = {f"photos/{name}": picture for name in ("x.jpg", "day\\y.jpg", "read me.pdf")}
    path = pack(
        tmp_path / "mine.zip", files | {"__MACOSX/photos/._x.jpg": b"", "../out.jpg": picture, "/etc/a.jpg": picture}
    )
    data = open_dataset(path)
    assert (data.name, data.layout) == ("photos", "unlabelled") and names(data.test) == ["day/y.jpg", "x.jpg"]
    assert all(image.path.read_bytes() == picture for image in data.test)
    assert {file.name for file in tmp_path.rglob("*.*") if file.is_file()} == {
        "mine.zip",
        "picture.jpg",
        "x.jpg",
        "y.jpg",
    }


def test_it_is_unpacked_once_until_it_changes(tmp_path, picture, monkeypatch):
    path = pack(tmp_path / "mine.zip", {"x.jpg": picture})
    first = open_dataset(path)
    assert first.name == "mine"
    with monkeypatch.context() as patch:
        patch.setattr(zip_files, "_unpack", None)
        assert open_dataset(path) == first
    pack(path, {"x.jpg": picture, "y.jpg": picture})
    assert names(open_dataset(path).test) == ["x.jpg", "y.jpg"]


def test_labels_in_a_zip_file_are_read(tmp_path):
    root = layouts.csv_manifest(tmp_path / "csv")
    files = {file.relative_to(tmp_path).as_posix(): file.read_bytes() for file in root.rglob("*.*")}
    assert open_dataset(pack(tmp_path / "labelled.zip", files)).layout == "CSV"


def test_files_that_cannot_be_unpacked(tmp_path, picture):
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"no zip file")
    fails_to_open(broken, "broken.zip cannot be unpacked", "make the zip file again")
    fails_to_open(pack(tmp_path / "a.zip", {"film.mp4": b"x", "list.csv": b"x"}), "a.zip holds no image; pack JPEG")
    lzma = zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA)
    lzma.writestr("x.jpg", picture)
    lzma.close()
    fails_to_open(tmp_path / "lzma.zip", "a compression other than deflate")
    assert not any((tmp_path / zip_files.UNPACKED).rglob("*.*"))


def test_limits(tmp_path, picture, monkeypatch):
    path = pack(tmp_path / "mine.zip", {"x.jpg": picture, "y.jpg": picture})
    with monkeypatch.context() as patch:
        patch.setattr(zip_files, "MOST_FILES", 1)
        fails_to_open(path, "holds 2 files, over the limit of 1; unpack it")
    with monkeypatch.context() as patch:
        patch.setattr(zip_files, "MOST_BYTES", 2 * len(picture) - 1)
        fails_to_open(path, "unpacks to more than", "y.jpg in it", "open the folder")
    assert not list((tmp_path / zip_files.UNPACKED).glob(".*"))
    assert len(open_dataset(path).test) == 2

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from ssrnet.data import uploads
from ssrnet.data.uploads import read_uploads


def jpeg(colour=(200, 30, 30), size=(40, 30)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def archive(members, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def test_images_and_the_images_in_zip_files_in_order():
    packed = archive(
        {"a/red.jpg": jpeg(), "a/notes.txt": b"no image", "__MACOSX/a/._red.jpg": b"x", "blue.JPG": jpeg((0, 0, 250))}
    )
    found = read_uploads([("first.png.jpg", jpeg((0, 250, 0))), ("all.ZIP", packed)])
    assert list(found.pictures) == ["first.png.jpg", "red.jpg", "blue.JPG"] and found.refused == ()
    assert np.asarray(found.pictures["blue.JPG"]).shape == (30, 40, 3)
    assert np.asarray(found.pictures["blue.JPG"])[..., 2].mean() > 240


def test_what_is_no_image_is_refused_by_itself():
    found = read_uploads([("a.jpg", jpeg()), ("b.jpg", jpeg()[:300]), ("c.jpg", b""), ("d.zip", b"PK nothing")])
    assert list(found.pictures) == ["a.jpg"] and len(found.refused) == 3
    assert "b.jpg is damaged" in found.refused[0] and "c.jpg is not a JPEG" in found.refused[1]
    assert "d.zip cannot be unpacked" in found.refused[2]


def test_two_of_one_name_are_told_apart():
    packed = archive({"a/x.jpg": jpeg(), "b/x.jpg": jpeg(), "../../x.jpg": jpeg()})
    assert list(read_uploads([("all.zip", packed)]).pictures) == ["x.jpg", "x.jpg (2)", "x.jpg (3)"]


def test_the_last_folder_in_a_zip_file_is_a_pictures_camera():
    members = ("top.jpg", "cam1/x.jpg", "all/cam2/x.jpg", "all\\cam3\\y.jpg", "../up.jpg", "cam\n4/z.jpg")
    found = read_uploads([("single.jpg", jpeg()), ("all.zip", archive(dict.fromkeys(members, jpeg())))])
    assert list(found.pictures) == ["single.jpg", "top.jpg", "x.jpg", "x.jpg (2)", "y.jpg", "up.jpg", "z.jpg"]
    assert found.cameras == {"x.jpg": "cam1", "x.jpg (2)": "cam2", "y.jpg": "cam3", "z.jpg": r"cam\n4"}


@pytest.mark.parametrize("column", ["camera", "camera_id"])
def test_a_table_names_cameras_in_place_of_folders(column):
    """Its images are paths from its own folder, or names; it may lie in the zip file or beside it."""
    table = f"\ufeffimage,vehicle_id,{column}\na/x.jpg,7,north\nb\\x.jpg,7,south\ny.jpg,8,north\nz.jpg,8,\n".encode()
    members = {f"in/{name}": jpeg() for name in ("a/x.jpg", "b/x.jpg", "c/y.jpg", "c/z.jpg", "c/unlisted.jpg")}
    cameras = {"x.jpg": "north", "x.jpg (2)": "south", "y.jpg": "north"}
    found = read_uploads([("all.zip", archive(members | {"in/list.CSV": table}))])
    assert found.cameras == cameras and len(found.pictures) == 5 and not found.refused
    # Beside the zip file two images are called x.jpg, by two cameras, and neither's path is as the table's.
    found = read_uploads([("all.zip", archive(members)), ("list.csv", table)])
    assert found.cameras == {"y.jpg": "north"} and len(found.pictures) == 5


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (b"", "cameras.csv is empty"),
        (b"picture,camera\n", "cameras.csv lacks the column image (found: picture, camera)"),
        (b"image,cam\nx.jpg,1\n", "cameras.csv lacks the column camera"),
        (b"image,camera\nx.jpg,1\nx.jpg,2\n", "cameras.csv, line 3: x.jpg has another camera in a line above"),
        (b"image,camera\nx.jpg,\xff\n", "cameras.csv, line 2: the text is not UTF-8"),
        (b'image,camera\n"x.jpg,1\n', "cameras.csv, line 2: not valid CSV"),
        (b"image,camera\n" + b"x" * 2**20, "cameras.csv has more than 1 MB"),
    ],
)
def test_a_table_that_is_none_is_refused_and_folders_count(table, sentence):
    for files in (
        [("all.zip", archive({"a/x.jpg": jpeg(), "a/cameras.csv": table}))],
        [("cameras.csv", table), ("all.zip", archive({"a/x.jpg": jpeg()}))],
    ):
        found = read_uploads(files)
        assert found.refused[0].startswith(sentence) and len(found.refused) == 1
        assert found.cameras == {"x.jpg": "a"}


def test_one_table_is_read():
    tables = {f"{name}.csv": f"image,camera\nx.jpg,{name}\n".encode() for name in "ab"}
    found = read_uploads([("all.zip", archive({"x.jpg": jpeg()} | tables))])
    assert found.cameras == {"x.jpg": "a"} and "b.csv is a second table of cameras" in found.refused[0]
    many = archive({f"{i}.csv": b"" for i in range(500)} | {"x.jpg": jpeg()})
    assert len(read_uploads([("all.zip", many)]).refused) == uploads.MAX_REFUSED + 1


def test_there_is_a_limit_to_the_number():
    found = read_uploads([(f"{i}.jpg", jpeg()) for i in range(4)], limit=3)
    assert len(found.pictures) == 3 and "only the first 3 images" in found.refused[0]


def test_a_zip_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_BYTES", 3_000_000)
    monkeypatch.setattr(uploads, "MAX_MEMBER_BYTES", 2_000_000)
    found = read_uploads([("bomb.zip", archive({"a.jpg": jpeg(), "b.jpg": b"0" * 50_000_000, "c.jpg": jpeg()}))])
    assert list(found.pictures) == ["a.jpg"] and "bomb.zip unpacks to more than" in found.refused[0]


def test_a_zip_with_a_lie_in_its_directory():
    data = bytearray(archive({"a.jpg": jpeg()}))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")  # the size that it unpacks to
    found = read_uploads([("lie.zip", bytes(data))])
    assert not found.pictures and "lie.zip" in found.refused[0] or "damaged" in found.refused[0]


def test_a_zip_with_a_password():
    data = bytearray(archive({"a.jpg": jpeg()}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1  # says that it is encrypted
    found = read_uploads([("locked.zip", bytes(data))])
    assert not found.pictures and "locked.zip cannot be unpacked" in found.refused[0]

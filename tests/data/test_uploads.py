import io
import zipfile

import numpy as np
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

import os
import subprocess

import pytest
import torch

from ssrnet.errors import ResourceError
from ssrnet.files import check_writable, write_atomically
from tests import tiny


def test_it_writes_and_makes_the_folder(tmp_path):
    path = tmp_path / "new/folder/a.txt"
    write_atomically(path, lambda temporary: temporary.write_text("new"))
    assert path.read_text() == "new" and os.listdir(path.parent) == ["a.txt"]


def test_until_the_end_the_old_file_stands(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(temporary):
        assert temporary.parent == tmp_path and temporary != path  # a rename must not cross file systems
        temporary.write_text("new")
        assert path.read_text() == "old"

    write_atomically(path, write)
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_crash_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(temporary):
        temporary.write_text("half of the n")
        raise error("crash")

    with pytest.raises(error, match="crash"):
        write_atomically(path, write)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    "write",
    [
        lambda temporary: temporary.write_bytes(b"0" * 1_000_000),
        lambda temporary: torch.save({"a": torch.zeros(1_000_000)}, temporary),
    ],
    ids=["bytes", "torch"],
)
def test_a_full_disk_is_a_sentence_and_leaves_the_old_file(tmp_path, write):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with tiny.small_disk():
        with pytest.raises(ResourceError, match="a.bin .*; free space or choose another folder, .* untouched"):
            write_atomically(path, write)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.bin"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot write .*file/a.txt"):
        write_atomically(tmp_path / "file/a.txt", lambda temporary: temporary.write_text("new"))


def test_asking_whether_a_file_can_be_written_leaves_none(tmp_path):
    check_writable(tmp_path / "new/a.txt")
    assert os.listdir(tmp_path / "new") == []
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot write .*file/.*a.txt"):
        check_writable(tmp_path / "file/a.txt")


def test_asking_removes_what_a_killed_process_left_of_that_name(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    for name in (
        f".a.txt.{gone.pid}.part",
        f".b.txt.{gone.pid}.part",
        f".a.txt.{os.getpid()}.part",
        ".a.txt.mine.part",
    ):
        (tmp_path / name).touch()
    check_writable(tmp_path / "a.txt")
    assert set(os.listdir(tmp_path)) == {f".b.txt.{gone.pid}.part", f".a.txt.{os.getpid()}.part", ".a.txt.mine.part"}

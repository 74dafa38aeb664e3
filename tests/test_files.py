import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ssrnet.errors import ResourceError
from ssrnet.files import check_writable, write_atomically, write_tensors
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
        lambda temporary: save_file({"a": torch.zeros(1_000_000)}, temporary),
        lambda temporary: torch.save({"a": torch.zeros(1_000_000)}, temporary),
    ],
    ids=["bytes", "safetensors", "torch"],
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


def test_others_may_read_what_safetensors_writes_for_its_owner(tmp_path):
    path = tmp_path / "weights.safetensors"
    write_atomically(path, lambda temporary: save_file({"a": torch.zeros(1)}, temporary))
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_same_tensors_are_the_same_bytes(tmp_path):
    tensors = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor([1, 2])}
    metadata = {name: f"{name} “ü” \n" for name in "qwertyuiop"}  # so many that their order is never right by chance
    for name in ("one", "two"):
        write_tensors(tmp_path / name, tensors, metadata)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with safe_open(tmp_path / "one", "pt") as file:
        assert file.metadata() == metadata
    loaded = load_file(tmp_path / "one")
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


def test_asking_whether_a_file_can_be_written_leaves_none(tmp_path):
    check_writable(tmp_path / "new/a.txt")
    assert os.listdir(tmp_path / "new") == []
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot write .*file/.*a.txt"):
        check_writable(tmp_path / "file/a.txt")

"""The reader of .safetensors files: the same as the library's own, and never mapped."""

import hashlib
import json
import os
import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import ssrnet.tensors
from ssrnet.tensors import DTYPES, ORDER, ChangedError, open_tensors, write_tensors

MIXED = {
    "scalar": torch.tensor(3.5),
    "none": torch.zeros(0, 4),
    "flags": torch.tensor([True, False, True]),
    "half": torch.arange(7).half(),
    "brain": torch.arange(5).bfloat16(),
    "double": torch.rand(2, 3).double(),
    "long": torch.tensor([[1, -2]]),
    "byte": torch.arange(9, dtype=torch.uint8),
    "image": torch.rand(2, 3, 4, 5),
}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(MIXED, path, {"who": "“ü” \n", "b": ""})
    return path


def made(path, header: object, data: bytes = b"", length: int | None = None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def test_it_reads_what_the_library_reads(saved):
    with open_tensors(saved, hashed=True) as file:
        tensors, expected = file.tensors(), load_file(saved)
        assert file.metadata == {"who": "“ü” \n", "b": ""}
        assert file.hash() == hashlib.sha256(saved.read_bytes()).hexdigest()[:16]
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == expected[name].dtype and torch.equal(tensor, expected[name]), name


def test_every_type_of_its_table_is_the_librarys(tmp_path):
    own = {name: torch.ones(3).to(dtype) for name, dtype in DTYPES.items()}
    save_file(own, tmp_path / "a.safetensors")
    header = (tmp_path / "a.safetensors").read_bytes()[8:]
    for name in DTYPES:
        assert re.search(rf'"{name}":{{"dtype":"{name}"'.encode(), header)
    with open_tensors(tmp_path / "a.safetensors") as file:
        assert all(torch.equal(tensor, own[name]) for name, tensor in file.tensors().items())


def test_the_hash_is_read_without_the_tensors_too(saved):
    with open_tensors(saved, hashed=True) as file:
        assert file.hash() == hashlib.sha256(saved.read_bytes()).hexdigest()[:16]


@pytest.mark.parametrize("name", ["image", "half", "double", "scalar", "none"])
def test_one_tensor_as_float32_block_by_block(saved, monkeypatch, name):
    monkeypatch.setattr(ssrnet.tensors, "BLOCK", 8)
    with open_tensors(saved) as file:
        found = file.floats(name)
    assert found.dtype == torch.float32 and torch.equal(found, MIXED[name].float())


def test_what_is_read_does_not_depend_on_the_file_any_more(saved):
    with open_tensors(saved) as file:
        tensors, floats = file.tensors(), None
    with open_tensors(saved) as file:
        floats = file.floats("image")
    with open(saved, "r+b") as file:
        file.write(b"\xff" * 400)
    os.truncate(saved, 0)
    assert all(torch.equal(tensor, MIXED[name]) for name, tensor in tensors.items())
    assert torch.equal(floats, MIXED["image"])


F2 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "data", "length", "said"),
    [
        ({}, b"", 2**63, "says of itself a header of 9,223,372,036,854,775,808 bytes"),
        ({}, b"", 3, "a header of 3 bytes and has 10"),
        ({"a": F2}, b"1234567", None, "bytes and its header says"),
        ({"a": F2}, b"123456789", None, "bytes and its header says"),
        ({"a": F2, "b": F2}, b"12345678", None, "a place that does not fit"),
        ({"a": F2, "b": {**F2, "data_offsets": [12, 20]}}, b"0" * 20, None, "gives b a place that does not fit"),
        ({"a": {**F2, "shape": [3]}}, b"12345678", None, "gives a a place that does not fit its shape"),
        ({"a": {**F2, "shape": [-2]}}, b"12345678", None, "a shape that none can have"),
        ({"a": {**F2, "shape": [0, 10**40], "data_offsets": [0, 0]}}, b"", None, "a shape that none can have"),
        ({"a": {**F2, "shape": [2.0]}}, b"12345678", None, "a shape that none can have"),
        ({"a": {**F2, "shape": [1] * 99}}, b"1234", None, "a shape that none can have"),
        ({"a": {**F2, "dtype": "Q7"}}, b"12345678", None, "its header is damaged"),
        ({"a": 7}, b"", None, "its header is damaged"),
        ([], b"", None, "its header is damaged"),
        (b"[" * 100_000, b"", None, "its header is damaged"),
        (b'{"a":' * 200_000, b"", None, "more than 100,000 tensors"),
        (b"no json", b"", None, "Expecting value"),
        (b"\xff\xfe\x00", b"", None, "codec"),
        ({"__metadata__": {"a": 7}}, b"", None, "not all texts"),
        ({"__metadata__": "a"}, b"", None, "its header is damaged"),
    ],
)
def test_headers_that_lie(tmp_path, header, data, length, said):
    path = made(tmp_path / "a.safetensors", header, data, length)
    with pytest.raises(ValueError, match=re.escape(said)):
        with open_tensors(path) as file:
            file.tensors()


def test_a_header_without_metadata_and_tensors(tmp_path):
    with open_tensors(made(tmp_path / "a.safetensors", b"{}   ")) as file:
        assert file.metadata == {} and file.tensors() == {}


def test_a_file_above_the_bound_is_not_read(tmp_path):
    made(tmp_path / "a.safetensors", b"{}")
    os.truncate(tmp_path / "a.safetensors", 2**40)  # sparse
    with pytest.raises(OSError, match="has 1,099,511,627,776 bytes, and such a file has at most 4,294,967,296"):
        with open_tensors(tmp_path / "a.safetensors", 2**32):
            raise AssertionError("it was opened")


@pytest.mark.parametrize("change", ["cut short", "longer", "overwritten"])
def test_a_file_that_is_written_to_meanwhile(saved, change):
    with pytest.raises(ChangedError, match="written to while it was read"):
        with open_tensors(saved) as file:
            if change == "cut short":
                os.truncate(saved, 100)
            else:
                with open(saved, "ab" if change == "longer" else "r+b") as other:
                    other.write(b"other")
            file.tensors()


def test_a_file_that_is_replaced_meanwhile_stays_the_one_it_was(saved, tmp_path):
    before = hashlib.sha256(saved.read_bytes()).hexdigest()[:16]
    save_file({"a": torch.zeros(1000)}, tmp_path / "b.safetensors")
    with open_tensors(saved, hashed=True) as file:
        os.replace(tmp_path / "b.safetensors", saved)
        tensors, content = file.tensors(), file.hash()
    assert content == before and torch.equal(tensors["image"], MIXED["image"])


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


@pytest.mark.parametrize("metadata", [{"one": '“ü” \n\t\x00\x1f\x7f "quoted" back\\slash'}, {"a": ""}])
def test_what_is_written_is_what_the_library_writes(tmp_path, metadata):
    tensors = MIXED | {f"of {name}": torch.ones(3, 2).to(dtype) for name, dtype in DTYPES.items()}
    save_file(tensors, tmp_path / "library.safetensors", metadata)
    write_tensors(tmp_path / "own.safetensors", tensors | {"image": MIXED["image"].clone()}, metadata)
    assert (tmp_path / "own.safetensors").read_bytes() == (tmp_path / "library.safetensors").read_bytes()
    assert set(ORDER) == set(DTYPES)


def test_a_tensor_that_lies_otherwise_in_memory_is_written_by_its_rows(tmp_path):
    tensors = {"turned": torch.arange(6.0).reshape(2, 3).T, "every second": torch.arange(8)[::2]}
    write_tensors(tmp_path / "a.safetensors", tensors, {})
    found = load_file(tmp_path / "a.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())

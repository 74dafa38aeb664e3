"""Reading .safetensors files: the same tensors as the library reads, never mapped. Writing them: the same bytes."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import ssrnet.tensors
from ssrnet.tensors import DTYPES, read_float32, read_metadata, read_tensors, write_tensors

ROOT = Path(__file__).parents[1]
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
METADATA = {"who": "“ü” \n", "b": ""}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(MIXED, path, METADATA)
    return path


def content_hash(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def made(path, header: object, data: bytes = b"", length: int | None = None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def test_it_reads_what_the_library_reads(saved):
    tensors, metadata, hashed = read_tensors(saved)
    expected = load_file(saved)
    assert metadata == read_metadata(saved) == METADATA and hashed == content_hash(saved)
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == expected[name].dtype and torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("name", ["image", "half", "double", "scalar", "none"])
def test_one_tensor_as_float32_block_by_block(saved, monkeypatch, name):
    monkeypatch.setattr(ssrnet.tensors, "BLOCK", 8)
    tensor, metadata = read_float32(saved, name)
    assert tensor.dtype == torch.float32 and torch.equal(tensor, MIXED[name].float()) and metadata == METADATA


def test_a_tensor_that_is_not_there(saved):
    with pytest.raises(ValueError, match="it has no tensor features"):
        read_float32(saved, "features")


def test_what_was_read_does_not_depend_on_the_file(saved):
    tensors, (image, _) = read_tensors(saved).tensors, read_float32(saved, "image")
    with open(saved, "r+b") as file:
        file.write(b"\xff" * 400)
    os.truncate(saved, 0)
    assert all(torch.equal(tensor, MIXED[name]) for name, tensor in tensors.items())
    assert torch.equal(image, MIXED["image"])


def test_features_take_little_more_memory_than_their_float32(tmp_path):
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"features": torch.zeros(60_000, 1024).half()}, {})
    code = f"""
import resource, torch
from pathlib import Path
from ssrnet.tensors import read_float32
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
features, _ = read_float32(Path("{path}"), "features")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    grown = int(done.stdout) * (1024 if sys.platform.startswith("linux") else 1)
    assert grown < 2.5 * path.stat().st_size


F2 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "data", "length"),
    [
        ({}, b"", 2**63),
        ({}, b"", 3),
        ({"a": F2}, b"1234567", None),
        ({"a": F2}, b"123456789", None),
        ({"a": F2, "b": F2}, b"12345678", None),
        ({"a": F2, "b": {**F2, "data_offsets": [12, 20]}}, b"0" * 20, None),
        ({"a": {**F2, "shape": [3]}}, b"12345678", None),
        ({"a": {**F2, "shape": [-2]}}, b"12345678", None),
        ({"a": {**F2, "shape": [0, 10**40], "data_offsets": [0, 0]}}, b"", None),
        ({"a": {**F2, "shape": [2.0]}}, b"12345678", None),
        ({"a": {**F2, "dtype": "Q7"}}, b"12345678", None),
        ({"a": 7}, b"", None),
        ([], b"", None),
        (b"[" * 100_000, b"", None),
        (b'{"a":' * 200_000, b"", None),
        (b"no json", b"", None),
        (b"\xff\xfe\x00", b"", None),
        ({"__metadata__": {"a": 7}}, b"", None),
        ({"__metadata__": "a"}, b"", None),
    ],
)
def test_headers_that_lie_are_a_value_error(tmp_path, header, data, length):
    path = made(tmp_path / "a.safetensors", header, data, length)
    with pytest.raises(ValueError):
        read_tensors(path)
    if "b" not in list(header):  # which tensors overlap only the library checks
        with pytest.raises(ValueError):
            read_float32(path, "a")


@pytest.mark.parametrize("size", [0, 7, 50, -8, -1])
def test_a_truncated_file_is_a_value_error_for_every_reader(saved, size):
    saved.write_bytes(saved.read_bytes()[:size])
    for read in (read_tensors, read_metadata, lambda path: read_float32(path, "image")):
        with pytest.raises(ValueError):
            read(saved)


def test_a_header_without_metadata_and_tensors(tmp_path):
    path = made(tmp_path / "a.safetensors", b"{}   ")
    assert read_tensors(path)[:2] == ({}, {}) and read_metadata(path) == {}


def test_a_file_that_is_written_to_meanwhile(saved, monkeypatch):
    def load(data):
        with open(saved, "r+b") as file:
            file.write(b"other")
        return {}

    monkeypatch.setattr(ssrnet.tensors, "load", load)
    with pytest.raises(ValueError, match="another process wrote to it while it was read; try again"):
        read_tensors(saved)


def test_a_file_that_is_replaced_meanwhile_stays_the_one_it_was(saved, tmp_path, monkeypatch):
    before, load = content_hash(saved), ssrnet.tensors.load
    save_file({"a": torch.zeros(1000)}, tmp_path / "b.safetensors")

    def replace_and_load(data):
        os.replace(tmp_path / "b.safetensors", saved)
        return load(data)

    monkeypatch.setattr(ssrnet.tensors, "load", replace_and_load)
    tensors, _, hashed = read_tensors(saved)
    assert hashed == before and torch.equal(tensors["image"], MIXED["image"])


@pytest.mark.parametrize("folder", ["checkpoints", "assets/features"])
def test_shipped_files_written_again_are_the_same_bytes(tmp_path, folder):
    for path in sorted((ROOT / folder).glob("*.safetensors")):
        tensors, metadata, _ = read_tensors(path)
        write_tensors(tmp_path / path.name, tensors, metadata)
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path


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
    write_tensors(tmp_path / "ours.safetensors", tensors | {"image": MIXED["image"].clone()}, metadata)
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "library.safetensors").read_bytes()


def test_a_tensor_that_lies_otherwise_in_memory_is_written_by_its_rows(tmp_path):
    tensors = {"turned": torch.arange(6.0).reshape(2, 3).T, "every second": torch.arange(8)[::2]}
    write_tensors(tmp_path / "a.safetensors", tensors, {})
    loaded = load_file(tmp_path / "a.safetensors")
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())

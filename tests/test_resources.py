import os
from pathlib import Path

import pytest
import torch

from ssrnet import resources
from ssrnet.errors import ResourceError
from ssrnet.resources import available_memory, resolve_device


def pretend(monkeypatch, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, False, "cuda"), (False, True, "mps"), (True, True, "cuda"), (False, False, "cpu")],
)
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch, cuda, mps, expected):
    pretend(monkeypatch, cuda, mps)
    assert resolve_device("auto").type == resolve_device().type == expected
    assert resolve_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_an_absent_device_is_said(monkeypatch, name):
    pretend(monkeypatch, False, False)
    with pytest.raises(ResourceError, match=f"no {name} device is available to this PyTorch; run with --device cpu"):
        resolve_device(name)


def test_free_memory_is_what_linux_says(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda self: "MemTotal: 9 kB\nMemFree: 3 kB\nMemAvailable:    5 kB\n")
    assert available_memory(torch.device("cpu")) == 5 * 1024


@pytest.mark.parametrize("text", [None, "MemTotal: 9 kB\n"])
def test_elsewhere_half_of_all_memory(monkeypatch, text):
    def read(self):
        if text is None:
            raise FileNotFoundError
        return text

    monkeypatch.setattr(Path, "read_text", read)
    assert available_memory(torch.device("cpu")) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_counts(monkeypatch, tmp_path, version):
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    folder = tmp_path if version == 2 else tmp_path / "memory"
    folder.mkdir(exist_ok=True)
    for name, text in zip(
        (*names, "memory.stat"), ("1000000\n", "700000\n", "anon 7\ninactive_file 50000\n"), strict=True
    ):
        (folder / name).write_text(text)
    monkeypatch.setattr(resources, "CGROUP", tmp_path)
    assert available_memory(torch.device("cpu")) == 350_000
    (folder / names[0]).write_text("max\n")
    assert available_memory(torch.device("cpu")) > 10_000_000

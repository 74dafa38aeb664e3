"""Devices and free memory of this machine."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Literal

import torch

from ssrnet.errors import ResourceError

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
CGROUP = Path("/sys/fs/cgroup")
"""Where Linux states the limits of a container."""


def resolve_device(name: DeviceName = "auto") -> torch.device:
    """The device to run on; ``auto`` takes a GPU where there is one. Raises :class:`ResourceError` for an absent device."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, there in available.items() if there)
    if not available[name]:
        raise ResourceError(f"no {name} device is available to this PyTorch; run with --device cpu.")
    return torch.device(name)


def available_memory(device: torch.device) -> int:
    """Bytes free on the device, or in main memory for the CPU."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:  # Linux: available without swapping, page cache included
        lines = Path("/proc/meminfo").read_text().splitlines()
        machine = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return min(machine, _container_memory())


def _container_memory() -> float:
    """Bytes that a container's limit (cgroup 2, then 1) leaves, including page cache that can be freed."""
    for limit, usage in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most, used = (int((CGROUP / name).read_text()) for name in (limit, usage))
            cached = re.search(
                r"^(?:total_)?inactive_file (\d+)", ((CGROUP / limit).parent / "memory.stat").read_text(), re.M
            )
        except (OSError, ValueError):  # absent, or without a limit: "max"
            continue
        return max(0, most - used + (int(cached[1]) if cached else 0))
    return math.inf

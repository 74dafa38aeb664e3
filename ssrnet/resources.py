"""What the machine offers: devices and free memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch

from ssrnet.errors import ResourceError

DeviceName = Literal["auto", "cpu", "cuda", "mps"]


def resolve_device(name: DeviceName = "auto") -> torch.device:
    """The device to run on; ``auto`` takes a GPU where there is one. Raises :class:`ResourceError` if it is absent."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, there in available.items() if there)
    if not available[name]:
        raise ResourceError(f"no {name} device is available to this PyTorch; run with --device cpu.")
    return torch.device(name)


def available_memory(device: torch.device) -> int:
    """Bytes free on the device, or in main memory for the CPU."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:  # Linux: what can be had without swapping, page cache included
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2

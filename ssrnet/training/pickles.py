"""PyTorch's own files, .pth and .pt, read without running anything in them."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor

from ssrnet.errors import CheckpointError
from ssrnet.files import open_regular

CODE = re.compile("GLOBAL|unsupported class|unrecognized function")
"""What PyTorch's weights-only loader says of a file that names a function or class; of garbage it says other things."""
MOST_PICKLE = 16 * 2**20
"""Bytes of a file's pickle, which names its tensors; their numbers lie beside it."""


def read_pickle(path: Path) -> object:
    """What a .pth/.pt file holds, where that is tensors and plain values alone; else raises :class:`CheckpointError`."""
    try:
        _check_unpacked(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on damaged files PyTorch raises anything from IndexError to struct.error
        if isinstance(error, pickle.UnpicklingError) and (CODE.search(str(error)) or _is_plain_pickle(path)):
            raise CheckpointError(
                f"{path} holds pickled code, which could do anything when loaded, so it was not; "
                "save its state_dict as .safetensors and give that."
            ) from error
        raise CheckpointError(
            f"{path} is no PyTorch file or damaged ({type(error).__name__}); give a .safetensors or .pth file."
        ) from error


def is_state(value: object) -> TypeGuard[dict[str, Tensor]]:
    """Whether this is a mapping of names to plain tensors, as a network's weights are."""
    return isinstance(value, dict) and all(isinstance(name, str) and _is_plain(own) for name, own in value.items())


def _is_plain(value: object) -> bool:
    """Whether this is a tensor whose numbers are all there: dense, on the CPU, none of them standing for many.

    A pickle of a few bytes may hold a sparse tensor, or one with a stride of 0, of more numbers than fit any memory.
    """
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


def _check_unpacked(path: Path) -> None:
    """PyTorch packs nothing, so that a file that unpacks to more than itself was made to fill the memory."""
    with open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            return
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                    raise ValueError(f"{member.filename} is packed")
                if member.filename.endswith("data.pkl") and member.file_size > MOST_PICKLE:
                    raise ValueError(f"its pickle has {member.file_size:,} bytes")


def _is_plain_pickle(path: Path) -> bool:
    """Whether the file starts as Python's own pickles do, which PyTorch's loader gives up on at once."""
    with open_regular(path) as file:
        head = file.read(2)
    return len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= pickle.HIGHEST_PROTOCOL

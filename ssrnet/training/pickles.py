"""PyTorch's .pth and .pt files, read without running any code in them."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor

from ssrnet.errors import CheckpointError
from ssrnet.files import open_regular

CODE = re.compile("GLOBAL|unsupported class|unrecognized function")
"""In PyTorch's message on a file that names a function or a class; its messages on damaged files are others."""


def read_pickle(path: Path) -> object:
    """The content of a .pth/.pt file of tensors and plain values.

    Raises :class:`CheckpointError` for a file that needs code to load, and for any other file.
    """
    try:
        with open_regular(path) as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # on damaged files PyTorch raises anything from IndexError to struct.error
        if isinstance(error, pickle.UnpicklingError) and (CODE.search(str(error)) or _is_plain_pickle(path)):
            raise CheckpointError(
                f"{path} holds pickled code, which could do anything when loaded, so it was not; "
                "save its state_dict as .safetensors and give that."
            ) from error
        raise CheckpointError(
            f"{path} is no PyTorch file or damaged ({type(error).__name__}); give a .safetensors or .pth file."
        ) from error


def is_state_dict(value: object) -> TypeGuard[dict[str, Tensor]]:
    """Whether this maps names to dense tensors, as a network's weights do."""
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) and tensor.layout == torch.strided
        for name, tensor in value.items()
    )


def _is_plain_pickle(path: Path) -> bool:
    """Whether the file starts as the pickles of Python's own module do, which PyTorch's loader rejects unread."""
    with open_regular(path) as file:
        head = file.read(2)
    return len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= pickle.HIGHEST_PROTOCOL

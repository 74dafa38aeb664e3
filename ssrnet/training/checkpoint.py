"""Weights on disk: safetensors with the settings, data-set hash and metrics inside, loaded strictly."""

from __future__ import annotations

import hashlib
import json
import os.path
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from ssrnet.data.training_sets import TrainingSet, unpack
from ssrnet.errors import CheckpointError, SettingsError
from ssrnet.files import parse_json
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.tensors import ChangedError, TensorFile, open_tensors, write_tensors
from ssrnet.training.old_settings import split_loss_name
from ssrnet.training.pickles import is_state, read_pickle

FORMAT = "ssrnet 1"
MOST_BYTES = 4 * 2**30
"""No checkpoint is larger, by far; a file that is was named by mistake, and would fill the memory."""

LARGEST = {"image_size": 4096, "num_classes": 10_000_000, "epoch": 2**40, "step": 2**40}
"""Of the numbers that a checkpoint says of itself; what is larger was not written by ssrnet."""


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself. ``metrics`` and ``training`` may be empty.

    ``dataset`` and ``dataset_hash`` are of all data that was trained on, joined; ``training_sets`` are its parts, with
    those of the checkpoint that it went on from. Files from before they were stored have none.
    """

    model: ModelSettings
    image_size: int
    num_classes: int | None
    dataset: str
    dataset_hash: str
    epoch: int
    step: int
    training: dict[str, object]
    metrics: dict[str, object]
    version: str
    training_sets: tuple[TrainingSet, ...] = ()


@dataclass(frozen=True)
class StoredCheckpoint:
    """What a checkpoint's file says, and its hash; enough wherever its features are there already."""

    info: CheckpointInfo
    path: Path
    hash: str

    @property
    def record(self) -> dict[str, object]:
        """The part of a protocol record that names the model."""
        return {"model": self.info.model.title, "checkpoint": self.path.name, "checkpoint_hash": self.hash}


@dataclass(frozen=True)
class Checkpoint(StoredCheckpoint):
    """The same with its network, in evaluation mode asking for no gradients, and what was dropped, in words."""

    model: SSRNet
    notes: tuple[str, ...] = ()


def save_checkpoint(path: Path, model: SSRNet, info: CheckpointInfo) -> None:
    """Writes ``path`` (.safetensors) atomically, weights as they are."""
    write_checkpoint(path, model.state_dict(), info)


def write_checkpoint(path: Path, tensors: dict[str, Tensor], info: CheckpointInfo) -> None:
    """Writes ``path`` (.safetensors) atomically from the tensors of a state dict, each in its own precision."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    values = asdict(replace(info, training_sets=())) | {"training_sets": [one.packed() for one in info.training_sets]}
    metadata = {"format": FORMAT, "info": json.dumps(values, default=str)}
    write_tensors(path, tensors, metadata)


def read_checkpoint(path: Path | str) -> StoredCheckpoint:
    """What ``path`` says of itself, without its weights.

    Raises :class:`CheckpointError` where the file is absent, damaged, or was not written by ssrnet.
    """
    path = Path(path)
    metadata, content = read_metadata(path)
    return StoredCheckpoint(_info(path, metadata), path, content)


def load_checkpoint(path: Path | str) -> Checkpoint:
    """The network that ``path`` describes, with its weights as float32, in evaluation mode on the CPU.

    Its kernels lie channels last, which takes a quarter off a forward pass on a CPU. The hash is that of the very bytes
    that the weights came from, whatever becomes of the file meanwhile.

    Raises :class:`CheckpointError` where the file is absent, damaged, holds pickled code, was not
    written by ssrnet, does not fit the network that it names, or holds weights that are no numbers.
    """
    path = Path(path)
    tensors, metadata, content = _read(path)
    info = _info(path, metadata)
    # Of the size that the file has: a number in its metadata alone may ask for more than all memory.
    has_classifiers = any(
        tensor.ndim == 2 and len(tensor) == info.num_classes
        for name, tensor in tensors.items()
        if name.startswith("classifiers.")
    )
    with _buildable(path):
        model = SSRNet(info.model, info.num_classes if has_classifiers else None)
    notes = load_weights(model, tensors, path)
    wrong = next((name for name, tensor in model.state_dict().items() if not torch.isfinite(tensor).all()), None)
    if wrong is not None:
        raise CheckpointError(f"{path} holds NaN or infinity in {wrong}; train anew, or give an earlier checkpoint.")
    model = model.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return Checkpoint(info, path, content, model, tuple(notes))


def load_weights(model: SSRNet, tensors: dict[str, Tensor], source: Path) -> list[str]:
    """Copies ``tensors`` into the model, strictly; returns what was dropped, in words.

    Classifiers are tied to a data set's identities: one of another size, or that the model lacks, is
    dropped and said. Everything else must match by name and shape, or :class:`CheckpointError` is raised.
    """
    own = model.state_dict()
    tensors = dict(tensors)
    dropped = [
        name
        for name, tensor in tensors.items()
        if name.startswith("classifiers.") and (name not in own or own[name].shape != tensor.shape)
    ]
    notes = []
    if dropped:
        classes = next(iter(tensors[dropped[0]].shape), 0)
        notes.append(
            f"{source.name}: dropped its classifiers over {classes:,} identities, which this model does not have"
        )
        for name in dropped:
            del tensors[name]
    missing = [name for name in own if name not in tensors and not name.startswith("classifiers.")]
    unknown = [name for name in tensors if name not in own]
    shapes = [name for name in tensors if name in own and own[name].shape != tensors[name].shape]
    title = model.settings.title
    if missing or unknown:
        problem = (
            f"lacks {len(missing)} tensors (first {missing[0]})"
            if missing
            else (f"has {len(unknown)} tensors that it does not know (first {unknown[0]})")
        )
        raise CheckpointError(
            f"{source} does not fit {title}, {model.settings.backbone}: it {problem}; "
            "give a checkpoint of this network, or the settings of that one."
        )
    if shapes:
        name = shapes[0]
        raise CheckpointError(
            f"{source} does not fit {title}, {model.settings.backbone}: {name} is {tuple(tensors[name].shape)} "
            f"where {tuple(own[name].shape)} was expected; give a checkpoint of this network."
        )
    model.load_state_dict(tensors, strict=False)
    return notes


def load_backbone(model: SSRNet, source: str) -> str:
    """Starts the backbone from ``source``: a file, ``imagenet`` or ``none``; returns one sentence on what it did.

    A file is .safetensors, or a .pth that loads without code; names are torchvision's, ``fc.*`` is
    left out. ``imagenet`` downloads torchvision's own weights (IMAGENET1K_V1, the paper's era).
    """
    settings = model.settings
    if source == "none":
        return "backbone: random weights"
    if source == "imagenet":
        if settings.stride_position != "conv2":
            raise SettingsError(
                "torchvision's ImageNet weights were trained with the stride on conv2; set stride_position to conv2."
            )
        from torchvision.models import get_model_weights  # here, since it takes seconds that reading a file need not

        weights = get_model_weights(settings.backbone)["IMAGENET1K_V1"]
        try:
            tensors = weights.get_state_dict(progress=False)
        except OSError as error:
            raise CheckpointError(
                f"cannot download torchvision's {settings.backbone} weights ({error}); "
                "give a file with --backbone-weights, or `none`."
            ) from error
        said, metadata = f"torchvision {weights}", {}
    else:
        tensors, metadata = read_tensors(Path(source))
        said = Path(source).name
    tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}
    own = model.backbone.state_dict()
    # Files from before PyTorch counted batches lack num_batches_tracked, which nothing here reads.
    needed = [n for n in own if n in tensors or not n.endswith("num_batches_tracked")]
    wrong = [n for n in needed if n not in tensors or tensors[n].shape != own[n].shape]
    unknown = [n for n in tensors if n not in own]
    if wrong or unknown:
        name = (wrong or unknown)[0]
        raise CheckpointError(
            f"{source} is no {settings.backbone} with torchvision's names: {name} is "
            f"{'absent or of another shape' if wrong else 'not part of it'}; "
            "give weights of this backbone or change --model.backbone."
        )
    model.backbone.load_state_dict(tensors, strict=False)
    note = f"backbone: {said}"
    if "layer2-4[0].conv1" in metadata.get("architecture", "") and settings.stride_position != "conv1":
        note += " (its file says that it was trained with the stride on conv1; this model has it on conv2)"
    return note


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a .safetensors file, or of a .pth/.pt that unpickles to nothing but tensors."""
    tensors, metadata, _ = _read(path)
    return tensors, metadata


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str], str]:
    """As :func:`read_tensors`, and the hash of what was read."""
    _check_is_there(path)
    if path.suffix == ".safetensors":
        with _opened(path) as file:
            return file.tensors(), file.metadata, file.hash()
    loaded = read_pickle(path)
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not is_state(loaded):
        raise CheckpointError(f"{path} holds no dictionary of tensors; save a state_dict and give that.")
    return loaded, {}, file_hash(path)


def read_metadata(path: Path) -> tuple[dict[str, str], str]:
    """What a .safetensors file says of itself, and its hash; raises as :func:`read_tensors`.

    Other files say nothing.
    """
    if path.suffix != ".safetensors":
        return _read(path)[1:]
    _check_is_there(path)
    with _opened(path) as file:
        return file.metadata, file.hash()


@contextmanager
def _opened(path: Path) -> Iterator[TensorFile]:
    """A .safetensors file; what is wrong with it is a :class:`CheckpointError`."""
    try:
        with open_tensors(path, MOST_BYTES, hashed=True) as file:
            yield file
    except ChangedError as error:
        raise CheckpointError(f"{path} was not loaded: {error}.") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged or no safetensors file ({error}); copy it again or train anew."
        ) from error


def _check_is_there(path: Path) -> None:
    if not os.path.isfile(path):  # unlike Path.is_file, no error for a name longer than any file's
        raise CheckpointError(f"there is no checkpoint at {path}; check the path, or make one with `ssrnet train`.")


def file_hash(path: Path) -> str:
    """First 16 hex digits of the file's SHA-256."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _info(path: Path, metadata: dict[str, str]) -> CheckpointInfo:
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} holds weights but not which network they are for (no ssrnet metadata); "
            "give a checkpoint that `ssrnet train` wrote."
        )
    with _buildable(path):
        return _parse_info(path, metadata.get("info", ""))


@contextmanager
def _buildable(path: Path) -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        raise CheckpointError(f"{path} describes a network that this ssrnet cannot build: {error}") from error


def _check_values(info: CheckpointInfo) -> None:
    """Raises ValueError where a value is of another kind, or beyond what can be."""
    for name, largest in LARGEST.items():
        value = getattr(info, name)
        if not (type(value) is int and 0 <= value <= largest) and not (name == "num_classes" and value is None):
            raise ValueError(f"{name} is {value!r}")
    for name, kind in {"dataset": str, "dataset_hash": str, "version": str, "training": dict, "metrics": dict}.items():
        if not isinstance(getattr(info, name), kind):
            raise ValueError(f"{name} is a {type(getattr(info, name)).__name__}")
    if info.image_size < 1:
        raise ValueError("image_size is 0")


def _parse_info(path: Path, text: str) -> CheckpointInfo:
    try:
        values = parse_json(text)
        model = values.pop("model")
        unknown = set(model) - {field.name for field in fields(ModelSettings)}
        if unknown:
            raise CheckpointError(
                f"{path} was written by a newer ssrnet (it sets {', '.join(sorted(unknown))}); update ssrnet."
            )
        training_sets = unpack(values.pop("training_sets", []))
        values["training"] = split_loss_name(values["training"])
        info = CheckpointInfo(model=ModelSettings(**model), training_sets=training_sets, **values)
        _check_values(info)
        return info
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} has damaged metadata ({error}); copy it again or train anew.") from error

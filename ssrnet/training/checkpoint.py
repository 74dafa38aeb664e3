"""Checkpoints: .safetensors files with the network's settings, data-set hash and metrics, loaded strictly."""

from __future__ import annotations

import hashlib
import json
import os.path
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ssrnet.data.training_sets import TrainingSet, unpack
from ssrnet.errors import CheckpointError, SettingsError
from ssrnet.files import parse_json
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.tensors import TensorFile, read_tensors, write_tensors
from ssrnet.training.old_settings import split_loss_name
from ssrnet.training.pickles import is_state_dict, read_pickle

FORMAT = "ssrnet 1"
DRAWS = {Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_}
"""What draws the random weights of torch's and torchvision's layers."""
CONTAINERS = ("state_dict", "model_state_dict", "model", "net")
"""Under what names frameworks put the weights into a .pth/.pt file with more in it."""
WRAPPERS = re.compile(r"(?:(?:module|_orig_mod|model|base|backbone)\.)*")
"""What frameworks put before the names of a backbone's weights: DataParallel, torch.compile, layumi's baseline,
reid-strong-baseline, fast-reid and this package."""


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint's metadata. ``metrics`` and ``training`` may be empty.

    ``dataset`` and ``dataset_hash`` describe all training data joined; ``training_sets`` lists its parts, and those of
    the checkpoint that training started from. Files of earlier versions have no ``training_sets``.
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
    """A checkpoint's metadata and file hash, without its weights; enough where its features are cached."""

    info: CheckpointInfo
    path: Path
    hash: str

    @property
    def record(self) -> dict[str, object]:
        """The entries of a protocol record that identify the model."""
        return {"model": self.info.model.title, "checkpoint": self.path.name, "checkpoint_hash": self.hash}


@dataclass(frozen=True)
class Checkpoint(StoredCheckpoint):
    """A checkpoint with its network, in evaluation mode and without gradients; ``notes`` name dropped tensors."""

    model: SSRNet
    notes: tuple[str, ...] = ()


def save_checkpoint(path: Path, model: SSRNet, info: CheckpointInfo) -> None:
    """Writes ``path`` (.safetensors) atomically, each weight in its own precision."""
    write_checkpoint(path, model.state_dict(), info)


def write_checkpoint(path: Path, tensors: dict[str, Tensor], info: CheckpointInfo) -> None:
    """As :func:`save_checkpoint`, from the tensors of a state dict."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    values = asdict(replace(info, training_sets=())) | {"training_sets": [one.packed() for one in info.training_sets]}
    metadata = {"format": FORMAT, "info": json.dumps(values, default=str)}
    write_tensors(path, tensors, metadata)


def read_checkpoint(path: Path | str) -> StoredCheckpoint:
    """The metadata and hash of the checkpoint in ``path``.

    Raises :class:`CheckpointError` where the file is absent, damaged, or was not written by ssrnet.
    """
    path = Path(path)
    file = read_weights(path)
    return StoredCheckpoint(_info(path, file.metadata), path, file.hash)


class Undrawn(TorchFunctionMode):
    """Builds networks with zeros in place of random weights, whose drawing takes longer than all else in loading."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in DRAWS:
            tensor = args[0] if args else kwargs["tensor"]
            return tensor.detach().zero_()
        return func(*args, **(kwargs or {}))


def load_checkpoint(path: Path | str) -> Checkpoint:
    """The network in ``path``, with its weights as float32, in evaluation mode on the CPU.

    Its kernels are channels last, which makes a forward pass on a CPU a quarter faster. The hash is that of the bytes
    that the weights were read from, even where the file is replaced meanwhile.

    Raises :class:`CheckpointError` where the file is absent, damaged, holds pickled code, was not written by ssrnet,
    does not fit the network that its metadata describes, or holds NaN or infinity.
    """
    path = Path(path)
    file = read_weights(path)
    info = _info(path, file.metadata)
    has_classifiers = any(
        tensor.ndim == 2 and len(tensor) == info.num_classes
        for name, tensor in file.tensors.items()
        if name.startswith("classifiers.")
    )
    with _buildable(path), Undrawn():
        model = SSRNet(info.model, info.num_classes if has_classifiers else None)
    notes = load_weights(model, file.tensors, path)
    model = model.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return Checkpoint(info, path, file.hash, model, tuple(notes))


def load_weights(model: SSRNet, tensors: dict[str, Tensor], source: Path) -> list[str]:
    """Copies ``tensors`` into the model, strictly; returns one sentence on what was dropped, if anything.

    Classifiers belong to a data set's identities: those of another size, or that the model lacks, are dropped.
    Everything else must match by name and shape, and be finite; else raises :class:`CheckpointError`.
    """
    expected = model.state_dict()
    dropped = [
        name
        for name, tensor in tensors.items()
        if name.startswith("classifiers.") and (name not in expected or expected[name].shape != tensor.shape)
    ]
    kept = {name: tensor for name, tensor in tensors.items() if name not in dropped}
    missing = [name for name in expected if name not in kept and not name.startswith("classifiers.")]
    unknown = [name for name in kept if name not in expected]
    misshapen = [name for name in kept if name in expected and expected[name].shape != kept[name].shape]
    network = f"{model.settings.title}, {model.settings.backbone}"
    if missing or unknown:
        problem = (
            f"lacks {len(missing)} tensors (first {missing[0]})"
            if missing
            else f"has {len(unknown)} tensors that it does not know (first {unknown[0]})"
        )
        raise CheckpointError(
            f"{source} does not fit {network}: it {problem}; "
            "give a checkpoint of this network, or the settings of that one."
        )
    if misshapen:
        name = misshapen[0]
        raise CheckpointError(
            f"{source} does not fit {network}: {name} is {tuple(kept[name].shape)} "
            f"where {tuple(expected[name].shape)} was expected; give a checkpoint of this network."
        )
    _check_finite(kept, source)
    model.load_state_dict(kept, strict=False)
    if not dropped:
        return []
    classes = next(iter(tensors[dropped[0]].shape), 0)
    return [f"{source.name}: dropped its classifiers over {classes:,} identities, which this model does not have"]


def load_backbone(model: SSRNet, source: str) -> str:
    """Starts the backbone from ``source``: a file, ``imagenet`` or ``none``; returns one sentence on what it did.

    A file is a .safetensors, or a .pth of tensors and plain values: of the backbone alone, or of a whole Re-ID network
    whose backbone's names begin with :data:`WRAPPERS`. ``imagenet`` downloads the backbone's published weights.
    Raises :class:`CheckpointError` for a file or download that fails, is of another backbone, or holds NaN or infinity,
    and :class:`SettingsError` where this backbone has no published weights, or none with these strides.
    """
    settings = model.settings
    if source == "none":
        return "backbone: random weights"
    if source == "imagenet":
        try:
            title, tensors = model.backbone.published_weights()
        except OSError as error:
            raise CheckpointError(
                f"cannot download the weights of {settings.backbone} ({error}); "
                "give a file with --backbone-weights, or `none`."
            ) from error
        metadata = {}
    else:
        tensors, metadata, _ = read_weights(Path(source))
        title = Path(source).name
    unwrapped, left_out = _unwrapped(tensors)
    tensors = model.backbone.backbone_tensors(unwrapped)
    expected = model.backbone.state_dict()
    # Files from before PyTorch counted batches lack num_batches_tracked, which nothing here reads.
    needed = [name for name in expected if name in tensors or not name.endswith("num_batches_tracked")]
    wrong = [name for name in needed if name not in tensors or tensors[name].shape != expected[name].shape]
    unknown = [name for name in tensors if name not in expected]
    if wrong or unknown:
        name = (wrong or unknown)[0]
        raise CheckpointError(
            f"{source} is no {settings.backbone}: {name} is "
            f"{'absent or of another shape' if wrong else 'not part of it'}; "
            "give weights of this backbone or change --model.backbone."
        )
    _check_finite(tensors, source)
    model.backbone.load_state_dict(tensors, strict=False)
    outside = f"{left_out:,} tensors of other parts are not used" if left_out else ""
    remarks = "; ".join(filter(None, (model.backbone.warning(metadata), outside)))
    return f"backbone: {title} ({remarks})" if remarks else f"backbone: {title}"


def _unwrapped(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """The tensors of the backbone without the wrappers before their names, and how many others there are.

    A whole network's classifiers and necks stand beside the backbone, under fewer or other wrappers: the backbone has
    the most tensors.
    """
    groups: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        wrappers = WRAPPERS.match(name)[0]
        groups[wrappers][name.removeprefix(wrappers)] = tensor
    largest = max(groups.values(), key=len, default={})
    return largest, len(tensors) - len(largest)


def _check_finite(tensors: dict[str, Tensor], source: Path | str) -> None:
    """Raises :class:`CheckpointError` for NaN or infinity, with which training would fail at its first step."""
    infinite = next((name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()), None)
    if infinite is not None:
        raise CheckpointError(
            f"{source} holds NaN or infinity in {infinite}; train anew, or give an earlier checkpoint."
        )


def read_weights(path: Path) -> TensorFile:
    """Tensors, metadata and hash of a .safetensors file, or of a .pth/.pt that unpickles to nothing but tensors.

    A .pth/.pt has no metadata. Raises :class:`CheckpointError` as :func:`load_checkpoint`.
    """
    if not os.path.isfile(path):  # unlike Path.is_file, no error for a name longer than any file's
        raise CheckpointError(f"there is no checkpoint at {path}; check the path, or make one with `ssrnet train`.")
    if path.suffix == ".safetensors":
        try:
            return read_tensors(path)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{path} is damaged or no safetensors file ({error}); copy it again or train anew."
            ) from error
    content = read_pickle(path)
    for _ in CONTAINERS:  # each inside another at most, since a pickle may hold itself
        if isinstance(content, dict):
            content = next((content[key] for key in CONTAINERS if isinstance(content.get(key), dict)), content)
    if not is_state_dict(content):
        raise CheckpointError(f"{path} holds no dictionary of tensors; save a state_dict and give that.")
    return TensorFile(content, {}, file_hash(path))


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
        _check_types(info)
        return info
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} has damaged metadata ({error}); copy it again or train anew.") from error


def _check_types(info: CheckpointInfo) -> None:
    """Raises ValueError for a value of another type, a negative count, or an image size of 0."""
    counts = {"image_size": info.image_size, "epoch": info.epoch, "step": info.step}
    if info.num_classes is not None:
        counts["num_classes"] = info.num_classes
    for name, value in counts.items():
        if type(value) is not int or value < (name == "image_size"):
            raise ValueError(f"{name} is {value!r}")
    for name, kind in {"dataset": str, "dataset_hash": str, "version": str, "training": dict, "metrics": dict}.items():
        if not isinstance(getattr(info, name), kind):
            raise ValueError(f"{name} is a {type(getattr(info, name)).__name__}")

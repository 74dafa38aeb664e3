"""``ssrnet publish``: a training run's checkpoint as a small file to hand on."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import Annotated

import torch
import tyro
from torch import Tensor

from ssrnet.errors import CheckpointError, SettingsError
from ssrnet.files import check_writable, write_atomically
from ssrnet.training.checkpoint import Checkpoint, load_checkpoint, write_checkpoint
from ssrnet.training.runs import LOG, SETTINGS
from ssrnet.training.trained_on import state_training_sets

COMPARED_IMAGES = 4


@dataclass(frozen=True)
class PublishSettings:
    """Write a checkpoint without its classifiers, in float16, and without the paths of the machine that trained it."""

    checkpoint: Path
    """Checkpoint that `ssrnet train` wrote."""
    out: Path
    """File to write, ending in .safetensors."""
    training_data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...")] = ()
    """For a checkpoint from before these were stored: the folders that it was trained on, --data and then --more-data
    in its order, so that the file says which vehicles and cameras it has seen."""

    def __post_init__(self) -> None:
        if self.out.suffix != ".safetensors":
            raise SettingsError(f"{self.out} does not end in .safetensors; name the published checkpoint so.")
        if self.out.resolve() == self.checkpoint.resolve():
            raise SettingsError(
                f"{self.out} is the checkpoint itself, whose classifiers would be lost; choose another --out."
            )


def publish_checkpoint(settings: PublishSettings) -> None:
    """Runs the command, and prints what the file is and by how much its embeddings differ.

    Matrices and convolution kernels become float16, which halves the file; batch-norm statistics, biases and
    all else of one dimension stay as they are. The classifiers are left out, their number of identities stays
    in the metadata. Of every path in the training settings only the last name is kept. The run's log and settings,
    where they lie beside the checkpoint, go along into a folder named as the file, so that its curves can be shown;
    those of the run that it went on from (`--start-from`) into one with "-start" after that name.

    The training sets go along as hashes, or are made anew from ``settings.training_data``.

    Raises :class:`CheckpointError` for a checkpoint that cannot be loaded or does not survive float16,
    :class:`SettingsError` where ``training_data`` is not what it was trained on, :class:`ResourceError` where the file
    cannot be written.
    """
    checkpoint = load_checkpoint(settings.checkpoint)
    info = checkpoint.info
    if settings.training_data:
        info = state_training_sets(info, settings.training_data, settings.checkpoint)
    tensors = {
        name: to_half(name, tensor, settings.checkpoint)
        for name, tensor in checkpoint.model.state_dict().items()
        if not name.startswith("classifiers.")
    }
    training = {name: without_folders(value) for name, value in checkpoint.info.training.items()}
    shortened = [name for name, value in training.items() if value != checkpoint.info.training[name]]
    check_writable(settings.out)
    write_checkpoint(settings.out, tensors, replace(info, training=training))
    folder = settings.out.with_suffix("")
    copied = [folder] if publish_log(settings.checkpoint.parent, folder) else []
    start, start_folder = checkpoint.info.training.get("start_from"), folder.with_name(f"{folder.name}-start")
    beside = (Path(start).parent, Path(start).with_suffix("")) if start else ()  # a run's, or a published one's
    if any(publish_log(run, start_folder) for run in beside):
        copied.append(start_folder)
    published = load_checkpoint(settings.out)
    difference, largest = compare(checkpoint, published)
    size = settings.out.stat().st_size / 1e6
    print(f"{settings.out}: {published.info.model.title}, {size:.1f} MB, {len(tensors)} tensors, hash {published.hash}")
    if checkpoint.model.classifiers:
        print(f"left out: classifiers over {checkpoint.info.num_classes:,} training identities")
    for one in info.training_sets:
        print(
            f"trained on: {one.name} ({one.content_hash}), {one.images:,} images of {len(one.vehicles):,} vehicles by "
            f"{len(one.cameras):,} cameras"
        )
    if copied:
        print(f"curves: {', '.join(map(str, copied))}")
    if shortened:
        print(f"shortened to the last name of their path: {', '.join(shortened)}")
    print(
        f"embeddings of {COMPARED_IMAGES} random images differ by at most {difference:.1e}, where the largest number "
        f"is {largest:.1f}"
    )


def publish_log(run: Path, folder: Path) -> bool:
    """Copies a training run's log, and its settings without folders, into ``folder``; False where there is none."""
    log, settings = run / LOG, run / SETTINGS
    if not (log.exists() and settings.exists()):
        return False
    shortened = without_folders(json.loads(settings.read_text(encoding="utf-8")))
    lines = log.read_bytes()
    write_atomically(folder / LOG, lambda temporary: temporary.write_bytes(lines))
    write_atomically(folder / SETTINGS, lambda temporary: temporary.write_text(json.dumps(shortened, indent=2) + "\n"))
    return True


def to_half(name: str, tensor: Tensor, source: Path) -> Tensor:
    """float16 where the tensor has two dimensions or more and is not of integers; else as it is.

    Raises :class:`CheckpointError` for NaN or infinity, or a number that is too large for float16.
    """
    half = tensor.half() if tensor.ndim >= 2 and tensor.is_floating_point() else tensor
    if not torch.isfinite(half).all():
        found = tensor.abs().max().item()  # NaN, if there is one
        raise CheckpointError(
            f"{source} cannot be published: {name} goes up to {found:.3g}, and float16 ends at 65,504; "
            "such a run has diverged, so take an earlier checkpoint or train with a lower learning rate."
        )
    return half


def without_folders(value: object) -> object:
    """``value`` with every path in it, also within lists and mappings, cut to its last name."""
    if isinstance(value, dict):
        return {name: without_folders(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(inner) for inner in value]
    if isinstance(value, str) and ("/" in value or "\\" in value):
        return PureWindowsPath(value).name  # which splits at both kinds of slash
    return value


def compare(before: Checkpoint, after: Checkpoint) -> tuple[float, float]:
    """Largest difference between two checkpoints' embeddings of the same random images, and the largest number."""
    size = before.info.image_size
    images = torch.randn(COMPARED_IMAGES, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, rounded = (checkpoint.model.trace(images).embedding() for checkpoint in (before, after))
    return (expected - rounded).abs().max().item(), expected.abs().max().item()

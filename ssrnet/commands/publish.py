"""``ssrnet publish``: write a training run's checkpoint as a small file to share."""

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
    """Write a checkpoint without classifiers and without the training machine's paths, in float16."""

    checkpoint: Path
    """Checkpoint that `ssrnet train` wrote."""
    out: Path
    """File to write, ending in .safetensors."""
    training_data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...")] = ()
    """For an older checkpoint that does not name its training data: the folders it was trained on, --data and then
    --more-data in the run's order, so that the file names the vehicles and cameras seen in training."""

    def __post_init__(self) -> None:
        if self.out.suffix != ".safetensors":
            raise SettingsError(f"{self.out} does not end in .safetensors; give --out such a name.")
        if self.out.resolve() == self.checkpoint.resolve():
            raise SettingsError(
                f"{self.out} is the checkpoint itself, whose classifiers would be lost; choose another --out."
            )


def publish_checkpoint(settings: PublishSettings) -> None:
    """Runs the command, and prints the file's contents and by how much its embeddings differ.

    Matrices and convolution kernels become float16, which halves the file; batch-norm statistics, biases and
    other tensors of one dimension stay as they are. The classifiers are removed; their number of identities stays
    in the metadata. Directories are stripped from paths in the training settings. The run's log and settings, where
    they are beside the checkpoint, are copied to a folder named like the file, so that the app can show its curves;
    those of the run that it started from (`--start-from`) to one with "-start" after that name.

    The training sets are written as hashes, or computed from ``settings.training_data``.

    Raises :class:`CheckpointError` for a checkpoint that cannot be loaded or does not fit float16,
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
    difference, largest = embedding_difference(checkpoint, published)
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
        print(f"directories stripped from: {', '.join(shortened)}")
    print(
        f"embeddings of {COMPARED_IMAGES} random images differ by at most {difference:.1e}, where the largest value "
        f"is {largest:.1f}"
    )


def publish_log(run: Path, folder: Path) -> bool:
    """Copies a training run's log, and its settings without directories, to ``folder``; False without a log."""
    log, settings = run / LOG, run / SETTINGS
    if not (log.exists() and settings.exists()):
        return False
    shortened = without_folders(json.loads(settings.read_text(encoding="utf-8")))
    lines = log.read_bytes()
    write_atomically(folder / LOG, lambda temporary: temporary.write_bytes(lines))
    write_atomically(folder / SETTINGS, lambda temporary: temporary.write_text(json.dumps(shortened, indent=2) + "\n"))
    return True


def to_half(name: str, tensor: Tensor, source: Path) -> Tensor:
    """float16 for floating-point tensors of two dimensions or more; others unchanged.

    Raises :class:`CheckpointError` for NaN, infinity, or a value too large for float16.
    """
    half = tensor.half() if tensor.ndim >= 2 and tensor.is_floating_point() else tensor
    if not torch.isfinite(half).all():
        largest = tensor.abs().max().item()  # NaN, if there is one
        raise CheckpointError(
            f"{source} cannot be published: {name} has values up to {largest:.3g}, and float16 ends at 65,504; "
            "such a run has diverged, so take an earlier checkpoint or train with a lower learning rate."
        )
    return half


def without_folders(value: object) -> object:
    """Strips directories from all paths in ``value``, also within lists and mappings."""
    if isinstance(value, dict):
        return {name: without_folders(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(inner) for inner in value]
    if isinstance(value, str) and ("/" in value or "\\" in value):
        return PureWindowsPath(value).name  # splits at both kinds of slash
    return value


def embedding_difference(before: Checkpoint, after: Checkpoint) -> tuple[float, float]:
    """Largest difference between two checkpoints' embeddings of the same random images, and the largest value."""
    size = before.info.image_size
    images = torch.randn(COMPARED_IMAGES, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, rounded = (checkpoint.model.trace(images).embedding() for checkpoint in (before, after))
    return (expected - rounded).abs().max().item(), expected.abs().max().item()

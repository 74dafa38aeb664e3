"""The network that a run trains: starting weights, device, frozen parts, precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ssrnet.errors import SettingsError
from ssrnet.model import SSRNet
from ssrnet.training.checkpoint import load_backbone, load_weights, read_weights
from ssrnet.training.distributed import Processes
from ssrnet.training.settings import TrainSettings


def load_start(model: SSRNet, settings: TrainSettings) -> tuple[str, bool]:
    """Gives the model its starting weights; returns a sentence on them, and whether classifiers lack theirs.

    Raises :class:`CheckpointError` for weights that do not fit, :class:`SettingsError` for a part to start anew that
    the model does not have.
    """
    if settings.start_from is None:
        return load_backbone(model, settings.backbone_weights), False
    tensors = read_weights(settings.start_from).tensors
    parts = {name for name, _ in model.named_children()}  # a baseline's attention has no weights, and is a part
    for part in settings.start_anew:
        if part not in parts:
            raise SettingsError(f"start_anew names {part}; the parts of this model are {', '.join(sorted(parts))}.")
    random = {name: t for name, t in model.state_dict().items() if name.split(".")[0] in settings.start_anew}
    notes = load_weights(model, tensors | random, settings.start_from)
    shapes = {name: tensor.shape for name, tensor in model.classifiers.state_dict(prefix="classifiers.").items()}
    untrained = any(name not in tensors or tensors[name].shape != shape for name, shape in shapes.items())
    imprint = settings.loss.trains_classifiers and untrained
    return "; ".join(
        [
            f"all weights: {settings.start_from.name}",
            *([f"at random: {', '.join(settings.start_anew)}"] if settings.start_anew else []),
            *(["classifiers: each vehicle's mean feature"] if imprint else []),
            *notes,
        ]
    ), imprint


def place(model: SSRNet, settings: TrainSettings, group: Processes) -> None:
    """Puts the model on its device, in place; frozen, synchronised and compiled as the settings say.

    Raises :class:`SettingsError` for synchronised batch norms anywhere but on CUDA.
    """
    if settings.sync_batch_norm:
        if group.device.type != "cuda":
            raise SettingsError(
                f"synchronised batch-norm runs on CUDA alone and the device is {group.device.type}; "
                "leave out --sync-batch-norm."
            )
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model.backbone.freeze(settings.frozen_stages)
    if not settings.loss.trains_classifiers:  # several processes would wait for their gradients
        model.classifiers.requires_grad_(False)
        model.necks.requires_grad_(False)
    model.to(group.device, memory_format=torch.channels_last)
    if group.device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # every batch has the same shape
    if settings.compile:
        model.compile()


def set_training_mode(model: SSRNet, settings: TrainSettings) -> None:
    """``model.train()``, except for what stays frozen."""
    model.train()
    if settings.freeze_batch_norm:
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def autocast(settings: TrainSettings, device: torch.device) -> torch.autocast:
    """bfloat16 where the settings say so, by default on CUDA alone."""
    enabled = settings.mixed_precision if device.type == "cuda" else settings.cpu_bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def accuracy(logits: dict[str, Tensor], labels: Tensor) -> Tensor:
    """Share of images that the branches' classifiers name correctly, in [0, 1], averaged over branches."""
    return torch.stack([(branch.argmax(1) == labels).float().mean() for branch in logits.values()]).mean()

"""One training step: forward, loss over the whole batch, backward, update; on one device or several."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ssrnet.errors import SettingsError
from ssrnet.losses import ReIDLoss
from ssrnet.model import SSRNet
from ssrnet.training.distributed import Processes
from ssrnet.training.settings import TrainSettings


def place(model: SSRNet, settings: TrainSettings, group: Processes) -> None:
    """Puts the model on its device, in place, frozen, synchronised and compiled as the settings say.

    Raises :class:`SettingsError` for synchronised batch-norm anywhere but on CUDA.
    """
    if settings.sync_batch_norm:
        if group.device.type != "cuda":
            raise SettingsError(
                f"synchronised batch-norm runs on CUDA alone and the device is {group.device.type}; "
                "leave out --sync-batch-norm."
            )
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model.backbone.freeze(settings.frozen_stages)
    if not settings.loss.trains_classifiers:  # nothing would reach these, and several processes would wait for it
        model.classifiers.requires_grad_(False)
        model.necks.requires_grad_(False)
    model.to(group.device, memory_format=torch.channels_last)
    if group.device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # every batch has the same shape
    if settings.compile:
        model.compile()


def set_training_mode(model: SSRNet, settings: TrainSettings) -> None:
    """``model.train()``, but for what is to stay frozen."""
    model.train()
    if settings.freeze_batch_norm:
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def autocast(settings: TrainSettings, device: torch.device) -> torch.autocast:
    """bfloat16 where the settings say so, by default on CUDA alone."""
    enabled = settings.mixed_precision if device.type == "cuda" else settings.cpu_bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


class TrainingStep:
    """Call it with this process's images and the whole batch's labels."""

    def __init__(
        self, model: SSRNet, loss: ReIDLoss, optimiser: torch.optim.Optimizer, settings: TrainSettings, group: Processes
    ) -> None:
        self.model, self.loss, self.optimiser, self.settings, self.group = model, loss, optimiser, settings, group
        self.replica = group.replicate(model)

    def __call__(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """images (B / world, 3, S, S), labels (B,) -> "loss", "accuracy" and the terms, as scalars on the device.

        Every process mines and computes the same loss of the gathered batch; see :meth:`Processes.gather`
        for why it is multiplied by their number.
        """
        with autocast(self.settings, images.device):
            features, logits = self.replica(images)
        features, logits = (
            {branch: self.group.gather(rows.float()) for branch, rows in outputs.items()}
            for outputs in (features, logits)
        )
        objective = self.loss(features, logits, labels, self.model.branch_weights)
        self.optimiser.zero_grad(set_to_none=True)
        (objective.total * self.group.world).backward()
        self.optimiser.step()
        return {"loss": objective.total.detach(), "accuracy": accuracy(logits, labels), **objective.terms}


def accuracy(logits: dict[str, Tensor], labels: Tensor) -> Tensor:
    """Share of images that the branches' classifiers name rightly, in [0, 1], averaged over branches."""
    return torch.stack([(branch.argmax(1) == labels).float().mean() for branch in logits.values()]).mean()

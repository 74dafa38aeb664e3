"""The training script: one loop, read from top to bottom.

Usage::

    ssrnet train --data DIR --out runs/ssrnet                        # recipe `paper` on a GPU, `quick` on a CPU
    ssrnet train --data DIR --out runs/baseline --network baseline   # the same for the paper's baseline
    ssrnet train --data DIR --out runs/ssrnet --resume               # go on after an interruption
    torchrun --nproc-per-node=4 -m ssrnet train --data DIR --out runs/ssrnet   # four GPUs share each batch
"""

from __future__ import annotations

import shutil
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ssrnet.errors import TrainingError
from ssrnet.losses import ReIDLoss
from ssrnet.model import SSRNet
from ssrnet.training.batches import augmented, cache_folder
from ssrnet.training.distributed import Processes, processes
from ssrnet.training.interrupt import StopRequest
from ssrnet.training.log import EpochSums, RunLog
from ssrnet.training.network import accuracy, autocast, set_training_mode
from ssrnet.training.schedule import learning_rate_factor, set_learning_rate
from ssrnet.training.settings import TrainSettings
from ssrnet.training.state import RunState, user_facing_errors

STEPS_AHEAD = 10
"""Steps that a GPU may compute before Python looks at its losses and at Ctrl-C."""


def train(settings: TrainSettings) -> Path:
    """Runs ``settings`` to its last epoch and returns the path of the last checkpoint.

    Writes into ``settings.out`` alone: ``settings.json``, ``log.jsonl`` (one line an epoch) and
    ``tensorboard``, ``last.safetensors`` and ``best.safetensors`` (by mAP on the held-back identities,
    so only with ``holdout``), ``resume.pt``; and ``cache`` until the last epoch, unless ``settings.cache``
    names another folder.

    Raises :class:`TrainingError` where the loss is NaN or infinite and where the user stops the run,
    :class:`ResourceError` where disk or memory is full; neither touches what was saved last.
    """
    group = processes(settings.device)
    run = RunState(settings, group)
    step = TrainingStep(run.model, ReIDLoss(settings.loss), run.optimiser, settings, group)
    writer = RunLog(settings.out, run.progress.epoch, run.progress.step) if group.first else nullcontext()
    disabled = {} if group.first else {"disable": True}  # for the first process TQDM_DISABLE decides
    bars = tqdm(total=run.total_steps, initial=run.progress.step, unit="step", smoothing=0.05, **disabled)
    with user_facing_errors(run), StopRequest() as stop, writer as log, bars as bar:
        while run.progress.step < run.total_steps:
            epoch, first, length, stopping = run.progress.epoch, run.progress.batch, len(run.sampler), False
            size = settings.image_size(epoch)
            pixels = run.data.pixels(size)
            run.sampler.set_epoch(epoch)
            batches = list(run.sampler)[: run.total_steps - epoch * length]  # each P*K positions in pixels
            sums = EpochSums(run.progress.sums, first)
            began = time.monotonic() - run.progress.seconds
            set_training_mode(run.model, settings)
            for done, images in enumerate(augmented(pixels, batches, first, epoch, settings, group), first + 1):
                labels = run.data.labels[batches[done - 1]]  # (P*K,), while images are this process's part of them
                factor = learning_rate_factor(epoch + (done - 1) / length, settings.epochs, settings.optimiser)
                set_learning_rate(run.optimiser, factor)
                sums.add(step(images, labels))
                bar.update()
                # A GPU computes ahead of Python until Python needs a number; a CPU does not.
                if group.device.type == "cpu" or done % STEPS_AHEAD == 0 or done == len(batches):
                    sums.flush(epoch * length + done - 1)
                    rate = done * len(labels) / (time.monotonic() - began)
                    bar.set_postfix_str(f"epoch {epoch + 1}/{settings.epochs} {size}px {sums} {rate:.0f} images/s")
                    stopping = group.any(stop.requested)
                    if stopping:
                        break
            run.advance(done, sums, time.monotonic() - began)
            scored = run.score_if_due()
            if group.first:
                if scored is not None:
                    bar.write(f"epoch {run.progress.epoch}: held-back identities {scored}")
                run.save(sums, scored, log)
            run.saved = run.progress
            if stopping and run.progress.step < run.total_steps:
                raise TrainingError(f"stopped after step {run.progress.step}; {run.how_to_go_on()}.")
    group.wait()
    if group.first and settings.cache is None and run.progress.epoch == settings.epochs:
        shutil.rmtree(cache_folder(settings), ignore_errors=True)
    return settings.out / "last.safetensors"


class TrainingStep:
    """Forward, loss over the whole batch, backward, update; on one device or several."""

    def __init__(
        self, model: SSRNet, loss: ReIDLoss, optimiser: torch.optim.Optimizer, settings: TrainSettings, group: Processes
    ) -> None:
        self.model, self.loss, self.optimiser, self.settings, self.group = model, loss, optimiser, settings, group
        self.replica = group.replicate(model)

    def __call__(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """One step on ``images`` (P*K / world, 3, S, S), this process's part of the batch with ``labels`` (P*K,).

        Returns "loss", "accuracy" and the loss's terms as scalars on the device. Every process mines and computes the
        same loss of the gathered batch; see :meth:`Processes.gather` for why it is multiplied by their number.
        """
        with autocast(self.settings, images.device):
            features, logits = self.replica(images)  # by branch: (P*K / world, dim), (P*K / world, vehicles)
        features = {branch: self.group.gather(rows.float()) for branch, rows in features.items()}  # (P*K, dim)
        logits = {branch: self.group.gather(rows.float()) for branch, rows in logits.items()}  # (P*K, vehicles)
        loss, terms = self.loss(features, logits, labels, self.model.branch_weights)
        self.optimiser.zero_grad(set_to_none=True)
        (loss * self.group.world).backward()
        self.optimiser.step()
        return {"loss": loss.detach(), "accuracy": accuracy(logits, labels), **terms}

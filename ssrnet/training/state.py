"""A run between two steps: its data, network and optimiser, how far it has come, and what it saves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
import torch

import ssrnet
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import ReIDDataset
from ssrnet.data.transforms import to_input
from ssrnet.errors import ResourceError, SettingsError, TrainingError
from ssrnet.files import remove_leftovers, write_atomically
from ssrnet.metrics import Metrics
from ssrnet.model import SSRNet
from ssrnet.model.health import AttentionHealth, attention_health
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.extraction import ExtractSettings, extract
from ssrnet.training.batches import TrainingData, build_sampler
from ssrnet.training.checkpoint import CheckpointInfo, save_checkpoint
from ssrnet.training.distributed import Processes
from ssrnet.training.imprint import imprint_classifiers
from ssrnet.training.log import EpochSums, RunLog
from ssrnet.training.network import load_start, place
from ssrnet.training.resume import Progress, as_json, load_progress, save_progress
from ssrnet.training.schedule import build_optimiser
from ssrnet.training.settings import TrainSettings

HEALTH_IMAGES = 32
"""Training images, evenly spaced and not augmented, on which the attention's health is measured each epoch."""


class RunState:
    """A run's parts; ``progress`` is how far it has come in memory, ``saved`` on the disk."""

    def __init__(self, settings: TrainSettings, group: Processes) -> None:
        self.settings, self.group = settings, group
        group.share(settings.identities_per_batch, settings.images_per_identity)  # an uneven share raises before work
        torch.manual_seed(settings.seed)
        self.data = TrainingData(settings, group)
        self.model = SSRNet(settings.model, num_classes=self.data.vehicles)
        self.model.cosine_logits = settings.loss.compares_classes
        note, imprint = load_start(self.model, settings)
        group.say(note)
        place(self.model, settings, group)
        self.optimiser = build_optimiser(self.model, settings)
        self.sampler = build_sampler(self.data.images, settings)
        self.total_steps = settings.epochs * len(self.sampler)
        if settings.max_steps:
            self.total_steps = min(self.total_steps, settings.max_steps)

        make_folder(settings, group)
        self.progress = Progress()
        if settings.resume:
            self.progress = load_progress(settings, self.model, self.optimiser, self.data.content_hash)
            group.say(f"going on after epoch {self.progress.epoch}, step {self.progress.step}")
        else:
            if group.first:
                text = as_json(asdict(settings), indent=2)
                write_atomically(settings.out / "settings.json", lambda path: path.write_text(text))
            if imprint:
                pixels = self.data.pixels(self.image_size)
                imprint_classifiers(self.model, pixels, self.data.labels.tolist(), settings, group)
        self.saved = self.progress

    @property
    def image_size(self) -> int:
        """Side in pixels of the last step's images; before the first step, of its images."""
        return self.settings.image_size(max(0, self.progress.epoch - (self.progress.batch == 0)))

    def advance(self, batch: int, sums: EpochSums, seconds: float) -> None:
        """Moves ``progress`` to ``batch`` batches of its epoch, ``seconds`` after the epoch began."""
        sums.seconds = seconds
        epoch, length = self.progress.epoch, len(self.sampler)
        self.progress = self.progress._replace(
            step=epoch * length + batch, batch=batch, sums=sums.sums, seconds=seconds
        )
        if batch == length:
            self.progress = self.progress._replace(epoch=epoch + 1, batch=0, sums={}, seconds=0.0)

    def score_if_due(self) -> Metrics | None:
        """Metrics on the held-back identities after every few epochs and the last; None otherwise."""
        due = self.progress.step == self.total_steps or self.progress.epoch % self.settings.evaluate_every == 0
        if self.data.held_back is None or self.progress.batch or not due:
            return None
        return score(self.model, self.data.held_back, self.image_size, self.group, self.settings.workers)

    def save(self, sums: EpochSums, scored: Metrics | None, log: RunLog) -> None:
        """Checkpoints, then the log, then resume.pt: killed in between, a resumed run makes the others anew."""
        out = self.settings.out
        save_checkpoint(out / "last.safetensors", self.model, self._info(scored))
        if scored is not None and scored.mAP > self.progress.best_mAP:
            self.progress = self.progress._replace(best_mAP=scored.mAP)
            save_checkpoint(out / "best.safetensors", self.model, self._info(scored))
        if not self.progress.batch:
            images = sums.steps * self.settings.identities_per_batch * self.settings.images_per_identity
            line = {
                "epoch": self.progress.epoch,
                "step": self.progress.step,
                "image_size": self.image_size,
                "seconds": round(sums.seconds, 2),
                "learning_rate": self.optimiser.param_groups[0]["lr"],
                "images_per_second": images / sums.seconds,
                **sums.means,
                "attention_health": asdict(self._health()),
            }
            log.write(line if scored is None else line | {"held_back": asdict(scored)})
        save_progress(self.settings, self.model, self.optimiser, self.progress, self.data.content_hash)

    def how_to_go_on(self) -> str:
        """What the run's folder holds and which command continues it, as the second half of a sentence."""
        if not self.saved.step:
            return "nothing had been saved yet, so start again with the same command"
        batches = f" and {self.saved.batch} batches of the next" if self.saved.batch else ""
        return f"{self.settings.out} holds epoch {self.saved.epoch}{batches}: go on with the same command and --resume"

    def _health(self) -> AttentionHealth:
        """Of the network as it is now, on a few training images that are the same each epoch."""
        pixels = self.data.pixels(self.image_size)
        count = len(self.data.images)
        chosen = np.linspace(0, count - 1, min(HEALTH_IMAGES, count), dtype=int)
        self.model.eval()
        with torch.inference_mode():
            return attention_health(
                self.model.trace(to_input(images.to(self.group.device)))
                for images in pixels.batches(chosen.reshape(-1, 1).tolist())
            )

    def _info(self, scored: Metrics | None) -> CheckpointInfo:
        return CheckpointInfo(
            self.settings.model,
            self.image_size,
            self.model.num_classes,
            self.data.dataset.name,
            self.data.content_hash,
            self.progress.epoch,
            self.progress.step,
            json.loads(as_json(asdict(self.settings))),
            {} if scored is None else {"held_back": asdict(scored)},
            ssrnet.__version__,
            self.data.training_sets,
        )


def make_folder(settings: TrainSettings, group: Processes) -> None:
    """Makes --out and clears it of half-written files.

    Raises :class:`ResourceError` where it cannot be made, :class:`SettingsError` where it holds a run and --resume is
    not given.
    """
    try:
        settings.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(
            f"{settings.out} cannot be made a folder ({error.strerror}); choose another --out."
        ) from error
    if not settings.resume and (settings.out / "resume.pt").exists():
        raise SettingsError(f"{settings.out} holds a run already; go on with --resume or choose another --out.")
    if group.first:
        remove_leftovers(settings.out)


def score(model: SSRNet, dataset: ReIDDataset, size: int, group: Processes, workers: int = 0) -> Metrics:
    """Metrics on a data set's test images: cross-camera where it names cameras, else single-shot."""
    features = extract(model, dataset.test, ExtractSettings(), size, group.device, workers, group=group)
    protocol = Protocol("cross_camera")
    if protocol.unavailable(dataset):
        protocol = Protocol("single_gallery_shot")
    return evaluate(features, dataset, protocol, made_by={}, top_k=1).metrics


@contextmanager
def user_facing_errors(run: RunState) -> Iterator[None]:
    """Turns a second Ctrl-C and a full memory into errors that say how to continue ``run``."""
    try:
        yield
    except KeyboardInterrupt:
        raise TrainingError(f"stopped by the keyboard; {run.how_to_go_on()}.") from None
    except (RuntimeError, MemoryError) as error:
        # torch.OutOfMemoryError is a RuntimeError; the CPU's allocator raises a plain one.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "allocate memory" not in str(error):
            raise
        P, K = run.settings.identities_per_batch, run.settings.images_per_identity
        raise ResourceError(
            f"{run.group.device} ran out of memory with {P} x {K} images of {run.image_size} pixels a batch; "
            f"{run.how_to_go_on()}, or start anew in another --out with a smaller --identities-per-batch."
        ) from error

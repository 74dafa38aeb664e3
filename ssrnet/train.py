"""The bundled training script: one loop, read from top to bottom::

ssrnet train --data DIR --out runs/ssrnet                        # recipe `paper` on a GPU, `quick` on a CPU
ssrnet train --data DIR --out runs/baseline --network baseline   # the same for the paper's baseline
ssrnet train --data DIR --out runs/ssrnet --resume               # go on after an interruption
torchrun --nproc-per-node=4 -m ssrnet train --data DIR --out runs/ssrnet   # four GPUs share each batch
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

import ssrnet
from ssrnet.data.datasets import join_training_data, open_training_parts
from ssrnet.data.holdout import hold_back
from ssrnet.data.pixels import Pixels
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.data.sampler import PKSampler
from ssrnet.data.training_sets import describe_training, union
from ssrnet.data.transforms import to_input
from ssrnet.errors import ResourceError, SettingsError, TrainingError
from ssrnet.files import remove_leftovers, write_atomically
from ssrnet.losses import ReIDLoss
from ssrnet.metrics import Metrics
from ssrnet.model import SSRNet
from ssrnet.model.health import AttentionHealth, attention_health
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.extraction import ExtractSettings, extract
from ssrnet.training.batches import augmented, cache_folder, open_pixels
from ssrnet.training.checkpoint import CheckpointInfo, load_backbone, load_weights, read_weights, save_checkpoint
from ssrnet.training.distributed import Processes, processes
from ssrnet.training.imprint import imprint_classifiers
from ssrnet.training.interrupt import StopRequest
from ssrnet.training.log import EpochSums, RunLog
from ssrnet.training.resume import Progress, as_json, load_progress, save_progress
from ssrnet.training.schedule import build_optimiser, learning_rate_factor, set_learning_rate
from ssrnet.training.settings import TrainSettings
from ssrnet.training.step import TrainingStep, place, set_training_mode
from ssrnet.training.trained_on import sets_of_start

HEALTH_IMAGES = 32
"""Training images, evenly spaced and as they are, on which the attention's health is measured each epoch."""
STEPS_AHEAD = 10
"""Steps that a GPU may compute before Python looks at its losses and at Ctrl-C."""


def train(settings: TrainSettings) -> Path:
    """Runs ``settings`` to its last epoch and returns the path of the last checkpoint.

    Writes into ``settings.out`` alone: ``settings.json``, ``log.jsonl`` (one line an epoch) and
    ``tensorboard``, ``last.safetensors`` and ``best.safetensors`` (by mAP on the held-back identities,
    so only with ``holdout``), ``resume.pt``; and ``cache`` until the last epoch, unless ``settings.cache``
    names another folder.

    Raises :class:`TrainingError` for a loss that is no number and where it is stopped,
    :class:`ResourceError` for a full disk or memory; what was saved last is untouched by either.
    """
    group = processes(settings.device)
    run = Run(settings, group)
    writer = RunLog(settings.out, run.progress.epoch, run.progress.step) if group.first else nullcontext()
    bars = progress_bar(run.total_steps, run.progress.step, group)
    with failures_as_sentences(run), StopRequest() as stop, writer as log, bars as bar:
        while run.progress.step < run.total_steps:
            sums = run.train_epoch(stop, bar)
            scored = run.score_if_due()
            if scored is not None and group.first:
                bar.write(f"epoch {run.progress.epoch}: held-back identities {scored}")
            if group.first:
                run.save(sums, scored, log)
            run.saved = run.progress
            if run.stopping and run.progress.step < run.total_steps:
                raise TrainingError(f"stopped after step {run.progress.step}; {_how_to_go_on(run)}.")
    group.wait()
    if group.first and settings.cache is None and run.progress.epoch == settings.epochs:
        shutil.rmtree(cache_folder(settings), ignore_errors=True)
    return settings.out / "last.safetensors"


class Run:
    """A run's parts and how far it has come: ``progress`` in memory, ``saved`` on the disk."""

    def __init__(self, settings: TrainSettings, group: Processes) -> None:
        self.settings, self.group = settings, group
        self._pixels: tuple[int, Pixels] | None = None
        group.share(settings.identities_per_batch, settings.images_per_identity)  # tells at once where it cannot
        torch.manual_seed(settings.seed)
        parts = open_training_parts(settings.data, settings.subset, settings.more_data)
        self.dataset = join_training_data(parts)
        self.dataset_hash = self.dataset.content_hash()
        fit, self.held_back = hold_back(self.dataset, settings.holdout, settings.seed)
        self.training_sets = union(describe_training(parts, fit), sets_of_start(settings.start_from))
        row_of = {image.name: row for row, image in enumerate(self.dataset.train)}
        self.rows = [row_of[image.name] for image in fit]
        identities = sorted({image.vehicle_id for image in fit})
        label_of = {vehicle_id: label for label, vehicle_id in enumerate(identities)}
        self.labels = torch.tensor([label_of[image.vehicle_id] for image in fit], device=group.device)
        group.say(self.dataset.summary())
        group.say(f"training on {len(fit):,} images of {len(identities):,} vehicles; {settings.holdout} held back")

        self.model = SSRNet(settings.model, num_classes=len(identities))
        note, imprints = start(self.model, settings)
        group.say(note)
        place(self.model, settings, group)
        optimiser = build_optimiser(self.model, settings)
        self.sampler = build_sampler(fit, settings)
        self.total_steps = settings.epochs * len(self.sampler)
        if settings.max_steps:
            self.total_steps = min(self.total_steps, settings.max_steps)

        make_folder(settings, group)
        self.progress = Progress()
        if settings.resume:
            self.progress = load_progress(settings, self.model, optimiser, self.dataset_hash)
            group.say(f"going on after epoch {self.progress.epoch}, step {self.progress.step}")
        else:
            if group.first:
                text = as_json(asdict(settings), indent=2)
                write_atomically(settings.out / "settings.json", lambda path: path.write_text(text))
            if imprints:
                imprint_classifiers(self.model, self.pixels(self.size), self.labels.tolist(), settings, group)
        self.saved, self.stopping = self.progress, False
        self.step = TrainingStep(self.model, ReIDLoss(settings.loss), optimiser, settings, group)

    @property
    def size(self) -> int:
        """Side in pixels of the images of the last step, or of the first before it."""
        return self.settings.image_size(max(0, self.progress.epoch - (self.progress.batch == 0)))

    def pixels(self, size: int) -> Pixels:
        """The images that are trained on, opened once for each size that comes."""
        if self._pixels is None or self._pixels[0] != size:
            self._pixels = None  # a device's memory is free before the next images come
            self._pixels = (size, open_pixels(self.settings, self.dataset.train, self.rows, size, self.group))
        return self._pixels[1]

    def train_epoch(self, stop: StopRequest, bar: tqdm) -> EpochSums:
        """Trains to the end of the epoch, of the run's steps, or to a stop; moves ``progress`` there."""
        settings, group, epoch, first = self.settings, self.group, self.progress.epoch, self.progress.batch
        size, length = settings.image_size(epoch), len(self.sampler)
        pixels = self.pixels(size)
        self.sampler.set_epoch(epoch)
        batches = list(self.sampler)[: self.total_steps - epoch * length]
        sums = EpochSums(self.progress.sums, first)
        set_training_mode(self.model, settings)
        began = time.monotonic() - self.progress.seconds
        number = first
        for images in augmented(pixels, batches, first, epoch, settings, group):
            labels = self.labels[batches[number]]  # (P*K,): the whole batch's, of which this process has a part
            factor = learning_rate_factor(epoch + number / length, settings.epochs, settings.optimiser)
            set_learning_rate(self.step.optimiser, factor)
            sums.add(self.step(images, labels))
            number += 1
            bar.update()
            # A GPU computes ahead of Python until it is asked for a number; a CPU does not.
            if group.device.type == "cpu" or number % STEPS_AHEAD == 0 or number == len(batches):
                sums.flush(epoch * length + number - 1)
                rate = number * len(labels) / (time.monotonic() - began)
                bar.set_postfix_str(f"epoch {epoch + 1}/{settings.epochs} {size}px {sums} {rate:.0f} images/s")
                self.stopping = group.any(stop.requested)
                if self.stopping:
                    break
        step, seconds = epoch * length + number, time.monotonic() - began
        self.progress = self.progress._replace(step=step, batch=number, sums=sums.sums, seconds=seconds)
        if number == length:
            self.progress = self.progress._replace(epoch=epoch + 1, batch=0, sums={}, seconds=0.0)
        sums.seconds = seconds
        return sums

    def score_if_due(self) -> Metrics | None:
        """Metrics on the held-back identities after every few epochs and the last; None else."""
        progress, settings = self.progress, self.settings
        due = progress.step == self.total_steps or progress.epoch % settings.evaluate_every == 0
        if self.held_back is None or progress.batch or not due:
            return None
        return score(self.model, self.held_back, self.size, self.group, settings.workers)

    def save(self, sums: EpochSums, scored: Metrics | None, log: RunLog) -> None:
        """Checkpoints, then the log, then resume.pt: killed in between, a resumed run makes the others anew."""
        out = self.settings.out
        save_checkpoint(out / "last.safetensors", self.model, self.info(scored))
        if scored is not None and scored.mAP > self.progress.best_mAP:
            self.progress = self.progress._replace(best_mAP=scored.mAP)
            save_checkpoint(out / "best.safetensors", self.model, self.info(scored))
        if not self.progress.batch:
            images = sums.steps * self.settings.identities_per_batch * self.settings.images_per_identity
            line = {
                "epoch": self.progress.epoch,
                "step": self.progress.step,
                "image_size": self.size,
                "seconds": round(sums.seconds, 2),
                "learning_rate": self.step.optimiser.param_groups[0]["lr"],
                "images_per_second": images / sums.seconds,
                **sums.means,
            }
            line["attention_health"] = asdict(self.health())
            log.write(line if scored is None else line | {"held_back": asdict(scored)})
        save_progress(self.settings, self.model, self.step.optimiser, self.progress, self.dataset_hash)

    def health(self) -> AttentionHealth:
        """Of the network as it is now, on a few training images that are the same each epoch."""
        pixels = self.pixels(self.size)
        chosen = np.linspace(0, len(self.rows) - 1, min(HEALTH_IMAGES, len(self.rows)), dtype=int)
        self.model.eval()
        with torch.inference_mode():
            return attention_health(
                self.model.trace(to_input(images.to(self.group.device)))
                for images in pixels.batches(chosen.reshape(-1, 1).tolist())
            )

    def info(self, scored: Metrics | None) -> CheckpointInfo:
        """What a checkpoint says of itself."""
        return CheckpointInfo(
            self.settings.model,
            self.size,
            self.model.num_classes,
            self.dataset.name,
            self.dataset_hash,
            self.progress.epoch,
            self.progress.step,
            json.loads(as_json(asdict(self.settings))),
            {} if scored is None else {"held_back": asdict(scored)},
            ssrnet.__version__,
            self.training_sets,
        )


@contextmanager
def failures_as_sentences(run: Run) -> Iterator[None]:
    """Turns Ctrl-C pressed twice and memory that ran out into errors that say what the run's folder holds."""
    try:
        yield
    except KeyboardInterrupt:
        raise TrainingError(f"stopped by the keyboard; {_how_to_go_on(run)}.") from None
    except (RuntimeError, MemoryError) as error:
        # torch.OutOfMemoryError is a RuntimeError; the CPU's allocator raises a plain one.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "allocate memory" not in str(error):
            raise
        P, K = run.settings.identities_per_batch, run.settings.images_per_identity
        raise ResourceError(
            f"{run.group.device} ran out of memory with {P} x {K} images of {run.size} pixels a batch; "
            f"{_how_to_go_on(run)}, or start anew in another --out with a smaller --identities-per-batch."
        ) from error


def _how_to_go_on(run: Run) -> str:
    if not run.saved.step:
        return "nothing had been saved yet, so start again with the same command"
    where = f"epoch {run.saved.epoch}" + (f" and {run.saved.batch} batches of the next" if run.saved.batch else "")
    return f"{run.settings.out} holds {where}: go on with the same command and --resume"


def make_folder(settings: TrainSettings, group: Processes) -> None:
    """Makes --out and clears it of half-written files.

    Raises :class:`ResourceError` where it cannot be made, :class:`SettingsError` where it holds a run that is
    not asked to go on.
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


def build_sampler(images: Sequence[VehicleImage], settings: TrainSettings) -> PKSampler:
    """The batches of ``images``; an epoch over images goes so often over the vehicles that it shows about as many."""
    vehicle_ids = [image.vehicle_id for image in images]
    P, K = settings.identities_per_batch, settings.images_per_identity
    rounds = 1
    if settings.epoch_over == "images":
        rounds = max(1, round(len(images) / (len(set(vehicle_ids)) * K)))
    return PKSampler(vehicle_ids, P, K, settings.seed, rounds)


def progress_bar(total: int, done: int, group: Processes) -> tqdm:
    """One bar for all processes."""
    hidden = {} if group.first else {"disable": True}  # unsaid, the user's TQDM_DISABLE decides
    return tqdm(total=total, initial=done, unit="step", smoothing=0.05, **hidden)


def score(model: SSRNet, dataset: ReIDDataset, size: int, group: Processes, workers: int = 0) -> Metrics:
    """Metrics on a data set's test images, by its cameras where it has them, else single-shot."""
    features = extract(model, dataset.test, ExtractSettings(), size, group.device, workers, group=group)
    protocol = Protocol("cross_camera")
    if protocol.unavailable(dataset):
        protocol = Protocol("single_gallery_shot")
    return evaluate(features, dataset, protocol, made_by={}, top_k=1).metrics


def start(model: SSRNet, settings: TrainSettings) -> tuple[str, bool]:
    """Gives the model its starting weights; returns what was done, in words, and whether classifiers lack theirs."""
    if settings.start_from is None:
        return load_backbone(model, settings.backbone_weights), False
    tensors = read_weights(settings.start_from).tensors
    parts = {name for name, _ in model.named_children()}  # a baseline's attention has no weights, and is a part
    for part in settings.start_anew:
        if part not in parts:
            raise SettingsError(f"start_anew names {part}; the parts of this model are {', '.join(sorted(parts))}.")
    anew = {name: t for name, t in model.state_dict().items() if name.split(".")[0] in settings.start_anew}
    notes = load_weights(model, tensors | anew, settings.start_from)
    kept = [f"at random: {', '.join(settings.start_anew)}"] if settings.start_anew else []
    fits = {name: tensor.shape for name, tensor in model.classifiers.state_dict(prefix="classifiers.").items()}
    imprints = settings.loss.trains_classifiers and any(
        name not in tensors or tensors[name].shape != shape for name, shape in fits.items()
    )
    if imprints:
        kept.append("classifiers: each vehicle's mean feature")
    return "; ".join([f"all weights: {settings.start_from.name}", *kept, *notes]), imprints

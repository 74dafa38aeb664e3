"""The bundled training script: one loop, read from top to bottom.

    ssrnet train --data DIR --out runs/ssrnet                        # recipe `paper` on a GPU, `quick` on a CPU
    ssrnet train --data DIR --out runs/baseline --network baseline   # the same for the paper's baseline
    ssrnet train --data DIR --out runs/ssrnet --resume               # go on after an interruption
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

import ssrnet
from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.data.sampler import PKSampler
from ssrnet.data.transforms import ImageTensors, read_batches, train_transform
from ssrnet.errors import CheckpointError, DataError, ResourceError, SettingsError, TrainingError
from ssrnet.files import write_atomically
from ssrnet.losses import ReIDLoss
from ssrnet.metrics import Metrics
from ssrnet.model import SSRNet
from ssrnet.resources import resolve_device
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.extraction import ExtractSettings, extract
from ssrnet.training.checkpoint import CheckpointInfo, load_backbone, load_weights, read_pickle, read_tensors, save_checkpoint
from ssrnet.training.schedule import build_optimiser, learning_rate_factor, set_learning_rate
from ssrnet.training.settings import TrainSettings


class Progress(NamedTuple):
    """How far a run has come: epochs and steps done, best mAP on the held-back identities."""

    epoch: int = 0
    step: int = 0
    best_mAP: float = -1.0


def train(settings: TrainSettings) -> Path:
    """Runs ``settings`` to its last epoch and returns the path of the last checkpoint.

    Writes into ``settings.out`` alone: ``settings.json``, ``log.jsonl`` (one line an epoch),
    ``last.safetensors`` and ``best.safetensors`` (by mAP on the held-back identities, so only with
    ``holdout``), ``resume.pt``.
    """
    device = resolve_device(settings.device)
    torch.manual_seed(settings.seed)
    dataset = open_dataset(settings.data, settings.subset)
    fit, held_back = hold_back(dataset, settings.holdout, settings.seed)
    identities = sorted({image.vehicle_id for image in fit})
    label_of = {vehicle_id: label for label, vehicle_id in enumerate(identities)}
    labels = torch.tensor([label_of[image.vehicle_id] for image in fit])
    print(dataset.summary())
    print(f"training on {len(fit):,} images of {len(identities):,} vehicles; {settings.holdout} held back")

    model = SSRNet(settings.model, num_classes=len(identities))
    print(start(model, settings))
    model.backbone.freeze(settings.frozen_stages)
    model.to(device, memory_format=torch.channels_last)
    loss_function = ReIDLoss(settings.loss)
    optimiser = build_optimiser(model, settings)
    sampler = PKSampler(
        [image.vehicle_id for image in fit], settings.identities_per_batch, settings.images_per_identity, settings.seed
    )

    try:
        settings.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{settings.out} cannot be made a folder ({error.strerror}); choose another --out.") from error
    progress = Progress()
    if settings.resume:
        progress = load_progress(settings, model, optimiser, dataset.content_hash())
        print(f"going on after epoch {progress.epoch}")
    elif (settings.out / "resume.pt").exists():
        raise SettingsError(f"{settings.out} holds a run already; go on with --resume or choose another --out.")
    write_atomically(settings.out / "settings.json", lambda path: path.write_text(_json(asdict(settings), indent=2)))

    def info(metrics: Metrics | None) -> CheckpointInfo:
        return CheckpointInfo(
            settings.model, settings.image_size(progress.epoch - 1), len(identities), dataset.name,
            dataset.content_hash(), progress.epoch, progress.step, json.loads(_json(asdict(settings))),
            {} if metrics is None else {"held_back": asdict(metrics)}, ssrnet.__version__,
        )  # fmt: skip

    total_epochs = settings.epochs
    total_steps = total_epochs * len(sampler)
    if settings.max_steps:
        total_steps = min(total_steps, settings.max_steps)
    try:
        with tqdm(total=total_steps, initial=progress.step, unit="step", smoothing=0.05) as bar:
            while progress.epoch < total_epochs and progress.step < total_steps:
                epoch, began = progress.epoch, time.monotonic()
                size = settings.image_size(epoch)
                sampler.set_epoch(epoch)
                loader = DataLoader(
                    ImageTensors(fit, train_transform(size, settings.augment)),
                    batch_sampler=sampler,
                    num_workers=settings.workers,
                    pin_memory=device.type == "cuda",
                )
                model.train()
                sums: dict[str, float] = defaultdict(float)
                step = progress.step
                for number, (images, index) in enumerate(read_batches(loader)):
                    images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
                    target = labels[index].to(device)  # (P*K,)
                    fraction = epoch + number / len(sampler)
                    set_learning_rate(optimiser, learning_rate_factor(fraction, total_epochs, settings.optimiser))

                    features, logits = model(images)
                    objective = loss_function(features, logits, target, model.branch_weights)
                    if not torch.isfinite(objective.total):
                        raise TrainingError(
                            f"the loss became {objective.total.item()} at step {step}; the checkpoints in {settings.out} "
                            "are those of the last whole epoch: start anew in another --out with a lower learning rate."
                        )
                    optimiser.zero_grad(set_to_none=True)
                    objective.total.backward()
                    optimiser.step()

                    step += 1
                    sums["loss"] += objective.total.item()
                    sums["accuracy"] += accuracy(logits, target)
                    for name, term in objective.terms.items():
                        sums[name] += term.item()
                    rate = (number + 1) * len(target) / (time.monotonic() - began)
                    bar.update()
                    bar.set_postfix_str(
                        f"epoch {epoch + 1}/{total_epochs} {size}px loss {sums['loss'] / (number + 1):.3f} "
                        f"acc {sums['accuracy'] / (number + 1):.1%} {rate:.0f} images/s"
                    )
                    if step >= total_steps:
                        break
                batches = number + 1
                progress = progress._replace(epoch=epoch + 1, step=step)
                seconds = time.monotonic() - began

                last = progress.epoch == total_epochs or step >= total_steps
                scored = None
                if held_back and (last or progress.epoch % settings.evaluate_every == 0):
                    scored = score(model, held_back, size, device)
                    bar.write(f"epoch {progress.epoch}: held-back identities {scored}")
                save_checkpoint(settings.out / "last.safetensors", model, info(scored))
                if scored is not None and scored.mAP > progress.best_mAP:
                    progress = progress._replace(best_mAP=scored.mAP)
                    save_checkpoint(settings.out / "best.safetensors", model, info(scored))
                save_progress(settings, model, optimiser, progress, dataset.content_hash())
                line = {
                    "epoch": progress.epoch, "step": step, "image_size": size, "seconds": round(seconds, 2),
                    "learning_rate": optimiser.param_groups[0]["lr"],
                    "images_per_second": batches * len(target) / seconds,
                    **{name: value / batches for name, value in sums.items()},
                }  # fmt: skip
                if scored is not None:
                    line["held_back"] = asdict(scored)
                with open(settings.out / "log.jsonl", "a") as log:
                    log.write(_json(line) + "\n")
    except KeyboardInterrupt:
        raise TrainingError(
            f"stopped by the keyboard; {settings.out} holds epoch {progress.epoch}: go on with the same command "
            "and --resume."
        ) from None
    return settings.out / "last.safetensors"


def hold_back(
    dataset: ReIDDataset, identities: int, seed: int
) -> tuple[list[VehicleImage], ReIDDataset | None]:
    """Training images without ``identities`` vehicles drawn by ``seed``, and those as a data set to evaluate on.

    Each held-back image is query and gallery at once; the image itself, of the same vehicle and
    camera, is junk. Raises :class:`DataError` without training images, :class:`SettingsError` where
    fewer than two identities would be left to train on.
    """
    if not dataset.train:
        raise DataError(f"{dataset.root} has no training images; choose a data set with a training split.")
    everyone = sorted({image.vehicle_id for image in dataset.train})
    if identities > len(everyone) - 2:
        raise SettingsError(
            f"holdout is {identities}, but {dataset.name} has {len(everyone)} training identities; leave at least 2."
        )
    drawn = np.random.Generator(np.random.PCG64(seed)).choice(everyone, size=identities, replace=False)
    chosen = set(drawn.tolist())
    fit = [image for image in dataset.train if image.vehicle_id not in chosen]
    held = tuple(image for image in dataset.train if image.vehicle_id in chosen)
    if not held:
        return fit, None
    return fit, replace(
        dataset, name=f"{dataset.name}, {identities} training identities held back", train=(), query=held, gallery=held
    )


def score(model: SSRNet, dataset: ReIDDataset, size: int, device: torch.device) -> Metrics:
    """Metrics on a data set's test images, by its cameras where it has them, else single-shot."""
    # A DataLoader draws from the random state, and a run must not depend on how often it is evaluated.
    with torch.random.fork_rng(devices=[]):
        features = extract(model, dataset.test, ExtractSettings(), size, device)
    protocol = Protocol("cross_camera")
    if protocol.unavailable(dataset):
        protocol = Protocol("single_gallery_shot")
    return evaluate(features, dataset, protocol, made_by={}, top_k=1).metrics


def start(model: SSRNet, settings: TrainSettings) -> str:
    """Gives the model its starting weights; returns what was done, in words."""
    if settings.start_from is None:
        return load_backbone(model, settings.backbone_weights)
    notes = load_weights(model, read_tensors(settings.start_from)[0], settings.start_from)
    return "; ".join([f"all weights: {settings.start_from.name}", *notes])


def accuracy(logits: dict[str, Tensor], labels: Tensor) -> float:
    """Share of images that the branches' classifiers name rightly, in [0, 1], averaged over branches."""
    return float(np.mean([(branch.argmax(1) == labels).float().mean().item() for branch in logits.values()]))


MAY_CHANGE = ("data", "out", "max_steps", "evaluate_every", "workers", "device", "resume")
"""Settings that a resumed run may change without becoming another run."""


PROGRESS_KEYS = {"model", "optimiser", "random", "random_cuda", "progress", "run"}


def save_progress(
    settings: TrainSettings, model: SSRNet, optimiser: torch.optim.Optimizer, progress: Progress, dataset_hash: str
) -> None:
    """Writes all that --resume needs, atomically: weights, optimiser, random state, settings, progress."""
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "progress": progress._asdict(),
        "run": _json(_identity(settings, dataset_hash)),
    }
    write_atomically(settings.out / "resume.pt", lambda temporary: torch.save(state, temporary))


def load_progress(
    settings: TrainSettings, model: SSRNet, optimiser: torch.optim.Optimizer, dataset_hash: str
) -> Progress:
    """Restores what :func:`save_progress` saved; raises :class:`CheckpointError` where it is another run's."""
    path = settings.out / "resume.pt"
    if not path.exists():
        raise CheckpointError(f"there is nothing to resume at {path}; start the run without --resume.")
    state = read_pickle(path)
    if not isinstance(state, dict) or not state.keys() >= PROGRESS_KEYS:
        raise CheckpointError(f"{path} is not what a run of ssrnet leaves; remove it and start the run anew.")
    before, now = json.loads(state["run"]), json.loads(_json(_identity(settings, dataset_hash)))
    changed = [f"{name} was {before.get(name)} and is {now[name]}" for name in now if before.get(name) != now[name]]
    if changed:
        raise CheckpointError(
            f"{path} belongs to a run with other settings ({'; '.join(changed)}); give the same, or another --out."
        )
    load_weights(model, state["model"], path)
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["random"])
    if torch.cuda.is_available() and state["random_cuda"]:
        torch.cuda.set_rng_state_all(state["random_cuda"])
    return Progress(**state["progress"])


def _identity(settings: TrainSettings, dataset_hash: str) -> dict[str, object]:
    """What makes a run this run: all settings that shape its weights, and its data."""
    return {k: v for k, v in asdict(settings).items() if k not in MAY_CHANGE} | {"dataset_hash": dataset_hash}


def _json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, default=str)

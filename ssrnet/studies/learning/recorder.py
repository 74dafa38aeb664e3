"""Trains a small network epoch by epoch, and looks at one batch in evaluation mode after each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

import ssrnet
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.data.transforms import pixel_transform, to_input
from ssrnet.explain.batch import MinedBatch, draw_batch
from ssrnet.explain.relations import node_cosines
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.studies.learning.record import LearningRecord
from ssrnet.studies.settings import LearningStudySettings
from ssrnet.studies.training_slice import training_slice
from ssrnet.train import train
from ssrnet.training.batches import build_sampler
from ssrnet.training.checkpoint import load_checkpoint
from ssrnet.training.log import read_log
from ssrnet.training.settings import OptimiserSettings, TrainSettings, recipe

LOOKED_AT = 4
"""Images whose map and graph are kept: the first of as many vehicles."""
LOGGED = ("epoch", "learning_rate", "loss", "accuracy")


def training_settings(settings: LearningStudySettings, data: Path) -> TrainSettings:
    """Sec. 4.2's batch, loss and schedule for ResNet-18 from random weights, with AdamW, which needs fewer steps."""
    return replace(
        recipe("paper"),
        data=data,
        out=settings.out / "run",
        model=ModelSettings(backbone="resnet18", padding="replicate"),
        backbone_weights="none",
        optimiser=OptimiserSettings(name="adamw", learning_rate=3e-4),
        sizes=((0, settings.image_size),),
        epochs=settings.epochs,
        seed=settings.seed,
        workers=0,
        device="cpu",
    )


def record_run(settings: LearningStudySettings) -> tuple[LearningRecord, Image.Image]:
    """Trains from the start in ``settings.out``; the record, and the batch's images as one picture.

    Raises as :func:`ssrnet.train.train` and :func:`ssrnet.studies.training_slice.training_slice`.
    """
    dataset = open_dataset(settings.data, layout=settings.layout)
    data = training_slice(dataset, settings.vehicles, settings.seed, settings.out / "slices")
    run = training_settings(settings, data)
    dataset = open_dataset(data)
    images = draw_batch(dataset.train, run.identities_per_batch, run.images_per_identity, settings.seed)
    vehicles = sorted({image.vehicle_id for image in dataset.train})
    squares = torch.stack([pixel_transform(settings.image_size)(read_image(image.path)) for image in images])
    looked_at = torch.arange(LOOKED_AT) * run.images_per_identity

    torch.manual_seed(settings.seed)  # as a run begins
    states = [look(SSRNet(run.model, len(vehicles)).eval(), squares, looked_at)]
    checkpoint, length = run.out / "last.safetensors", len(build_sampler(dataset.train, run))
    for epoch in range(settings.epochs):
        # One epoch at a time, so that the network can be looked at in between; resuming repeats exactly.
        train(replace(run, resume=epoch > 0, max_steps=(epoch + 1) * length))
        states.append(look(load_checkpoint(checkpoint).model, squares, looked_at))
    record = _joined(states, looked_at, images, vehicles, run, dataset)
    return record, contact_sheet(squares, run.images_per_identity)


@torch.inference_mode()
def look(model: SSRNet, squares: Tensor, looked_at: Tensor) -> dict[str, Tensor]:
    """One state: the fields of :class:`LearningRecord` that have E, and the embeddings (B, D) in place of the plane.

    model: in evaluation mode, with classifiers. squares: (B, S, S, 3) uint8.
    """
    trace = model.trace(to_input(squares))
    unit = normalize(trace.embedding())
    no_labels = torch.zeros(len(squares), dtype=torch.int64)
    return {
        "distance": torch.stack([MinedBatch.of(rows, no_labels).distance for rows in trace.before.values()]),
        "logits": torch.stack([model.classifiers[branch](rows) for branch, rows in trace.after.items()]),
        "cosine": unit @ unit.T,
        "embedding": unit,
        "M_s": trace.M_s[looked_at, 0],
        "node_cosine": node_cosines(trace)[:, looked_at],
    }


def on_last_axes(embeddings: Tensor) -> Tensor:
    """(E, B, 2): every state's embeddings (E, B, D) on the two principal axes of the last state's."""
    centred = embeddings[-1] - embeddings[-1].mean(0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    return (embeddings - embeddings[-1].mean(0)) @ axes[:2].T


def contact_sheet(squares: Tensor, columns: int) -> Image.Image:
    """(B, S, S, 3) uint8 as one picture, ``columns`` images a row."""
    rows = squares.unflatten(0, (-1, columns))  # (B / columns, columns, S, S, 3)
    return Image.fromarray(rows.permute(0, 2, 1, 3, 4).flatten(0, 1).flatten(1, 2).numpy())


def _joined(
    states: Sequence[dict[str, Tensor]],
    looked_at: Tensor,
    images: Sequence[VehicleImage],
    vehicles: Sequence[str],
    run: TrainSettings,
    dataset: ReIDDataset,
) -> LearningRecord:
    stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    model = SSRNet(run.model)
    log = [
        {name: value for name, value in line.items() if name in LOGGED or "/" in name}
        for line in read_log(run.out / "log.jsonl")
    ]
    about = {
        "branches": list(model.branches),
        "nodes": list(model.graph.nodes),
        "vehicles": list(vehicles),
        "images": [f"{image.vehicle_id} · {image.camera_id}" for image in images],
        "log": log,
        "optimiser": asdict(run.optimiser),
        "epochs": run.epochs,
        "margin": run.loss.margin,
        "beta": run.loss.beta,
        "image_size": run.final_image_size,
        "training_images": len(dataset.train),
        "network": f"{run.model.title}, {run.model.backbone}",
        "version": ssrnet.__version__,
    }
    plane = on_last_axes(stacked.pop("embedding"))
    labels = torch.tensor([vehicles.index(image.vehicle_id) for image in images])
    return LearningRecord(**stacked, plane=plane, looked_at=looked_at, labels=labels, about=about)

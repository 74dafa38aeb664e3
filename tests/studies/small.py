"""Studies small enough to run in a test."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from ssrnet.metrics import Metrics
from ssrnet.studies.cell_results import CellResult, Score
from ssrnet.studies.cells import Cell
from ssrnet.studies.settings import LatencySettings, StudySettings
from ssrnet.training.settings import TrainSettings
from tests import tiny


def study(name: str, data: Path, out: Path, **changes) -> StudySettings:
    """Two epochs of two steps at 32 px, as :func:`tests.tiny.training`."""
    shared = tiny.training(data, out, max_steps=4)
    values = {entry.name: getattr(shared, entry.name) for entry in fields(TrainSettings)}
    latency = LatencySettings(image_size=32, batch_size=2, rounds=2)
    few = {"train_identities": 4, "latency": latency, "protocol": ("cross_camera",)}
    return StudySettings(**{**values, "study": name, **few, **changes})


def result(
    cell: Cell,
    rank_1: float = 0.5,
    mAP: float = 0.25,
    test_sets=("toys",),
    seeds=(0,),
    protocol="cross_camera",
    with_vehicles=False,
) -> CellResult:
    """What a cell might have measured, without running it; ``with_vehicles``: twenty, which all score alike."""
    record = {
        "dataset_hash": "abc",
        "protocol": protocol,
        "gallery": 9,
        "junk_rule": "same vehicle and camera",
        "average_precision": "non-interpolated",
        "distance": "cosine",
        "re_ranking": "none",
        "features": {"flip_test": False},
        "version": "0",
    }
    metrics = Metrics(mAP, mAP / 2, (rank_1,) * 50, 8, 1)
    spread = Metrics(0.01, 0.01, (0.02,) * 50, 8, 1) if len(seeds) > 1 else None
    vehicles = {f"{v:03}": [2.0, *[2 * rank_1] * 3, 2 * mAP, mAP] for v in range(20)} if with_vehicles else None
    scores = tuple(Score(name, record, tuple(seeds), metrics, spread, vehicles) for name in test_sets)
    training = {
        "recipe": "quick",
        "seed": 0,
        "backbone_weights": "/w/r50.safetensors",
        "start_from": None,
        "model": {"backbone": "resnet18", "crop_ratio": cell.training.model.crop_ratio},
        "loss": {"classification": "cross_entropy", "metric": "triplet", "reduction": "mean"},
    }
    trained_on = {"name": "toys", "hash": "def", "images": 12, "vehicles": 4, "held_back": 0}
    return CellResult(cell.name, cell.title, cell.training.sizes[-1][1], 2, 4, training, trained_on, scores)

"""Every random draw from one seed; ``test_numbers.py`` compares two processes, and the exact ones with DRAWN."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ssrnet.data.augment import AugmentSettings, draw
from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from ssrnet.data.sampler import PKSampler
from ssrnet.retrieval.metric_intervals import QueryScores, estimates
from ssrnet.synth.camera.captures import captures_of
from ssrnet.synth.settings import SynthSettings
from ssrnet.synth.vehicle.fleet import draw_fleet
from ssrnet.train import train
from ssrnet.training.checkpoint import read_weights
from tests import tiny

CITY = Path(__file__).parents[2] / "assets/city"
SEEDS = 10

DRAWN = {
    "single_gallery_shot": "13cb621001faa7c3",
    "multi_gallery_shot": "0f434b835709e387",
    "PK sampler": "b77fb47817b6354b",
    "augmentation": "33168dd6545a080e",
    "other cameras": "b35c02fe8f415845",
    "synthetic vehicles": "d28025e538d06f55",
}
"""Of seed 0: galleries, batches, augmentations and vehicles of the published numbers."""


def exact(seed: int) -> dict[str, np.ndarray]:
    """Hashes of draws that must agree to the last bit; of the shot protocols, SEEDS seeds from ``seed`` on."""
    city = open_dataset(CITY)
    drawn = {}
    for name in ("single_gallery_shot", "multi_gallery_shot"):
        splits = [Protocol(name, seed=s).split(city) for s in range(seed, seed + SEEDS)]
        drawn[name] = digest("|".join(image.name for image in split.gallery) for split in splits)
    sampler = PKSampler([image.vehicle_id for image in city.test], P=8, K=4, seed=seed, rounds=2)
    batches = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        batches += list(sampler)
    drawn["PK sampler"] = digest(map(str, batches))
    draws = draw(64, 256, AugmentSettings(erase=0.5, colour=0.2), seed, 1, 2)
    drawn["augmentation"] = digest(str(part.tolist()) for part in draws[:5])
    drawn["other cameras"] = digest(str(part.tolist()) for part in draws[5:])
    settings = SynthSettings(Path("city"), identities=40, seed=seed)
    fleet = draw_fleet(settings)
    captures = [captures_of(identity, settings) for identity in fleet.identities]
    drawn["synthetic vehicles"] = digest([repr(fleet.identities), repr(captures)])
    return drawn


def computed(seed: int, folder: Path) -> dict[str, np.ndarray]:
    """Results of arithmetic on a draw, whose last bits the processor decides: intervals, and weights after two steps."""
    generator = np.random.default_rng(0)
    scores = QueryScores(np.repeat(np.arange(30).astype(str), 5), generator.random((150, 5)))
    settings = tiny.training(tiny.city(folder / "data"), folder / "run", seed=seed, max_steps=2, holdout=0)
    tensors = read_weights(train(settings)).tensors
    return {
        "bootstrap intervals": np.array([[e.low, e.high] for e in estimates([scores], seed=seed).values()]),
        "two steps of training": np.concatenate([tensors[name].float().numpy().ravel() for name in sorted(tensors)]),
    }


def digest(texts: Iterable[str]) -> np.ndarray:
    return np.array(hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16])

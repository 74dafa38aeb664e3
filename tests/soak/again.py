"""The shipped features and their metrics computed once more: ``python -m tests.soak.again WAY.json OUT.npz``.

Runs alone in a process, so that another torch can be the one that computes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ssrnet.data.datasets import open_dataset
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.model import SSRNet
from ssrnet.retrieval.evaluation import evaluate, query_scores, with_seeds
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, branch_dims, describe, embedded, embeddings
from ssrnet.retrieval.feature_files import feature_record, find
from ssrnet.retrieval.metric_intervals import Estimate, estimates
from ssrnet.training.checkpoint import load_checkpoint, read_checkpoint

ROOT = Path(__file__).parents[2]
CITY, CHECKPOINTS, FEATURES = ROOT / "assets/city", ROOT / "checkpoints", ROOT / "assets/features"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Way:
    """How features are computed. Whatever it says, the numbers must be the shipped ones."""

    network: str = "ssrnet"
    threads: int = 1
    batch: int = 4
    layout: Literal["channels_last", "contiguous"] = "channels_last"
    order: Literal["listed", "reversed", "shuffled"] = "listed"
    workers: int = 0
    deterministic: bool = False
    onednn: bool = True
    """Without it torch takes its own convolution kernels."""
    every: int = 1
    """Of the test images in their order every second, every third, ...; all where 1."""

    def __str__(self) -> str:
        said = [f"{self.threads} thread{'s' * (self.threads > 1)}", f"batches of {self.batch}"]
        said += [self.layout] if self.layout == "contiguous" else []
        said += [self.order] if self.order != "listed" else []
        said += [f"{self.workers} workers"] if self.workers else []
        said += ["deterministic"] if self.deterministic else []
        said += ["no oneDNN"] if not self.onednn else []
        said += [f"one image in {self.every}"] if self.every > 1 else []
        return ", ".join(said)


@contextmanager
def torch_as(way: Way) -> Iterator[None]:
    """torch with the threads, algorithms and kernels of ``way``, and as before afterwards."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(way.threads)
    torch.use_deterministic_algorithms(way.deterministic)
    try:
        with nullcontext() if way.onednn else torch.backends.mkldnn.flags(enabled=False):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def chosen(city: ReIDDataset, way: Way, offset: int = 0) -> list[VehicleImage]:
    """The images of ``way``, in its order; another ``offset`` gives others."""
    images = list(city.test)[offset :: way.every]
    if way.order == "shuffled":
        return [images[i] for i in np.random.default_rng(0).permutation(len(images))]
    return images[::-1] if way.order == "reversed" else images


def compute(way: Way, images: list[VehicleImage]) -> FeatureSet:
    """Embeddings of the images by the shipped network, float32, computed as ``way`` says."""
    checkpoint = load_checkpoint(CHECKPOINTS / f"{way.network}.safetensors")
    settings, model = ExtractSettings(batch_size=way.batch), checkpoint.model
    with torch_as(way):
        if way.layout == "contiguous":
            rows = list(contiguous(model, images, settings, checkpoint.info.image_size))
        else:
            batches = embedded(model, images, settings, checkpoint.info.image_size, CPU, way.workers)
            rows = [rows for _, rows in batches]
    return FeatureSet(torch.cat(rows), tuple(image.name for image in images), branch_dims(model, settings))


@torch.inference_mode()
def contiguous(
    model: SSRNet, images: list[VehicleImage], settings: ExtractSettings, size: int
) -> Iterator[torch.Tensor]:
    """What ``embedded`` gives, with kernels and images in torch's default layout, which extraction never has."""
    from ssrnet.data.images import read_image
    from ssrnet.data.transforms import test_transform

    model.eval().to(memory_format=torch.contiguous_format)
    transform = test_transform(size)
    for first in range(0, len(images), settings.batch_size):
        some = images[first : first + settings.batch_size]
        batch = torch.stack([transform(read_image(image.path)) for image in some])
        assert batch.is_contiguous()
        yield embeddings(model, batch, settings)


def scores(features: FeatureSet, city: ReIDDataset) -> dict[str, dict[str, Estimate]]:
    """Each protocol's metrics with their intervals, as ``ssrnet compare`` computes them for checkpoints/city.json."""
    found = {}
    for name in ("cross_camera", "single_gallery_shot", "multi_gallery_shot"):
        evaluations = [
            evaluate(features, city, protocol, made_by={}, top_k=1, dataset_hash="same")
            for protocol in with_seeds(name, seeds=10, shots=6)
        ]
        found[name] = estimates([query_scores(evaluation) for evaluation in evaluations])
    return found


def values(scores: Mapping[str, Mapping[str, Estimate]]) -> dict[str, dict[str, float]]:
    return {protocol: {metric: e.value for metric, e in own.items()} for protocol, own in scores.items()}


def shipped(network: str, city: ReIDDataset) -> FeatureSet:
    checkpoint = read_checkpoint(CHECKPOINTS / f"{network}.safetensors")
    made_by = checkpoint.record | describe(ExtractSettings(), checkpoint.info.image_size)
    found = find([FEATURES], feature_record(made_by, city, city.content_hash()))
    assert found is not None, f"the shipped features of {network} are not those of the shipped checkpoint"
    return found


def renewed(stored: FeatureSet, fresh: FeatureSet) -> FeatureSet:
    """The shipped features with the fresh rows in their places."""
    index = {name: i for i, name in enumerate(stored.names)}
    rows = stored.features.clone()
    rows[[index[name] for name in fresh.names]] = fresh.features
    return replace(stored, features=rows)


def main(way: Path, out: Path) -> None:
    """Metrics are of all images; those that ``way`` leaves out keep the shipped features."""
    settings = Way(**json.loads(way.read_text()))
    city = open_dataset(CITY)
    features = compute(settings, chosen(city, settings))
    found = values(scores(renewed(shipped(settings.network, city), features), city))
    about = {"torch": torch.__version__, "scores": found}
    np.savez(out, features=features.features.numpy(), names=features.names, about=json.dumps(about))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

"""Table 7: parameters, multiply-adds and latency of SSR-Net and its baseline, in one run."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass, replace
from statistics import median, quantiles

import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

import ssrnet
from ssrnet.model import TABLE_1, ModelSettings, SSRNet
from ssrnet.resources import resolve_device
from ssrnet.studies.settings import LatencySettings, StudySettings

ROWS = {"GB": "GB", "SSR-Net": "+AB+RB"}
"""Table 7's labels, and the corresponding rows of Table 1."""


@dataclass(frozen=True)
class Cost:
    """One network's cost per image: ``multiply_adds``, and ``seconds``, the median over batches."""

    label: str
    model: dict[str, object]
    parameters: int
    multiply_adds: int
    seconds: float


@dataclass(frozen=True)
class Complexity:
    """``ratio`` is SSR-Net's time over GB's: median of the rounds, with quartiles. ``record``: how it was measured."""

    costs: tuple[Cost, ...]
    ratio: float
    ratio_quartiles: tuple[float, float]
    record: dict[str, object]


def measure_complexity(settings: StudySettings) -> Complexity:
    """Counts and times both networks, with the same backbone and strides, on random images."""
    models = [replace(settings.model, **TABLE_1[row]) for row in ROWS.values()]
    budgets = [budget(model, settings.latency.image_size) for model in models]
    device = resolve_device(settings.device)
    seconds = interleaved_seconds(models, settings.latency, device)
    ratios = [ssrnet_seconds / baseline_seconds for baseline_seconds, ssrnet_seconds in seconds]
    first, _, third = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    costs = [
        Cost(label, asdict(model), parameters, multiply_adds, median(times) / settings.latency.batch_size)
        for label, model, (parameters, multiply_adds), times in zip(ROWS, models, budgets, zip(*seconds))
    ]
    return Complexity(tuple(costs), median(ratios), (first, third), _record(settings, device))


def budget(model: ModelSettings, image_size: int) -> tuple[int, int]:
    """Parameters without classifiers, and multiply-adds of one image_size x image_size image's embedding.

    Multiply-adds are those of convolutions and matrix products, as Table 7's "FLOPs" are; they are
    counted from shapes, without computation.
    """
    with torch.device("meta"):
        network = SSRNet(model).eval()
        with FlopCounterMode(display=False) as counter:
            network.trace(torch.zeros(1, 3, image_size, image_size))
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() // 2


def interleaved_seconds(
    models: list[ModelSettings], settings: LatencySettings, device: torch.device
) -> list[tuple[float, ...]]:
    """Seconds per batch: one tuple per round, one entry per network.

    The networks take turns, in alternating order, so that changes of clock speed or load over the run affect
    both and the ratio within a round stays fair.
    """
    torch.manual_seed(0)
    networks = [SSRNet(model).eval().to(device, memory_format=torch.channels_last) for model in models]
    images = torch.randn(settings.batch_size, 3, settings.image_size, settings.image_size).to(
        device, memory_format=torch.channels_last
    )
    with torch.inference_mode():
        for network in networks * 2:  # the first passes pay for allocation and kernel choice
            _seconds(network, images)
        rounds = []
        for number in tqdm(range(settings.rounds), unit="round"):
            times = [0.0] * len(networks)
            for i in range(len(networks)) if number % 2 == 0 else reversed(range(len(networks))):
                times[i] = _seconds(networks[i], images)
            rounds.append(tuple(times))
    return rounds


def _seconds(network: SSRNet, images: torch.Tensor) -> float:
    began = time.perf_counter()
    network.trace(images).embedding()
    if images.device.type != "cpu":
        getattr(torch, images.device.type).synchronize()
    return time.perf_counter() - began


def _record(settings: StudySettings, device: torch.device) -> dict[str, object]:
    processor = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "input": "random images, embeddings of the whole network, no image decoding",
        "backbone": settings.model.backbone,
        **asdict(settings.latency),
        "precision": "float32, channels last",
        "device": f"{device.type} ({processor})",
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "version": ssrnet.__version__,
    }

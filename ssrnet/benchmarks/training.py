"""``ssrnet benchmark training``: speed of a step and share of the loader, beside torchvision's ResNet-50."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import torch
import tyro
from torch import Tensor, nn
from torchvision.models import resnet50

from ssrnet.data.datasets import open_dataset
from ssrnet.data.holdout import hold_back
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import SettingsError
from ssrnet.losses import ReIDLoss
from ssrnet.model import SSRNet
from ssrnet.train import TrainingStep
from ssrnet.training.batches import augmented, build_sampler, open_pixels
from ssrnet.training.distributed import Processes, processes
from ssrnet.training.network import autocast, place, set_training_mode
from ssrnet.training.schedule import build_optimiser
from ssrnet.training.settings import TrainSettings, recipe


@dataclass(frozen=True)
class TrainingBenchmarkSettings:
    """Time a training step, alone and with the loader, beside torchvision's ResNet-50."""

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder; only its training images are read."""
    training: TrainSettings = field(default_factory=lambda: replace(recipe("strong"), backbone_weights="none"))
    """The run whose steps are measured, by default that of recipe `strong`; weights start at random."""
    rounds: int = 5
    """Repetitions of each way of training, in turn; the median is reported."""
    steps: int = 20
    """Steps a round."""
    warmup: int = 5
    """Steps of each way before the clock starts."""

    def __post_init__(self) -> None:
        for name in ("rounds", "steps"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1.")


@dataclass(frozen=True)
class TrainingSpeed:
    """Images a second of each way, as medians over the rounds; ``memory`` in bytes, at its peak.

    ``step``: on one batch that lies on the device. ``cached``: with decoded images from the cache and
    augmentation on the device. ``decoded``: the same, but each image decoded anew by the loader's
    processes. ``resnet50``: torchvision's with 1000 classes and SGD, on one batch that lies on the device.
    """

    step: float
    cached: float
    decoded: float
    resnet50: float
    memory: int

    @property
    def loader_share(self) -> float:
        """Share of a training step's time that waits for images, in [0, 1]."""
        return max(0.0, 1 - self.cached / self.step)

    @property
    def decoding_share(self) -> float:
        """The same without the cache."""
        return max(0.0, 1 - self.decoded / self.step)


def benchmark_training(settings: TrainingBenchmarkSettings) -> TrainingSpeed:
    """Runs the command and prints its results; the cache is in --training.cache or a temporary folder."""
    group = processes(settings.training.device)
    with ExitStack() as stack:
        training = replace(settings.training, data=settings.data)
        if training.cache is None:
            training = replace(training, cache=Path(stack.enter_context(TemporaryDirectory())))
        speed = measure(settings, training, group)
    P, K, size = training.identities_per_batch, training.images_per_identity, training.final_image_size
    precision = "bfloat16" if training.mixed_precision and group.device.type == "cuda" else "float32"
    name = torch.cuda.get_device_name() if group.device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    group.say(f"{training.model.title}, {P} x {K} images of {size} pixels a batch, {precision}, {name}")
    group.say(f"  step alone, batch on the device    {speed.step:8.1f} images/s")
    cached, decoded = (f"loader {share:.1%} of the step" for share in (speed.loader_share, speed.decoding_share))
    decoding = f"decoding, {training.workers} processes"
    group.say(f"  with images from the cache         {speed.cached:8.1f} images/s, {cached}")
    group.say(f"  {decoding:34} {speed.decoded:8.1f} images/s, {decoded}")
    group.say(f"  torchvision ResNet-50, batch there {speed.resnet50:8.1f} images/s")
    group.say(f"  time of a step over ResNet-50's    {speed.resnet50 / speed.step:8.2f}")
    where = "device" if group.device.type == "cuda" else "process"
    group.say(f"  peak memory of the {where:8}        {speed.memory / 1e9:8.2f} GB")
    return speed


def measure(settings: TrainingBenchmarkSettings, training: TrainSettings, group: Processes) -> TrainingSpeed:
    """Times all ways in turn, so that a slower machine slows all of them."""
    dataset = open_dataset(training.data, training.subset, training.layout)
    dataset.check_labelled("training")
    fit, _ = hold_back(dataset, 0, training.seed)
    size, sampler = training.final_image_size, build_sampler(fit, training)
    rows = list(range(len(fit)))
    labels = _labels(dataset)
    model = SSRNet(training.model, num_classes=int(labels.max()) + 1)
    place(model, training, group)
    set_training_mode(model, training)
    step = TrainingStep(model, ReIDLoss(training.loss), build_optimiser(model, training), training, group)
    labels = labels.to(group.device)

    def stream(cached: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches without end, with their labels."""
        pixels = open_pixels(replace(training, cache_images=cached), dataset.train, rows, size, group)
        for epoch in count():
            sampler.set_epoch(epoch)
            batches = list(sampler)
            for batch, images in zip(batches, augmented(pixels, batches, 0, epoch, training, group)):
                yield images, labels[batch]

    from_cache, from_files = stream(True), stream(False)
    waiting = repeat(next(from_cache))
    plain = _plain_step(training, group)
    ways: dict[str, Callable[[], object]] = {
        "step": lambda: step(*next(waiting)),
        "cached": lambda: step(*next(from_cache)),
        "decoded": lambda: step(*next(from_files)),
        "resnet50": lambda: plain(*next(waiting)),
    }
    for way in ways.values():
        timed(way, settings.warmup, group.device)
    memory = _peak_memory(ways["step"], group.device)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(settings.rounds):
        for name, way in ways.items():
            seconds[name].append(timed(way, settings.steps, group.device))
    images = settings.steps * training.identities_per_batch * training.images_per_identity
    return TrainingSpeed(**{name: images / statistics.median(times) for name, times in seconds.items()}, memory=memory)


def _labels(dataset: ReIDDataset) -> Tensor:
    number = {vehicle_id: label for label, vehicle_id in enumerate(sorted({i.vehicle_id for i in dataset.train}))}
    return torch.tensor([number[image.vehicle_id] for image in dataset.train])


def _plain_step(training: TrainSettings, group: Processes) -> Callable[[Tensor, Tensor], None]:
    """A step of torchvision's ResNet-50 with cross-entropy, in the same precision and memory layout."""
    model = resnet50(weights=None).to(group.device, memory_format=torch.channels_last)
    replica = group.replicate(model)
    fused = True if group.device.type == "cuda" else None
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=fused)
    part = group.share(training.identities_per_batch, training.images_per_identity)

    def step(images: Tensor, labels: Tensor) -> None:
        with autocast(training, group.device):
            logits = replica(images)
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(logits.float(), labels[part] % 1000).backward()
        optimiser.step()

    return step


def timed(way: Callable[[], object], times: int, device: torch.device) -> float:
    """Seconds of ``times`` calls, including the work that they queued on the device."""
    _finish(device)
    began = time.perf_counter()
    for _ in range(times):
        way()
    _finish(device)
    return time.perf_counter() - began


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_memory(way: Callable[[], object], device: torch.device) -> int:
    """Bytes at the peak of one step: on the device, or of this process so far on a CPU."""
    if device.type != "cuda":
        way()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    torch.cuda.reset_peak_memory_stats(device)
    way()
    _finish(device)
    return torch.cuda.max_memory_allocated(device)

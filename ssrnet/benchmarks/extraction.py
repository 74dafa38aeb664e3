"""``ssrnet benchmark extraction``: images a second beside torchvision's ResNet of the same strides, in one run."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import torch
import tyro
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from ssrnet.benchmarks.training import timed
from ssrnet.data.datasets import open_dataset
from ssrnet.data.records import VehicleImage
from ssrnet.data.transforms import ImageTensors, read_batches, test_transform
from ssrnet.errors import DataError, ResourceError, SettingsError
from ssrnet.files import write_atomically
from ssrnet.index.partial import PartialFeatures
from ssrnet.model import TABLE_1, ModelSettings, SSRNet
from ssrnet.model.backbones.resnet import torchvision_resnet
from ssrnet.resources import DeviceName, resolve_device
from ssrnet.retrieval.extraction import ExtractSettings, batch_size, check_precision, describe, embeddings, extract

CHANNELS_FIRST, TORCHVISION, BASELINE, OURS = "torchvision, channels first", "torchvision", "baseline", "SSR-Net"
"""The first is torchvision's ResNet in its default memory layout; the other three are channels last."""
WAYS = (CHANNELS_FIRST, TORCHVISION, BASELINE, OURS)
GOAL = 1.12
"""SSR-Net's time over its baseline's, at most; its multiply-adds are 1.137 of the baseline's."""
ON_CPU, ON_CUDA = (1, 4, 8, 16, 32), (32, 64, 128, 256)
"""Default batch sizes."""


@dataclass(frozen=True)
class ExtractionBenchmarkSettings:
    """Time extraction, network alone and with decoding, beside torchvision's ResNet of the same strides."""

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("assets/city")
    """Data folder, whose test images are decoded."""
    layout: str | None = None
    """Read the folder as this layout, as `Folders` or `unlabelled`, whatever it is recognised as."""
    model: ModelSettings = ModelSettings()
    """SSR-Net; its baseline has neither branch. Weights are random."""
    image_size: int = 256
    """Side of the square input in pixels."""
    batches: tuple[int, ...] = ()
    """Images a forward pass; by default some that suit the device."""
    images: int = 32
    """Images that go through each network alone, in a round and batch size; rounded up to whole batches."""
    decoded: int = 128
    """Images from the data folder that are decoded and embedded, in a round."""
    rounds: int = 5
    """Repetitions of everything, in turn; the median is reported."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of all networks; bfloat16 on CUDA alone."""
    workers: int = 2
    """Decoding processes."""
    device: DeviceName = "auto"
    """Where to run."""
    out: Path | None = None
    """JSON file for the times."""

    def __post_init__(self) -> None:
        for name, least in (("image_size", 32), ("images", 1), ("decoded", 1), ("rounds", 1), ("workers", 0)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least {least}.")
        if self.batches and (min(self.batches) < 1 or list(self.batches) != sorted(set(self.batches))):
            raise SettingsError(f"--batches is {self.batches}; give whole numbers from 1, in ascending order.")


@dataclass(frozen=True)
class ExtractionSpeed:
    """Seconds an image, one number a round: ``alone`` by way and batch size, ``whole`` by way at the ``best`` size.

    ``alone`` is the network on a batch that lies on the device. ``whole`` is from the image file to the row on the CPU:
    ours as `ssrnet extract` does it, with rows written to disk; torchvision's with a plain loader and a loop.
    ``best`` is the batch size of most images a second for SSR-Net.
    """

    alone: dict[str, dict[int, list[float]]]
    whole: dict[str, list[float]]
    best: int

    def over(self, way: str, other: str, batch: int | None = None) -> float:
        """Time of one way over that of another at a batch size, or the whole way; the median of the rounds."""
        a, b = ((self.whole[each] if batch is None else self.alone[each][batch]) for each in (way, other))
        return statistics.median(x / y for x, y in zip(a, b, strict=True))


def benchmark_extraction(settings: ExtractionBenchmarkSettings) -> ExtractionSpeed:
    """Runs the command and prints a table.

    Raises :class:`DataError` for a data set without test images, :class:`ResourceError` where the memory of a GPU does
    not take one of the batches, :class:`SettingsError` for bfloat16 anywhere but on CUDA.
    """
    device = resolve_device(settings.device)
    check_precision(_extraction(settings, None), device)
    dataset = open_dataset(settings.data, layout=settings.layout)
    if not dataset.test:
        raise DataError(f"{dataset.root} has no test images; name another --data.")
    images = [dataset.test[i % len(dataset.test)] for i in range(settings.decoded)]
    try:
        speed = measure(settings, images, device)
    except torch.OutOfMemoryError as error:
        raise ResourceError(
            f"the memory of {device} does not take one of the batches; give smaller --batches."
        ) from error
    name = (
        torch.cuda.get_device_name() if device.type == "cuda" else f"{device.type}, {torch.get_num_threads()} threads"
    )
    print(
        f"{settings.model.backbone} at last stride {settings.model.last_stride}, {settings.image_size} pixels, "
        f"{settings.precision}, {name}, load {os.getloadavg()[0]:.1f}, {settings.rounds} rounds\n{table(speed)}\n"
        f"best batch size for SSR-Net: {speed.best} (extraction takes {batch_size(ExtractSettings(), device)}); "
        f"there its time is {speed.over(OURS, BASELINE, speed.best):.3f} of its baseline's (goal: at most {GOAL})"
    )
    if settings.out is not None:
        text = json.dumps(asdict(speed), indent=2)
        write_atomically(settings.out, lambda path: path.write_text(text + "\n"))
    return speed


def table(speed: ExtractionSpeed) -> str:
    """A column a batch size, and one for the whole way: images a second of each way, then ratios of their times."""
    batches = list(speed.alone[OURS])
    lines = [f"{'images a second':42}" + "".join(f"{f'batch {n}':>10}" for n in batches) + f"{'decoded':>10}"]
    for way in WAYS:
        rates = [1 / statistics.median(each) for each in (*speed.alone[way].values(), speed.whole[way])]
        lines.append(f"  {way:40}" + "".join(f"{rate:10.1f}" for rate in rates))
    lines.append("ratios of times")
    for way, other in ((CHANNELS_FIRST, TORCHVISION), (BASELINE, TORCHVISION), (OURS, TORCHVISION), (OURS, BASELINE)):
        ratios = [speed.over(way, other, batch) for batch in (*batches, None)]
        lines.append(f"  {f'{way} over {other}':40}" + "".join(f"{ratio:10.3f}" for ratio in ratios))
    return "\n".join(lines)


def measure(
    settings: ExtractionBenchmarkSettings, images: Sequence[VehicleImage], device: torch.device
) -> ExtractionSpeed:
    """Times all ways in turn, every other round backwards, so that a slower machine slows all of them."""
    networks = _networks(settings, device)
    batches = settings.batches or (ON_CUDA if device.type == "cuda" else ON_CPU)
    alone: dict[str, dict[int, list[float]]] = {way: {n: [] for n in batches} for way in WAYS}
    whole: dict[str, list[float]] = {way: [] for way in WAYS}
    with torch.inference_mode(), tqdm(total=settings.rounds * (len(batches) + 1), unit="size") as bar:
        passes = {n: _passes(networks, n, settings, device) for n in batches}
        for n in batches:
            for forward in passes[n].values():
                timed(forward, 1, device)  # the first pass pays for allocation and kernel choice
        for number in range(settings.rounds):
            for n in batches:
                times = -(-settings.images // n)
                for way in _order(number):
                    alone[way][n].append(timed(passes[n][way], times, device) / (times * n))
                bar.update()
        best = min(batches, key=lambda n: statistics.median(alone[OURS][n]))
        for number in range(settings.rounds):
            for way in _order(number):
                run = _whole(way, networks[way], images, settings, best, device)
                whole[way].append(timed(run, 1, device) / len(images))
            bar.update()
    return ExtractionSpeed(alone, whole, best)


def _networks(settings: ExtractionBenchmarkSettings, device: torch.device) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    model = settings.model
    plain = [torchvision_resnet(model.backbone, model.last_stride, model.stride_position) for _ in range(2)]
    for each in plain:
        each.fc = nn.Identity()  # the pooled features are compared
    ours = [SSRNet(replace(model, **TABLE_1["GB"])), SSRNet(model)]
    first, *rest = [network.eval().requires_grad_(False).to(device) for network in (*plain, *ours)]
    return dict(zip(WAYS, [first, *(network.to(memory_format=torch.channels_last) for network in rest)], strict=True))


def _order(number: int) -> Sequence[str]:
    return WAYS if number % 2 == 0 else WAYS[::-1]


def _extraction(settings: ExtractionBenchmarkSettings, batch: int | None) -> ExtractSettings:
    return ExtractSettings(settings.image_size, batch, precision=settings.precision)


def _passes(
    networks: dict[str, nn.Module], n: int, settings: ExtractionBenchmarkSettings, device: torch.device
) -> dict[str, Callable[[], Tensor]]:
    """Each network alone on a batch of ``n`` images that lies on the device."""
    shape = (n, 3, settings.image_size, settings.image_size)
    first = torch.randn(shape, generator=torch.Generator().manual_seed(n)).to(device)
    last = first.contiguous(memory_format=torch.channels_last)
    extraction = _extraction(settings, None)
    return {
        CHANNELS_FIRST: lambda: _pooled(networks[CHANNELS_FIRST], first, settings),
        TORCHVISION: lambda: _pooled(networks[TORCHVISION], last, settings),
        BASELINE: lambda: embeddings(networks[BASELINE], last, extraction),
        OURS: lambda: embeddings(networks[OURS], last, extraction),
    }


def _pooled(network: nn.Module, batch: Tensor, settings: ExtractionBenchmarkSettings) -> Tensor:
    """(B, C) float32 of torchvision's network."""
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        return network(batch).float()


def _whole(
    way: str,
    network: nn.Module,
    images: Sequence[VehicleImage],
    settings: ExtractionBenchmarkSettings,
    batch: int,
    device: torch.device,
) -> Callable[[], object]:
    """From the files to rows on the CPU."""

    def plain() -> list[Tensor]:
        data = ImageTensors(images, test_transform(settings.image_size))
        loader = DataLoader(data, batch, num_workers=settings.workers)
        return [_pooled(network, some.to(device), settings).cpu() for some, _ in read_batches(loader)]

    def ours() -> None:
        extraction = _extraction(settings, batch)
        made_by = {"checkpoint": way, "checkpoint_hash": way, **describe(extraction, settings.image_size)}
        with TemporaryDirectory() as folder, PartialFeatures(Path(folder) / "part", made_by) as part:
            extract(network, images, extraction, settings.image_size, device, settings.workers, partial=part)

    return plain if way in (CHANNELS_FIRST, TORCHVISION) else ours

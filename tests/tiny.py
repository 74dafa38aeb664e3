"""Networks, data sets and runs small enough to compute in a test."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ssrnet.data.augment import AugmentSettings
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.training.checkpoint import CheckpointInfo
from ssrnet.training.settings import OptimiserSettings, TrainSettings, recipe

BASELINE = dict(attention_branch=False, relation_branch=False)


def network(num_classes: int | None = None, seed: int = 0, **changes) -> SSRNet:
    """A resnet18 SSR-Net in evaluation mode; none of its batch norms is the identity."""
    torch.manual_seed(seed)
    model = SSRNet(ModelSettings(**{"backbone": "resnet18", **changes}), num_classes)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return model.eval()


def images(batch: int = 2, size: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def info(model: SSRNet, **changes) -> CheckpointInfo:
    """Checkpoint metadata for ``model``."""
    about = CheckpointInfo(
        model.settings, 64, model.num_classes, "toys", "0123456789abcdef", 3, 42, {"epochs": 3}, {"held_back": 0.5}, "0"
    )
    return replace(about, **changes)


COLOURS = (
    (220, 30, 30),
    (30, 200, 40),
    (40, 60, 230),
    (230, 220, 40),
    (200, 50, 220),
    (40, 220, 220),
    (240, 240, 240),
    (20, 20, 20),
    (240, 140, 30),
    (130, 90, 40),
)
TYPES = ("car", "truck", "motorcycle")


def city(root: Path) -> Path:
    """A VeRi layout that is easy to learn: every vehicle has a different colour.

    Six training vehicles and four test vehicles, each with three images by two cameras; every test
    vehicle's first image is a query. A manifest.csv gives types: car, truck, motorcycle, car.
    """
    generator = np.random.default_rng(0)
    lines = ["image,vehicle_type"]
    for vehicle, colour in enumerate(COLOURS):
        folder = "image_train" if vehicle < 6 else "image_test"
        for number, camera in enumerate((1, 2, 2)):
            name = f"{vehicle:04d}_c{camera:03d}_{number:08d}_0.jpg"
            pixels = np.clip(np.array(colour) + generator.normal(0, 12, (40, 48, 3)), 0, 255).astype(np.uint8)
            places = [folder] + (["image_query"] if folder == "image_test" and number == 0 else [])
            for place in places:
                (root / place).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / place / name)
            lines.append(f"{name},{TYPES[vehicle % 3]}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


def fleet(root: Path) -> Path:
    """A manifest of six test vehicles, each with queries by two cameras and gallery images by three.

    The first three are siblings, of one colour; ``marks`` and ``visible_marks`` as in the synthetic city.
    """
    generator = np.random.default_rng(0)
    lines = ["image,split,vehicle_id,camera_id,sibling_group,colour,marks,visible_marks"]
    root.mkdir(parents=True, exist_ok=True)
    for vehicle, mark in enumerate(("dent", "decal", "stripe", "patch", "ladder", "lettering")):
        look = f"{'1' if vehicle < 3 else ''},{'red' if vehicle < 3 else f'colour{vehicle}'}"
        for split, cameras in (("query", (1, 2)), ("gallery", (1, 2, 3))):
            for camera in cameras:
                name = f"{split}_v{vehicle}_c{camera}.jpg"
                colour = np.array(COLOURS[0 if vehicle < 3 else vehicle])
                pixels = np.clip(colour + generator.normal(0, 40, (40, 60, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / name)
                lines.append(f"{name},{split},v{vehicle},c{camera},{look},{mark}-rear-1 sticker-windscreen-1,{mark}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


EDGES = {"top": (255, 0, 255), "bottom": (0, 255, 255), "left": (255, 255, 0), "right": (0, 0, 128)}
SHAPES = ((40, 90), (40, 90), (120, 40), (64, 64))


def edged(size: tuple[int, int]) -> Image.Image:
    """A grey picture of (width, height) whose four edges have four colours; one that is cut lacks some."""
    width, height = size
    band = max(3, min(size) // 4)
    pixels = np.full((height, width, 3), 128, np.uint8)
    pixels[:, :band], pixels[:, -band:] = EDGES["left"], EDGES["right"]
    pixels[:band], pixels[-band:] = EDGES["top"], EDGES["bottom"]
    return Image.fromarray(pixels)


def edges_shown(pixels: np.ndarray) -> int:
    """How many of an edged picture's four edges (H, W, 3) uint8 pixels show."""
    return sum(bool((np.abs(pixels.astype(int) - colour).max(2) < 70).sum() > 8) for colour in EDGES.values())


def shapes(root: Path) -> Path:
    """A manifest's test split of edged pictures, portraits, panoramas and squares: four vehicles by two cameras."""
    lines = ["image,vehicle_id,camera_id,split"]
    root.mkdir(parents=True, exist_ok=True)
    for vehicle, size in enumerate(SHAPES):
        for camera, split in ((1, "query"), (2, "gallery")):
            name = f"v{vehicle}c{camera}.png"
            edged(size).save(root / name)
            lines.append(f"{name},{vehicle},{camera},{split}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def training(data: Path, out: Path, **changes) -> TrainSettings:
    """Two epochs of batches of two vehicles x two images at 32 px, on the CPU, in this process."""
    return replace(
        recipe("quick"),
        **{
            "data": data,
            "out": out,
            "model": ModelSettings(backbone="resnet18"),
            "backbone_weights": "none",
            "optimiser": OptimiserSettings(learning_rate=1e-3, warmup_epochs=0, decay_epoch=1),
            "augment": AugmentSettings(pad=2, erase=0.5),
            "frozen_stages": 1,
            "sizes": ((0, 32),),
            "epochs": 2,
            "identities_per_batch": 2,
            "images_per_identity": 2,
            "workers": 0,
            "device": "cpu",
            **changes,
        },
    )


def files(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` by its path, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def small_disk(limit: int = 100_000) -> Iterator[None]:
    """No file grows past ``limit`` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

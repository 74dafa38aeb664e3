"""``ssrnet doctor``: checks packages, devices, data sets and checkpoints."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import torch
import tyro

import ssrnet
from ssrnet.data.damaged import find_damaged, reading_bar
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import SSRNetError
from ssrnet.resources import available_memory
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.training.checkpoint import load_checkpoint

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "streamlit",
    "plotly",
    "grad-cam",
    "opencv-python-headless",
    "pytorch-metric-learning",
    "safetensors",
    "tyro",
)


@dataclass(frozen=True)
class DoctorSettings:
    """List installed packages, devices, data sets and checkpoints, and what is wrong with each."""

    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...")] = ()
    """Data folders or CSV manifests to check."""
    checkpoints: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="PATH ...")] = (Path("checkpoints"), Path("runs"))
    """Checkpoints, or folders to search for them."""
    layout: str | None = None
    """Read the data folders as this layout, as `Folders` or `unlabelled`, whatever they are recognised as."""
    images: bool = False
    """Read every image of the data sets, not only the first of each split, and list those that cannot be read."""


def doctor(settings: DoctorSettings) -> None:
    """Prints the report; raises :class:`SSRNetError` at the end if anything is wrong, for the exit code."""
    problems: list[str] = []
    print(f"ssrnet {ssrnet.__version__}, Python {platform.python_version()}, {platform.platform()}")
    for package in PACKAGES:
        try:
            print(f"  {package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            problems.append(f"{package} is not installed; run `pip install -r requirements.txt`")
    if any(distribution.name == "opencv-python" for distribution in metadata.distributions()):
        problems.append(
            "opencv-python is installed beside the headless build, and both write the same folder; uninstall it and "
            "reinstall opencv-python-headless"
        )
    print("devices:")
    print(f"  cpu, {torch.get_num_threads()} threads, {available_memory(torch.device('cpu')) / 2**30:.1f} GiB free")
    for i in range(torch.cuda.device_count()):
        print(f"  cuda:{i}, {torch.cuda.get_device_name(i)}, {torch.cuda.mem_get_info(i)[0] / 2**30:.1f} GiB free")
    print("data sets:" if settings.data else "data sets: none named, give --data DIR")
    for root in settings.data:
        problems += _check_data(root, settings.layout, settings.images)
    checkpoints = _checkpoint_files(settings.checkpoints)
    print("checkpoints:" if checkpoints else f"checkpoints: none in {', '.join(map(str, settings.checkpoints))}")
    for path in checkpoints:
        problems += _check_checkpoint(path)
    if len(problems) == 1:
        raise SSRNetError(f"{problems[0].removesuffix('.')}.")
    if problems:
        print("problems:", *problems, sep="\n  - ")
        raise SSRNetError(f"found {len(problems)} problems; see the list above.")
    print("nothing wrong")


def _check_data(root: Path, layout: str | None, every_image: bool) -> list[str]:
    """Prints the data set's summary and reads the first image of each split, or every one; returns what is wrong."""
    try:
        dataset = open_dataset(root, layout=layout)
    except SSRNetError as error:
        return [str(error)]
    print("  " + dataset.summary().replace("\n", "\n  "))
    splits = (dataset.train, dataset.query, dataset.gallery)
    images = [image for split in splits for image in (split if every_image else split[:1])]
    damaged = find_damaged(images, reading_bar)
    if every_image:
        print(f"  {len(damaged):,} of {len({image.path for image in images}):,} images cannot be read")
    return list(damaged.values())


def _checkpoint_files(places: Sequence[Path]) -> list[Path]:
    """The named files, existing or not, and the .safetensors files in the named folders, sorted."""
    files = [path for path in places if path.is_file() or path.suffix and not path.is_dir()]
    for folder in (place for place in places if place.is_dir()):
        files += [path for path in folder.rglob("*.safetensors") if not path.name.startswith(".")]
    return sorted(files)


def _check_checkpoint(path: Path) -> list[str]:
    """Prints what a checkpoint is, or that it is a feature file; returns what is wrong."""
    with suppress(SSRNetError):
        features, _ = FeatureSet.load(path)
        print(f"  {path}: features of {len(features.names):,} images")
        return []
    try:
        checkpoint = load_checkpoint(path)
    except SSRNetError as error:
        return [str(error)]
    info = checkpoint.info
    print(
        f"  {path}: {info.model.title}, {info.model.backbone}, {info.image_size} px, epoch {info.epoch}, "
        f"trained on {info.dataset}, hash {checkpoint.hash}"
    )
    return []

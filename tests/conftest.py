import os
from pathlib import Path

import pytest
import torch

os.environ.setdefault("TQDM_DISABLE", "1")
torch.set_num_threads(1)  # tiny networks gain nothing from more, and lose much on busy cores

from ssrnet.commands.extract import FeatureFileSettings, write_feature_file  # noqa: E402
from ssrnet.commands.publish import PublishSettings, publish_checkpoint  # noqa: E402
from ssrnet.train import train  # noqa: E402
from ssrnet.training.checkpoint import save_checkpoint  # noqa: E402
from tests import tiny  # noqa: E402

LONG = (
    "explain/test_projection",
    "browser/",
    "soak/",
    "synth/test_killed",
    "index/test_milvus_server",
    "index/test_demo",
    "training/test_dist",
)
"""Files that the processes begin with, so that they end together; by itself xdist begins with files of many tests.

The first compiles UMAP, which takes half a minute in a new environment, and which later processes find compiled.
"""


def pytest_configure(config):
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: next((i for i, part in enumerate(LONG) if part in item.nodeid), len(LONG)))


@pytest.fixture(scope="session")
def city(tmp_path_factory):
    """The data set of :func:`tests.tiny.city`; read-only."""
    return tiny.city(tmp_path_factory.mktemp("city"))


@pytest.fixture(scope="session")
def fleet(tmp_path_factory):
    """The data set of :func:`tests.tiny.fleet`; read-only."""
    return tiny.fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="session")
def run(city, tmp_path_factory):
    """Settings of a finished run on :func:`city` with two identities held out; its folder is read-only."""
    settings = tiny.training(city, tmp_path_factory.mktemp("runs") / "whole", holdout=2)
    train(settings)
    return settings


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> dict[str, str]:
    """A resnet18 baseline and SSR-Net on disk, by the sidebar's keys."""
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = {}
    for role, changes in (("baseline", tiny.BASELINE), ("ssrnet", {})):
        model = tiny.network(**changes)
        paths[role] = str(folder / f"{role}.safetensors")
        save_checkpoint(Path(paths[role]), model, tiny.info(model))
    return paths


@pytest.fixture(scope="session")
def tiny_demo(tmp_path_factory, checkpoints) -> Path:
    """A folder with a small demo, as in the repository: assets/city, published checkpoints, their features."""
    folder = tmp_path_factory.mktemp("demo")
    data = tiny.city(folder / "assets/city")
    for role, path in checkpoints.items():
        published = folder / f"checkpoints/{role}.safetensors"
        publish_checkpoint(PublishSettings(Path(path), published))
        write_feature_file(FeatureFileSettings(data, published, folder / "assets/features", workers=0, device="cpu"))
    return folder

import os

import pytest
import torch

os.environ.setdefault("TQDM_DISABLE", "1")
torch.set_num_threads(1)  # tiny networks gain nothing from more, and lose much where the cores are taken

from ssrnet.train import train  # noqa: E402
from tests import tiny  # noqa: E402


@pytest.fixture(scope="session")
def city(tmp_path_factory):
    """The data set of :func:`tests.tiny.city`; read it, never write into it."""
    return tiny.city(tmp_path_factory.mktemp("city"))


@pytest.fixture(scope="session")
def run(city, tmp_path_factory):
    """Settings of a finished run on :func:`city`, two of its identities held back; never write into its folder."""
    settings = tiny.training(city, tmp_path_factory.mktemp("runs") / "whole", holdout=2)
    train(settings)
    return settings

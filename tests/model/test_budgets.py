"""The paper's Table 7 as DESIGN.md pins it down, counted on the meta device: shapes without numbers."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ssrnet.model import ModelSettings, SSRNet
from tests import tiny


def budget(settings: ModelSettings):
    """Parameters, multiply-adds at 256x256, and the trace; the counter has two operations a multiply-add."""
    with torch.device("meta"):
        model = SSRNet(settings).eval()
        with FlopCounterMode(display=False) as counter:
            trace = model.trace(torch.zeros(1, 3, 256, 256))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() / 2, trace


@pytest.mark.parametrize(
    ("changes", "parameters", "multiply_adds", "dimension"),
    [(tiny.BASELINE, 23.51, 8.11, 2048), ({}, 34.53, 9.22, 3072)],
    ids=["baseline", "SSR-Net"],
)
def test_parameters_and_multiply_adds_meet_the_budget(changes, parameters, multiply_adds, dimension):
    P, M, trace = budget(ModelSettings(**changes))
    assert P / 1e6 == pytest.approx(parameters, abs=0.005)
    assert M / 1e9 == pytest.approx(multiply_adds, abs=0.005)
    assert trace.F_G.shape == (1, 2048, 16, 16)
    assert trace.embedding().shape == (1, dimension)


def test_the_branches_cost_what_the_paper_says():
    base, whole = (budget(ModelSettings(**changes)) for changes in (tiny.BASELINE, {}))
    assert (whole[0] - base[0]) / 1e6 == pytest.approx(11.02, abs=0.005)
    assert (whole[1] - base[1]) / 1e9 == pytest.approx(1.11, abs=0.005)


def test_where_the_stride_sits_changes_no_parameter_but_the_arithmetic():
    torchvisions, first = (budget(ModelSettings(stride_position=place)) for place in ("conv2", "conv1"))
    assert torchvisions[0] == first[0]
    assert first[1] < torchvisions[1]  # the 3x3 convolution sees the halved map
    assert first[2].F_G.shape == torchvisions[2].F_G.shape


def test_last_stride_2_halves_the_map():
    assert budget(ModelSettings(last_stride=2))[2].F_G.shape == (1, 2048, 8, 8)

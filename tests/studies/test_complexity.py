import pytest
import torch

from ssrnet.model import TABLE_1, ModelSettings
from ssrnet.studies import complexity
from ssrnet.studies.complexity import budget, interleaved_seconds, measure_complexity
from ssrnet.studies.settings import LatencySettings
from tests.studies import small


def test_the_budget_is_table_7s():
    """DESIGN.md's numbers: within 0.5 % of the paper's."""
    base, whole = (budget(ModelSettings(**TABLE_1[row]), 256) for row in ("GB", "+AB+RB"))
    assert [count / 1e6 for count, _ in (base, whole)] == pytest.approx([23.51, 34.53], abs=0.005)
    assert [adds / 1e9 for _, adds in (base, whole)] == pytest.approx([8.11, 9.22], abs=0.005)


def test_both_networks_are_measured_in_one_run(tmp_path):
    measured = measure_complexity(small.study("complexity", tmp_path, tmp_path))
    assert [cost.label for cost in measured.costs] == ["GB", "SSR-Net"]
    assert measured.costs[0].parameters < measured.costs[1].parameters
    low, high = measured.ratio_quartiles
    assert 0 < low <= measured.ratio <= high and all(cost.seconds > 0 for cost in measured.costs)
    record = measured.record
    assert record["backbone"] == "resnet18" and record["image_size"] == 32 and record["rounds"] == 2
    assert record["torch"] == torch.__version__ and "cpu" in record["device"] and record["threads"] >= 1


def test_the_ratio_is_of_times_in_the_same_round(tmp_path, monkeypatch):
    """A machine that halves its speed in mid-run moves both times, and no ratio."""
    monkeypatch.setattr(complexity, "interleaved_seconds", lambda *_: [(1.0, 1.2), (1.0, 1.2), (2.0, 2.4)])
    measured = measure_complexity(small.study("complexity", tmp_path, tmp_path))
    assert measured.ratio == pytest.approx(1.2) and measured.ratio_quartiles == (pytest.approx(1.2),) * 2
    assert [cost.seconds for cost in measured.costs] == [0.5, 0.6]  # an image of a batch of two


def test_the_networks_take_turns(monkeypatch):
    order = []
    monkeypatch.setattr(complexity, "_seconds", lambda network, _: order.append(len(network.branches)) or 1.0)
    models = [ModelSettings(backbone="resnet18", **TABLE_1[row]) for row in ("GB", "+AB+RB")]
    interleaved_seconds(models, LatencySettings(32, 1, 3), torch.device("cpu"))
    assert order == [1, 3, 1, 3] + [1, 3, 3, 1, 1, 3]

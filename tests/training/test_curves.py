import json

import pytest

from ssrnet.training.curves import CurvesSettings, draw_curves, main, read_stages
from ssrnet.training.runs import read_run


@pytest.fixture
def run(tmp_path):
    lines = [
        {
            "epoch": 1,
            "step": 3,
            "seconds": 2.0,
            "loss": 9.0,
            "accuracy": 0.25,
            "cross_entropy/G": 4,
            "cross_entropy/attn": 2,
        },
        {
            "epoch": 2,
            "step": 6,
            "seconds": 2.0,
            "loss": 6.0,
            "accuracy": 0.5,
            "cross_entropy/G": 2,
            "cross_entropy/attn": 2,
            "held_back": {"mAP": 0.4, "cmc": [0.6, 0.7]},
        },
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "settings.json").write_text(
        json.dumps({"recipe": "quick", "epochs": 2, "model": {"attention_branch": True}})
    )
    return tmp_path


def test_losses_are_shared_among_the_branches_and_shares_are_percent(run):
    drawn = [axis.lines[0].get_xydata().tolist() for axis in draw_curves([[read_run(run)]]).axes]
    assert drawn == [[[1, 4.5], [2, 3.0]], [[1, 25], [2, 50]], [[2, 60]], [[2, 40]]]


def test_a_stage_follows_the_one_before(run, tmp_path):
    second = tmp_path / "second"
    for name in ("second", "second-start"):
        (tmp_path / name).mkdir()
        for file in ("log.jsonl", "settings.json"):
            (tmp_path / name / file).write_text((run / file).read_text())
    assert [stage.folder.name for stage in read_stages(second)] == ["second-start", "second"]
    figure = draw_curves([read_stages(second), read_stages(run)])
    drawn = [line.get_xydata().tolist() for line in figure.axes[1].lines]
    assert drawn == [[[1, 25], [2, 50], [3, 25], [4, 50]], [[1, 25], [2, 50]]]


def test_the_same_runs_give_the_same_file(run, tmp_path):
    for name in ("a.svg", "b.svg"):
        main(CurvesSettings((run,), tmp_path / name))
    first = (tmp_path / "a.svg").read_bytes()
    assert first == (tmp_path / "b.svg").read_bytes() and first.count(b"<path") > 20

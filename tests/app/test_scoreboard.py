"""The Scoreboard through Streamlit's own test runner; what it reads is tested in tests/training/test_runs.py."""

import base64
import json
import os
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from app.widgets.export import COLOURS
from app.widgets.training_runs import GREY
from ssrnet.commands.study import make_plan
from ssrnet.studies.cell_results import write_json
from ssrnet.studies.definitions import STUDIES
from tests.app.conftest import html, models_listed, specs, whole
from tests.studies import small
from tests.training.test_runs import line, make, scored


def figures(test) -> dict[str, dict]:
    """Each chart's Plotly figure by its title."""
    return {figure["layout"]["title"]["text"]: figure for figure in specs(test)}


def points(figure: dict) -> dict[str, int]:
    """How many points each named curve has; what a chart draws for its legend alone has no finite one."""
    return {trace["name"]: len(_values(trace["x"])) for trace in figure["data"] if _values(trace["x"]) != [None]}


def _values(values) -> list:
    """Plotly sends long arrays in binary."""
    if not isinstance(values, dict):
        return list(values)
    return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).tolist()


@pytest.fixture
def two(tmp_path):
    """A finished baseline and an SSR-Net in its third epoch, with the time of now."""
    baseline = make(tmp_path / "runs/baseline", [line(i, held_back=scored(0.2 * i)) for i in (1, 2, 3, 4)], seed=0)
    extra = {"cross_entropy/attn": 0.4, "cross_entropy/token": 0.3}
    ssrnet = make(tmp_path / "runs/ssrnet", [line(1, **extra), line(2, **extra)], torn='{"epo', seed=1)
    for folder in (baseline, ssrnet):
        for path in folder.iterdir():
            os.utime(path)
    return [str(baseline), str(ssrnet)]


def test_with_no_run_chosen_the_page_says_what_to_do(open_page):
    test = open_page("scoreboard")
    assert not test.exception and not test.error and test.header[0].value == "Scoreboard"
    assert "Choose one or several above" in test.markdown[1].value
    assert test.code[0].value == "ssrnet train --data DIR --out runs/ssrnet --holdout 20"


def test_two_runs_share_their_axes(open_page, two):
    test = open_page("scoreboard", runs=two)
    assert not test.exception and not test.error and not test.warning
    drawn = figures(test)
    assert list(drawn) == [
        "Loss",
        "Held-back mAP",
        "Held-back rank-1",
        "Training accuracy",
        "Learning rate",
        "Images per second",
        "Loss: cross entropy",
        "Loss: triplet",
    ]
    assert points(drawn["Loss"]) == {"baseline": 4, "ssrnet": 2}
    assert points(drawn["Held-back mAP"]) == {"baseline": 4}
    assert points(drawn["Loss: cross entropy"]) == {
        "baseline, G": 4,
        "ssrnet, G": 2,
        "ssrnet, attn": 2,
        "ssrnet, token": 2,
    }
    assert drawn["Held-back mAP"]["data"][0]["mode"] == "lines+markers"
    assert "finished after epoch 4 of 4" in html(test) and "training, epoch 2 of 4" in html(test)


def test_a_change_of_the_image_size_is_marked_in_the_runs_colour(open_page, tmp_path):
    lines = [line(i, image_size=64 if i < 3 else 128) for i in (1, 2, 3, 4)]
    growing, other = (make(tmp_path / name, lines[:count]) for name, count in (("growing", 4), ("other", 2)))
    layout = figures(open_page("scoreboard", runs=[str(growing), str(other)]))["Loss"]["layout"]
    (mark,), (words,) = layout["shapes"], layout["annotations"]
    assert (mark["x0"], mark["line"]["color"], words["text"]) == (3, COLOURS[0], "128 px")
    both = figures(open_page("scoreboard", runs=[str(growing), str(make(tmp_path / "again", lines))]))["Loss"]
    assert [mark["line"]["color"] for mark in both["layout"]["shapes"]] == [GREY]


def test_the_tables_hold_the_last_epoch_and_what_differs(open_page, two):
    test = open_page("scoreboard", runs=two)
    last, differing = (frame.value for frame in test.dataframe)
    assert last["Run"].tolist() == ["baseline", "ssrnet"] and last["Epoch"].tolist() == [4, 2]
    assert last["Best mAP"][0] == pytest.approx(80) and last["At epoch"][0] == 4
    assert differing.to_dict("records") == [{"Setting": "seed", "baseline": "0", "ssrnet": "1"}]


def test_a_link_opens_another_axis(open_page, two):
    drawn = figures(open_page("scoreboard", runs=two, axis="Minutes"))
    assert _values(drawn["Loss"]["data"][0]["x"]) == [0.5, 1.0, 1.5, 2.0]
    assert drawn["Loss"]["layout"]["xaxis"]["title"]["text"] == "Minutes"


def test_a_vanished_run_is_one_sentence_beside_the_others_curves(open_page, two, tmp_path):
    shutil.rmtree(two[1])
    test = whole(open_page("scoreboard", runs=[*two, str(tmp_path)]))
    vanished, empty = (warning.value for warning in test.warning)
    assert vanished.startswith(f"{two[1]} is not there (any more)") and "holds no training run" in empty
    assert points(figures(test)["Loss"]) == {"baseline": 4}


def test_a_run_in_its_first_epoch_says_so(open_page, two):
    (Path(two[1]) / "log.jsonl").write_text("")
    test = open_page("scoreboard", runs=two[1:])
    assert "The first epoch has not ended yet" in test.info[0].value and "in its first epoch" in html(test)


def test_metrics_in_checkpoints_have_their_record_one_click_away(open_page, run):
    test = whole(open_page("scoreboard", runs=[str(run.out)]))
    stored = test.dataframe[-1].value
    assert stored["Checkpoint"].tolist() == ["whole/best.safetensors", "whole/last.safetensors"]
    records = [json.loads(element.value) for element in test.json]
    assert len(records) == 2
    for record in records:
        assert record["features"]["checkpoint_hash"] and record["average_precision"] and record["junk_rule"]


def test_a_broken_checkpoint_does_not_hide_the_curves(open_page, two):
    (Path(two[0]) / "last.safetensors").write_bytes(b"half a file")
    test = open_page("scoreboard", runs=two)
    assert not test.exception and "last.safetensors is no checkpoint" in test.warning[0].value
    assert len(figures(test)) == 8


def test_a_folder_with_markup_in_its_name_is_shown_as_text(open_page, tmp_path):
    folder = make(tmp_path / "<b onclick=x>run", [line(1)])
    test = open_page("scoreboard", runs=[str(folder)])
    assert not test.exception and "<b onclick" not in html(test) and "&lt;b onclick=x&gt;run" in html(test)


def test_the_bundled_study_stands_beside_the_papers_numbers(open_page, project, city):
    out = project / "assets/tables"
    study = STUDIES["depth"]
    plan = make_plan(small.study("depth", city, out, sizes=((0, 128),)), [study])["depth"]
    rows = [{"label": label, "cell": cell.name} for label, cell in plan.items()]
    write_json(out / "studies/depth.json", {"study": "depth", "rows": rows})
    for cell in plan.values():
        write_json(cell.result, asdict(small.result(cell, rank_1=0.125)))
    test = open_page("scoreboard")
    assert not test.exception and not test.error and not test.warning
    assert [each.value for each in test.subheader] == ["The paper's tables, measured"]
    assert "Measured on other data." in test.caption[0].value
    table = html(test)
    assert re.findall('<th scope="row">(.*?)</th>', table) == ["l = 1", "l = 2", "l = 3"] and "href" not in table
    assert re.search('<td class="here">(<b>)?12.50', table) and '<td class="paper">' in table
    assert len([each for each in test.json if "gallery" in each.value]) == 3
    notes = " ".join(each.value for each in test.caption)
    assert "with 1.19% lower mAP on VeRi-776" in notes and "l = 2 has 1.35 points of mAP more than l = 3" in notes
    test.session_state["others"] = True
    test = whole(test.run())
    assert "Other methods on VeRi-776 (Table 9)" in " ".join(each.value for each in test.markdown)
    assert "SSR-Net has 7.75 points of mAP more than HSS-GCN" in " ".join(each.value for each in test.caption)


def test_a_damaged_study_is_one_sentence(open_page, project, two):
    folder = project / "assets/tables/studies"
    folder.mkdir(parents=True)
    (folder / "depth.json").write_text("no JSON")
    test = open_page("scoreboard", runs=two)
    assert not test.exception and len(test.warning) == 1 and "depth.json" in test.warning[0].value
    assert "Loss" in figures(test)


def test_the_chosen_models_have_their_curves(open_city):
    test = open_city("scoreboard")
    differences, cmc, roc, cosines = (figure["data"] for figure in specs(test))
    titles = ["Baseline (GB)", "SSR-Net (GB+AB+RB)"]
    assert [trace["name"] for trace in cmc] == titles
    pairs = [f"{title}, {pair}" for title in titles for pair in ("one vehicle", "two vehicles")]
    assert [trace["name"] for trace in cosines] == pairs
    assert [trace["name"].split(", equal error")[0] for trace in roc] == titles
    assert models_listed(test) == titles
    (change,) = differences
    assert all(symbol == "circle-open" for symbol in change["marker"]["symbol"]), "few vehicles: hollow"
    (said,) = (each.value for each in test.caption if "Silverman" in each.value)
    assert re.search(r"[\d.]+( to [\d.]+)? for pairs of one vehicle and [\d.]+( to [\d.]+)? for pairs of two", said)


def test_the_loaded_models_runs_are_drawn_at_the_start(open_page, city, checkpoints, project):
    folder = project / "checkpoints"
    folder.mkdir()
    for name in ("baseline", "ssrnet"):
        shutil.copy(checkpoints[name], folder / f"{name}.safetensors")
        make(folder / name, [line(1), line(2)])
    make(folder / "ssrnet-start", [line(1)])
    make(folder / "other", [line(1)])
    url = {
        "data": str(city),
        "baseline": "checkpoints/baseline.safetensors",
        "ssrnet": "checkpoints/ssrnet.safetensors",
    }
    test = whole(open_page("scoreboard", **url))
    assert "runs" not in [each.key for each in test.multiselect], "folded"
    test.session_state["runs_open"] = True
    test = whole(test.run())
    assert test.multiselect(key="runs").value == [
        f"checkpoints/{name}" for name in ("baseline", "ssrnet", "ssrnet-start")
    ]
    test.multiselect(key="runs").set_value([]).run()
    assert "Choose one or several above" in " ".join(each.value for each in test.markdown)

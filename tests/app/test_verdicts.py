"""The verdict on the models, as every page with their numbers shows it."""

import re

import pytest

from app.workbench import RankingOptions, places
from app.workbench.verdicts import pairs_of, verdicts
from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.scorecard.scorecard import read_scorecard
from ssrnet.commands.compare import CompareSettings, compare_checkpoints
from ssrnet.data.protocols import Protocol
from tests.app.conftest import REPOSITORY, models_table, rows_of_pictures, specs, whole, workbench

CHECKPOINTS = {role: str(REPOSITORY / f"checkpoints/{role}.safetensors") for role in ("baseline", "ssrnet")}
CITY = REPOSITORY / "assets/city"


@pytest.fixture
def demo(monkeypatch):
    """The demo under a protocol, with its shipped features."""
    monkeypatch.chdir(REPOSITORY)
    return lambda name: workbench(CITY, CHECKPOINTS, Protocol(name))


def test_the_numbers_are_those_of_ssrnet_compare(demo, tmp_path):
    protocols = ("cross_camera", "single_gallery_shot")
    settings = CompareSettings(
        data=CITY, **CHECKPOINTS, out=tmp_path / "compare.json", protocols=protocols, seeds=1, align_cameras=True
    )
    compare_checkpoints(settings)
    for scores in read_scorecard(settings.out).protocols:
        bench = demo(scores.protocol)
        raw, aligned, *_ = scores.slices[0].differences
        assert [one.differences for one in verdicts(pairs_of(bench))] == [raw]
        shown = verdicts(pairs_of(bench.aligned))
        assert [one.differences for one in shown] == [raw, aligned]
        assert shown[1].vehicles == scores.slices[0].vehicles == 74


@pytest.fixture
def open_measured(open_city):
    """As ``open_city``, with the features that Start asks for."""

    def run(view: str, **url: str):
        test = open_city(view, **url)
        asked = [each for each in test.button if each.label == "Measure now"]
        return whole(asked[0].click().run()) if asked else test

    return run


def sentences(test) -> list[str]:
    return [each.value for each in test.markdown if re.match(r"\*\*SSR-Net.*query vehicles", each.value)]


@pytest.mark.parametrize("view", ["start", "retrieval", "failures", "scoreboard"])
def test_every_page_with_the_models_numbers_says_their_difference(open_measured, view):
    rows = models_table(open_measured(view))
    *models, difference = rows
    assert models == ["Baseline (GB)", "SSR-Net (GB+AB+RB)"] and difference == "SSR-Net − Baseline"
    for a, b, change in zip(*(rows[title] for title in models), rows[difference][::2], strict=True):
        assert float(b) - float(a) == pytest.approx(float(change.replace("−", "-")), abs=0.011)
    test = open_measured(view, align="true")
    *_, raw, aligned = models_table(test)
    assert (raw, aligned) == ("SSR-Net − Baseline", "SSR-Net, aligned − Baseline, aligned")
    (said,) = sentences(test)
    assert said.startswith("**SSR-Net, aligned against Baseline, aligned, with 4 query vehicles, too few"), (
        "few: no claim"
    )


def test_one_checkpoint_twice_is_noticed(open_measured, checkpoints):
    test = open_measured("retrieval", baseline=checkpoints["ssrnet"])
    said = [each.value for each in test.markdown if "same checkpoint" in each.value]
    assert said == ["**First: SSR-Net and Second: SSR-Net are the same checkpoint, so no number differs.**"]


def test_the_differences_are_of_rankings_with_the_same_options(demo):
    bench, options = demo("cross_camera"), RankingOptions(branches=("G",))
    (plain,), (one,) = (verdicts(pairs_of(bench), each) for each in (RankingOptions(), options))
    a, b = (model.evaluation(options).metrics for model in (bench.baseline, bench.ssrnet))
    assert one.differences["mAP"].value == pytest.approx(b.mAP - a.mAP) != plain.differences["mAP"].value


@pytest.fixture
def open_demo(open_page, monkeypatch):
    """``open_demo(**url)``: Scoreboard on the demo, with its shipped features and without the shipped runs."""
    monkeypatch.setattr(places, "ROOT", REPOSITORY)
    monkeypatch.chdir(REPOSITORY)
    return lambda **url: whole(open_page("scoreboard", data=str(CITY), **CHECKPOINTS, **url))


def test_fixed_and_broken_queries_stand_as_pictures(open_demo, demo):
    test = open_demo()
    bench = demo("cross_camera")
    comparison = Comparison(bench.baseline.evaluation(), bench.ssrnet.evaluation())
    cards = rows_of_pictures(test)
    for outcome, rows, kinds in (("fixed", cards[:4], ("error", "hit")), ("broken", cards[4:], ("hit", "error"))):
        queries = comparison.select(outcome)
        assert any(each.value.startswith(f"**{outcome.capitalize()}: {len(queries)}**") for each in test.markdown)
        assert [row["heading"] for row in rows] == [comparison.split.query[q].name for q in queries[:4]]
        for row in rows:
            query, *first = row["pictures"]
            assert (query["kind"], query["opens"]) == ("query", row["heading"])
            assert tuple(each["kind"] for each in first) == kinds
            assert all(title in each["caption"] for title, each in zip(("Baseline", "SSR-Net"), first, strict=True))


def test_the_slices_at_both_ends_stand_beside_all_queries(open_demo):
    test = open_demo()
    slices = specs(test)[1]
    names = slices["layout"]["yaxis"]["ticktext"]
    assert names[0] == "all queries (559)" and len(names) == 7
    gains = [trace["x"][0] for trace in slices["data"]]
    assert gains[1:] == sorted(gains[1:], reverse=True) and gains[3] > gains[0] > gains[4]
    assert any(re.match(r"The ends of a look at \d+ slices by \d+ properties", each.value) for each in test.caption)


def test_aligned_models_and_shots_have_their_details_too(open_demo, offered):
    test = open_demo(align="true", protocol="Single-gallery-shot")
    title = specs(test)[0]["layout"]["xaxis"]["title"]["text"].replace("<br>", " ")
    assert title == "SSR-Net, aligned − Baseline, aligned percentage points"
    assert len(rows_of_pictures(test)) == 8
    assert offered["verdict_pdf"]().startswith(b"%PDF")

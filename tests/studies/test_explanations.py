"""`ssrnet study explanations` from the command line to the report, on networks and data small enough to wait for."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ssrnet import cli
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError, SettingsError
from ssrnet.explain import sanity
from ssrnet.explain.cam import CAMS, Cam
from ssrnet.studies.explanations import measure
from ssrnet.studies.explanations.network import Network
from ssrnet.studies.explanations.run import draw, explain_checkpoints
from ssrnet.studies.explanations.sample import draw_pairs, draw_photographs, in_turns
from ssrnet.studies.settings import ExplanationSettings
from ssrnet.studies.verdicts import read_verdicts
from ssrnet.training.checkpoint import file_hash
from tests import tiny
from tests.explain import planted
from tests.studies.marked_city import LABELS, marked_city

BASELINE, SSRNET = "Baseline (GB)", "SSR-Net (GB+AB+RB)"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return marked_city(tmp_path_factory.mktemp("explained") / "toys")


@pytest.fixture(scope="module")
def settings(data, checkpoints, tmp_path_factory):
    return ExplanationSettings(
        "explanations",
        data,
        Path(checkpoints["baseline"]),
        Path(checkpoints["ssrnet"]),
        tmp_path_factory.mktemp("out"),
        images=6,
        curves=2,
        steps=2,
        score_pairs=1,
        randomised=2,
        score_channels=2,
        image_size=32,
        device="cpu",
    )


@pytest.fixture(scope="module")
def written(settings):
    """explanations.json and the report of a whole run."""
    explain_checkpoints(settings)
    return json.loads((settings.out / "explanations.json").read_text()), (settings.out / "explanations.md").read_text()


def test_the_command_line_knows_it(monkeypatch):
    caught = []
    monkeypatch.setattr(cli, "HANDLERS", dict.fromkeys(cli.HANDLERS, caught.append))
    arguments = "study explanations --data d --baseline b --ssrnet s --out o --pairs 3 --methods layer-cam M_s --seed 4"
    cli.run(arguments.split())
    (parsed,) = caught
    assert isinstance(parsed, ExplanationSettings)
    assert (parsed.pairs, parsed.methods, parsed.seed, parsed.out) == (3, ("layer-cam", "M_s"), 4, Path("o"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": 0}, "images is 0; it must be at least 1."),
        ({"steps": 1}, "steps is 1; it must be at least 2."),
        ({"methods": ()}, "--methods names no map; choose among grad-cam,"),
        ({"methods": ("M_s", "guess-cam")}, "--methods names 'guess-cam'; choose among grad-cam, .*, F_G."),
    ],
)
def test_bad_values_are_one_sentence(settings, changes, sentence):
    with pytest.raises(SettingsError, match=f"^{sentence}"):
        replace(settings, **changes)


def test_the_file_records_what_was_done(written, settings):
    study, _ = written
    record = study["record"]
    assert study["format"] == "ssrnet explanations 1" and study["left_out"] == {}
    assert record["dataset_hash"] == open_dataset(settings.data).content_hash()
    assert len(record["photographs"]) == 6 and len(record["pairs"]) == 2 and record["settings"]["seed"] == 0
    assert not {"data", "out", "baseline", "device"} & record["settings"].keys()
    baseline, ssr_net = study["models"]
    assert (baseline["title"], ssr_net["title"]) == (BASELINE, SSRNET)
    assert ssr_net["made_by"]["checkpoint_hash"] == file_hash(settings.ssrnet)
    assert "no attention branch" in baseline["no_M_s"] and ssr_net["no_M_s"] is None
    assert "so no F_attn" in baseline["no_F_attn"] and ssr_net["no_F_attn"] is None


def test_every_photograph_has_its_maps(written):
    study, _ = written
    cams = {"grad-cam", "grad-cam-cosine", "grad-cam++", "hires-cam", "layer-cam", "eigen-cam"}
    quick = cams | {"F_G", "random", "centre"}
    only_ssr_net = {"M_s", "F_attn", *(f"hires-cam, {branch} branch" for branch in ("G", "attn", "token"))}
    area = {"background": 0.1, "body": 0.9 - 64 / 1920, "sticker": 64 / 1920}
    for model, extra in zip(study["models"], (set(), only_ssr_net)):
        for number, row in enumerate(model["parts"]["photographs"]):
            score = {"score-cam"} if number < 2 else set()
            assert set(row["maps"]) == quick | extra | score
            assert (row["curves"] is not None) == (number < 2)
            assert row["area"] == pytest.approx(area, abs=1e-5)
            assert row["marks"] == pytest.approx(area["sticker"], abs=1e-5)
            for shares in row["maps"].values():
                assert sum(shares["mass"].values()) == pytest.approx(1, abs=1e-4)
                assert shares["marks"] == pytest.approx(shares["mass"]["sticker"], abs=1e-5)
            if number < 2:
                assert set(row["curves"]) == {name for name in row["maps"] if "branch" not in name}
                ends = {(c["deletion"][0], c["deletion"][-1], c["insertion"][0]) for c in row["curves"].values()}
                assert len(ends) == 1 and {c["insertion"][-1] for c in row["curves"].values()} == {next(iter(ends))[0]}


def test_every_pair_says_what_its_mark_does(written):
    for model in written[0]["models"]:
        rows = model["parts"]["pairs"]
        assert [set(row["similarity"]) for row in rows] == [{"as it is", "removed", "moved"}] * 2
        assert ["score-cam" in row["maps"] for row in rows] == [True, False]
        for row in rows:
            assert row["area"] == pytest.approx(64 / 1920, abs=1e-5)
            assert row["maps"]["random"]["change"] == pytest.approx(row["area"], abs=1e-5)


def test_every_stage_is_randomised(written, settings):
    for model, stages in zip(written[0]["models"], (6, 7)):
        first, second = model["parts"]["randomised"]
        assert len(first["stages"]) == len(second["stages"]) == stages
        for row in (first, second):
            assert all(-1 <= value <= 1 for stage in row["stages"].values() for value in stage.values())
        assert "score-cam" in first["stages"]["stem"] and "score-cam" not in second["stages"]["stem"]
        assert "score-cam" not in first["stages"]["layer1"]


def test_the_report_names_every_table_and_record(written, settings):
    study, text = written
    assert f"- **{BASELINE}**: no map was tested: " in text  # two vehicles' curves test nothing
    assert "has no spatial attention map M_s" in text.split("## SSR-Net")[0] and "HiResCAM, token branch" in text
    for words in (
        "Areas under the curves, 2 photographs of 2 vehicles",
        "Marks in sight: ",
        "all with look-alikes",
        "| sticker |",
        "Removing a mark changes the similarity by",
        "2 pairs of 2 vehicles",
        "weights are randomised",
        study["record"]["dataset_hash"],
        file_hash(settings.ssrnet),
    ):
        assert words in text
    for table in (block for block in text.split("\n\n") if block.startswith("|")):
        assert len({line.replace("\\|", "").count("|") for line in table.splitlines()}) == 1
    baseline, ssr_net = text.split("## SSR-Net")
    assert "| \\|F_G\\| |" in baseline and "| \\|F_attn\\| |" not in baseline and "and so no F_attn" in baseline
    assert "| \\|F_G\\| |" in ssr_net and "| \\|F_attn\\| |" in ssr_net


def test_maps_of_the_image_alone_take_part_wherever_m_s_does(written):
    parts = written[0]["models"][1]["parts"]
    for name in ("M_s", "F_attn", "F_G"):
        assert all(
            name in row["maps"] and (number > 1 or name in row["curves"])
            for number, row in enumerate(parts["photographs"])
        )
        assert all(name in row["maps"] for row in parts["pairs"])
        assert all(name in stage for row in parts["randomised"] for stage in row["stages"].values())
        assert all(name in row["other"] for row in parts["randomised"])


def test_a_cam_added_to_the_table_is_a_method_of_the_study(settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(CAMS, "toy-cam", Cam("Toy-CAM", lambda given: given.feature_map.F_G[:, 0].numpy()))
    assert "toy-cam" in ExplanationSettings("explanations", Path(), Path(), Path()).methods
    with pytest.raises(SystemExit):
        cli.run(["study", "explanations", "--help"])
    assert "score-cam,toy-cam,M_s" in capsys.readouterr().out
    explain_checkpoints(replace(settings, out=tmp_path, methods=("toy-cam",), pairs=0, randomised=0))
    assert "| Toy-CAM |" in (tmp_path / "explanations.md").read_text()


def test_a_published_study_is_small_and_names_its_checkpoints(written, settings, data, tmp_path):
    study, text = written
    shutil.copytree(settings.out, tmp_path / "out")
    explain_checkpoints(replace(settings, out=tmp_path / "out", publish=tmp_path / "assets"))
    assert tiny.files(tmp_path / "out") == tiny.files(settings.out), "publishing measures nothing and changes nothing"
    assert (tmp_path / "assets/explanations.md").read_text() == text
    verdicts = read_verdicts(tmp_path / "assets/explanations.json")
    assert verdicts.record == study["record"] and len(verdicts.models) == 2
    assert verdicts.of(file_hash(settings.ssrnet)).title == SSRNET and verdicts.of("0123456789abcdef") is None
    for model, whole in zip(verdicts.models, study["summary"], strict=True):
        assert [one.name for one in model.trusted] == whole["trusted"] == []  # two vehicles' curves test nothing
        for one, method in zip(model.maps, whole["methods"], strict=True):
            assert (one.name, one.passes) == (method["name"], whole["tests"].get(one.name, {}))
            assert one.gain == (method["gain"] and method["gain"]["value"])
            assert one.on_vehicle == pytest.approx(method["vehicle"]["value"]) and 0 < one.on_vehicle <= 1
    assert verdicts.models[0].of("random").photographs == 2


def test_a_run_is_not_published_over_itself(settings):
    with pytest.raises(SettingsError, match="the same folder"):
        replace(settings, publish=settings.out)


def test_a_run_goes_on_where_it_stopped(written, settings, monkeypatch, tmp_path):
    again = replace(settings, out=tmp_path)
    monkeypatch.setattr(measure, "randomised", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        explain_checkpoints(again)
    stopped = json.loads((tmp_path / "explanations.json").read_text())
    assert [list(model["parts"]) for model in stopped["models"]] == [["photographs", "pairs"], []]
    monkeypatch.undo()
    measured = []
    for name in ("photographs", "pairs", "randomised"):
        function = getattr(measure, name)
        monkeypatch.setattr(measure, name, lambda *a, name=name, f=function: measured.append(name) or f(*a))
    explain_checkpoints(again)
    assert measured == ["randomised", "photographs", "pairs", "randomised"]
    assert tiny.files(tmp_path) == tiny.files(settings.out), "the same numbers as in one go"
    measured.clear()
    explain_checkpoints(again)
    assert measured == []
    monkeypatch.setattr(measure, "photographs", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):  # other settings are measured again
        explain_checkpoints(replace(again, pairs=1))


def test_data_without_masks_and_probes_have_curves_alone(settings, city, tmp_path):
    few = replace(settings, data=city, out=tmp_path, randomised=0, methods=("layer-cam",))
    explain_checkpoints(few)
    study, text = json.loads((tmp_path / "explanations.json").read_text()), (tmp_path / "explanations.md").read_text()
    assert set(study["left_out"]) == {"masks", "pairs", "randomised"}
    (rows,) = study["models"][0]["parts"].values()
    assert len(rows) == 2 and all(row["curves"] and not row["maps"] for row in rows)
    assert "has no part masks (parts.txt" in text and "Areas under the curves" in text


def test_a_foreign_file_is_left_alone(settings, tmp_path):
    (tmp_path / "explanations.json").write_text('{"format": "diary"}')
    with pytest.raises(DataError, match="move it away"):
        explain_checkpoints(replace(settings, out=tmp_path))
    assert (tmp_path / "explanations.json").read_text() == '{"format": "diary"}'


def test_the_sample_is_drawn_by_its_seed_one_vehicle_after_the_other(data):
    dataset = open_dataset(data)
    drawn = draw_photographs(dataset, 12, seed=0)
    assert all(len({one.image.vehicle_id for one in turn}) == 4 for turn in (drawn[:4], drawn[4:8], drawn[8:]))
    assert drawn == draw_photographs(dataset, 12, seed=0) != draw_photographs(dataset, 12, seed=1)
    for one in drawn:
        assert one.reference.vehicle_id == one.image.vehicle_id and one.reference.camera_id != one.image.camera_id
        assert one.is_sibling == (one.image.vehicle_id != "0009")
    # camera 1's photograph shows 0 degrees, camera 2's 30 and 60: the nearer one is the reference
    assert all(one.reference.attributes["azimuth"] == "30" for one in drawn if one.image.camera_id == "c001")
    pairs = draw_pairs(dataset, 5, seed=0)
    assert {pair.vehicle for pair in pairs} == {"0006", "0008"}
    assert list(in_turns([11, 12, 21, 31, 32, 33], lambda n: str(n // 10), 0))[-1] in (31, 32, 33)


def test_costs_are_those_given_beforehand(data, settings):
    sample, _ = draw(open_dataset(data), settings)
    for changes in ({}, tiny.BASELINE):
        network = Network(tiny.network(**changes), 32, settings, torch.device("cpu"))
        for expected, rows in (
            (
                measure.photographs_cost(network, sample.photographs),
                lambda advance: measure.photographs(network, sample.photographs, open_dataset(data), LABELS, advance),
            ),
            (
                measure.pairs_cost(network, sample.pairs),
                lambda advance: measure.pairs(network, sample.pairs, LABELS, advance),
            ),
            (
                measure.randomised_cost(network, sample.photographs[:2]),
                lambda advance: measure.randomised(network, sample.photographs[:2], advance),
            ),
        ):
            costs = []
            list(rows(costs.append))
            assert sum(costs) == pytest.approx(expected)


def test_a_network_that_sees_one_crop_is_detected(data, settings, monkeypatch):
    """The sticker lies in the upper-left crop that the token sees; moved, it lies outside and does not count."""
    model = planted.upper_left_alone()
    model.backbone = planted.Patches(gain=100)  # so that colours outweigh the token's own vector
    model.necks["G"].weight.zero_()  # nothing of the whole image is left in the embedding
    network = Network(model, 64, replace(settings, methods=("hires-cam", "layer-cam")), torch.device("cpu"))
    monkeypatch.setattr(sanity, "SSRNet", None)  # nothing here may build another network
    pairs = draw_pairs(open_dataset(data), 2, 0)
    for row in measure.pairs(network, pairs, LABELS, lambda cost: None):
        similarity = row["similarity"]
        assert similarity["moved"] == pytest.approx(similarity["removed"], abs=2e-6)
        assert abs(similarity["as it is"] - similarity["removed"]) > 1e-3
        for name in ("hires-cam", "layer-cam"):
            assert row["maps"][name]["change"] > 3 * row["area"] > 0
    drawn = draw_photographs(open_dataset(data), 1, 0)
    (row,) = measure.photographs(network, drawn, open_dataset(data), LABELS, lambda cost: None)
    gain = {name: np.mean(curve["insertion"]) - np.mean(curve["deletion"]) for name, curve in row["curves"].items()}
    assert gain["hires-cam"] > gain["random"]

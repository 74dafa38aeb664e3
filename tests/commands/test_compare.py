import csv
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file

from ssrnet.analysis.scorecard.markdown import render
from ssrnet.analysis.scorecard.scorecard import read_scorecard
from ssrnet.commands import stored_features
from ssrnet.commands.compare import CompareSettings, compare_checkpoints
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import CheckpointError, DataError, ProtocolError, ResourceError, SettingsError
from ssrnet.retrieval.alignment import AlignmentSettings
from ssrnet.retrieval.evaluated_models import EvaluatedModel, distinct_titles
from ssrnet.retrieval.extraction import ExtractSettings
from ssrnet.training.checkpoint import file_hash, save_checkpoint
from tests import tiny

pytestmark = pytest.mark.usefixtures("working_folder")
BASELINE, SSRNET = "Baseline (GB)", "SSR-Net (GB+AB+RB)"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The tiny city, in which half of the test vehicles have a look-alike."""
    root = tiny.city(tmp_path_factory.mktemp("compared") / "toys")
    lines = (root / "manifest.csv").read_text().splitlines()
    groups = ["sibling_group", *("1" if line[:4] in ("0006", "0008") else "" for line in lines[1:])]
    (root / "manifest.csv").write_text("".join(f"{a},{b}\n" for a, b in zip(lines, groups, strict=True)))
    return root


@pytest.fixture
def settings(data, checkpoints, tmp_path):
    return CompareSettings(
        data,
        Path(checkpoints["baseline"]),
        Path(checkpoints["ssrnet"]),
        tmp_path / "out/c.json",
        extraction=ExtractSettings(image_size=32),
        seeds=2,
        workers=0,
        device="cpu",
    )


def test_the_file_renders_as_what_was_printed(settings, capsys, monkeypatch):
    extracted = []
    extract = stored_features.extract
    monkeypatch.setattr(stored_features, "extract", lambda *a, **named: extracted.append(a) or extract(*a, **named))
    compare_checkpoints(replace(settings, untrained="none", slices=("sibling_group", "vehicle_type")))
    printed, comparison = capsys.readouterr().out, read_scorecard(settings.out)
    assert len(extracted) == 3 and printed.endswith(f"\n\n{render(comparison)}")

    assert (comparison.dataset, comparison.dataset_hash) == ("toys", open_dataset(settings.data).content_hash())
    assert [model.title for model in comparison.models] == ["Untrained resnet18", BASELINE, SSRNET]
    assert comparison.differences == ((BASELINE, SSRNET),)
    assert comparison.models[2].features["checkpoint_hash"] == file_hash(settings.ssrnet)
    camera, shot = comparison.protocols
    assert (camera.protocol, camera.seeds, shot.protocol, shot.seeds) == (
        "cross_camera",
        (),
        "single_gallery_shot",
        (0, 1),
    )
    (left,) = comparison.left_out
    assert left.protocol == "multi_gallery_shot" and f"multi_gallery_shot is left out: {left.reason}" in printed
    for result in comparison.protocols:
        assert [one.title for one in result.slices] == [
            "all",
            "with sibling_group",
            "without sibling_group",
            "vehicle_type car",
            "vehicle_type motorcycle",
            "vehicle_type truck",
        ]
        for one in result.slices:
            assert [(row.model, row.branches) for row in one.rows] == [
                ("Untrained resnet18", ()),
                (BASELINE, ()),
                (SSRNET, ()),
                (SSRNET, ("G",)),
                (SSRNET, ("attn",)),
                (SSRNET, ("token",)),
            ]
            for row in one.rows:
                assert row.record["dataset_hash"] == comparison.dataset_hash and row.record["version"]
                assert row.record["features"]["branches"] == list(row.branches)
                assert all(0 <= e.low <= e.value <= e.high <= 1 for e in row.metrics.values())
            change = one.rows[2].metrics["mAP"].value - one.rows[1].metrics["mAP"].value
            assert one.differences[0]["mAP"].value == pytest.approx(change)


def test_nothing_in_the_file_says_where_it_was_made(settings, tmp_path):
    weights = tmp_path / "weights.safetensors"
    model = tiny.network(**tiny.BASELINE)
    save_file({name: value.contiguous() for name, value in model.backbone.state_dict().items()}, weights)
    compare_checkpoints(replace(settings, untrained=str(weights), protocols=("cross_camera",)))
    text = settings.out.read_text()
    assert str(tmp_path) not in text and str(settings.data.parent) not in text
    assert str(settings.baseline.parent) not in text
    first = read_scorecard(settings.out).models[0].features
    assert (first["checkpoint"], first["checkpoint_hash"]) == ("weights.safetensors", file_hash(weights))


def test_each_model_says_what_it_was_trained_on(settings, run, tmp_path, capsys):
    for folder in ("image_test", "image_query"):
        shutil.copytree(run.data / "image_train", tmp_path / "again" / folder)
    compare_checkpoints(
        replace(settings, data=tmp_path / "again", ssrnet=run.out / "last.safetensors", protocols=("cross_camera",))
    )
    printed = capsys.readouterr().out
    assert f"{SSRNET}: 4 of the 6 test vehicles were in the training data" in printed
    assert f"{BASELINE}: " in printed and printed.count("in the training data") == 1, "the baseline does not say"
    models = read_scorecard(settings.out).models
    assert [model.features.get("test_vehicles_in_training") for model in models] == [None, 4]


def test_a_checkpoint_against_itself_does_not_differ(settings, capsys):
    compare_checkpoints(replace(settings, baseline=settings.ssrnet))
    comparison = read_scorecard(settings.out)
    assert comparison.differences == ((f"{SSRNET}, 1", f"{SSRNET}, 2"),)
    for result in comparison.protocols:
        rows = result.slices[0].rows
        assert [row.model[-1] for row in rows] == ["1"] * 4 + ["2"] * 4  # both show their branches
        assert {(e.value, e.low, e.high) for e in result.slices[0].differences[0].values()} == {(0, 0, 0)}


def test_alignment_adds_rows_and_differences_for_each_model(settings, capsys):
    alignment = AlignmentSettings(prior=2, min_images=1)
    compare_checkpoints(replace(settings, align_cameras=True, alignment=alignment, protocols=("cross_camera",)))
    printed, comparison = capsys.readouterr().out, read_scorecard(settings.out)
    assert printed.endswith(render(comparison))
    aligned = [f"{title}, aligned" for title in (BASELINE, SSRNET)]
    pairs = ((BASELINE, SSRNET), tuple(aligned), *zip((BASELINE, SSRNET), aligned))
    assert comparison.differences == pairs and [one.title for one in comparison.models] == [BASELINE, SSRNET]
    (whole,) = comparison.protocols[0].slices
    rows = {row.model: row for row in whole.rows if not row.branches}
    assert list(rows) == [BASELINE, aligned[0], SSRNET, aligned[1]]
    assert all((row.record["camera_alignment"] != "none") == (title in aligned) for title, row in rows.items())
    for (a, b), difference in zip(pairs, whole.differences, strict=True):
        change = rows[b].metrics["mAP"].value - rows[a].metrics["mAP"].value
        assert difference["mAP"].value == pytest.approx(change)


def test_two_networks_of_one_kind(settings, tmp_path):
    other = tiny.network(seed=1)
    save_checkpoint(tmp_path / "other.safetensors", other, tiny.info(other))
    compare_checkpoints(replace(settings, baseline=tmp_path / "other.safetensors", protocols=("cross_camera",)))
    titles = [model.title for model in read_scorecard(settings.out).models]
    assert titles == [f"{SSRNET}, other.safetensors", f"{SSRNET}, ssrnet.safetensors"]


def test_titles_are_told_apart_by_file_then_hash_then_number():
    def titles(*files):
        made_by = [{"checkpoint": name, "checkpoint_hash": digest} for name, digest in files]
        return distinct_titles([EvaluatedModel(None, 64, "A", one) for one in made_by])

    assert titles(("x", "1")) == ["A"]
    assert titles(("x", "1"), ("y", "1")) == ["A, x", "A, y"]
    assert titles(("last", "1"), ("last", "2")) == ["A, 1", "A, 2"]
    assert titles(("last", "1f"), ("last", "1f")) == ["A, 1", "A, 2"]


def test_only_some_images(settings):
    compare_checkpoints(replace(settings, only="vehicle_type=car,truck", slices=("vehicle_type=car",)))
    comparison = read_scorecard(settings.out)
    assert comparison.images == "vehicle_type=car,truck"
    record = comparison.protocols[0].slices[1].rows[0].record
    assert (record["images"], record["queries_kept"], record["queries"], record["gallery"]) == (
        "vehicle_type=car,truck",
        "vehicle_type=car",
        2,
        9,
    )


def test_a_line_a_query_and_protocol(settings, tmp_path):
    with_csv = replace(settings, queries_csv=tmp_path / "new/queries.csv")
    compare_checkpoints(with_csv)
    with open(with_csv.queries_csv, newline="") as file:
        rows = list(csv.DictReader(file))
    camera, shot = read_scorecard(settings.out).protocols
    for result, seed in ((camera, ""), (shot, "0")):
        protocol_rows = [row for row in rows if row["protocol"] == result.protocol and row["seed"] == seed]
        assert len(protocol_rows) == result.slices[0].queries[0] + result.slices[0].excluded[0]
        if result is camera:  # the JSON has the mean over seeds
            model = next(row for row in result.slices[0].rows if (row.model, row.branches) == (SSRNET, ()))
            aps = [float(row["ap_b"]) for row in protocol_rows if row["ap_b"]]
            assert sum(aps) / len(aps) == pytest.approx(model.metrics["mAP"].value)
    assert {"confused_with_a", "has_sibling", "vehicle_type"} <= set(rows[0])


def test_a_sheet_with_three_pages_a_protocol(settings, tmp_path):
    sheet = tmp_path / "new/verdict.pdf"
    compare_checkpoints(replace(settings, sheet=sheet))
    pages = len(re.findall(rb"/Type /Page\b", sheet.read_bytes()))
    assert pages == 3 * len(read_scorecard(settings.out).protocols) > 3


@pytest.mark.parametrize("name", ["out", "queries_csv", "sheet"])
def test_a_file_that_cannot_be_written_is_told_before_extraction(settings, monkeypatch, tmp_path, name):
    (tmp_path / "taken").touch()
    monkeypatch.setattr(stored_features, "extract", None)
    path = tmp_path / "taken" / {"out": "c.json", "queries_csv": "c.csv", "sheet": "c.pdf"}[name]
    with pytest.raises(ResourceError, match="cannot write .*taken"):
        compare_checkpoints(replace(settings, **{name: path}))


def test_multi_gallery_shot_with_n(settings):
    compare_checkpoints(replace(settings, protocols=("multi_gallery_shot",), shots=2))
    comparison = read_scorecard(settings.out)
    assert [result.protocol for result in comparison.protocols] == ["multi_gallery_shot"] and not comparison.left_out
    assert comparison.protocols[0].slices[0].rows[0].record["shots"] == 2


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"protocols": ("multi_gallery_shot",)},
            ProtocolError,
            "toys serves none of the protocols .multi_gallery_shot",
        ),
        ({"protocols": ("multi_gallery_shot",), "shots": 0}, SettingsError, "n is 0; multi_gallery_shot needs"),
        ({"slices": ("wheels",)}, DataError, "no test image of toys has the attribute wheels; they have sibling_group"),
        ({"slices": ("vehicle_type=",)}, SettingsError, "--slices is 'vehicle_type='; write an attribute"),
        ({"only": "car"}, SettingsError, "--only is 'car'"),
        ({"data": Path("nowhere")}, DataError, "nowhere does not exist"),
        ({"ssrnet": Path("no.safetensors")}, CheckpointError, "there is no checkpoint at no.safetensors"),
        ({"untrained": "no.pth"}, CheckpointError, "there is no checkpoint at no.pth"),
    ],
)
def test_what_cannot_work_is_told_before_extraction(settings, monkeypatch, tmp_path, changes, error, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stored_features, "extract", None)
    with pytest.raises(error, match=message) as caught:
        compare_checkpoints(replace(settings, **changes))
    assert "\n" not in str(caught.value) and not settings.out.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "seeds is 0; at least one"),
        ({"protocols": ()}, "--protocols names none; choose among cross_camera"),
        ({"out": Path("c.md")}, "c.md does not end in .json; give --out"),
        ({"queries_csv": Path("c.md")}, "c.md does not end in .csv; give --queries-csv"),
        ({"sheet": Path("c.md")}, "c.md does not end in .pdf; give --sheet"),
    ],
)
def test_settings_that_cannot_work(settings, changes, message):
    with pytest.raises(SettingsError, match=message):
        replace(settings, **changes)

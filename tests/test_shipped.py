"""The checkpoints that come with the project, their features and their card: one cannot change without the others."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from ssrnet.analysis import camera_facts
from ssrnet.analysis.health_files import find_health
from ssrnet.analysis.scorecard.markdown import render
from ssrnet.analysis.scorecard.scorecard import Scorecard, read_scorecard
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.data.protocols import Protocol
from ssrnet.data.transforms import test_transform as transform
from ssrnet.explain.gallery_graphs import GRAPHS, SUFFIX, GalleryGraphs, extract_graphs
from ssrnet.explain.graph import GraphEdit, token_columns
from ssrnet.model import TABLE_1, EmbeddingSettings
from ssrnet.model.health import attention_health
from ssrnet.model.regions import region_boxes
from ssrnet.retrieval.alignment import AlignmentSettings
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.extraction import ExtractSettings, describe, extract
from ssrnet.retrieval.feature_files import feature_record, file_name, find_features
from ssrnet.studies.cell_results import read_cell
from ssrnet.studies.definitions import CROP_RATIOS
from ssrnet.studies.learning.record import LearningRecord
from ssrnet.studies.readings import as_card, as_table
from ssrnet.studies.tables import report_tables
from ssrnet.training.checkpoint import load_checkpoint, read_weights
from ssrnet.training.old_settings import split_loss_name
from ssrnet.training.resume import as_json
from ssrnet.training.settings import recipe
from ssrnet.training.trained_on import seen_by

ROOT = Path(__file__).parents[1]
CHECKPOINTS, FEATURES = ROOT / "checkpoints", ROOT / "assets/features"
NETWORKS = ("baseline", "ssrnet")
COMPARISONS = ("city", "twocam", "twocam-four-wheel", "town-report")


@pytest.fixture(scope="module", params=NETWORKS)
def shipped(request):
    return load_checkpoint(CHECKPOINTS / f"{request.param}.safetensors")


@pytest.fixture(scope="module")
def city():
    return open_dataset(ROOT / "assets/city")


@pytest.fixture(scope="module")
def stored(shipped, city):
    made_by = shipped.record | describe(ExtractSettings(), shipped.info.image_size)
    found = find_features([FEATURES], feature_record(made_by, city, city.content_hash()))
    assert found is not None, "make them again with `ssrnet extract --out assets/features`"
    return found


def compared(name: str) -> Scorecard:
    return read_scorecard(CHECKPOINTS / f"{name}.json")


def test_the_files_are_small_and_hold_no_classifier_and_nobodys_folders(shipped):
    tensors, metadata, _ = read_weights(shipped.path)
    assert shipped.path.stat().st_size <= 70e6 and shipped.notes == ()
    assert not any(name.startswith("classifiers.") for name in tensors) and shipped.info.num_classes > 800
    assert all(tensor.dtype == torch.float16 for tensor in tensors.values() if tensor.ndim > 1)
    assert "/" not in json.dumps(json.loads(metadata["info"])["training"]) and shipped.info.image_size == 256


def test_both_had_the_same_recipe_data_seed_and_steps():
    baseline, ssrnet = (load_checkpoint(CHECKPOINTS / f"{name}.safetensors").info for name in NETWORKS)
    ours = {"model", "network", "out", "start_from", "start_anew"}
    assert {k: v for k, v in baseline.training.items() if k not in ours} == {
        k: v for k, v in ssrnet.training.items() if k not in ours
    }
    assert baseline.model.padding == ssrnet.model.padding and baseline.step == ssrnet.step
    for name in ("dataset", "dataset_hash", "num_classes", "image_size"):
        assert getattr(baseline, name) == getattr(ssrnet, name)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_recipes_are_those_that_made_the_files(network):
    """Of both stages, whatever names their folders and machines had."""
    here = {
        "data",
        "out",
        "more_data",
        "recipe",
        "start_from",
        "cache",
        "workers",
        "evaluate_every",
        "backbone_weights",
    }
    for name, folder in (("healed", network), ("shipped", f"{network}-start")):
        run = split_loss_name(json.loads((CHECKPOINTS / folder / "settings.json").read_text()))
        ours = json.loads(as_json(asdict(recipe(name, network))))
        for key, value in run.items():
            if key == "cpu_bfloat16":
                continue  # where the CPU has it
            if isinstance(value, dict):  # options that came later have their default
                ours[key] = {inner: ours[key][inner] for inner in value}
            assert key in here or value == ours[key], f"{folder}: {key}"


def test_each_training_set_is_named_by_itself(shipped, city):
    city_train, twocam = shipped.info.training_sets
    assert (city_train.name, twocam.name) == ("city-train", "twocam")
    assert len(city_train.vehicles) + len(twocam.vehicles) == shipped.info.num_classes
    seen = seen_by(shipped.info, city)
    assert seen is not None and seen.vehicles == 0


def test_the_attention_of_the_shipped_ssrnet_is_healthy(city):
    """By the limits under which the pair was to be shipped; the card says which one it missed."""
    model = load_checkpoint(CHECKPOINTS / "ssrnet.safetensors").model
    pixels = torch.stack([transform(256)(read_image(image.path)) for image in city.test[::70]])
    with torch.inference_mode():
        health = attention_health([model.trace(pixels)])
    assert health.M_c_saturated < 0.05 and health.M_s_position < 1 / 3 and health.border < 2


@pytest.mark.parametrize("alignment", [None, AlignmentSettings()])
def test_the_shipped_features_give_the_cards_numbers(shipped, city, stored, alignment):
    """float16 may swap two images of a near tie, hence the tolerance."""
    evaluation = evaluate(stored, city, Protocol("cross_camera"), made_by={}, alignment=alignment, top_k=1)
    metrics = evaluation.metrics
    result = next(result for result in compared("city").protocols if result.protocol == "cross_camera")
    row = next(
        row
        for row in result.slices[0].rows
        if row.record["features"].get("checkpoint_hash") == shipped.hash
        and row.record["camera_alignment"] == evaluation.record.camera_alignment
    )
    assert row.branches == ()
    assert metrics.rank(1) == pytest.approx(row.metrics["rank-1"].value, abs=0.002)
    assert metrics.mAP == pytest.approx(row.metrics["mAP"].value, abs=0.0005)


def test_the_readmes_show_raw_and_aligned_as_measured():
    """The package's table, and the first page's sentences."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("ssrnet/README.md", "README.md")]
    shares = {}
    for name in ("town-report", "city", "twocam"):
        scores = next(result for result in compared(name).protocols if result.protocol == "cross_camera")
        rows = {row.model: row.metrics for row in scores.slices[0].rows if not row.branches}
        titles = [title for title in rows if not title.startswith("Untrained")]
        shares[name] = [(100 * rows[title]["rank-1"].value, 100 * rows[title]["mAP"].value) for title in titles]
        cells = " | ".join(f"{rank:.1f} / {mAP:.1f}" for rank, mAP in shares[name])
        assert any(cells in line for line in texts[0].splitlines() if name in line)
    sentence = " ".join(texts[1].split())
    (_, _), (baseline, baseline_mAP), (_, _), (ssr, ssr_mAP) = shares["city"]
    assert f"it is {ssr:.1f} and {baseline:.1f} % ({ssr_mAP:.1f} and {baseline_mAP:.1f} %)" in sentence
    (a, _), (a_aligned, _), (b, _), (b_aligned, _) = shares["town-report"]
    assert f"{b_aligned:.1f} and {a_aligned:.1f} % instead of {b:.1f} and {a:.1f} %" in sentence


def test_alignment_has_the_settings_that_the_study_chose():
    chosen = json.loads((ROOT / "assets/alignment.json").read_text(encoding="utf-8"))["chosen"]
    assert AlignmentSettings() == AlignmentSettings(chosen["prior"], chosen["min_images"])
    assert (camera_facts.ALIKE, camera_facts.MIN_DISTINCT) == (chosen["alike"], chosen["min_distinct"])


def test_images_extracted_again_have_the_shipped_features(shipped, city, stored):
    images = city.test[:: len(city.test) // 8][:8]
    again = extract(shipped.model, images, ExtractSettings(), shipped.info.image_size, torch.device("cpu")).features
    cosine = F.cosine_similarity(again, stored.rows(images))
    assert len(images) == 8 and cosine.min() > 1 - 1e-5


def test_the_demos_health_is_stored_and_its_graphs_are_at_fig_4s_ratios(shipped, city, stored):
    """By `ssrnet extract --explained`; all files together take at most 8 MB, float16 as the app stores them."""
    made_by = shipped.record | describe(ExtractSettings(), shipped.info.image_size)
    content = city.content_hash()
    health = find_health([FEATURES], feature_record(made_by, city, content))
    assert health is not None and health.images == 24 and bool(health.node_cosine) == shipped.model.settings.has_graph
    path = FEATURES / Path(file_name(feature_record(made_by, city, content, GRAPHS))).with_suffix(SUFFIX)
    assert path.is_file() == shipped.model.settings.has_graph
    assert sum(each.stat().st_size for each in FEATURES.glob(f"*{SUFFIX}")) < 8e6
    if not path.is_file():
        return
    graphs, record = GalleryGraphs.load(path, shipped.model)
    assert record["checkpoint_hash"] == shipped.hash and record["dataset_hash"] == content
    assert graphs.names == tuple(image.name for image in city.test) and graphs.by_ratio.dtype == torch.float16
    boxes = [
        [region_boxes(*graphs.size, ratio) for ratio in ratios] for ratios in (graphs.ratios, CROP_RATIOS.values())
    ]
    assert boxes[0] == boxes[1]
    rows = list(range(0, len(city.test), len(city.test) // 4))[:4]
    again = extract_graphs(shipped.model, [city.test[row] for row in rows], shipped.info.image_size)
    again = again.at_ratios(CROP_RATIOS.values()).by_ratio.float()
    assert F.cosine_similarity(again, graphs.by_ratio[:, rows].float(), dim=2).min() > 1 - 1e-4
    trained = graphs.tokens(GraphEdit())
    branch = stored.features.split(list(stored.branch_dims.values()), dim=1)[list(stored.branch_dims).index("token")]
    neck = token_columns(shipped.model, trained, EmbeddingSettings())
    torch.testing.assert_close(neck, branch.float(), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", COMPARISONS)
def test_the_card_shows_what_was_measured(name):
    assert render(compared(name)).strip() in (CHECKPOINTS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMPARISONS)
def test_the_measurements_are_of_these_files(name):
    hashes = {load_checkpoint(CHECKPOINTS / f"{network}.safetensors").hash for network in NETWORKS}
    assert hashes <= {model.features.get("checkpoint_hash") for model in compared(name).models}


def test_the_readmes_and_the_card_say_how_the_paper_was_read():
    info = load_checkpoint(CHECKPOINTS / "ssrnet.safetensors").info
    assert as_card(info.training | {"model": asdict(info.model)}) in (CHECKPOINTS / "README.md").read_text(
        encoding="utf-8"
    )
    assert as_table() in (ROOT / "ssrnet/README.md").read_text(encoding="utf-8")


def test_each_published_table_was_measured_on_one_footing():
    published = ROOT / "assets/tables"
    for table in report_tables(published):
        paths = {published / row.record for row in table.rows if row.record and row.record.startswith("cells/")}
        cells = [read_cell(path) for path in sorted(paths)]
        for name in ("epochs", "steps", "image_size", "training_set"):
            assert all(getattr(cell, name) == getattr(cells[0], name) for cell in cells), name
        for name in ("seed", "recipe", "optimiser", "augment", "backbone_weights", "sizes"):
            assert all(cell.training[name] == cells[0].training[name] for cell in cells), name


def test_the_readme_says_what_the_tables_do():
    """Table 1's numbers with their intervals, and of each measured table whether the paper's order holds."""
    tables = report_tables(ROOT / "assets/tables")
    text = (ROOT / "ssrnet/README.md").read_text(encoding="utf-8")
    table = next(table for table in tables if table.name == "components")
    measured = [row for row in table.rows if row.record]
    assert [row.label for row in measured][:7] == list(TABLE_1)
    for row in measured:
        rank_1, mAP, *_ = (f"{value})".replace("\n", " (") for value in row.values)
        assert f"| {row.label} | {mAP} | {rank_1} |" in text
    for table in tables:
        assert table.finding in " ".join(text.split()), table.title


def test_the_readmes_numbers_are_the_cards():
    text = " ".join((ROOT / "README.md").read_text().split())
    result = next(result for result in compared("city").protocols if result.protocol == "cross_camera")
    whole = [row for row in result.slices[0].rows if not row.branches and row.record["camera_alignment"] == "none"]
    rows = {row.record["features"].get("checkpoint_hash"): row for row in whole}
    ssrnet, baseline = (rows[load_checkpoint(CHECKPOINTS / f"{n}.safetensors").hash].metrics for n in NETWORKS[::-1])
    in_percent = [f"{100 * m[name].value:.1f}" for name in ("rank-1", "mAP") for m in (ssrnet, baseline)]
    assert "for {} % of the queries and the baseline for {} % (mAP {} and {} %".format(*in_percent) in text


def test_the_recorded_run_is_small_and_learns_what_its_losses_ask():
    """`ssrnet study learning --publish assets`: its batch's losses fall from before training to the last epoch."""
    folder = ROOT / "assets/learning"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_500_000
    record = LearningRecord.load(folder / "run.safetensors")
    before, after = (record.terms(state, record.about["margin"]) for state in (0, record.states - 1))
    for branch in record.branches:
        assert after[f"cross_entropy/{branch}"] < before[f"cross_entropy/{branch}"]
    side = record.about["image_size"]
    assert read_image(folder / "batch.jpg").size == (4 * side, len(record.images) // 4 * side)
    assert record.log[-1]["epoch"] == record.about["epochs"] == record.states - 1

"""The page How it learns: a batch's hardest pairs, and one ranking's AP and CMC."""

import re
from dataclasses import asdict

import pytest
import torch

from app.widgets.hardest_pairs import K, P
from app.widgets.score_steps import ap_sum
from app.widgets.tours import TOURS
from app.workbench.learning import WHOLE, mined_batch
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.data.transforms import pixel_transform
from ssrnet.explain.batch import draw_batch
from ssrnet.explain.scoring import PrecisionStep, QueryScore
from ssrnet.studies.learning.record import LearningRecord, eq_7
from ssrnet.studies.learning.recorder import contact_sheet, look, on_last_axes
from ssrnet.training.settings import OptimiserSettings
from tests import tiny
from tests.app.conftest import html, matrices, specs, whole, workbench
from tests.data import layouts

QUERY = "0008_c001_00000000_0.jpg"
RUN, SCORES = {"learning_part": "A recorded run"}, {"learning_part": "AP, mAP, CMC"}


def pictures(test) -> dict[str, str]:
    """The batch's pictures by their mark, as the name in the alt text."""
    return dict(re.findall(r'alt="([^":]+): vehicle \d+, ([^"]+)"', html(test)))


def texts(test) -> str:
    return " ".join(each.value for each in (*test.markdown, *test.caption))


@pytest.mark.parametrize("anchor", [0, 7])
def test_the_anchors_term_is_recomputed_from_the_networks_trace(open_city, city, checkpoints, anchor):
    test = open_city("learning", anchor=str(anchor), batch_branch="Relation")
    model = workbench(city, checkpoints).ssrnet
    images = draw_batch(model.data.dataset.test, P, K, 0)
    f = torch.cat([view.trace.f_token for view in model.views(images)])
    d = (f[anchor] - f).norm(dim=1)
    same = torch.tensor([image.vehicle_id == images[anchor].vehicle_id for image in images])
    farthest, nearest = d[same].max().item(), d[~same].min().item()
    term = float(re.search(r"mathbf\{([\d.]+)\}", texts(test))[1])
    assert term == pytest.approx(max(0, farthest - nearest + 0.5), abs=0.01)
    shown = pictures(test)
    assert shown["anchor"] == images[anchor].name
    assert shown["hardest +"].startswith(images[anchor].vehicle_id)
    assert not shown["hardest −"].startswith(images[anchor].vehicle_id)
    negatives, positives = specs(test)[0]["data"][0]["x"]
    assert (positives, negatives) == pytest.approx((farthest, nearest), abs=0.01)


def test_the_margin_and_the_space_are_in_the_url(open_city, city, checkpoints):
    test = open_city("learning", batch_margin="2.0", batch_branch="All, after the necks", anchor="nonsense")
    model = workbench(city, checkpoints).ssrnet
    batch = mined_batch(model, draw_batch(model.data.dataset.test, P, K, 0))[WHOLE]
    assert f"{batch.pairs.terms(2.0)[0]:.3f}" in texts(test) and "no loss acts on it" in texts(test)
    assert "not aligned" not in texts(test)


def test_aligned_ranks_are_scored_and_the_batch_stays_raw(open_city):
    raw, test = (open_city("learning", **url) for url in ({}, {"align": "true"}))
    assert "training knows no alignment" in texts(test)
    assert specs(test)[0]["data"][0]["x"] == specs(raw)[0]["data"][0]["x"]
    raw, test = (open_city("learning", query=QUERY, **SCORES, **url) for url in ({}, {"align": "true"}))
    assert "SSR-Net (GB+AB+RB), aligned" in html(test) and "aligned" not in html(raw)


@pytest.mark.parametrize("title", ["Baseline (GB)", "SSR-Net (GB+AB+RB)"])
def test_ap_and_cmc_step_by_step_are_the_evaluations(open_city, city, checkpoints, title):
    test = open_city("learning", query=QUERY, score_model=title, **SCORES)
    evaluation = workbench(city, checkpoints).models[title].evaluation()
    query = [image.name for image in evaluation.split.query].index(QUERY)
    (said,) = [each.value for each in test.latex if "AP(q) = " in each.value and "left" in each.value]
    assert f"= {evaluation.ranking.average_precision[query]:.4f}" in said
    steps, cmc = (each.value for each in test.dataframe)
    assert steps["i / rank"].mean() == pytest.approx(evaluation.ranking.average_precision[query], abs=1e-4)
    first = evaluation.ranking.first_hit[query]
    assert (cmc["gt(q, K)"] == (cmc["K"] >= first)).all()
    assert cmc["CMC@K"].tolist() == pytest.approx([evaluation.metrics.rank(k) for k in cmc["K"]], abs=1e-4)
    assert f"**{evaluation.metrics.mAP:.4f}**" in texts(test)


def test_long_sums_are_cut():
    score = QueryScore(tuple(PrecisionStep(i, 2 * i, i) for i in range(1, 21)))
    assert ap_sum(score).count("tfrac") == 6 and r"\cdots + \tfrac{20}{40}" in ap_sum(score)


def test_data_without_pairs_is_one_sentence(open_page, checkpoints, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        layouts.jpeg(tmp_path / "few" / name)
    lines = ["image,vehicle_id,camera_id,split", "a.jpg,1,1,query", "b.jpg,1,2,gallery"]
    layouts.write(tmp_path / "few/manifest.csv", lines)
    test = whole(open_page("learning", data=str(tmp_path / "few"), **checkpoints))
    assert any("two vehicles with two images each" in each.value for each in test.info)


@pytest.fixture
def record(project, city) -> LearningRecord:
    """Three networks as the states of a run, in the place of the recorded one."""
    data = open_dataset(city).train
    images = draw_batch(data, 4, 2, 0)
    squares = torch.stack([pixel_transform(32)(read_image(image.path)) for image in images])
    looked_at = torch.arange(4) * 2
    states = [look(tiny.network(num_classes=6, seed=seed), squares, looked_at) for seed in range(3)]
    stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    vehicles = sorted({image.vehicle_id for image in data})
    terms = {f"{name}/{branch}": 1.0 for name in ("cross_entropy", "triplet") for branch in ("G", "attn", "token")}
    record = LearningRecord(
        **{name: values for name, values in stacked.items() if name != "embedding"},
        plane=on_last_axes(stacked["embedding"]),
        looked_at=looked_at,
        labels=torch.tensor([vehicles.index(image.vehicle_id) for image in images]),
        about={
            "branches": ["G", "attn", "token"],
            "nodes": list(tiny.network().graph.nodes),
            "vehicles": vehicles,
            "images": [image.name for image in images],
            "log": [{"epoch": epoch, "learning_rate": 0.1, "loss": 6.0, **terms} for epoch in (1, 2)],
            "optimiser": asdict(OptimiserSettings(name="adamw", warmup_epochs=1, decay_epoch=1)),
            **{"epochs": 2, "margin": 0.5, "beta": 1.0, "image_size": 32, "training_images": 18, "network": "tiny"},
        },
    )
    folder = project / "assets/learning"
    folder.mkdir(parents=True)
    record.save(folder / "run.safetensors")
    contact_sheet(squares, 2).save(folder / "batch.jpg")
    return record


def test_without_a_recorded_run_the_page_says_how_to_make_one(open_city):
    assert any("ssrnet study learning" in each.value for each in open_city("learning", **RUN).info)


@pytest.mark.parametrize("state", [0, 2])
def test_the_recorded_run_at_an_epoch_is_the_records(open_city, record, state):
    url = {"recorded_epoch": str(state), "recorded_branch": "Relation", "recorded_picture": "1", "recorded_beta": "0.5"}
    test = open_city("learning", **url)
    assert "not the loaded pair" in texts(test)
    anchor = int(record.looked_at[1])
    charts = {each["layout"].get("title", {}).get("text"): each for each in specs(test)}
    classifier = charts["p of each vehicle, relation"]["data"][0]
    expected = record.logits[state, 2, anchor].softmax(0)
    assert classifier["y"] == pytest.approx(expected.tolist(), abs=1e-4)
    total = eq_7(record.terms(state, 0.5), 0.5)
    assert f"= {total:.3f}, of which" in texts(test)
    test = open_city("learning", **url, recorded_show="Hardest pair and ranks")
    pairs = record.mined(state, "token").pairs
    assert f"({pairs.farthest[anchor]:.3f} - {pairs.nearest[anchor]:.3f} + 0.50)" in texts(test)
    first, _ = record.first_ranks(state, anchor, 1)[0]
    assert re.search(rf'alt="rank 1, \w+ vehicle: {record.images[first]}"', html(test))
    (points,) = (each["data"] for each in specs(test) if "Embeddings" in str(each["layout"].get("title")))
    assert sum(len(each["x"]) for each in points) == len(record.images) + 1
    test = open_city("learning", **url, recorded_show="Attention and nodes")
    bars = re.findall(r"Colours from black, (.*?), to pale yellow, (.*?)\"", html(test))
    assert [tuple(map(float, bar)) for bar in bars] == [
        pytest.approx((M_s.min().item(), M_s.max().item()), rel=0.01) for M_s in record.M_s[state]
    ]
    shared = open_city("learning", **url, recorded_show="Attention and nodes", same_scale="true", map_colours="Viridis")
    bars = re.findall(r"Colours from violet, (.*?), to yellow, (.*?)\"", html(shared))
    assert [tuple(map(float, bar)) for bar in bars] == [
        pytest.approx((record.M_s.min().item(), record.M_s.max().item()), rel=0.01)
    ] * len(record.looked_at)
    cosines = matrices(test)[0]["Cosine, H(2)"]
    assert cosines == pytest.approx(record.node_cosine[state, 2, 1].numpy(), abs=0.006)


def test_the_learning_rate_is_the_schedules(open_city, record):
    test = open_city("learning", recorded_show="Training curves")
    charts = {each["layout"].get("title", {}).get("text"): each for each in specs(test)}
    rate = charts["Learning rate"]["data"][0]
    assert rate["y"][0] == pytest.approx(1e-6) and max(rate["y"]) == pytest.approx(1e-4, rel=0.05)
    assert rate["y"][-1] == pytest.approx(0, abs=1e-9)


def test_a_damaged_record_is_one_sentence(open_page, city, checkpoints, record, project):
    path = project / "assets/learning/run.safetensors"
    path.write_bytes(b"nothing")
    test = open_page("learning", data=str(city), **checkpoints, **RUN)
    assert not test.exception and [each.value for each in test.error if "no record of" in each.value]


@pytest.mark.parametrize(
    ("url", "part", "shown"),
    [
        ({}, "A batch", None),
        ({"anchor": "3", "batch_margin": "1.0", "query": QUERY}, "A batch", None),
        ({"recorded_epoch": "1"}, "A recorded run", "Attention and nodes"),
        ({"recorded_branch": "Relation"}, "A recorded run", "Hardest pair and ranks"),
        ({"recorded_branch": "Relation", "recorded_beta": "0.5"}, "A recorded run", "Cross-entropy and β"),
        (SCORES, "AP, mAP, CMC", None),
    ],
)
def test_links_of_earlier_versions_open_what_they_are_about(open_city, record, url, part, shown):
    test = open_city("learning", **url)
    assert test.session_state["learning_part"] == part
    assert ("recorded_show" in test.session_state and test.session_state["recorded_show"]) == (shown or False)


def test_every_step_of_the_tour_shows_what_its_link_would_open(open_city, city, checkpoints, record):
    """Stepped through on one page, whose widgets hold what the step before them showed."""
    steps = [step for step in TOURS["learning"](workbench(city, checkpoints)).steps if step.view == "learning"]
    assert len(steps) == 6
    test = open_city("learning", tour="learning", step="1", **steps[0].params)
    for number, step in enumerate(steps, 1):
        for key, value in {"step": str(number), **step.params}.items():
            test.query_params[key] = value
        test = whole(test.run())
        assert {key: str(test.session_state[key]) for key in step.params} == step.params, number

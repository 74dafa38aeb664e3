"""The page How it learns: a batch's hardest pairs, and one ranking's AP and CMC."""

import re

import pytest
import torch

from app.widgets.hardest_pairs import K, P
from app.widgets.score_steps import ap_sum
from app.workbench.learning import WHOLE, mined_batch
from ssrnet.explain.batch import draw_batch
from ssrnet.explain.scoring import PrecisionStep, QueryScore
from tests.app.conftest import html, specs, whole, workbench
from tests.data import layouts

QUERY = "0008_c001_00000000_0.jpg"


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
    raw, test = (open_city("learning", query=QUERY, **url) for url in ({}, {"align": "true"}))
    assert "training knows no alignment" in texts(test)
    assert "SSR-Net (GB+AB+RB), aligned" in html(test) and "aligned" not in html(raw)
    assert specs(test)[0]["data"][0]["x"] == specs(raw)[0]["data"][0]["x"]


def test_ap_and_cmc_step_by_step_are_the_evaluations(open_city, city, checkpoints):
    test = open_city("learning", query=QUERY)
    evaluation = workbench(city, checkpoints).ssrnet.evaluation()
    query = [image.name for image in evaluation.split.query].index(QUERY)
    said = [each.value for each in test.latex if "AP(q) = " in each.value and "left" in each.value]
    assert len(said) == 2 and f"= {evaluation.ranking.average_precision[query]:.4f}" in said[1]
    steps, cmc = (each.value for each in test.dataframe[2:4])
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

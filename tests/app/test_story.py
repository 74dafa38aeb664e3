"""The Story page: each stage against the trace, what a network without graph and attention skips, uploads, the URL."""

import re
from html import unescape

import numpy as np
import pytest
import torch

from ssrnet.data.datasets import open_dataset
from ssrnet.explain.shares import branch_products
from ssrnet.explain.stages import messages
from ssrnet.model.regions import region_boxes
from tests.app.conftest import components, html, rows_of_pictures, specs, whole, workbench

QUERY = "0007_c001_00000000_0.jpg"
NODES = ["global", "ul", "ur", "mid", "dl", "dr", "token"]


@pytest.fixture
def story(open_city):
    """``story(stage)`` opens the page at a stage, later ones in the same session."""
    opened = []

    def at(stage: int, **url: str):
        if not opened:
            opened.append(open_city("story", query=QUERY, stage=str(stage), **url))
        else:
            opened[0].query_params["stage"] = str(stage)
            opened[0].run()
        test = whole(opened[0])
        assert components(test, "stages")[0]["at"] == stage and test.subheader[0].value.startswith(f"{stage}. ")
        return test

    return at


def model_and_trace(city, checkpoints, name="ssrnet"):
    bench = workbench(city, checkpoints)
    model = getattr(bench, name)
    query = next(at for at, image in enumerate(bench.split.query) if image.name == QUERY)
    return model, query, model.view(bench.split.query[query]).trace


def handed(test, way):
    """What the stage takes or gives: name and shape."""
    found = re.findall(rf"{way} <b>(.*?)</b><br>(.*?)</(?:figcaption|div)>", html(test))
    return [tuple(unescape(re.sub("<.*?>", "", part)) for part in each) for each in found]


def said(test):
    return " ".join(each.value for each in test.markdown)


def test_every_stage_takes_what_the_one_before_gives_in_the_tensors_shapes(story, city, checkpoints):
    _, _, trace = model_and_trace(city, checkpoints)
    maps = " × ".join(map(str, trace.F_G.shape))
    gives = [
        ("the input x", "1 × 3 × 64 × 64"),
        ("FG", maps),
        ("Fc", f"{maps}, by Mc of 1 × 512 × 1 × 1"),
        ("Fattn", f"{maps}, by Ms of 1 × 1 × 4 × 4"),
        ("H(0)", "1 × 7 × 512"),
        ("H(2)", "1 × 7 × 512"),
        ("ftoken", "1 × 512"),
        ("the embedding f", "1 × 1,536"),
        ("the cosine", "one number"),
    ]
    for stage, given in enumerate(gives, 1):
        test = story(stage)
        assert handed(test, "gives") == [given] and len(test.latex) == 1
        before = [gives[stage - 2]] if stage > 1 else []
        if stage == 8:
            before = [("fG, fattn, ftoken", "1 × 512, 1 × 512, 1 × 512")]
        assert handed(test, "takes") == before
        assert re.search(r'<img src="data:image/\w+;base64,[^"]{99,}" alt="[^"]+', html(test))


def test_numbers_of_the_maps_are_the_traces(story, city, checkpoints):
    _, _, trace = model_and_trace(city, checkpoints)
    assert "by 1.33 across and by 1.60 down" in said(story(1)), "48 × 40 pixels become 64 × 64"
    assert trace.f_G[0].argmax().item() == int(re.search(r"channel (\d+): mean", html(story(2)))[1])
    M_c, (bars,) = trace.M_c[0, :, 0, 0].numpy(), specs(story(3))
    strongest, weakest = (
        np.array(bar["x"] if isinstance(bar["x"], list) else decoded(bar["x"])) for bar in bars["data"]
    )
    assert strongest == pytest.approx(np.sort(M_c)[:-7:-1]) and weakest == pytest.approx(np.sort(M_c)[5::-1])
    M_s = trace.M_s[0, 0].numpy()
    row, column = np.unravel_index(M_s.argmax(), M_s.shape)
    sentence = said(story(4))
    assert f"by {M_s.min():.2f} to {M_s.max():.2f}" in sentence
    assert f"highest in row {row + 1} from the top, column {column + 1} from the left, of 4 × 4" in sentence


def decoded(packed):
    """Plotly's typed array."""
    import base64

    return np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])


def test_the_crops_follow_lambda_and_the_story_goes_on_as_trained(story):
    test = story(5, regions_lambda="1.000")
    (data,) = components(test, "region_boxes")
    step = data["steps"][data["chosen"]]
    assert step["ratio"] == 1 and data["compact"]
    assert data["sets"][step["set"]]["boxes"] == [list(box) for box in region_boxes(4, 4, 1)]
    assert "a region has 4 × 4 of the 4 × 4 cells" in said(test) and "go on at the trained λ = 0.667" in said(test)


def test_edges_are_as_wide_as_what_is_sent(story, city, checkpoints):
    model, _, trace = model_and_trace(city, checkpoints)
    sent = messages(model.network, trace)
    (data,) = components(story(6), "node_graph")
    first, last = data["steps"]
    assert [first["title"], last["title"]] == ["H(0) → H(1)", "H(1) → H(2)"]
    effects, shares = sent.effects[0] / sent.effects[0].max(), sent.shares.abs() / sent.shares.abs().max()
    for (a, b), one, two in zip(data["edges"], first["widths"], last["widths"], strict=True):
        assert one == pytest.approx([effects[NODES.index(a)].item(), effects[NODES.index(b)].item()])
        expected = [shares[NODES.index(a)].item(), None] if b == "token" else [None, shares[NODES.index(b)].item()]
        assert two == ([None, None] if "token" not in (a, b) else pytest.approx(expected))
    assert list(last["labels"].values()) == [f"{100 * share:.0f} %" for share in sent.shares.tolist()]
    assert (
        "row of H(0) is zero" in first["note"] and "exact share" in last["note"] and "add up to 100 %" in last["note"]
    )


def test_the_tokens_row_and_the_embedding(story, city, checkpoints):
    _, _, trace = model_and_trace(city, checkpoints)
    assert (trace.f_token == trace.H[-1][:, -1]).all()
    assert f"{(trace.f_token > 0).sum()} of the 512 numbers" in said(story(7))
    squared = [float(x.square().sum()) for x in trace.after.values()]
    parts = [f"{100 * part / sum(squared):.0f} %" for part in squared]
    assert re.findall(r"\d+ %", said(story(8)).partition("as it is")[2])[:3] == parts


@pytest.mark.parametrize("align", [{}, {"align": "true"}])
def test_the_cosine_is_the_first_ranked_images_and_rows_are_of_both_networks(story, city, checkpoints, align):
    bench = workbench(city, checkpoints)
    bench = bench.aligned if align else bench
    query = next(at for at, image in enumerate(bench.split.query) if image.name == QUERY)
    ranking = bench.ssrnet.evaluation().ranking
    first = next(hit for hit in ranking.top(query, 5) if hit.rank == 1)
    test = story(9, **align)
    *shares, together = map(
        float, re.findall(r"\d\.\d{3}", said(test).partition("Shares of the")[2].partition("Every picture")[0])
    )
    assert together == pytest.approx(1 - first.distance, abs=1e-3) and sum(shares) == pytest.approx(together, abs=2e-3)
    assert len(shares) == 3 and f"Ranked first: {bench.split.gallery[first.index].name}" in html(test)
    rows = rows_of_pictures(story(10))
    assert [row["heading"] for row in rows] == list(bench.networks)
    for row, model in zip(rows, bench.networks.values()):
        hits = model.evaluation().ranking.top(query, 5)
        assert [each["alt"].split(", ")[1].split(" (")[0] for each in row["pictures"][1:]] == [
            bench.split.gallery[hit.index].name for hit in hits
        ]


def test_a_network_without_attention_and_graph_says_so_and_skips_their_stages(story):
    test = story(2, story_network="Baseline (GB)")
    assert components(test, "stages")[0]["absent"] == [3, 4, 5, 6, 7]
    why = next(each.value for each in test.caption if "Skipped" in each.value)
    assert "no attention branch" in why and "no relation branch" in why
    assert "no such stage" in story(6).info[0].value
    test = story(8)
    assert handed(test, "takes") == [("fG", "1 × 512")] and "100 % global" in said(test)
    assert "together" in said(story(9)) and len(rows_of_pictures(story(10))) == 2


@pytest.mark.parametrize("align", [{}, {"align": "true"}])
def test_an_upload_takes_the_querys_place(story, city, checkpoints, align):
    photograph = next(image for image in open_dataset(city).test if image.vehicle_id == "0008")
    test = story(9, **align)
    test.get("file_uploader")[0].set_value((photograph.name, photograph.path.read_bytes(), "image/jpeg"))
    whole(test.run())
    bench = workbench(city, checkpoints)
    model = bench.ssrnet.aligned if align else bench.ssrnet
    embedding = model.predictor.embed([photograph])
    gallery = torch.cat(list(model.branch_features().gallery.values()), dim=1)
    if align:
        embedding = model.statistics().align(embedding, [None])
    cosine = branch_products(embedding[0], gallery, dict.fromkeys(("G", "attn", "token"), 512)).shares().sum(0)
    assert f"together {cosine.max():.3f}" in said(test)
    assert "the uploaded picture" in html(test)
    rows = rows_of_pictures(story(10))
    order = cosine.argsort(descending=True)[:5].tolist()
    assert [each["alt"].partition(": ")[2] for each in rows[1]["pictures"][1:]] == [
        bench.split.gallery[at].name for at in order
    ]
    assert all(each["kind"] in ("query", "plain") for row in rows for each in row["pictures"])
    (data,) = components(story(6), "node_graph")
    assert data["image"].startswith("data:image/jpeg")


@pytest.mark.parametrize(("named", "stage"), [("0", 1), ("99", 10), ("three", 1)])
def test_a_stage_that_does_not_exist_is_the_nearest(open_city, named, stage):
    assert components(open_city("story", stage=named), "stages")[0]["at"] == stage

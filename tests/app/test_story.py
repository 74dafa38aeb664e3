"""The Story page: each stage against the trace, what a network without graph and attention skips, uploads, the URL."""

import base64
import io
import re
from html import unescape

import cv2
import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from app.workbench.cache import SESSION
from app.workbench.images import reduced, square
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.data.uploads import Uploads
from ssrnet.explain.shares import branch_products
from ssrnet.explain.stages import messages
from ssrnet.model.regions import region_boxes
from tests.app.conftest import components, html, rows_of_pictures, specs, whole, workbench

QUERY, OTHER = "0007_c001_00000000_0.jpg", "0008_c001_00000000_0.jpg"
NODES = ["global", "ul", "ur", "mid", "dl", "dr", "token"]


@pytest.fixture
def story(open_city):
    """``story(stage)`` opens the page at a stage, later ones in the same session."""
    opened = []

    def at(stage: int, **url: str):
        if not opened:
            opened.append(open_city("story", **{"query": QUERY, "stage": str(stage), **url}))
        else:
            opened[0].query_params["stage"] = str(stage)
            opened[0].run()
        test = whole(opened[0])
        assert components(test, "stages")[0]["at"] == stage and test.subheader[0].value.startswith(f"{stage}. ")
        return test

    return at


def model_and_trace(city, checkpoints, name=QUERY):
    bench = workbench(city, checkpoints)
    model = bench.ssrnet
    query = next(at for at, image in enumerate(bench.split.query) if image.name == name)
    return model, query, model.view(bench.split.query[query]).trace


def handed(test, way):
    """What the stage takes or gives: name and shape."""
    found = re.findall(rf"{way} <b>(.*?)</b><br>(.*?)</(?:figcaption|div)>", html(test))
    return [tuple(map(plain, each)) for each in found]


def plain(words):
    """Without the tags that typeset symbols."""
    return unescape(re.sub("<.*?>", "", words))


def said(test):
    return " ".join(each.value for each in test.markdown)


def pictures(test):
    """The stage's own pictures by their alt text: (h, w, 3) uint8, and the numbers at the ends of the bar below."""
    found = {}
    for uri, alt, rest in re.findall(
        r'<figure><img src="data:image/\w+;base64,(.*?)" alt="(.*?)">(.*?)<fig', html(test)
    ):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri))).convert("RGB"))
        bar = re.search(r'aria-label="Colours from [\w ]+, (.*?), to [\w ]+, (.*?)"', rest)
        found[unescape(alt)] = pixels, bar and tuple(map(float, bar.groups()))
    return found


def inferno(values, low=None, high=None):
    """Matplotlib's colours of values from low to high, else of their own range."""
    low, high = (values.min() if low is None else low), (values.max() if high is None else high)
    return 255 * matplotlib.colormaps["inferno"]((values - low) / (high - low))[..., :3]


def assert_over(found, cells, photograph):
    """A painted map is the cells' colours, half over the photograph."""
    heat = cv2.resize(cells, photograph.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    expected = 0.5 * photograph + 0.5 * inferno(heat, cells.min(), cells.max())
    pixels, bar = found
    assert np.abs(pixels - expected).mean() < 5, "but for the JPEG"
    assert bar == pytest.approx((cells.min(), cells.max()), rel=0.01, abs=1e-3)


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


@pytest.mark.parametrize("query", [QUERY, OTHER])
def test_numbers_of_the_maps_are_the_traces(story, city, checkpoints, query):
    model, _, trace = model_and_trace(city, checkpoints, query)
    test = story(1, query=query)
    assert "by 1.33 across and by 1.60 down" in said(test), "48 × 40 pixels become 64 × 64"
    photograph = next(image for image in model.split.query if image.name == query)
    seen = square(read_image(photograph.path))
    assert np.abs(pictures(test)[f"{query} stretched to a square"][0] - seen.astype(float)).mean() < 5
    whole_picture = np.asarray(reduced(read_image(photograph.path)))
    shown = pictures(story(2))
    means = trace.F_G[0].mean((1, 2))
    assert list(shown) == [f"Channel {at} of F_G over {query}" for at in means.argsort(descending=True)[:6].tolist()]
    for alt, found in shown.items():
        assert_over(found, trace.F_G[0, int(alt.split()[1])].numpy(), whole_picture)
    zeros = f"{100 * (trace.F_G == 0).float().mean():.0f} % of all values are 0"
    assert zeros in said(story(2)) and f"over all channels the mean is {means.mean():.2f}" in said(story(2))
    assert trace.f_G[0].argmax().item() == int(re.search(r"channel (\d+), mean", html(story(2)))[1])
    M_c, (bars,) = trace.M_c[0, :, 0, 0].numpy(), specs(story(3))
    strongest, weakest = (
        np.array(bar["x"] if isinstance(bar["x"], list) else decoded(bar["x"])) for bar in bars["data"]
    )
    assert strongest == pytest.approx(np.sort(M_c)[:-7:-1]) and weakest == pytest.approx(np.sort(M_c)[5::-1])
    rises = f"channel {M_c.argmax()} rises most, to {M_c.max():.3f}, and channel {M_c.argmin()} falls most"
    assert rises in said(story(3)) and f"{100 * (M_c > M_c.mean()).mean():.0f} % of them rise" in said(story(3))
    M_s = trace.M_s[0, 0].numpy()
    row, column = np.unravel_index(M_s.argmax(), M_s.shape)
    sentence = said(story(4))
    assert f"by {M_s.min():.2f} to {M_s.max():.2f}" in sentence
    assert f"highest in row {row + 1} from the top, column {column + 1} from the left, of 4 × 4" in sentence
    assert_over(pictures(story(4))[f"M_s over {query}"], M_s, whole_picture)
    mean = "The mean cosine between two nodes is " + ", ".join(
        f"{value:.2f} in $H^{{({layer})}}$" for layer, value in enumerate(mean_cosines(trace))
    )
    assert mean in said(story(6))


def mean_cosines(trace):
    """Of every two different nodes, layer by layer."""
    for H in trace.H:
        rows = torch.nn.functional.normalize(H[0], dim=1)
        yield (rows @ rows.T)[~torch.eye(len(rows), dtype=bool)].mean().item()


def test_sentences_differ_between_images_as_their_arrays_do(story, city, checkpoints):
    (_, _, one), (_, _, two) = (model_and_trace(city, checkpoints, name) for name in (QUERY, OTHER))
    for array in ("F_G", "M_c", "M_s", "f_token"):
        assert not torch.allclose(getattr(one, array), getattr(two, array))
    stages = (2, 3, 4, 6, 7, 8, 9)
    first = [said(story(stage)) for stage in stages]
    for stage, sentence in zip(stages, first, strict=True):
        test = story(stage)
        test.query_params["query"] = OTHER
        assert said(story(stage)) != sentence, stage
        test.query_params["query"] = QUERY


def test_colours_and_one_scale_for_maps_of_a_kind(story, city, checkpoints):
    _, _, trace = model_and_trace(city, checkpoints)
    rows = trace.H[-1][0].numpy()
    assert [bar for _, bar in pictures(story(7)).values()] == [
        pytest.approx((row.min(), row.max()), rel=0.01, abs=1e-3) for row in rows
    ]
    test = story(7)
    test.selectbox(key="map_colours").set_value("viridis").run()
    test.toggle(key="same_scale").set_value(True).run()
    assert "Colours from violet" in html(test) and "Colours from black" not in html(test)
    shared = pytest.approx((rows.min(), rows.max()), rel=0.01, abs=1e-3)
    assert [bar for _, bar in pictures(test).values()] == [shared] * 7
    lengths = [float(x[0].norm(dim=0).max()) for x in (trace.F_G, trace.M_c * trace.F_G, trace.F_attn)]
    for stage in (3, 4, 5):
        taken = re.search(r'from the stage before">.*?, to yellow, (.*?)"', html(story(stage)))
        assert float(taken[1]) == pytest.approx(max(lengths), rel=0.01)


def decoded(packed):
    """Plotly's typed array."""
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
    assert [plain(each["title"]) for each in (first, last)] == ["H(0) → H(1)", "H(1) → H(2)"]
    effects, shares = sent.effects[0] / sent.effects[0].max(), sent.shares.abs() / sent.shares.abs().max()
    for (a, b), one, two in zip(data["edges"], first["widths"], last["widths"], strict=True):
        assert one == pytest.approx([effects[NODES.index(a)].item(), effects[NODES.index(b)].item()])
        expected = [shares[NODES.index(a)].item(), None] if b == "token" else [None, shares[NODES.index(b)].item()]
        assert two == ([None, None] if "token" not in (a, b) else pytest.approx(expected))
    assert list(last["labels"].values()) == [f"{100 * share:.0f} %" for share in sent.shares.tolist()]
    assert (
        "row of H(0) is zero" in plain(first["note"])
        and "exact share" in last["note"]
        and "add up to 100 %" in last["note"]
    )


def test_the_tokens_row_and_the_embedding(story, city, checkpoints):
    _, _, trace = model_and_trace(city, checkpoints)
    assert (trace.f_token == trace.H[-1][:, -1]).all()
    assert f"{(trace.f_token > 0).sum()} of the 512 numbers" in said(story(7))
    strips = list(pictures(story(7)).values())
    for (strip, bar), row in zip(strips, trace.H[-1][0].numpy(), strict=True):
        assert np.abs(strip[0] - inferno(row)).max() < 6 and bar[1] == pytest.approx(row.max(), rel=0.01)
    strips = list(pictures(story(8)).values())
    for (strip, _), row in zip(strips, [*trace.after.values(), trace.embedding()], strict=True):
        assert np.abs(strip[0] - inferno(row[0].numpy())).max() < 6
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
    test = story(10, **align)
    places = [int(model.evaluation().ranking.first_hit[query]) for model in bench.networks.values()]
    words = ", ".join(f"at rank {place} with {title}" for place, title in zip(places, bench.networks, strict=True))
    assert f"The query's vehicle comes {words}." in said(test)
    assert handed(test, "takes") == [("a cosine an image", f"1 × {len(bench.split.gallery)}")] and len(test.latex) == 1
    rows = rows_of_pictures(test)
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


def test_a_picture_uploaded_on_another_page_takes_the_querys_place(open_city, city, checkpoints):
    picture = read_image(next(image.path for image in open_dataset(city).test if image.vehicle_id == "0008")).rotate(90)
    test = open_city("story", stage="9")
    test.session_state[SESSION] = {("uploads", "images_gallery"): ((), Uploads({"mine.jpg": picture}, ()))}
    whole(test.run().toggle(key="query_mine").set_value(True).run())
    model = workbench(city, checkpoints).ssrnet
    (embedding,) = model.predictor.embed([picture])
    gallery = model.features().rows(model.split.gallery)
    cosine = torch.cosine_similarity(embedding[None], gallery).max()
    assert f"together {cosine:.3f}" in said(test) and "the uploaded picture" in html(test)


@pytest.mark.parametrize(("named", "stage"), [("0", 1), ("99", 10), ("three", 1)])
def test_a_stage_that_does_not_exist_is_the_nearest(open_city, named, stage):
    assert components(open_city("story", stage=named), "stages")[0]["at"] == stage

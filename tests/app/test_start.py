"""The Start page through Streamlit's own test runner."""

import re
from urllib.parse import parse_qsl

import pytest
import torch

from app.widgets.components.approaches import APPROACHES
from app.widgets.components.network_diagram import Picture, _blocks, _svg, ratio_in_words
from app.widgets.network_pictures import network_pictures
from app.widgets.page import HOME, VIEWS
from app.workbench import OpenedModel
from app.workbench.attention import map_uri
from app.workbench.images import aspect_ratio, image_label
from ssrnet.data.protocols import Protocol
from ssrnet.errors import DataError
from ssrnet.explain.image_maps import network_map
from ssrnet.model import ModelSettings
from tests import tiny
from tests.app.conftest import components, models_listed, whole, workbench


def headings(test) -> list[str]:
    return [each.value for each in test.subheader]


def links(test) -> list[tuple[str, str]]:
    return [(link.proto.page or HOME, link.proto.label) for link in test.get("page_link")]


@pytest.fixture
def measured(open_page, city, checkpoints):
    """The page after *Measure now*."""

    def run(**url: str):
        test = open_page("start", **{"data": str(city), **checkpoints, **url})
        asked = [each for each in test.button if each.label == "Measure now"]
        test = asked[0].click().run() if asked else test
        assert not test.exception and not test.error
        return test

    return run


def test_it_stands_without_a_source(open_page):
    test = whole(open_page("start"))
    assert "compare it with its baseline" in test.markdown[0].value
    assert (
        headings(test) == ["The network", "Four approaches (paper, Fig. 1)"] and "Still missing" in test.info[0].value
    )


def test_numbers_and_tours(measured):
    test = measured(query="0008_c001_00000000_0.jpg")
    assert headings(test) == ["The network", "Four approaches (paper, Fig. 1)", "The loaded models", "Guided tours"]
    assert models_listed(test) == ["Baseline (GB)", "SSR-Net (GB+AB+RB)"]
    assert len(test.json) >= 2, "each number's protocol record"
    said = " ".join(each.value for each in test.markdown)
    titles = ["From photograph to rank row", "How it learns", "Five regions", "The token", "A failure"]
    assert [said.index(f"**{title}**") for title in titles] == sorted(said.index(f"**{title}**") for title in titles)
    assert "0008_c001_00000000_0.jpg, the current query" in said
    pages = {page for page, _ in links(test)}
    assert pages <= set(VIEWS) and {"attention", "regions", "graph", "retrieval"} & set(VIEWS) <= pages


def test_aligned_numbers_stand_below_raw_ones(measured):
    test = measured(query="0008_c001_00000000_0.jpg", align="true")
    titles = ["Baseline (GB)", "SSR-Net (GB+AB+RB)"]
    rows = [title for raw in titles for title in (raw, f"{raw}, aligned")]
    assert models_listed(test) == rows
    captions = [each.value for each in test.caption]
    for title in titles:
        assert any(caption.startswith(f"**{title}**: `") for caption in captions), "the file is that of both rows"
    assert not any("aligned" in caption for caption in captions if not caption.startswith("Blocks"))
    assert all("align=true" in link.proto.query_string for link in test.get("page_link"))


def test_links_carry_query_switches_and_source(measured, city):
    test = measured(query="0008_c001_00000000_0.jpg")
    queries = [link.proto.query_string for link in test.get("page_link") if link.proto.page == "regions"]
    assert any("regions_lambda=0.125" in each for each in queries) and len(queries) == 3 * ("regions" in VIEWS)
    for each in queries:
        assert "query=0008_c001_00000000_0.jpg" in each and "data=" in each and "ssrnet=" in each


def test_every_link_of_the_tours_opens_what_it_promises(measured, open_page):
    steps = [link.proto for link in measured(query="0008_c001_00000000_0.jpg").get("page_link")]
    assert {step.page for step in steps} >= {"attention", "regions", "graph", "retrieval"}
    for step in steps:
        asked = dict(parse_qsl(step.query_string))
        test = open_page(step.page or HOME, **asked)
        assert not test.exception and not test.error, (step.label, [each.value for each in test.error])
        if asked.get("regions_lambda") == "0.125":
            asked["regions_lambda"] = "0.250"  # where λ starts on a map of 4x4 cells
        if asked.get("learning_part") == "A batch":
            del asked["learning_part"]  # where the page starts, which stays out of its URL
        # Streamlit takes a value that a widget refuses out of the URL
        assert {name: test.query_params[name] for name in asked} == asked, step.label


def test_unmeasured_models_are_not_measured_unasked(open_city, monkeypatch):
    monkeypatch.setattr(OpenedModel, "stored_features", lambda *a: None)
    monkeypatch.setattr(OpenedModel, "_extract", lambda *a: pytest.fail("nobody asked for that"))
    test = open_city("start")
    assert not test.exception and "not measured on this data yet" in test.info[0].value
    assert "Measure both models first" in " ".join(each.value for each in test.markdown)


def test_a_network_without_a_graph_has_no_tour_of_it(open_page, measured, checkpoints):
    test = measured(ssrnet=checkpoints["baseline"])
    said = " ".join(each.value for each in test.markdown)
    assert said.count("no graph of five regions") == 2


def drawn(settings: ModelSettings, views=tuple(VIEWS), layout="wide", pictures=None) -> str:
    return _svg(layout, _blocks(settings, 16), views, pictures or {})


def test_only_registered_pages_are_links_and_missing_branches_say_so():
    whole = drawn(ModelSettings(), ("attention", "regions"))
    assert set(re.findall(r'data-view="(\w+)"', whole)) == {"attention", "regions"}
    assert "16 × 16 cells" in whole and "2/3" in whole and "not in this model" not in whole
    baseline = drawn(ModelSettings(**tiny.BASELINE))
    assert baseline.count("not in this model") == 3 and "Graph of" in baseline
    assert 'data-view="graph"' not in baseline and 'data-view="retrieval"' in baseline
    assert baseline.count("marker-end") < drawn(ModelSettings()).count("marker-end")


PICTURES = dict.fromkeys(("image", "attention", "regions", "graph", "ranking"), Picture((100, 80), "<g/>", "a picture"))


@pytest.mark.parametrize("pictures", [{}, PICTURES])
@pytest.mark.parametrize("layout", ["wide", "tall"])
def test_the_drawing_keeps_to_its_frame_and_no_block_covers_another(layout, pictures):
    text = drawn(ModelSettings(), layout=layout, pictures=pictures)
    size = tuple(map(int, re.search(r'viewBox="0 0 (\d+) (\d+)"', text).groups()))
    assert size == {"wide": (1100, 302), "tall": (348, 722)}[layout] or pictures
    boxes = [
        tuple(map(int, found)) for found in re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', text)
    ]
    assert len(boxes) == 10
    assert max(x + w for x, _, w, _ in boxes) <= size[0] and max(y + h for _, y, _, h in boxes) <= size[1]
    for i, (x, y, w, h) in enumerate(boxes):
        for other in boxes[:i]:
            assert x >= other[0] + other[2] or other[0] >= x + w or y >= other[1] + other[3] or other[1] >= y + h


@pytest.mark.parametrize("layout", ["wide", "tall"])
def test_arrows_reach_blocks_with_pictures(layout):
    text = drawn(ModelSettings(), layout=layout, pictures=PICTURES)
    boxes = [
        tuple(map(int, found)) for found in re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', text)
    ]
    ends = re.findall(r'<path d="M(\d+) (\d+)([HV\d]*)" marker', text)
    assert len(ends) >= 10
    for x, y, steps in ends:
        start = place = int(x), int(y)
        for way, to in re.findall(r"([HV])(\d+)", steps):
            place = (int(to), place[1]) if way == "H" else (place[0], int(to))
        for at in (place, start) if "M322" not in f"M{x}" else (place,):  # that one starts on another arrow
            assert any(bx - 7 <= at[0] <= bx + w + 7 and by - 7 <= at[1] <= by + h + 7 for bx, by, w, h in boxes), (
                x,
                y,
            )


def test_the_diagram_carries_the_query_through_the_network(project, city, checkpoints):
    bench = workbench(city, checkpoints, Protocol(seed=99))  # which no other test has evaluated
    model, image = bench.ssrnet, bench.split.query[1]
    assert model.made_evaluation is None
    before = network_pictures(model, image)
    assert model.is_loaded and list(before) == ["image", "attention", "regions", "graph"], "no rank before the ranking"
    ranking = model.evaluation().ranking
    pictures = network_pictures(model, image)
    assert all(image_label(image) in each for each in (pictures["image"].alt,))
    crops = re.findall(
        r'<svg x="[\d.]+" y="[\d.]+" width="[\d.]+" height="[\d.]+" viewBox="([\d. ]+)"', pictures["regions"].svg
    )
    boxes = [box.scaled(25 * aspect_ratio(image), 25) for box in model.view(image).trace.boxes]  # of 4x4 cells
    found = [tuple(map(float, crop.split())) for crop in crops]
    assert [(x, y, x + w, y + h) for x, y, w, h in found] == [pytest.approx(box) for box in boxes]
    assert pictures["graph"].svg.count("<circle") == 7 and pictures["graph"].svg.count("<line") == 14
    kinds = ["hit" if hit.match else "error" for hit in ranking.top(1, 4) if hit.rank is not None]
    assert re.findall(r'<g class="(\w+)">', pictures["ranking"].svg) == kinds and len(kinds) == 4
    fits = re.findall(r'preserveAspectRatio="([^"]+)"', pictures["ranking"].svg)
    assert fits == ["xMidYMid meet"] * 4, "whole photographs"
    again = network_pictures(bench.baseline, image)
    assert list(again) == ["image"], "the baseline has neither M_s nor a graph, and is not measured"


def test_the_map_in_the_diagram_is_the_query_s(project, city, checkpoints):
    bench = workbench(city, checkpoints)
    a, b = bench.split.query[0], bench.split.query[-1]
    M_s = bench.ssrnet.view(a).trace.M_s
    attention = network_pictures(bench.ssrnet, a)["attention"]
    assert map_uri(network_map(bench.ssrnet.view(a).trace, "M_s")) in attention.svg
    numbers = re.search(r"from (\S+), black, to (\S+), pale yellow", attention.alt).groups()
    assert list(map(float, numbers)) == pytest.approx([M_s.min().item(), M_s.max().item()], rel=0.01)
    assert network_pictures(bench.ssrnet, a, "viridis")["attention"].svg != attention.svg
    assert not torch.equal(M_s, bench.ssrnet.view(b).trace.M_s)
    assert network_pictures(bench.ssrnet, a)["attention"] != network_pictures(bench.ssrnet, b)["attention"]


def test_start_shows_the_pictures_of_the_query_in_the_url(measured):
    test = measured(query="0008_c001_00000000_0.jpg")
    drawing = components(test, "network_diagram")[0]["svg"]
    assert drawing.count('class="picture"') == 2 * 5, "in the wide and in the tall drawing"
    assert "shows the query, 0008 · c001" in drawing and "rank 1:" in drawing
    assert any("0008_c001_00000000_0.jpg, the current query" in each.value for each in test.caption)
    assert any("In the attention branch: the query's map $M_s$ over it, from" in each.value for each in test.caption)


def test_the_map_in_the_diagram_has_the_colours_that_all_pages_share(measured):
    assert "black" in components(measured(), "network_diagram")[0]["svg"]
    assert "dark blue" in components(measured(map_colours="Cividis"), "network_diagram")[0]["svg"]


def test_a_query_that_cannot_be_read_leaves_the_diagram_plain(measured, monkeypatch):
    def unreadable(*_):
        raise DataError("x.jpg is not an image; remove it.")

    monkeypatch.setattr("app.views.start.network_pictures", unreadable)
    assert 'class="picture"' not in components(measured(), "network_diagram")[0]["svg"]


def test_the_four_approaches_differ_as_the_paper_says():
    relations = [(each.drawing.count('class="local"'), each.drawing.count('class="global"')) for each in APPROACHES]
    assert relations == [(0, 0), (0, 0), (8, 0), (8, 6)], "blue among the parts, red with the whole through the token"
    assert all(each.alt and each.caption for each in APPROACHES)


def test_ratios_in_words():
    assert [ratio_in_words(each) for each in (2 / 3, 1 / 8, 1.0, 0.661)] == ["2/3", "1/8", "1", "0.661"]

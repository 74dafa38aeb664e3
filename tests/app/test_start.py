"""The Start page through Streamlit's own test runner."""

import re
from urllib.parse import parse_qsl

import pytest

from app.widgets.components.network_diagram import TALL_SIZES, WIDE_SIZES, _blocks, _svg, ratio_in_words
from app.widgets.page import HOME, VIEWS
from app.workbench import OpenedModel
from ssrnet.model import ModelSettings
from tests import tiny
from tests.app.conftest import whole


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
    assert headings(test) == ["The network"] and "Still missing" in test.info[0].value


def test_numbers_and_three_tours(measured):
    test = measured(query="0008_c001_00000000_0.jpg")
    assert headings(test) == ["The network", "The loaded models", "Three guided tours"]
    assert test.dataframe[0].value["Model"].tolist() == ["Baseline (GB)", "SSR-Net (GB+AB+RB)"]
    assert len(test.json) >= 2, "each number's protocol record"
    said = " ".join(each.value for each in test.markdown)
    for title in ("Five regions", "The token", "A failure"):
        assert f"**{title}**" in said
    assert "0008_c001_00000000_0.jpg, the current query" in said
    pages = {page for page, _ in links(test)}
    assert pages <= set(VIEWS) and {"attention", "regions", "graph", "retrieval"} & set(VIEWS) <= pages


def test_aligned_numbers_stand_below_raw_ones(measured):
    test = measured(query="0008_c001_00000000_0.jpg", align="true")
    titles = ["Baseline (GB)", "SSR-Net (GB+AB+RB)"]
    rows = [title for raw in titles for title in (raw, f"{raw}, aligned")]
    assert test.dataframe[0].value["Model"].tolist() == rows
    captions = [each.value for each in test.caption]
    for title in titles:
        assert any(caption.startswith(f"**{title}**: `") for caption in captions), "the file is that of both rows"
    assert not any("aligned" in caption for caption in captions)
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


def drawn(settings: ModelSettings, views=tuple(VIEWS), layout="wide") -> str:
    return _svg(layout, _blocks(settings, 16), views)


def test_only_registered_pages_are_links_and_missing_branches_say_so():
    whole = drawn(ModelSettings(), ("attention", "regions"))
    assert set(re.findall(r'data-view="(\w+)"', whole)) == {"attention", "regions"}
    assert "16 × 16 cells" in whole and "2/3" in whole and "not in this model" not in whole
    baseline = drawn(ModelSettings(**tiny.BASELINE))
    assert baseline.count("not in this model") == 3 and "Graph of" in baseline
    assert 'data-view="graph"' not in baseline and 'data-view="retrieval"' in baseline
    assert baseline.count("marker-end") < drawn(ModelSettings()).count("marker-end")


@pytest.mark.parametrize(("layout", "size"), [("wide", WIDE_SIZES), ("tall", TALL_SIZES)])
def test_the_drawing_keeps_to_its_frame_and_no_block_covers_another(layout, size):
    text = drawn(ModelSettings(), layout=layout)
    boxes = [
        tuple(map(int, found)) for found in re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', text)
    ]
    assert len(boxes) == 10
    assert max(x + w for x, _, w, _ in boxes) <= size[0] and max(y + h for _, y, _, h in boxes) <= size[1]
    for i, (x, y, w, h) in enumerate(boxes):
        for other in boxes[:i]:
            assert x >= other[0] + other[2] or other[0] >= x + w or y >= other[1] + other[3] or other[1] >= y + h


def test_ratios_in_words():
    assert [ratio_in_words(each) for each in (2 / 3, 1 / 8, 1.0, 0.661)] == ["2/3", "1/8", "1", "0.661"]

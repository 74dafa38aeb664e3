"""Pictures, maps, regions and the graph for paper."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from app.widgets.components.node_graph import OFF_EDGE, OFF_NODE
from app.widgets.components.node_graph import _figure as printed_graph
from app.widgets.components.region_boxes import printed_regions
from app.widgets.export import with_dpi
from app.widgets.map_colours import MapColours
from app.widgets.map_sheet import MapColumn, _paint
from app.widgets.map_sheet import _printed as printed_maps
from app.widgets.prints import Bar, Cell, Row, _wrapped, from_uri, print_pictures
from app.widgets.rank_list import GREEN, GREY, RED, RankRow
from app.widgets.rank_list import _printed as printed_ranks
from app.workbench.images import image_label
from ssrnet.data.datasets import open_dataset
from ssrnet.explain.image_maps import ImageMap
from ssrnet.explain.overlay import Scale, coloured
from ssrnet.model.regions import REGION_NAMES
from ssrnet.retrieval.ranking import Hit
from tests.tiny import edges_shown, shapes

BLACK, WHITE = Image.new("RGB", (60, 40)), Image.new("RGB", (60, 40), "white")
RED_FIELD = Image.new("RGB", (60, 60), (255, 0, 0))


def uri_of(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def inked(data: bytes) -> np.ndarray:
    """Where a PNG is not white."""
    return (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) < 250).any(2)


def test_a_print_is_180_mm_wide_in_every_format():
    rows = [Row("Photographs", [Cell(BLACK, "a vehicle"), Cell(WHITE, "another", "#dc2626")]), Row("", note="None.")]
    picture = Image.open(io.BytesIO(print_pictures(rows, "png")))
    assert picture.width == pytest.approx(180 / 25.4 * 300, abs=1) and picture.info["dpi"][0] == pytest.approx(
        300, 0.01
    )
    assert print_pictures(rows, "pdf").startswith(b"%PDF")
    svg = print_pictures(rows, "svg").decode()
    assert "510.236220pt" in svg.replace("510.23622pt", "510.236220pt"), "180 mm in points"
    assert print_pictures(rows, "png") == print_pictures(rows, "png")


def test_what_looks_like_a_formula_in_a_name_is_its_letters():
    formula, letters = (
        print_pictures([Row(f"{words} t", [Cell(WHITE, words)], ""), Row("", note=words)], "png")
        for words in ("a$\\frac$ b", "a \\frac b")
    )
    assert inked(formula).sum() > inked(letters).sum()


def test_rows_do_not_overlap_and_notes_take_their_place():
    one, two = (print_pictures([Row("Title", [Cell(BLACK)])] * n, "png") for n in (1, 2))
    heights = [Image.open(io.BytesIO(each)).height for each in (one, two)]
    assert heights[1] > 1.8 * heights[0] - 100
    black = np.asarray(Image.open(io.BytesIO(two)).convert("L")) < 10
    runs = np.flatnonzero(np.diff(black[:, 200].astype(int)))  # through both pictures
    assert len(runs) == 4, "two pictures with white between them"
    longer = print_pictures([Row("Title", note="word " * 90), Row("", [Cell(BLACK)])], "png")
    assert inked(longer).sum() > inked(print_pictures([Row("Title", note="word"), Row("", [Cell(BLACK)])], "png")).sum()


@pytest.mark.parametrize("same_scale", (False, True))
def test_maps_lie_on_their_photographs_at_the_pages_opacity(same_scale):
    photographs = {f"image {i}": uri_of(WHITE.resize((60, 60))) for i in range(3)}
    maps = [ImageMap(np.full((4, 4), 0.5 + i, np.float32), None) for i in range(3)]
    columns = [MapColumn("M_s", "SSR-Net", maps, ["", "", "note"])]
    painted = _paint(columns, MapColours("viridis", same_scale))
    printed = printed_maps(photographs, columns, painted, 0.5)
    assert [[cell.words for cell in row.cells] for row in printed] == [
        ["image 0", "M_s, SSR-Net"],
        ["image 1", ""],
        ["image 2", "note"],
    ]
    bars = [row.cells[1].bar.numbers() for row in printed]
    assert bars == ([("0.5", "2.5")] * 3 if same_scale else [("0.5", "0.5"), ("1.5", "1.5"), ("2.5", "2.5")])
    high = np.array(printed[2].cells[1].bar.picture()[0, -1 if same_scale else 0], float)
    mean = np.asarray(printed[2].cells[1].picture).mean((0, 1))
    assert np.abs(mean - (255 + high) / 2).max() < 3


def test_a_printed_map_has_its_colour_bar_below():
    plain, barred = (
        np.asarray(Image.open(io.BytesIO(print_pictures([Row("", [Cell(BLACK, bar=bar)])], "png"))).convert("RGB"))
        for bar in (None, Bar(Scale(0.0, 2.0), "viridis"))
    )
    assert len(barred) > len(plain) + 20
    row = barred[np.abs(barred.astype(int) - coloured(np.ones((1, 1)), "viridis")[0, 0]).sum(2).min(1).argmin()]
    low, high = coloured(np.array([[0.0, 1.0]]), "viridis")[0].astype(int)
    ink = np.flatnonzero((row < 250).any(1))
    assert np.abs(row[ink[2]] - low).max() < 12 and np.abs(row[ink[-3]] - high).max() < 12


def test_ranks_keep_their_frames_and_signs(city):
    images = open_dataset(city).test
    hits = [Hit(1, 0.0, True, None), Hit(2, 0.25, True, 1), Hit(3, 0.5, False, 2)]
    (row,) = printed_ranks(images[0], [RankRow("SSR-Net", hits, "first hit at rank 1")], images)
    assert row.title == "SSR-Net: first hit at rank 1" and len(row.cells) == 4
    assert [cell.colour for cell in row.cells[1:]] == [GREY, GREEN, RED]
    assert [cell.words.split(" 0.")[0] for cell in row.cells[1:]] == ["junk", "1 ✓", "2 ✗"]


def test_printed_ranks_are_whole_in_cells_of_one_shape(tmp_path):
    images = open_dataset(shapes(tmp_path / "shapes")).test
    hits = [Hit(i, 0.1 * i, False, i) for i in range(1, len(images))]
    (row,) = printed_ranks(images[0], [RankRow("SSR-Net", hits)], images)
    assert len({cell.picture.size for cell in row.cells}) == 1
    assert [edges_shown(np.asarray(cell.picture)) for cell in row.cells] == [4] * len(images)


def test_a_long_list_is_printed_in_equal_lines_beside_its_query(city):
    images = open_dataset(city).test
    hits = [Hit(at % len(images), 0.01 * at, False, at + 1) for at in range(20)]
    first, second = printed_ranks(images[0], [RankRow("SSR-Net", hits)], images)
    assert [first.title, second.title] == ["SSR-Net", ""] and [len(row.cells) for row in (first, second)] == [11, 11]
    assert [row.cells[0].words for row in (first, second)] == [f"Query\n{image_label(images[0])}", ""]
    ranks = [cell.words.split(" ")[0] for row in (first, second) for cell in row.cells[1:]]
    assert ranks == [str(rank) for rank in range(1, 21)]


def test_words_below_a_printed_picture_keep_their_lines():
    cell = Cell(BLACK, "12 ✗ 0.123\n0464 · c002")
    assert _wrapped(cell, 12.5) == cell.words and _wrapped(cell, 8).split("\n")[-2:] == ["0464 ·", "c002"]


def test_a_row_ends_with_its_first_hit_where_that_lies_beyond(city):
    images = open_dataset(city).test
    hits, far = [Hit(1, 0.1, False, 1), Hit(2, 0.2, False, 2)], Hit(5, 0.9, True, 57)
    assert RankRow("SSR-Net", hits).drawn == hits
    assert RankRow("SSR-Net", hits, first=far).drawn == [*hits, far]
    (row,) = printed_ranks(images[0], [RankRow("SSR-Net", hits, first=far)], images)
    assert [cell.words.split(" 0.")[0] for cell in row.cells[1:]] == ["1 ✗", "2 ✗", "57 ✓"]
    near = [Hit(1, 0.1, True, 1)]
    assert RankRow("SSR-Net", near, first=near[0]).drawn == near


def test_printed_regions_are_eq_2s_crops():
    half = Image.new("RGB", (64, 64))
    half.paste((0, 255, 0), (32, 0, 64, 64))
    (row,) = printed_regions(half, (16, 16), 0.5)
    assert [cell.words.partition(",")[0] for cell in row.cells[1:]] == list(REGION_NAMES)
    green = {cell.words.partition(",")[0]: np.asarray(cell.picture)[..., 1].mean() / 255 for cell in row.cells[1:]}
    assert green["ul"] < 0.05 and green["ur"] > 0.95 and green["mid"] == pytest.approx(0.5, abs=0.05)


def test_the_printed_graph_greys_what_is_off():
    look = {"title": "", "colour": "#0f766e", "y": 1.0}
    nodes = [{"name": name, "short": name, "x": x, **look} for x, name in enumerate(("ul", "ur", "token"))]
    data = {
        "viewBox": [0, 0, 4, 2],
        "image": uri_of(BLACK),
        "size": [4, 2],
        "nodes": nodes,
        "edges": [["ul", "ur"], ["ur", "token"], ["ul", "token"]],
        "lines": ["#ffffff", "#60a5fa", "#60a5fa"],
        "off": ["ul"],
        "removable": ["ul", "ur"],
        "cut": ["ur-token"],
    }
    *edges, drawn = printed_graph(data).data
    assert [edge.line.color == OFF_EDGE for edge in edges] == [True, True, True]
    assert [colour == OFF_NODE for colour in drawn.marker.color] == [True, False, False]
    data |= {"off": [], "cut": ["ul-token"]}
    assert [edge.line.dash for edge in printed_graph(data).data[:3]] == ["solid", "solid", "dot"]


def test_a_data_uri_comes_back_as_its_picture():
    assert np.array_equal(np.asarray(from_uri(uri_of(RED_FIELD))), np.asarray(RED_FIELD))
    buffer = io.BytesIO()
    RED_FIELD.save(buffer, "PNG")
    assert Image.open(io.BytesIO(with_dpi(buffer.getvalue()))).info["dpi"][0] == pytest.approx(300, 0.01)

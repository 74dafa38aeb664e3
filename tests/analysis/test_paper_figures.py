"""Figures of ranked queries: what the exported files measure and show."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ssrnet.analysis.figure_captions import caption
from ssrnet.analysis.figure_layout import COLUMN_MM, DPI, FRAME, MM, FigureSettings, short
from ssrnet.analysis.figure_queries import choose_queries
from ssrnet.analysis.paper_figures import BLUE, GREEN, RED, draw_figure, fig5, fig6
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError, SettingsError
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.extraction import FeatureSet
from tests.analysis.toys import random_and_right
from tests.tiny import edges_shown, shapes

TITLES = ("Baseline (GB)", "SSR-Net (GB+AB+RB)")
SETTINGS = FigureSettings(top_k=3)


@pytest.fixture(scope="module")
def comparison(city):
    return random_and_right(open_dataset(city))


@pytest.fixture(scope="module")
def rows(comparison):
    return dict(zip(TITLES, (comparison.a, comparison.b)))


def test_the_papers_figures():
    assert (fig5(7).protocol.name, fig5(7).protocol.seed, fig5().top_k) == ("single_gallery_shot", 7, 5)
    assert (fig6(7).protocol.name, fig6(7).protocol.n, fig6().top_k) == ("multi_gallery_shot", 6, 10)


@pytest.fixture(scope="module")
def figure(comparison, rows):
    progress = []
    queries = choose_queries(comparison, "sample").tolist()
    drawn = draw_figure(rows, queries, SETTINGS, "words " * 60, lambda *at: progress.append(at))
    assert progress == [(done, 4) for done in range(1, 5)]
    return drawn


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def test_the_png_is_180_mm_wide_and_its_frames_have_the_right_colours(figure, comparison):
    image = Image.open(io.BytesIO(figure.export("png")))
    assert image.info["dpi"] == pytest.approx((DPI, DPI), abs=0.1)
    assert image.width / DPI * MM == pytest.approx(180, abs=0.1)
    assert image.height / DPI * MM == pytest.approx(figure.height_mm, abs=0.1)

    # 4 queries, each with 3 images by the one model and 3 by the other
    kinds = [frame.kind for frame in figure.pictures]
    assert len(kinds) == 4 * (1 + 3 + 3) and kinds[::7] == ["query"] * 4
    queries = choose_queries(comparison, "sample").tolist()
    expected = []
    for query in queries:
        expected.append("query")
        for evaluation in (comparison.a, comparison.b):
            expected += ["hit" if hit.match else "error" for hit in evaluation.ranking.hits(query)]
    assert kinds == expected and {"hit", "error"} < set(kinds)

    pixels = np.asarray(image.convert("RGB"))
    for frame in figure.pictures:
        colour = {"query": BLUE, "hit": GREEN, "error": RED}[frame.kind]
        middle_x, middle_y = frame.x + frame.width / 2, frame.y + frame.height / 2
        for x, y in (
            (frame.x + FRAME / 2, middle_y),
            (frame.x + frame.width - FRAME / 2, middle_y),
            (middle_x, frame.y + FRAME / 2),
            (middle_x, frame.y + frame.height - FRAME / 2),
        ):
            at = pixels[round((figure.height_mm - y) / MM * DPI), round(x / MM * DPI)]
            assert tuple(at) == rgb(colour), (frame, x, y)
        # and the photograph within is none of the frame
        assert tuple(pixels[round((figure.height_mm - middle_y) / MM * DPI), round(middle_x / MM * DPI)]) != rgb(colour)
        assert 0 <= frame.x and frame.x + frame.width <= 180
        assert 0 <= frame.y and frame.y + frame.height <= figure.height_mm


def test_svg_and_pdf_have_the_same_size(figure):
    svg = figure.export("svg").decode()
    width, height = (float(re.search(rf'<svg[^>]* {side}="([\d.]+)pt"', svg)[1]) for side in ("width", "height"))
    assert width / 72 * MM == pytest.approx(180, abs=0.1)
    assert height / 72 * MM == pytest.approx(figure.height_mm, abs=0.1)
    assert svg.count(f"stroke: {BLUE}") == 4
    kinds = [frame.kind for frame in figure.pictures]
    assert svg.count(f"stroke: {GREEN}") == kinds.count("hit") and svg.count(f"stroke: {RED}") == kinds.count("error")

    pdf = figure.export("pdf")
    box = [float(number) for number in re.search(rb"/MediaBox \[ ([\d. ]+) \]", pdf)[1].split()]
    assert pdf.startswith(b"%PDF") and box[2] / 72 * MM == pytest.approx(180, abs=0.1)
    assert pdf == figure.export("pdf"), "no date in it"


def test_a_full_sheet_fits_on_a4(comparison, rows):
    """Six parts of ten images, with the longest labels and caption: at most 257 mm, A4 within margins of 20 mm."""
    settings = FigureSettings(10, 1, labels=("rank", "vehicle", "camera", "distance"))
    text = caption(rows, settings, 6, "those whose AP differs most between the two models " * 3, "Fig. 6")
    assert draw_figure(rows, [0] * 6, settings, text).height_mm <= 257
    assert draw_figure(rows, [0] * 6, FigureSettings(), "x").height_mm <= 257


def test_a_figure_that_no_page_holds_is_one_sentence(rows):
    with pytest.raises(SettingsError, match="12 queries with 2 rows of 3 do not fit on a page.*Choose fewer"):
        draw_figure(rows, [0] * 12, FigureSettings(3, 1, font_pt=20.0))


def test_a_column_of_a_paper_is_85_mm_wide(rows):
    drawn = draw_figure(rows, [0, 1], FigureSettings(3, 1, COLUMN_MM), "words")
    image = Image.open(io.BytesIO(drawn.export("png")))
    assert image.width / DPI * MM == pytest.approx(85, abs=0.1)
    assert all(0 <= frame.x and frame.x + frame.width <= 85 for frame in drawn.pictures)
    # one query takes the whole width, whatever columns there might be
    alone = draw_figure(rows, [0], FigureSettings(3, 3), "words")
    assert alone.pictures[0].width > 2 * draw_figure(rows, [0, 1, 2], FigureSettings(3, 3), "words").pictures[0].width


def test_labels_are_as_large_as_fits_below_the_pictures(comparison, rows):
    def texts(settings):
        drawn = draw_figure(rows, [0], settings)
        return drawn, [text.get_text() for text in drawn.figure.axes[0].texts]

    hits = [hit for hit in comparison.a.ranking.hits(0) if hit.rank is not None][:3]
    stored = [comparison.split.gallery[hit.index] for hit in hits]
    drawn, words = texts(SETTINGS)
    assert drawn.label_pt == SETTINGS.font_pt - 1
    assert [f"{hit.rank} {'✓' if hit.match else '✗'}" for hit in hits] == words[3:6]
    drawn, words = texts(replace(SETTINGS, labels=("camera", "vehicle", "distance")))
    expected = [
        f"{'✓' if h.match else '✗'}\n{g.vehicle_id}\n{g.camera_id}\n{h.distance:.3f}" for h, g in zip(hits, stored)
    ]
    assert words[3:6] == expected
    narrow, _ = texts(FigureSettings(3, 1, COLUMN_MM, 20.0, ("distance",)))
    widest = max(frame.width for frame in narrow.pictures)
    assert 0 < narrow.label_pt < 19
    title, *_ = texts = narrow.figure.axes[0].texts
    assert title.get_window_extent().width / narrow.figure.dpi * MM <= 80
    boxes = [text.get_window_extent() for text in texts[3:6]]
    assert all(box.width / narrow.figure.dpi * MM <= widest + 1 for box in boxes)


def test_a_caption_that_is_not_drawn_takes_no_room(rows):
    drawn, bare = (draw_figure(rows, [0], FigureSettings(3, captioned=each), "words " * 90) for each in (True, False))
    assert bare.caption == drawn.caption and bare.height_mm < drawn.height_mm - 5
    assert not any("words" in text.get_text() for text in bare.figure.axes[0].texts)


def test_a_third_row_stands_below_the_other_two(rows, comparison):
    three = {**rows, "Third": comparison.a}
    drawn = draw_figure(three, [0], SETTINGS)
    heights = sorted({round(frame.y, 3) for frame in drawn.pictures[1:]})
    assert len(heights) == 3 and len(drawn.pictures) == 1 + 3 * 3


def test_pictures_of_any_shape_are_whole(tmp_path):
    dataset = open_dataset(shapes(tmp_path / "shapes"))
    names = tuple(image.name for image in dataset.test)
    random = torch.randn(len(names), 4, generator=torch.Generator().manual_seed(3))
    evaluation = evaluate(FeatureSet(random, names, {"G": 4}), dataset, fig5().protocol, top_k=3, made_by={})
    drawn = draw_figure(dict.fromkeys(TITLES, evaluation), [0, 1], SETTINGS)
    pixels = np.asarray(Image.open(io.BytesIO(drawn.export("png"))).convert("RGB"))
    assert len(drawn.pictures) == 2 * (1 + 3 + 3)
    for frame in drawn.pictures:
        left, right = (round(x / MM * DPI) for x in (frame.x, frame.x + frame.width))
        top, bottom = (round((drawn.height_mm - y) / MM * DPI) for y in (frame.y + frame.height, frame.y))
        assert edges_shown(pixels[top:bottom, left:right]) == 4, frame


def test_short_titles():
    assert [short(title) for title in (*TITLES, "First: SSR-Net (GB)")] == ["Baseline", "SSR-Net", "First"]


def with_query(rows, image):
    """The rows with another image as the split's first query."""
    split = next(iter(rows.values())).split
    split = replace(split, query=(image, *split.query[1:]))
    return {title: evaluation._replace(split=split) for title, evaluation in rows.items()}


def test_what_looks_like_a_formula_in_a_name_is_its_letters(rows, comparison):
    named = replace(comparison.split.query[0], vehicle_id="$\\frac$", camera_id="$^$")
    drawn = draw_figure(with_query(rows, named), [0], SETTINGS, "of $\\frac$")
    assert drawn.export("png").startswith(b"\x89PNG")


def test_an_image_that_cannot_be_read_is_named(rows, comparison, tmp_path):
    missing = replace(comparison.split.query[0], path=tmp_path / "gone.jpg")
    with pytest.raises(DataError, match=r"gone\.jpg"):
        draw_figure(with_query(rows, missing), [0], SETTINGS)

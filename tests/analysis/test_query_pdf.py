import re

import pytest
import torch
from PIL import Image

from ssrnet.analysis import pdf_pages, query_pdf
from ssrnet.analysis.comparison import Comparison
from ssrnet.data.records import ReIDDataset
from ssrnet.retrieval.extraction import FeatureSet
from tests.analysis import toys


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """Nine queries and nine gallery images that can be read, but for the first query's."""
    folder = tmp_path_factory.mktemp("pictures")
    both = []
    for side in ("q", "g"):
        images = [toys.image(f"{side}{i}", str(i // 2), f"c{side}") for i in range(9)]
        for i, image in enumerate(images):
            object.__setattr__(image, "path", folder / f"{image.name}.png")
            if image.name != "q0":
                Image.new("RGB", (60, 40), (20 * i, 80, 90)).save(image.path)
        both.append(tuple(images))
    dataset = ReIDDataset("pictures", folder, "CSV", "", (), *both, "cross_camera")
    names = tuple(image.name for image in dataset.test)
    generator = torch.Generator().manual_seed(0)
    scored = [
        toys.evaluation(FeatureSet(torch.randn(18, 4, generator=generator), names, {"G": 4}), dataset) for _ in range(2)
    ]
    return Comparison(*scored)


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", pdf))


def test_a_pdf_of_a4_pages_four_queries_each_and_the_records(comparison):
    totals = []

    def progress(items, total):
        totals.append(total)
        return items

    drawn = query_pdf.draw_query_pdf(comparison, ("Baseline", "SSR-Net"), range(9), "Failures", 5, progress)
    assert (drawn.queries, drawn.requested, drawn.pages) == (5, 9, 3) and totals == [2]
    assert drawn.pdf.startswith(b"%PDF") and pages(drawn.pdf) == 3
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", drawn.pdf)
    assert [float(side) * 25.4 / 72 for side in box.groups()] == pytest.approx([210, 297], abs=0.1)


def test_five_listed_images_a_row_without_junk_and_a_sentence_for_what_cannot_be_read(comparison):
    axes = pdf_pages.new_page("Failures", "", 1, 1)
    query_pdf._draw_query(axes, pdf_pages.HEIGHT - pdf_pages.TOP, comparison, ("Baseline", "SSR-Net"), 0)
    texts = [text.get_text() for text in axes.texts]
    assert len(axes.images) == 10, "two rows of five; the query's own file is not there"
    assert texts.count("cannot be read") == 1
    signs = [text for text in texts if re.match(r"\d [✓✗] ", text)]
    assert [sign[0] for sign in signs] == ["1", "2", "3", "4", "5"] * 2
    for evaluation, row in ((comparison.a, signs[:5]), (comparison.b, signs[5:])):
        matches = [hit.match for hit in evaluation.ranking.hits(0)[:5]]
        assert ["✓" in sign for sign in row] == matches
    first = int(comparison.a.ranking.first_hit[0])
    assert any(text.startswith("Baseline: AP 0.") and text.endswith(f"rank {first}") for text in texts)


def test_nothing_is_drawn_beyond_the_page(comparison):
    axes = pdf_pages.new_page("Failures", pdf_pages.protocol_line(comparison), 1, 1)
    for place in range(query_pdf.PER_PAGE):
        query_pdf._draw_query(
            axes, pdf_pages.HEIGHT - pdf_pages.TOP - place * query_pdf.BLOCK, comparison, ("A", "B"), 1
        )
    edges = [image.get_extent() for image in axes.images]
    assert min(left for left, *_ in edges) >= pdf_pages.MARGIN - 0.1
    assert max(right for _, right, *_ in edges) <= pdf_pages.WIDTH - pdf_pages.MARGIN + 1
    assert min(low for _, _, low, _ in edges) > 14, "above the footer"


def test_both_records_are_on_a_page_of_their_own(comparison):
    drawn = query_pdf.draw_query_pdf(comparison, ("Baseline", "SSR-Net"), [], "Nothing", 5)
    assert drawn.pages == pages(drawn.pdf) == 1
    axes = pdf_pages.new_page("Protocol records", "", 1, 1)
    pdf_pages.draw_records(axes, {"Baseline": comparison.a, "SSR-Net": comparison.b})
    texts = [text.get_text() for text in axes.texts]
    assert texts.count('  "protocol": "cross_camera",') == 2
    assert min(text.get_position()[1] for text in axes.texts if text.get_text() != "") > 9

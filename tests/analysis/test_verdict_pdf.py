import re

import pytest
from matplotlib import pyplot

from ssrnet.analysis import verdict_pdf
from ssrnet.analysis.inspection import inspect
from ssrnet.analysis.query_slices import Slice
from ssrnet.analysis.slice_extremes import NamedSlice, SliceExtremes
from ssrnet.analysis.verdict import compare_evaluations
from ssrnet.errors import ProtocolError
from ssrnet.retrieval.metric_intervals import Estimate
from tests.analysis import toys

TITLES = ("Baseline (GB)", "SSR-Net (GB+AB+RB)")


@pytest.fixture
def drawn(monkeypatch):
    """Every page as it is saved, by its texts."""
    pages = []

    class Pages:
        def __init__(self, buffer, metadata):
            buffer.write(b"%PDF")

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def savefig(self, figure):
            pages.append(figure)

    monkeypatch.setattr(verdict_pdf, "PdfPages", Pages)
    return pages


def texts(figure) -> str:
    return "\n".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_three_a4_pages():
    pdf = verdict_pdf.draw_verdict_pdf(TITLES, toys.inspections())
    assert pdf.startswith(b"%PDF") and len(re.findall(rb"/Type /Page\b", pdf)) == 3
    assert not pyplot.get_fignums()


def test_numbers_pictures_and_records_are_on_it(drawn):
    a, b = toys.inspections()
    verdict_pdf.draw_verdict_pdf(TITLES, (a, b))
    numbers, pictures, records = map(texts, drawn)
    verdict = compare_evaluations(TITLES, a.evaluation, b.evaluation)
    assert verdict.sentence in " ".join(numbers.split("\n")) and "SSR-Net − Baseline" in numbers
    assert f"{100 * a.evaluation.metrics.mAP:.2f} %" in numbers and "No two slices" in numbers
    assert "4 queries of 3 vehicles in a gallery of 8 images; without a match, and not counted: 1." in " ".join(
        numbers.split("\n")
    )
    assert "Fixed: 1\nSSR-Net lists a right image first, Baseline a wrong one." in pictures and "qj, ΔAP +" in pictures
    assert "Broken: 1\nBaseline lists a right image first, SSR-Net a wrong one." in pictures and "qa, ΔAP −" in pictures
    assert pictures.count("cannot be read") == 6 and "SSR-Net ✓ A" in pictures and "SSR-Net ✗ B" in pictures
    assert all(title in records for title in TITLES) and records.count('"protocol": "cross_camera"') == 2


def test_the_slices_at_both_ends_are_drawn_and_nothing_leaves_the_page(drawn, monkeypatch):
    one = NamedSlice(
        "type", Slice("a long name of a type " * 3, 30, 20, None, {}, {}, {"mAP": Estimate(0.1, 0.0, 0.2)})
    )
    monkeypatch.setattr(verdict_pdf, "look_at_slices", lambda a, b: SliceExtremes((one,), (one,), 2, 1, 3))
    monkeypatch.setattr(verdict_pdf, "STRIP", 0)  # "whose AP changes most"
    verdict_pdf.draw_verdict_pdf(
        ("A model of another framework, aligned", "Another such model, aligned"), toys.inspections()
    )
    labels = [label.get_text() for label in drawn[0].axes[2].get_yticklabels()]
    assert labels[0] == "all queries" and labels[1].replace("\n", " ").endswith("(30 queries)")
    for page in drawn:
        page.draw_without_rendering()
    size = drawn[0].bbox
    for axes in (axes for page in drawn for axes in page.axes):
        labels = (*axes.get_yticklabels(), axes.xaxis.label) if axes.axison else ()
        for text in (*axes.texts, *labels):
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= size.x1 and box.y0 >= 0 and box.y1 <= size.y1, text.get_text()


def test_without_a_match_there_is_nothing_to_draw():
    a, b = (inspect(each, toys.without_match(each)) for each in (toys.WORSE, toys.BETTER))
    with pytest.raises(ProtocolError, match="no query has a match"):
        verdict_pdf.draw_verdict_pdf(TITLES, (a, b))


def test_a_protocol_without_a_match_is_left_out_of_several(drawn):
    """Its pages are missing; those of the others are numbered as one document."""
    nothing = tuple(inspect(each, toys.without_match(each)) for each in (toys.WORSE, toys.BETTER))
    verdict_pdf.draw_verdict_pdf(TITLES, toys.inspections(), nothing, toys.inspections())
    numbers = [re.search(r"\d of \d", texts(page)).group() for page in drawn]
    assert numbers == [f"{page} of 6" for page in range(1, 7)]

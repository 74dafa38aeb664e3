"""What the Failures page computes and keeps: two models looked at query by query."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app.widgets.source import Selection
from app.workbench import Model, Report, Services
from app.workbench.recent import Recent
from ssrnet.analysis.comparison import Comparison, DeltaHistogram, delta_histogram, largest_gain
from ssrnet.analysis.confusions import Confusions, confusions, worst_failure
from ssrnet.analysis.csv_rows import Row, csv_text
from ssrnet.analysis.duplicates import NearDuplicate, near_duplicates
from ssrnet.analysis.inspection import Inspection, inspect
from ssrnet.analysis.neighbours import neighbours, pool
from ssrnet.analysis.query_slices import Slicing
from ssrnet.analysis.query_table import query_rows
from ssrnet.analysis.slicings import slicing_rules
from ssrnet.analysis.suspected_labels import SuspectedLabel, SuspectedPair, suspected_labels, suspected_pairs
from ssrnet.data.records import VehicleImage
from ssrnet.retrieval.evaluation import query_scores
from ssrnet.retrieval.metric_intervals import Estimate, differences

MOST_QUERIES = 60
"""Queries in one PDF of sheets: fifteen pages."""


@dataclass(frozen=True)
class Failures:
    """Two models on one protocol. ``gain``: the mean ΔAP with its interval. ``places``: theirs among the sidebar's."""

    titles: tuple[str, str]
    places: tuple[int, int]
    a: Inspection
    b: Inspection
    comparison: Comparison
    rows: list[Row]
    histogram: DeltaHistogram
    gain: Estimate | None
    confusions: tuple[Confusions, Confusions]
    key: tuple

    @property
    def positions(self) -> dict[str, int]:
        """Each query's position in the split by its name."""
        return {image.name: q for q, image in enumerate(self.comparison.split.query)}


@dataclass(frozen=True)
class Suspicions:
    """What the features do not believe of the test images' labels, and images that are there twice."""

    labels: tuple[SuspectedLabel, ...]
    pairs: tuple[SuspectedPair, ...]
    copies: tuple[NearDuplicate, ...]
    images: int


@dataclass(frozen=True)
class Examples:
    """Queries that show a point, by the rules of ``largest_gain`` and ``worst_failure``; None where none does."""

    gain: VehicleImage | None
    worst: VehicleImage | None


def failures(services: Services, selection: Selection, models: Mapping[str, Model]) -> Failures:
    """Everything but the slices and the suspicions, of two models by title, ``a`` the first.

    The features must be there already, or are computed unseen.
    """
    first, second = (_inspection(services, selection, model) for model in models.values())
    listed = list(selection.compared)
    places = tuple(listed.index(title) for title in models)
    return _failures(_key(selection, models), tuple(models), places, first, second)


def examples(found: Failures) -> Examples:
    """``gain`` of the second model over the first, and the second model's ``worst`` failure."""
    return _examples(found.key, found)


def slicing(found: Failures, name: str) -> Slicing:
    """One of :func:`ssrnet.analysis.slicings.slicing_rules`, by its name."""
    return _slicing(found.key, name, found)


def slicings(found: Failures) -> dict[str, str]:
    """The titles of the slicings that the protocol serves, by name."""
    return _slicings(found.key, found)


def figure(found: Failures, make: Callable[..., go.Figure], *arguments: Any, kind: str = "") -> go.Figure:
    """``make(*arguments)``, once for each of its words among the arguments and for each ``kind``."""
    words = tuple(argument for argument in arguments if isinstance(argument, str | None))
    return _figure(found.key, make.__name__, words, kind, make, arguments)


def kept_suspicions(found: Failures) -> Suspicions | None:
    """What an earlier :func:`suspicions` found."""
    return _kept().get(("suspicions", *found.key))


def suspicions(services: Services, selection: Selection, found: Failures, report: Report) -> Suspicions:
    """Looks through the test images: all pairs of features of both models, then the pixels of the nearest pairs."""
    dataset = selection.opened.dataset
    images = pool(dataset)
    near = [
        neighbours(images.images, images.features(services.features(selection.compared[title], selection.opened)))
        for title in found.titles
    ]
    suspected = Suspicions(
        suspected_labels(images.images, near),
        suspected_pairs(images.images, near),
        near_duplicates(images, near[-1], progress=_reporting(report)),
        len(images.images),
    )
    return _kept().add(("suspicions", *found.key), suspected)


def kept_sheets(found: Failures, outcome: str) -> Any:
    """The PDF that an earlier :func:`sheets` drew, as :class:`ssrnet.analysis.query_pdf.QueryPDF`; else None."""
    return _kept().get(("sheets", outcome, *found.key))


def sheets(found: Failures, outcome: str, queries: Sequence[int], heading: str, report: Report) -> Any:
    """The queries on A4 pages, as :class:`ssrnet.analysis.query_pdf.QueryPDF`."""
    from ssrnet.analysis.query_pdf import draw_query_pdf  # imports matplotlib, which takes seconds

    drawn = draw_query_pdf(found.comparison, found.titles, queries, heading, MOST_QUERIES, _reporting(report))
    return _kept().add(("sheets", outcome, *found.key), drawn)


def archive(tables: dict[str, Sequence[Row]], found: Failures) -> bytes:
    """A ZIP with each table as ``NAME.csv`` and both models' protocol records."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, rows in tables.items():
            file.writestr(f"{name}.csv", csv_text(rows).encode(errors="surrogateescape"))
        for side, evaluation in (("a", found.comparison.a), ("b", found.comparison.b)):
            file.writestr(f"protocol-{side}.json", evaluation.record.json())
    return buffer.getvalue()


def _key(selection: Selection, models: Mapping[str, Model]) -> tuple:
    """Changes with whatever changes a number or a title; a copy of a data folder has the same hash, but other paths."""
    opened = selection.opened
    named = tuple((title, model.hash) for title, model in models.items())
    return (*named, opened.hash, str(opened.dataset.root), selection.protocol)


def _inspection(services: Services, selection: Selection, model: Model) -> Inspection:
    opened = selection.opened
    evaluation = services.evaluation(model, opened, selection.protocol)
    key = (model.hash, opened.hash, str(opened.dataset.root), selection.protocol)
    return _inspected(key, services.features(model, opened), evaluation)


@st.cache_resource(max_entries=8, show_spinner="Looking at every match")
def _inspected(key: tuple, _features, _evaluation) -> Inspection:
    return inspect(_features, _evaluation)


@st.cache_resource(max_entries=4, show_spinner="Comparing the two models query by query")
def _failures(key: tuple, titles: tuple[str, str], places: tuple[int, int], _a: Inspection, _b: Inspection) -> Failures:
    comparison = Comparison(_a.evaluation, _b.evaluation)
    scores = query_scores(comparison.a), query_scores(comparison.b)
    gain = differences([scores[0]], [scores[1]])["mAP"] if len(scores[0].vehicles) else None
    histogram = delta_histogram(comparison.delta_ap)
    confused = confusions(_a), confusions(_b)
    return Failures(titles, places, _a, _b, comparison, query_rows(_a, _b), histogram, gain, confused, key)


@st.cache_data(max_entries=16, show_spinner=False)
def _examples(key: tuple, _found: Failures) -> Examples:
    return Examples(largest_gain(_found.comparison), worst_failure(_found.b))


@st.cache_resource(max_entries=64, show_spinner="Drawing vehicles for the intervals")
def _slicing(key: tuple, name: str, _found: Failures) -> Slicing:
    return slicing_rules(_found.comparison.split)[name].make(_found.a, _found.b)


@st.cache_data(max_entries=16, show_spinner=False)
def _slicings(key: tuple, _found: Failures) -> dict[str, str]:
    return {name: rule.title for name, rule in slicing_rules(_found.comparison.split).items()}


@st.cache_resource(max_entries=64, show_spinner=False)
def _figure(key: tuple, name: str, words: tuple, kind: str, _make: Callable[..., go.Figure], _arguments) -> go.Figure:
    return _make(*_arguments)


@st.cache_resource(max_entries=1)
def _kept() -> Recent[Any]:
    """Of work that reports its progress: Streamlit's caches replay what is drawn inside."""
    return Recent(most=6)


def _reporting(report: Report) -> Callable[[Iterable, int], Iterable]:
    """``report`` hears of every item as the next one is asked for."""

    def wrap(items: Iterable, total: int) -> Iterable:
        for done, item in enumerate(items, 1):
            yield item
            report(done, total)

    return wrap

"""Two models query by query: differences, confusions, slices, suspected labels, figures and files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.workbench import OpenedModel, Progress, Workbench
from app.workbench.cache import cached, cached_value, content_key
from app.workbench.progress import counted
from ssrnet.analysis.causes import Causes, LabelsAndCopies, causes
from ssrnet.analysis.comparison import Comparison, DeltaHistogram, delta_histogram, largest_gain, largest_loss
from ssrnet.analysis.confusions import confusions, worst_failure
from ssrnet.analysis.csv_rows import Row, csv_text
from ssrnet.analysis.duplicates import NearDuplicate, difference_hashes, near_duplicates
from ssrnet.analysis.inspection import Inspection, inspect
from ssrnet.analysis.neighbours import neighbours, pool
from ssrnet.analysis.query_slices import Slicing
from ssrnet.analysis.query_table import query_rows
from ssrnet.analysis.slice_extremes import SliceExtremes, slice_extremes
from ssrnet.analysis.slicings import slicing_rules
from ssrnet.analysis.suspected_labels import SuspectedLabel, SuspectedPair, suspected_labels, suspected_pairs
from ssrnet.data.records import VehicleImage
from ssrnet.retrieval.evaluation import query_scores
from ssrnet.retrieval.metric_intervals import Estimate, differences

MOST_QUERIES = 60
"""Queries in one PDF of sheets: fifteen pages."""
FEW_IMAGES = 2000
"""Test images up to which labels and copies are looked through unasked: about a second on two cores."""


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
    key: tuple

    @property
    def positions(self) -> dict[str, int]:
        """Each query's position in the split by its name."""
        return {image.name: q for q, image in enumerate(self.comparison.split.query)}


@dataclass(frozen=True)
class Suspicions:
    """Test images whose labels contradict the features, pairs of labels that may be one vehicle, duplicates.

    ``hashes``: the difference hash of each of the images, by name. ``content_key``: of the two models.
    """

    labels: tuple[SuspectedLabel, ...]
    pairs: tuple[SuspectedPair, ...]
    copies: tuple[NearDuplicate, ...]
    hashes: Mapping[str, np.ndarray]
    content_key: tuple


def failures(a: OpenedModel, b: OpenedModel, places: tuple[int, int] = (0, 1)) -> Failures:
    """Everything but the slices and the suspicions. The features must be stored already, or are computed unseen."""
    key = ((a.title, a), (b.title, b))

    def compute() -> Failures:
        inspections = _inspection(a), _inspection(b)
        comparison = Comparison(*(one.evaluation for one in inspections))
        scores = query_scores(comparison.a), query_scores(comparison.b)
        return Failures(
            (a.title, b.title),
            places,
            *inspections,
            comparison,
            query_rows(*inspections),
            delta_histogram(comparison.delta_ap),
            differences([scores[0]], [scores[1]])["mAP"] if len(scores[0].vehicles) else None,
            content_key(key),
        )

    return cached("failures", (key, places), compute, 4, "Comparing the two models query by query")


def model_causes(model: OpenedModel, looked: Suspicions | None) -> Causes:
    """The causes of one model's wrong first images; suspected labels and copies are unknown without ``looked``."""
    known = LabelsAndCopies(looked.labels, looked.pairs, looked.hashes) if looked else None
    return cached(
        "causes", (model, looked), lambda: causes(confusions(_inspection(model)), known), 16, "Counting causes"
    )


def opening_query(pair: Failures) -> VehicleImage:
    """The query of :func:`ssrnet.analysis.comparison.largest_loss`; the first one where no query has a match."""
    loss = cached("largest losses", pair.key, lambda: (largest_loss(pair.comparison),), 16)[0]
    return loss or pair.comparison.split.query[0]


def examples(pair: Failures) -> tuple[VehicleImage | None, VehicleImage | None]:
    """The queries of the second model's largest gain over the first, and of its worst failure; None where none is."""
    return cached("examples", pair.key, lambda: (largest_gain(pair.comparison), worst_failure(pair.b)), 16)


def slicing(pair: Failures, name: str) -> Slicing:
    """One of :func:`ssrnet.analysis.slicings.slicing_rules`, by its name."""
    make = slicing_rules(pair.comparison.split)[name].make
    return cached("slicings", (pair.key, name), lambda: make(pair.a, pair.b), 64, "Drawing vehicles for the intervals")


def extremes(pair: Failures) -> SliceExtremes:
    """The slices of the queries on which the second model gains most and least, out of all properties of the query."""

    def look() -> SliceExtremes:
        rules = slicing_rules(pair.comparison.split)
        return slice_extremes({rule.title: slicing(pair, name) for name, rule in rules.items() if rule.of_queries})

    return cached("slice extremes", pair.key, look, 16, "Looking at the slices")


def slicings(pair: Failures) -> dict[str, str]:
    """The titles of the slicings that the protocol serves, by name."""

    def titles() -> dict[str, str]:
        return {name: rule.title for name, rule in slicing_rules(pair.comparison.split).items()}

    return cached("slicing titles", pair.key, titles, 16)


def figure(pair: Failures, make: Callable[..., go.Figure], *arguments: Any, key: object = None) -> go.Figure:
    """``make(pair, *arguments)``, made once for each ``key``, which names the arguments."""
    key = (pair.key, pair.places, make.__name__, key)
    return cached("failure figures", key, lambda: make(pair, *arguments), 64)


def cached_suspicions(bench: Workbench, pair: Failures) -> Suspicions | None:
    """The result of an earlier :func:`suspicions`, or, where there are few images, of one made now; else None."""
    if len(bench.dataset.test) <= FEW_IMAGES:
        return suspicions(bench, pair)
    return cached_value("suspicions", pair.key)


def suspicions(bench: Workbench, pair: Failures, progress_callback: Progress | None = None) -> Suspicions:
    """Looks through the test images: all their pixels, then all pairs of features of both models."""

    def compute() -> Suspicions:
        images = pool(bench.dataset)
        hashes = difference_hashes(bench.dataset.test, counted(progress_callback))
        near = [
            neighbours(images.images, images.features(bench.with_raw[title].compared_features()))
            for title in pair.titles
        ]
        return Suspicions(
            suspected_labels(images.images, near),
            suspected_pairs(images.images, near),
            near_duplicates(images, near[-1], hashes),
            hashes,
            pair.key,
        )

    return cached("suspicions", pair.key, compute, 4)


def copies(bench: Workbench, progress_callback: Progress | None = None) -> tuple[NearDuplicate, ...]:
    """Duplicates among test images without labels, by the second network's features and all their pixels."""

    def compute() -> tuple[NearDuplicate, ...]:
        images = pool(bench.dataset)
        near = neighbours(images.images, images.features(bench.ssrnet.compared_features()))
        return near_duplicates(images, near, difference_hashes(images.images, counted(progress_callback)))

    return cached("copies", bench.ssrnet, compute, 4)


def cached_copies(bench: Workbench) -> tuple[NearDuplicate, ...] | None:
    """The result of an earlier :func:`copies`; where there are few images, one that is made now; else None."""
    return copies(bench) if len(bench.dataset.test) <= FEW_IMAGES else cached_value("copies", bench.ssrnet)


def cached_pdf(pair: Failures, group: tuple) -> Any:
    """The result of an earlier :func:`query_pdf`; else None."""
    return cached_value("query PDFs", (group, pair.key))


def query_pdf(pair: Failures, group: tuple, queries: Sequence[int], heading: str, progress_callback: Progress) -> Any:
    """The queries on A4 pages, as :class:`ssrnet.analysis.query_pdf.QueryPDF`."""
    from ssrnet.analysis.query_pdf import draw_query_pdf  # imports matplotlib, which takes seconds

    def draw() -> Any:
        return draw_query_pdf(pair.comparison, pair.titles, queries, heading, MOST_QUERIES, counted(progress_callback))

    return cached("query PDFs", (group, pair.key), draw, 4)


def archive(tables: dict[str, Sequence[Row]], pair: Failures) -> bytes:
    """A ZIP with each table as ``NAME.csv`` and both models' protocol records."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, rows in tables.items():
            file.writestr(f"{name}.csv", csv_text(rows).encode(errors="surrogateescape"))
        for side, evaluation in (("a", pair.comparison.a), ("b", pair.comparison.b)):
            file.writestr(f"protocol-{side}.json", evaluation.record.json())
    return buffer.getvalue()


def _inspection(model: OpenedModel) -> Inspection:
    def compute() -> Inspection:
        return inspect(model.compared_features(), model.evaluation())

    return cached("inspections", model, compute, 8, "Looking at every match")

"""Evaluations of the models: computed behind a progress bar, shown with the protocol record behind each number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from html import escape

import streamlit as st

from app.widgets.components import stylesheet
from app.widgets.export import csv_button
from app.widgets.page import page_link
from app.widgets.progress import run_with_progress
from app.workbench import OpenedModel, RankingOptions
from app.workbench.opening import damaged_images
from app.workbench.verdicts import Pair, verdicts
from ssrnet.analysis.csv_rows import Row
from ssrnet.analysis.query_slices import FEW_VEHICLES
from ssrnet.analysis.verdict import MINUS, Verdict, direction, interval, signed
from ssrnet.errors import DamagedImagesError
from ssrnet.retrieval.evaluation import Evaluation
from ssrnet.retrieval.extraction import FeatureSet

SHARES = {
    "Rank-1": "Share of queries whose first image that is not junk shows their vehicle.",
    "Rank-5": "Share of queries with their vehicle among the first five images that are not junk.",
    "mAP": "Mean over the queries of the average precision, which counts where all images of the vehicle stand.",
    "mINP": "Mean inverse negative penalty: of each query, its matches over the rank of the last one; 100 % where all "
    "matches stand before any other image.",
}
EXCLUDED = (
    "A query without a match in the gallery once junk is left out counts in no number. Junk is the query's vehicle seen by "
    "the query's camera."
)
INTERVALS = (
    "Intervals come from 2,000 draws of the query vehicles, with replacement, the same for both models, as in "
    "`ssrnet compare`. They cover other query vehicles against this gallery, and neither another gallery nor another "
    "training run. A difference is beyond chance, and bold, where its interval leaves out 0; one in twenty does so by chance."
)
"""What explains :func:`metrics_table`'s numbers."""
METRICS = {"Rank-1": "rank-1", "Rank-5": "rank-5", "mAP": "mAP", "mINP": "mINP"}
STYLE = stylesheet("metrics_table")


def evaluations(models: Iterable[OpenedModel], options: RankingOptions = RankingOptions()) -> dict[str, Evaluation]:
    """Each model's evaluation under the chosen protocol, by row title."""
    models = list(models)
    ensure_features(models, options)
    return {
        each.title: run_with_progress(
            f"Re-ranking with {each.title}", f"re_rank_{at}", partial(each.evaluation, options)
        )
        for at, each in enumerate(models)
    }


def ensure_features(models: Iterable[OpenedModel], options: RankingOptions = RankingOptions()) -> dict[str, FeatureSet]:
    """Each model's embeddings of the data set's test images, by row title.

    Raises :class:`DamagedImagesError`, which names all images that cannot be read.
    """
    mirrored = " and their mirror images" if options.flip_test else ""
    models = list(models)
    try:
        return {
            model.title: run_with_progress(
                f"Embedding the test images{mirrored} with {model.title}",
                f"{'flip' if options.flip_test else 'embed'}_{at}",
                partial(model.features, settings=options.extraction),
            )
            for at, model in enumerate(models)
        }
    except DamagedImagesError as error:
        look = partial(damaged_images, models[0].data)
        problems = run_with_progress("Looking for all images that cannot be read", "damaged", look)
        raise DamagedImagesError(problems or error.problems) from None


def metrics_table(
    evaluations: Mapping[str, Evaluation],
    pairs: Sequence[Pair] = (),
    options: RankingOptions = RankingOptions(),
    lead: bool = True,
    most_rows: int | None = None,
) -> None:
    """What each pair's differences say in a sentence; then rank-1, rank-5, mAP and mINP of each model, and the differences.

    Below it the record that each number carries. ``options``: those that the evaluations were made with. ``lead``: a
    link leads to the verdict in full, on Scoreboard. ``most_rows``: a longer table is folded.
    """
    found = verdicts(pairs, options)
    for verdict in found[len(found) - len(pairs) :]:  # without those of raw features, where these are aligned
        st.markdown(f"**{verdict.sentence if len(pairs) == 1 else verdict.sentence_against}**")
    rows = len(evaluations) + len(found)
    folded = most_rows is not None and rows > most_rows
    with st.expander(f"The numbers, in {rows} rows") if folded else st.container(gap="xsmall"):
        _draw(evaluations, found)
    with st.container(horizontal=True, vertical_alignment="center"):
        record_popover(evaluations)
        csv_button(lambda: _rows(evaluations, found), "metrics")
        if found and lead:
            page_link("scoreboard", "Where, and on which queries")


def _draw(evaluations: Mapping[str, Evaluation], found: Sequence[Verdict]) -> None:
    """The table, and below it what its numbers are of."""
    head = "".join(f'<th scope="col"><abbr title="{help}">{name}</abbr></th>' for name, help in SHARES.items())
    body = "".join([*map(_shares, evaluations, evaluations.values()), *map(_difference, found)])
    head = f'<thead><tr><th scope="col">%</th>{head}</tr></thead>'
    st.html(f'{STYLE}<div class="metrics"><table>{head}<tbody>{body}</tbody></table></div>')
    metrics, record = next(
        (each.metrics, each.record) for each in evaluations.values()
    )  # of the split: the same for all
    of_vehicles = f" of {found[0].vehicles:,} vehicles" if found else ""
    sentences = [f"{record.protocol.replace('_', '-').capitalize()}: {metrics.queries:,} queries{of_vehicles}"]
    sentences[0] += f" in a gallery of {record.gallery:,} images."
    help = [f"{name}: {text}" for name, text in SHARES.items()]
    if metrics.excluded:
        sentences.append(f"{metrics.excluded:,} queries without a match do not count.")
        help.append(EXCLUDED)
    if found:
        sentences.append("Differences in percentage points, with 95 % intervals.")
        help.append(INTERVALS)
        if found[0].few:
            sentences.append(f"With fewer than {FEW_VEHICLES} vehicles the intervals are too narrow.")
    st.caption(" ".join(sentences), help="\n\n".join(help))


def _shares(title: str, evaluation: Evaluation) -> str:
    cells = "".join(f"<td>{value:.2f}</td>" for value in _percent(evaluation).values())
    return f'<tr><th scope="row">{escape(title)}</th>{cells}</tr>'


def _difference(verdict: Verdict) -> str:
    cells = []
    for metric in METRICS.values():
        one = verdict.differences[metric]
        certain = ' class="certain"' if direction(one) and not verdict.few else ""
        cells.append(f"<td{certain}>{signed(100 * one.value, 2)}<small>{interval(one, 2)}</small></td>")
    return f'<tr class="difference"><th scope="row">{escape(verdict.label)}</th>{"".join(cells)}</tr>'


def _rows(evaluations: Mapping[str, Evaluation], found: Sequence[Verdict]) -> list[Row]:
    """The table's rows for the CSV file, where a difference also has the ends of its interval."""
    rows: list[Row] = [
        {
            "Model": title,
            **_percent(evaluation),
            "Queries": evaluation.metrics.queries,
            "Excluded": evaluation.metrics.excluded,
        }
        for title, evaluation in evaluations.items()
    ]
    for one in found:
        bounds = {
            f"{name}{end}": 100 * getattr(one.differences[metric], field)
            for name, metric in METRICS.items()
            for end, field in (("", "value"), (" from", "low"), (" to", "high"))
        }
        rows.append({"Model": f"{one.second} {MINUS} {one.first}", **bounds})
    return rows


def _percent(evaluation: Evaluation) -> dict[str, float]:
    metrics = evaluation.metrics
    values = metrics.rank(1), metrics.rank(5), metrics.mAP, metrics.mINP
    return {name: 100 * value for name, value in zip(METRICS, values, strict=True)}


def record_popover(evaluations: Mapping[str, Evaluation]) -> None:
    """A button that opens the record of each model's numbers."""
    with st.popover("Protocol record", icon=":material/receipt_long:"):
        for title, evaluation in evaluations.items():
            st.markdown(f"**{title}**")
            st.json(asdict(evaluation.record))

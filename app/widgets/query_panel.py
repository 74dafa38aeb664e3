"""One query in small: its picture, what both models list first, and the way to other pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import streamlit as st

from app.widgets.components import stylesheet
from app.widgets.components.image_picker import choose
from app.widgets.components.image_rows import Figure, ImageRow, image_rows
from app.widgets.page import as_page, page_link
from app.widgets.rank_list import kind_of
from app.workbench.images import image_label, thumbnail
from ssrnet.retrieval.evaluation import Evaluation

LISTED = 3
LINKS = {"retrieval": "Open this query in Retrieval", "attention": "Where the models look in it", "graph": "Its graph"}
"""Pages that take the query along."""


class ModelOnQuery(NamedTuple):
    """A model's title and evaluation, and a note such as its AP."""

    title: str
    note: str
    evaluation: Evaluation


def query_panel(query: int, sentences: Sequence[str], models: Sequence[ModelOnQuery]) -> None:
    """The panel of a query, by its position in the split, with each model's first images that are not junk."""
    image = models[0].evaluation.split.query[query]
    words = "".join(f"<br>{escape(sentence)}" for sentence in sentences)
    picture = f'<img src="{thumbnail(image)}" alt="{escape(f"query {image.name}", quote=True)}">'
    head = f'<div class="query-head">{picture}<div><b>{escape(image.name)}</b>{words}</div></div>'
    st.html(stylesheet("query_panel") + head)
    image_rows([ImageRow(title, note, _figures(evaluation, query)) for title, note, evaluation in models], "panel")
    for view, label in LINKS.items():
        page_link(view, label, query=image.name)


def rows_of_queries(rows: Sequence[ImageRow], key: str) -> None:
    """Rows of pictures, of which a click on a query opens it in Retrieval."""
    opened = image_rows(rows, "cards", key, tooltip=LINKS["retrieval"])
    if opened:
        choose("query", opened)
        st.switch_page(as_page("retrieval"), query_params={"query": opened})


def _figures(evaluation: Evaluation, query: int) -> list[Figure]:
    figures = []
    for hit in [hit for hit in evaluation.ranking.hits(query) if hit.rank is not None][:LISTED]:
        image = evaluation.split.gallery[hit.index]
        same, sign = ("same", "✓") if hit.match else ("another", "✗")
        alt = f"rank {hit.rank}, {same} vehicle: {image.vehicle_id}, {image.name}"
        caption = f"\n{image_label(image)}"  # a line of its own, or it would break after the rank or within the name
        figures.append(Figure(thumbnail(image), alt, caption, kind_of(hit), mark=f"{hit.rank} {sign}"))
    return figures

"""Rows of framed pictures with words below them: rank lists, cards, a grid to choose from, a panel of one query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from types import MappingProxyType
from typing import Literal

import streamlit as st

from app.widgets.components import component, stylesheet
from app.workbench.images import size_of
from ssrnet.analysis.picture_cells import cell_ratio

Kind = Literal["query", "hit", "error", "junk", "plain"]
"""The colour of a frame: blue, green, red, grey, or none."""
Layout = Literal["ranks", "ranks close", "cards", "grid", "panel", "batch", "pair"]
"""How rows stand; "ranks close" are smaller, so that two of them fit below other things on a small screen."""

Answers = Mapping[str, tuple[str, str]]
"""By the letter that gives this answer about a picture: what stands on the button, and its words."""

ACROSS = 11, 6
"""Most ranked pictures a line: where the page is wide, and where it is not."""

_component = component("image_rows")


@dataclass(frozen=True)
class Figure:
    """One picture: ``mark`` bold, then ``caption``, whose lines are parted by newlines, and ``note`` in italics.

    picks: what a click on the picture picks; "" for a picture that cannot be clicked. alt: for screen readers. apart:
    whether others, which are not drawn, stand before it. bar: HTML between picture
    and words, a map's colour bar.
    """

    uri: str
    alt: str
    caption: str
    kind: Kind = "plain"
    picks: str = ""
    mark: str = ""
    note: str = ""
    apart: bool = False
    bar: str = ""
    answered: bool = False
    """Where pictures are answered for: this one is, so that the focus passes over it."""


@dataclass(frozen=True)
class ImageRow:
    """``note`` stands beside the title, in a paler type. joined: set close below the row before it, as a pair."""

    title: str
    note: str
    figures: Sequence[Figure]
    joined: bool = False


def image_rows(
    rows: Sequence[ImageRow],
    layout: Layout,
    key: str | None = None,
    chosen: str | None = None,
    on_pick: Callable[[str], None] | None = None,
    tooltip: str = "",
    jump: tuple[int, str] | None = None,
    answers: Answers = MappingProxyType({}),
    on_answer: Callable[[str, str], None] | None = None,
) -> str | None:
    """Draws the rows; what a clicked picture ``picks``, in the run after the click, else None.

    Each picture is whole, in cells of one shape, the median of the pictures'. They are reached by Tab, the arrows, Home
    and End, and picked by a click or Enter; without a ``key`` none can be. ``chosen`` is the name that is marked,
    ``on_pick`` is called with the picked one before the page runs again. ``jump``: a name that the focus moves to, once
    for each number beside it.

    With ``answers`` a picture is not picked but answered for, by the buttons below it or by their letters, also while
    nothing on the page has the focus: ``on_answer`` is called with the letter and what the picture ``picks``. A press while the page
    is still being drawn counts once it is.
    """
    ratio = cell_ratio([size_of(figure.uri) for row in rows for figure in row.figures])
    blocks = "".join(_row(row, y, key is not None, tooltip, answers) for y, row in enumerate(rows))
    most = max((len(row.figures) for row in rows), default=1)
    wide, middle = (columns(most, across) for across in ACROSS)
    shape = f"--ratio: {ratio:.3f}; --wide: {wide}; --middle: {middle}"
    html = f'<div class="image-rows {layout}" style="{shape}">{blocks}</div>'
    if key is None:
        st.html(stylesheet("image_rows") + html)
        return None

    def picked() -> None:
        name = st.session_state[key].picked
        if name and on_pick:
            on_pick(name)

    def answered() -> None:
        answer = st.session_state[key].answered
        if answer and on_answer:
            on_answer(*answer)

    data = {"html": html, "chosen": chosen, "jump": jump}
    if not answers:
        return _component(data=data, key=key, on_picked_change=picked).picked
    turn = st.session_state[f"{key}_turn"] = st.session_state.get(f"{key}_turn", 0) + 1
    data |= {"answers": "".join(answers), "turn": turn}
    _component(data=data, key=key, on_picked_change=picked, on_answered_change=answered)
    return None


def columns(figures: int, across: int) -> int:
    """Columns of a ranked list, the query's included, so that its lines are few and equal."""
    ranked = max(1, figures - 1)
    lines = -(-ranked // across)
    return 1 + -(-ranked // lines)


def _row(row: ImageRow, y: int, clickable: bool, tooltip: str, answers: Answers) -> str:
    title = f'<p class="title">{escape(row.title)}<span>{escape(row.note)}</span></p>' if row.title else ""
    numbers = count()
    places = [f"{y}.{next(numbers)}" if clickable and figure.picks else "" for figure in row.figures]
    figures = [_figure(figure, at, tooltip, answers) for figure, at in zip(row.figures, places)]
    return f'<div class="block{" joined" * row.joined}">{title}<div class="row">{"".join(figures)}</div></div>'


def _figure(figure: Figure, at: str, tooltip: str, answers: Answers) -> str:
    alt, picks = escape(figure.alt, quote=True), escape(figure.picks, quote=True)
    button, buttons = f' title="{escape(tooltip, quote=True) or picks or alt}"', ""
    if at:
        role = "group" if answers else "button"
        button += (
            f' role="{role}" data-at="{at}" data-name="{picks}" aria-label="{alt}"{" data-answered" * figure.answered}'
        )
    if at and not figure.answered:
        buttons = "".join(
            f'<button tabindex="-1" data-answer="{letter}" title="{escape(words)}" aria-label="{escape(words)}">'
            f"{escape(sign)}</button>"
            for letter, (sign, words) in answers.items()
        )
    lines = [f"<b>{escape(figure.mark)}</b>" if figure.mark else ""]
    lines[0] += escape(figure.caption).replace("\n", "<br>")
    lines += [f"<i>{escape(figure.note)}</i>"] if figure.note else []
    return (
        f'<figure class="{figure.kind}"{" data-apart" * figure.apart}{button}><img src="{figure.uri}" alt="{alt}">{figure.bar}'
        f"<figcaption>{'<br>'.join(lines)}</figcaption>{buttons}</figure>"
    )

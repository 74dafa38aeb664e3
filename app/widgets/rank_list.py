"""Ranked gallery images as rows of framed pictures, one row a model (paper Figs. 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st
from PIL import Image

from app.widgets.components.image_rows import ACROSS, Figure, ImageRow, Layout, columns, image_rows
from app.widgets.prints import Cell, Row, pictures_export
from app.workbench.images import image_label, reduced, thumbnail
from ssrnet.analysis.paper_figures import BLUE, GREEN, GREY, RED
from ssrnet.analysis.picture_cells import cell_ratio, on_ground
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage
from ssrnet.errors import DataError
from ssrnet.retrieval.ranking import Hit, Ranking

EDITS_ALIGNED = "Features are aligned by camera, with statistics that no edit and no other λ changes."
RAW_AND_ALIGNED = "Distances of raw and of aligned features are on different scales."
"""Notes of the :func:`legend`."""
PRINTED = 400
"""Pixels of a printed picture's width."""


@dataclass(frozen=True)
class RankRow:
    """One model's ranked list for the query; ``note`` stands beside its title.

    joined: set close below the row before it, as the same model's aligned list below its raw one. first: the first hit,
    which the list ends with where it lies beyond.
    """

    title: str
    hits: Sequence[Hit]
    note: str = ""
    joined: bool = False
    first: Hit | None = None

    @property
    def drawn(self) -> list[Hit]:
        """The hits, and the first match behind them where it is none of them."""
        listed = self.first is None or any(hit.rank == self.first.rank for hit in self.hits)
        return [*self.hits] if listed else [*self.hits, self.first]


def rank_list(
    query: VehicleImage,
    rows: Sequence[RankRow],
    gallery: Sequence[VehicleImage],
    chosen: str | None = None,
    on_pick: Callable[[str], None] | None = None,
    jump: int = 0,
    layout: Layout = "ranks",
) -> None:
    """Draws the rows.

    With ``on_pick`` the listed images can be clicked, or reached by Tab and arrows and chosen by Enter: it is called
    with the image's name before the page runs again. ``chosen`` is the name that is marked. A new number ``jump``
    moves the focus to the first hit of the first row that has one.
    """
    drawn = [_row(query, row, gallery, on_pick is not None) for row in rows]
    first = next((row.first for row in rows if row.first is not None), None)
    goal = (jump, gallery[first.index].name) if first is not None and jump else None
    image_rows(drawn, layout, "ranks" if on_pick else None, chosen, on_pick, jump=goal)


def ranks_export(name: str, query: VehicleImage, rows: Sequence[RankRow], gallery: Sequence[VehicleImage]) -> None:
    """Buttons that make the rows for paper, from the photographs themselves."""
    pictures_export(name, lambda: _printed(query, rows, gallery), key=name)


def _printed(query: VehicleImage, rows: Sequence[RankRow], gallery: Sequence[VehicleImage]) -> list[Row]:
    colours = {"hit": GREEN, "error": RED, "junk": GREY, "plain": None}
    listed = [query, *(gallery[hit.index] for row in rows for hit in row.drawn)]
    shown = {image: photograph_for_print(image) for image in listed}
    cell = PRINTED, round(PRINTED / cell_ratio([picture.size for picture in shown.values()]))
    pictures = {image: on_ground(picture, cell) for image, picture in shown.items()}
    across = columns(1 + max(len(row.drawn) for row in rows), ACROSS[0]) - 1
    printed = []
    for row in rows:
        cells = []
        for hit in row.drawn:
            image, kind = gallery[hit.index], kind_of(hit)
            words = f"{_sign(hit)} {hit.distance:.3f}\n{image_label(image)}"
            cells.append(Cell(pictures[image], words, colours[kind]))
        title = f"{row.title}: {row.note}" if row.note else row.title
        printed.append(Row(title, [Cell(pictures[query], f"Query\n{image_label(query)}", BLUE), *cells[:across]]))
        for start in range(across, len(cells), across):
            printed.append(Row("", [Cell(Image.new("RGB", cell, "white")), *cells[start : start + across]]))
    return printed


def photograph_for_print(image: VehicleImage) -> Image.Image:
    """The photograph, no larger than it is printed; a grey field for one that cannot be read."""
    try:
        return reduced(image.read(), 2 * PRINTED)
    except DataError:
        return Image.new("RGB", (PRINTED, PRINTED), (128, 128, 128))


def standing(ranking: Ranking, query: int, before: Ranking | None = None) -> str:
    """First hit and average precision of one query, in words; the AP's change from ``before`` in brackets.

    Empty where there are no labels.
    """
    if not ranking.is_labelled:
        return ""
    first, precision = int(ranking.first_hit[query]), ranking.average_precision[query]
    if first == 0:
        return "the gallery has no image that counts as a match"
    change = "" if before is None else f" ({precision - before.average_precision[query]:+.3f})"
    return f"first hit at rank {first}, AP {precision:.3f}{change}"


def legend(note: str = "", is_labelled: bool = True, query: VehicleImage | None = None) -> None:
    """What the frames mean, in words and signs as well as colours, and a ``note``; of an uploaded ``query``, that none is right."""
    if isinstance(query, UploadedImage):
        st.caption(
            ":blue[■] query, a picture of yours. Nothing says which vehicle it shows, so no image is right or wrong, and none "
            f"is junk. Numbers: rank and distance. {note}"
        )
        return
    if not is_labelled:
        st.caption(
            ":blue[■] query, which is left out of its own row. Nobody has said which images show its vehicle, so none is "
            f"right or wrong. Numbers: rank and distance. {note}"
        )
        return
    st.caption(
        ":blue[■] query  :green[■] ✓ same vehicle  :red[■] ✗ another vehicle  :grey[■] junk: the query's vehicle seen "
        f"by the query's camera, which counts neither way. Numbers: rank and distance. {note}"
    )


def kind_of(hit: Hit) -> str:
    """hit, error or junk; plain where there are no labels."""
    if hit.match is None:
        return "plain"
    return "junk" if hit.rank is None else "hit" if hit.match else "error"


def _sign(hit: Hit) -> str:
    return {"junk": "junk", "hit": f"{hit.rank} ✓", "error": f"{hit.rank} ✗", "plain": f"{hit.rank}"}[kind_of(hit)]


def _row(query: VehicleImage, row: RankRow, gallery: Sequence[VehicleImage], clickable: bool) -> ImageRow:
    figures = [Figure(thumbnail(query), _alt("query", query), f"\n{image_label(query)}", "query", mark="Query")]
    for hit in row.drawn:
        image, kind, reason = gallery[hit.index], kind_of(hit), ""
        if kind == "junk":
            reason = "the query itself" if image.name == query.name else "same camera"
        elif row.first is not None and hit.rank == row.first.rank:
            reason = "first hit"
        caption = f" · {hit.distance:.3f}\n{image_label(image)}"
        picks = image.name if clickable else ""
        alt, apart = _alt(kind, image, reason), len(figures) > len(row.hits)
        figures.append(Figure(thumbnail(image), alt, caption, kind, picks, _sign(hit), reason, apart))
    return ImageRow(row.title, row.note, figures, row.joined)


def _alt(kind: str, image: VehicleImage, reason: str = "") -> str:
    if image.vehicle_id is None:
        return f"{'query: ' * (kind == 'query')}{image.name}"
    if kind == "plain":
        return f"vehicle {image.vehicle_id}, {image.name}"
    return f"{kind}: vehicle {image.vehicle_id}, {image.name}{f' ({reason})' if reason else ''}"

"""Maps in a grid: images as rows; kinds of maps, and in each the models, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

import streamlit as st
from PIL import Image

from app.widgets.components import stylesheet
from app.widgets.map_colours import STYLE as BAR_STYLE
from app.widgets.map_colours import MapColours, bar_html
from app.widgets.prints import Bar, Cell, Row, from_uri, pictures_export
from app.widgets.symbols import as_html
from app.workbench.attention import map_uri
from app.workbench.images import size_of
from ssrnet.explain.image_maps import ImageMap
from ssrnet.explain.overlay import scale_of

STYLE = stylesheet("map_sheet")


@dataclass(frozen=True)
class MapColumn:
    """One map and one caption, which may be empty, an image. Columns of one ``kind`` stand side by side."""

    kind: str
    title: str
    maps: Sequence[ImageMap]
    captions: Sequence[str]


@dataclass(frozen=True)
class _Painted:
    """One map as it is drawn; ``uri`` is its picture."""

    uri: str
    bar: Bar
    caption: str


def map_sheet(
    name: str, photographs: Mapping[str, str], columns: Sequence[MapColumn], opacity: float, colours: MapColours
) -> None:
    """A row an image: the photograph, then each column's map over it, with its colour bar.

    ``photographs`` maps each image's caption to its picture's data URI, and is sent once, whatever the columns;
    ``name`` tells the page's sheets apart. On the same scale are all maps of one kind.
    """
    painted = _paint(columns, colours)
    faces = ""
    for i, uri in enumerate(photographs.values()):
        width, height = size_of(uri)
        faces += f".{name}-{i} {{ background-image: url({uri}); --ratio: {width / height:.4f}; }}"
    kinds = "".join(
        f'<th scope="colgroup" colspan="{len(list(group))}">{as_html(kind)}</th>'
        for kind, group in groupby(columns, key=lambda column: column.kind)
    )
    titles = "".join(f'<th scope="col">{as_html(column.title)}</th>' for column in columns)
    rows = []
    for i, caption in enumerate(photographs):
        cells = [f'<th scope="row">{_picture(f"{name}-{i}", caption)}<p>{escape(caption)}</p></th>']
        for column, maps in zip(columns, painted, strict=True):
            one = maps[i]
            image = f'<img src="{one.uri}" alt="" style="opacity: {opacity}">'
            label = f"{column.kind}, {column.title}, {caption}"
            words = f"<p>{as_html(one.caption)}</p>" if one.caption else ""
            cells.append(f"<td>{_picture(f'{name}-{i}', label, image)}{bar_html(one.bar)}{words}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    st.html(
        f'{STYLE}{BAR_STYLE}<style>{faces}</style><div class="sheet"><table style="--columns: {len(columns) + 1}">'
        f'<thead><tr><td rowspan="2"></td>{kinds}</tr><tr>{titles}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )
    pictures_export(f"{name}-maps", lambda: _printed(photographs, columns, painted, opacity), key=f"{name}_maps")


def _paint(columns: Sequence[MapColumn], colours: MapColours) -> list[list[_Painted]]:
    """Each column's maps in colours: each on its own range, or all of one kind on theirs."""
    of_kind = {
        kind: scale_of(one.cells for column in group for one in column.maps)
        for kind, group in groupby(columns, key=lambda column: column.kind)
    }
    painted = []
    for column in columns:
        scales = [of_kind[column.kind] if colours.same_scale else scale_of([one.cells]) for one in column.maps]
        painted.append(
            [
                _Painted(map_uri(one, scale, colours.name), colours.bar(scale), caption)
                for one, scale, caption in zip(column.maps, scales, column.captions, strict=True)
            ]
        )
    return painted


def _printed(
    photographs: Mapping[str, str], columns: Sequence[MapColumn], painted: Sequence[Sequence[_Painted]], opacity: float
) -> list[Row]:
    """The same grid for paper; the columns' titles stand below the first image's maps."""
    rows = []
    for i, (caption, uri) in enumerate(photographs.items()):
        face, cells = from_uri(uri), []
        for column, maps in zip(columns, painted, strict=True):
            title = "" if i else f"{column.kind}, {column.title}"
            words = ": ".join(filter(None, (title, maps[i].caption)))
            cells.append(Cell(_under(face, maps[i].uri, opacity), words, bar=maps[i].bar))
        rows.append(Row("", [Cell(face, caption), *cells]))
    return rows


def _under(face: Image.Image, uri: str, opacity: float) -> Image.Image:
    """A photograph under its map, as the browser lays it."""
    return Image.blend(face, from_uri(uri).resize(face.size, Image.Resampling.BILINEAR), opacity)


def _picture(face: str, label: str, image: str = "") -> str:
    return f'<div class="picture {face}" role="img" aria-label="{escape(label, quote=True)}">{image}</div>'

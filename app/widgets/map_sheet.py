"""Images side by side, each row of the sheet the same images under another map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st
from PIL import Image

from app.widgets.components import stylesheet
from app.widgets.prints import Cell, Row, from_uri, pictures_export

STYLE = stylesheet("map_sheet")


@dataclass(frozen=True)
class Map:
    """A coloured map as a data URI, and the number that belongs to it."""

    uri: str
    caption: str


@dataclass(frozen=True)
class MapRow:
    """``maps`` has one map an image, or is empty where ``note`` says why there is none."""

    title: str
    maps: Sequence[Map] = ()
    note: str = ""


def map_sheet(
    name: str, photographs: Mapping[str, str], rows: Sequence[MapRow], opacity: float, across: int = 6
) -> None:
    """Blocks of ``across`` images: the photographs, then each row's maps over them.

    ``photographs`` maps each image's caption to its picture's data URI, and is sent once, whatever the rows;
    ``name`` tells the page's sheets apart.
    """
    captions = list(photographs)
    faces = "".join(f".{name}{i} {{ background-image: url({uri}); }}" for i, uri in enumerate(photographs.values()))
    parts = [STYLE, f"<style>{faces}</style>"]
    for start in range(0, len(captions), across):
        block = range(start, min(start + across, len(captions)))
        cells = [_cell(f"{name}{i}", captions[i], captions[i]) for i in block]
        for row in rows:
            cells.append(f"<b>{escape(row.title)}</b>")
            if row.note:
                cells.append(f"<p>{escape(row.note)}</p>")
            for i in block if row.maps else ():
                label, one = f"{row.title}, {captions[i]}", row.maps[i]
                cells.append(_cell(f"{name}{i}", label, one.caption, one.uri, opacity))
        columns = min(across, len(captions))
        parts.append(
            f'<div class="sheet" style="grid-template-columns: repeat({columns}, minmax(96px, 210px))">'
            f"{''.join(cells)}</div>"
        )
    st.html("".join(parts))
    pictures_export(f"{name}-maps", lambda: _printed(photographs, rows, opacity, across), key=f"{name}_maps")


def _printed(photographs: Mapping[str, str], rows: Sequence[MapRow], opacity: float, across: int) -> list[Row]:
    """The same blocks for paper."""
    captions, faces = list(photographs), [from_uri(uri) for uri in photographs.values()]
    printed = []
    for start in range(0, len(captions), across):
        block = range(start, min(start + across, len(captions)))
        printed.append(Row("", [Cell(faces[i], captions[i]) for i in block]))
        for row in rows:
            cells = [Cell(_under(faces[i], row.maps[i].uri, opacity), row.maps[i].caption) for i in block if row.maps]
            printed.append(Row(row.title, cells, row.note))
    return printed


def _under(face: Image.Image, uri: str, opacity: float) -> Image.Image:
    """A photograph under its map, as the browser lays it."""
    return Image.blend(face, from_uri(uri).resize(face.size, Image.Resampling.BILINEAR), opacity)


def _cell(face: str, label: str, caption: str, uri: str = "", opacity: float = 0.0) -> str:
    image = f'<img src="{uri}" alt="" style="opacity: {opacity}">' if uri else ""
    return (
        f'<figure><div class="picture {face}" role="img" aria-label="{escape(label, quote=True)}">{image}'
        f"</div><figcaption>{escape(caption)}</figcaption></figure>"
    )

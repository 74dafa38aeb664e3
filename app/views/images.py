"""Your images: rank a gallery of one's own for a query of one's own, or ask whether two show the same vehicle."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import streamlit as st
import torch
from PIL import Image, ImageOps

from app.widgets.explain import explain
from app.widgets.export import table
from app.widgets.features import evaluations
from app.widgets.fragment import fragment
from app.widgets.index_search import index_search
from app.widgets.picture_rows import Picture, PictureRow, picture_rows
from app.widgets.prints import Cell, Row, from_uri, pictures_export
from app.widgets.progress import run_with_progress
from app.widgets.rank_list import BLUE
from app.widgets.record import record_popover
from app.widgets.source import PROTOCOL_TITLES, Selection
from app.workbench import Services, pictures
from app.workbench.pairs import verification
from ssrnet.data.images import IMAGE_SUFFIXES
from ssrnet.data.uploads import MOST_PICTURES, Uploads
from ssrnet.retrieval.verification import verify

TYPES = sorted(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES)
TOP_K = 10
PAPER = (400, 400)
"""Pixels of a picture in an export, at most."""
EQUATIONS = (
    r"s(a, b) = \frac{f(a) \cdot f(b)}{\lVert f(a) \rVert \, \lVert f(b) \rVert}, \qquad "
    r"\text{same vehicle} \iff s \ge \tau",
    r"\mathrm{FMR}(\tau) = P(s \ge \tau \mid \text{two vehicles}), \qquad "
    r"\mathrm{FNMR}(\tau) = P(s < \tau \mid \text{one vehicle})",
)
LOOK_FOR = """
Both models embed the pictures as they do the data set's; nothing is written to the disk, and the pictures are gone once this
page is closed. The **threshold** is the one at which the two error rates are equal on the data set of the sidebar, under its
protocol: on pictures of another kind (other cameras, other crops) the rates will be others, so take the verdict as a
demonstration. Crop to the vehicle, as a detector would: both models have seen nothing but crops.

Look for: whether both maps light the same part of the vehicle; a high cosine that comes from the background.
"""


def render(services: Services, selection: Selection) -> None:
    """Three ways to ask, each with its uploads; below, what the models answer."""
    mode = st.segmented_control(
        "What to do",
        ["Rank a gallery", "Compare two images", "Search an index"],
        default="Rank a gallery",
        required=True,
        key="images_mode",
        bind="query-params",
    )
    left, right = st.columns(2)
    if mode == "Search an index":
        one, many = _upload(left, "Query", "images_query", 1, "one picture, cropped to the vehicle"), Uploads({}, ())
    elif mode == "Rank a gallery":
        one = _upload(left, "Query", "images_query", 1, "one picture, cropped to the vehicle")
        many = _upload(right, "Gallery", "images_gallery", MOST_PICTURES, "pictures, or a zip file of them")
    else:
        one = _upload(left, "First picture", "images_first", 1, "cropped to the vehicle")
        many = _upload(right, "Second picture", "images_second", 1, "cropped to the vehicle")
    if mode == "Search an index":
        if one.pictures:
            query = next(iter(one.pictures.values()))
            fragment(index_search)(services, selection, "images", lambda: query)
        else:
            st.info("Upload a query to search for.")
    elif one.pictures and many.pictures:
        query = next(iter(one.pictures.values()))
        if mode == "Rank a gallery":
            chosen = _rank(services, selection, query, many.pictures)
        else:
            chosen = next(iter(many.pictures))
        _compare(services, selection, query, many.pictures[chosen], chosen)
    else:
        st.info("Upload both to see what the two models make of them.")
    pictures.forget(one.pictures | many.pictures)
    explain(EQUATIONS, LOOK_FOR, [verify])


def _upload(place, label: str, key: str, most: int, what: str) -> Uploads:
    """The pictures of one uploader, each refused file as a sentence below it."""
    files = place.file_uploader(
        f"{label}: {what}", type=TYPES + ["zip"] * (most > 1), accept_multiple_files=most > 1, key=key
    )
    found = pictures.uploads(files if isinstance(files, list) else [files] if files else [])
    for sentence in found.refused:
        place.warning(sentence, icon=":material/block:")
    return found


def _rank(services: Services, selection: Selection, query: Image.Image, gallery: Mapping[str, Image.Image]) -> str:
    """Both models' rows; the name of the gallery picture to look at more closely."""
    names, rows, printed, first = list(gallery), [], [], ""
    for at, (title, checkpoint) in enumerate(selection.models.items()):
        found = run_with_progress(
            f"Embedding with {title}",
            f"images_embed_{at}",
            partial(pictures.embeddings, services, checkpoint, {"": query, **gallery}),
        )
        cosine = torch.nn.functional.cosine_similarity(found[:1], found[1:])  # (N,)
        order = cosine.argsort(descending=True, stable=True)[:TOP_K].tolist()
        first = first or names[order[0]]
        listed = [Picture(pictures.thumbnail(query), "the query", "Query", "query")]
        cells = [Cell(query, "Query", BLUE)]
        for rank, i in enumerate(order, 1):
            uri, said = pictures.thumbnail(gallery[names[i]]), f"{rank} · {cosine[i]:.3f}"
            listed.append(Picture(uri, f"rank {rank}: {names[i]}", f"{said} · {names[i]}", opens=names[i]))
            cells.append(Cell(gallery[names[i]], f"{said} {names[i]}"))
        rows.append(PictureRow(title, f"rank and cosine, of {len(names):,}", listed))
        printed.append(Row(f"{title}: rank and cosine, of {len(names):,}", cells))
    picked = picture_rows(rows, "images_ranks", "Compare with the query")
    pictures_export("ranks of your images", lambda: _reduced(printed), key="images_ranks_export")
    if picked in gallery:
        st.session_state["images_picked"] = picked
    kept = st.session_state.get("images_picked")
    return kept if kept in gallery else first


def _reduced(rows: list[Row]) -> list[Row]:
    """Uploads may have any size; on paper they are centimetres wide."""
    return [
        row._replace(cells=[cell._replace(picture=ImageOps.contain(cell.picture, PAPER)) for cell in row.cells])
        for row in rows
    ]


def _compare(services: Services, selection: Selection, first: Image.Image, second: Image.Image, name: str) -> None:
    """Maps in both directions, cosine, threshold and error rates of each model."""
    st.subheader(f"Is {name} the same vehicle?", anchor=False)
    scored = evaluations(services, selection)
    columns, rows, maps_by_title = st.columns(len(selection.models), gap="medium"), [], {}
    for column, (title, checkpoint) in zip(columns, selection.models.items()):
        found = pictures.pair(services, checkpoint, first, second, "grad-cam")
        pairs = verification(services, checkpoint, selection.opened, selection.protocol)
        threshold, rate = pairs.equal_error()
        own = pairs.rates(found.similarity)
        with column:
            said = "same vehicle" if found.similarity >= threshold else "two vehicles"
            st.markdown(f"**{title}**: cosine {found.similarity:.3f}, threshold {threshold:.3f}: **{said}**")
            maps = {
                "what resembles the other in the first": found.first,
                "what resembles the first in the other": found.second,
            }
            for place, (caption, uri) in zip(st.columns(2), maps.items()):
                place.image(uri, caption=caption, width="stretch")
            maps_by_title[f"{title}: cosine {found.similarity:.3f}, threshold {threshold:.3f}: {said}"] = maps
        rows.append(
            {
                "Model": title,
                "Cosine": found.similarity,
                "Threshold": threshold,
                "Verdict": said,
                "Errors at the threshold": 100 * rate,
                "Two vehicles at least as similar": 100 * own.false_match,
                "Same vehicle less similar": 100 * own.false_non_match,
            }
        )
    pictures_export("comparison of your images", lambda: _printed(maps_by_title), key="images_pair_export")
    share = st.column_config.NumberColumn(format="%.2f %%")
    number = st.column_config.NumberColumn(format="%.3f")
    columns_config = dict.fromkeys(("Cosine", "Threshold"), number) | dict.fromkeys(list(rows[0])[4:], share)
    table(rows, "verification", columns_config)
    st.caption(
        f"Shares are of all pairs of query and gallery of {selection.opened.dataset.name} under "
        f"{PROTOCOL_TITLES[selection.protocol.name].lower()} (without junk, cosine, no flip test): how many pairs of two "
        "vehicles are at least as similar as these two pictures, how many of one vehicle less. Errors at the threshold: "
        "both rates where they are equal."
    )
    record_popover(scored)


def _printed(maps: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """A row a title, of data URIs by the words below them."""
    return [
        Row(title, [Cell(from_uri(uri), words) for words, uri in pictures.items()]) for title, pictures in maps.items()
    ]

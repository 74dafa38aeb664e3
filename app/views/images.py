"""Your images: rank an uploaded gallery for an uploaded query, or compare two pictures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import streamlit as st
from PIL import Image, ImageOps
from streamlit.delta_generator import DeltaGenerator

from app.widgets.components.image_rows import Figure, ImageRow, image_rows
from app.widgets.controls import one_of
from app.widgets.evaluations import evaluations, record_popover
from app.widgets.export import table
from app.widgets.index_search import index_search
from app.widgets.page import explain
from app.widgets.prints import Cell, Row, from_uri, pictures_export
from app.widgets.problems import fragment
from app.widgets.progress import run_with_progress
from app.widgets.source import PROTOCOL_TITLES
from app.workbench import Workbench
from app.workbench.cache import forget_pictures
from app.workbench.images import uploaded_thumbnail, uploads
from app.workbench.matches import uploaded_pair, verification
from ssrnet.analysis.paper_figures import BLUE
from ssrnet.data.images import IMAGE_SUFFIXES
from ssrnet.data.uploads import Uploads
from ssrnet.retrieval.verification import verify

RANK, COMPARE, SEARCH = "Rank a gallery", "Compare two images", "Search an index"
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


def render(bench: Workbench) -> None:
    """Three things to do, each with its uploads; below, the models' results."""
    mode = one_of("What to do", (RANK, COMPARE, SEARCH), "images_mode")
    left, right = st.columns(2)
    if mode == COMPARE:
        one = _upload(left, "First picture: cropped to the vehicle", "images_first")
        many = _upload(right, "Second picture: cropped to the vehicle", "images_second")
    else:
        one, many = _upload(left, "Query: one picture, cropped to the vehicle", "images_query"), Uploads({}, ())
    if mode == RANK:
        many = _upload(right, "Gallery: pictures, or a zip file of them", "images_gallery", several=True)
    if mode == SEARCH:
        if one.pictures:
            query = next(iter(one.pictures.values()))
            fragment(index_search)(bench, "images", lambda: query)
        else:
            st.info("Upload a query to search for.")
    elif one.pictures and many.pictures:
        query = next(iter(one.pictures.values()))
        chosen = _rank(bench, query, many.pictures) if mode == RANK else next(iter(many.pictures))
        _compare(bench, query, many.pictures[chosen], chosen)
    else:
        st.info("Upload both to see what the two models make of them.")
    forget_pictures((one.pictures | many.pictures).values())
    explain(EQUATIONS, LOOK_FOR, [verify])


def _upload(place: DeltaGenerator, label: str, key: str, several: bool = False) -> Uploads:
    """The pictures of one uploader, each refused file as a sentence below it."""
    files = place.file_uploader(label, type=TYPES + ["zip"] * several, accept_multiple_files=several, key=key)
    read = uploads(key, files if isinstance(files, list) else [files] if files else [])
    for sentence in read.refused:
        place.warning(sentence, icon=":material/block:")
    return read


def _rank(bench: Workbench, query: Image.Image, gallery: Mapping[str, Image.Image]) -> str:
    """Both models' rows; the name of the gallery picture to look at more closely."""
    names, pictures, rows, printed, first = list(gallery), list(gallery.values()), [], [], ""
    for at, model in enumerate(bench.networks.values()):
        rank = partial(model.rank, query, pictures, TOP_K)
        ranked = run_with_progress(f"Embedding with {model.title}", f"images_embed_{at}", rank)
        first = first or names[ranked[0].index]
        listed = [Figure(uploaded_thumbnail(query), "the query", "Query", "query")]
        cells = [Cell(query, "Query", BLUE)]
        for place, index, cosine in ranked:
            name, words = names[index], f"{place} · {cosine:.3f}"
            uri = uploaded_thumbnail(pictures[index])
            listed.append(Figure(uri, f"rank {place}: {name}", f"{words} · {name}", picks=name))
            cells.append(Cell(pictures[index], f"{words} {name}"))
        rows.append(ImageRow(model.title, f"rank and cosine, of {len(names):,}", listed))
        printed.append(Row(f"{model.title}: rank and cosine, of {len(names):,}", cells))
    picked = image_rows(rows, "cards", "images_ranks", tooltip="Compare with the query")
    pictures_export("ranks of your images", lambda: _reduced(printed), key="images_ranks_export")
    if picked in gallery:
        st.session_state["images_picked"] = picked
    before = st.session_state.get("images_picked")
    return before if before in gallery else first


def _reduced(rows: list[Row]) -> list[Row]:
    """Uploads may have any size; on paper they are centimetres wide."""
    return [
        row._replace(cells=[cell._replace(picture=ImageOps.contain(cell.picture, PAPER)) for cell in row.cells])
        for row in rows
    ]


def _compare(bench: Workbench, first: Image.Image, second: Image.Image, name: str) -> None:
    """Maps in both directions, cosine, threshold and error rates of each model."""
    st.subheader(f"Is {name} the same vehicle?", anchor=False)
    scored = evaluations(bench.networks.values())
    columns, rows, shown = st.columns(len(bench.networks), gap="medium"), [], {}
    for column, (title, model) in zip(columns, bench.networks.items()):
        pair, pairs = uploaded_pair(model, first, second, "grad-cam"), verification(model)
        threshold, rate = pairs.equal_error()
        errors = pairs.rates(pair.similarity)
        with column:
            verdict = "same vehicle" if pair.similarity >= threshold else "two vehicles"
            heading = f"{title}: cosine {pair.similarity:.3f}, threshold {threshold:.3f}: {verdict}"
            st.markdown(f"**{title}**: cosine {pair.similarity:.3f}, threshold {threshold:.3f}: **{verdict}**")
            captions = "what resembles the other in the first", "what resembles the first in the other"
            maps = dict(zip(captions, (pair.query, pair.gallery)))
            for place, (caption, uri) in zip(st.columns(2), maps.items()):
                place.image(uri, caption=caption, width="stretch")
            shown[heading] = maps
        rows.append(
            {"Model": title, "Cosine": pair.similarity, "Threshold": threshold, "Verdict": verdict}
            | {
                "Errors at the threshold": 100 * rate,
                "Two vehicles at least as similar": 100 * errors.false_match,
                "Same vehicle less similar": 100 * errors.false_non_match,
            }
        )

    def printed() -> list[Row]:
        cells = {title: [Cell(from_uri(uri), words) for words, uri in maps.items()] for title, maps in shown.items()}
        return [Row(title, pictures) for title, pictures in cells.items()]

    pictures_export("comparison of your images", printed, key="images_pair_export")
    share = st.column_config.NumberColumn(format="%.2f %%")
    number = st.column_config.NumberColumn(format="%.3f")
    columns_config = dict.fromkeys(("Cosine", "Threshold"), number) | dict.fromkeys(list(rows[0])[4:], share)
    table(rows, "verification", columns_config)
    st.caption(
        f"Shares are of all pairs of query and gallery of {bench.dataset.name} under "
        f"{PROTOCOL_TITLES[bench.protocol.name].lower()} (without junk, cosine, no flip test): how many pairs of two "
        "vehicles are at least as similar as these two pictures, how many of one vehicle less. Errors at the threshold: "
        "both rates where they are equal."
    )
    record_popover(scored)

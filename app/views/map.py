"""Gallery map: all test images as the models embed them; selections get tags, tags and views go into a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from app.warmup import warm_up_umap
from app.widgets.components.image_picker import chosen_image
from app.widgets.components.scatter import Panel, Things, figure, scatter
from app.widgets.controls import one_of
from app.widgets.evaluations import ensure_features
from app.widgets.export import csv_button, export_buttons, print_figure
from app.widgets.label_board import TASKS
from app.widgets.map_details import moved_most, neighbours_of, neighbours_of_upload, pictures
from app.widgets.map_exports import map_record, map_rows
from app.widgets.map_notes import current_notes, notes_file, tags
from app.widgets.map_panels import LINES, LINES_OF_UPLOAD, compared, map_panels
from app.widgets.map_uploads import YOURS, MapUploads, map_uploads
from app.widgets.page import explain, page_link
from app.widgets.problems import fragment
from app.widgets.progress import progress
from app.widgets.selection import link_selection, select, selected
from app.workbench import OpenedModel, Workbench
from app.workbench.images import image_title, thumbnail
from app.workbench.maps import (
    CHANGE_COLOURS,
    CHANGES,
    METHODS,
    MOST_COMPARED,
    MOVED,
    TAG,
    WHOLE,
    change_kinds,
    colourings,
    gallery_map,
    moved,
    usual_colouring,
)
from app.workbench.maps import kinds as kinds_of
from ssrnet.analysis.attributes import CAMERA, in_words
from ssrnet.analysis.neighbours import own_camera
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError
from ssrnet.explain.gallery_notes import GalleryNotes, View, read_notes
from ssrnet.explain.projection import FEWEST, project, turned_onto
from ssrnet.retrieval.alignment import AlignmentSettings, align_cameras
from ssrnet.retrieval.extraction import extract

PAIR, SIDE_BY_SIDE = "Before and after alignment", "Models side by side"
SMALL = 96
"""Height in pixels of the pictures that stand for points."""

INTRO = r"""
Every test image is a point, placed by its embedding, so that images which a model finds alike lie together:
${\lVert x_i - x_j \rVert^2 = 2 - 2\cos(f_i, f_j)}$ for ${x = f / \lVert f \rVert}$.
"""
EQUATIONS = (
    r"x_i = \frac{f_i}{\lVert f_i \rVert}, \qquad \lVert x_i - x_j \rVert^2 = 2 - 2\cos(f_i, f_j)",
    r"\text{PCA: } y_i = (x_i - \bar x)\, V_2, \qquad \text{UMAP: } y = \arg\min_y \mathrm{CE}(P(x), Q(y))",
)
LOOK_FOR = """
Each point is a test image (query or gallery), placed by its embedding at unit length. **PCA** keeps distances as far as
two axes can; its title says how much of the variance they hold. **UMAP** (50 principal components, 15 neighbours, seed
0) keeps neighbourhoods: how large a group is, and how far apart two groups are, says nothing.

**Look for** vehicles whose images fall into one group with one model and into several with the other; groups made of
one camera in place of one vehicle; single points amid another vehicle's. The same images are marked in every map. Zoomed
in, pictures stand for points. A click on a point lists its nearest images by each model; **change of neighbours** colours
the points whose nearest images differ most between two models. The URL holds the selection, and Retrieval's gallery of
queries and Failures' table can show it alone. What you have uploaded stands in the maps by PCA, as stars: PCA's axes, which
are the test images' alone, have one place for any further picture. Where UMAP would put it depends on what is put there with it.
"""
ALIGNMENT = (
    r"\hat f_i = \frac{f_i - m_{c(i)}}{s_{c(i)}}, \qquad m_c = \frac{n_c \mu_c + k \mu}{n_c + k}, \qquad "
    r"s_c^2 = \frac{n_c v_c + k v}{n_c + k}"
)
ALIGNED = f"""
**Camera alignment.** All $n_c$ images by a camera $c$ share its light, colours, height and background, and that lies in
their features too. From each feature $f_i$ the mean $m_c$ of its camera's features is taken, and each dimension is divided
by the camera's standard deviation $s_c$ there: what a camera's images have in common is gone, what tells its vehicles apart
stays. $\\mu_c$ and $v_c$ are the camera's mean and variance, $\\mu$ and $v$ those of all test images, which count as
$k = {AlignmentSettings.prior:g}$ images, so that a camera with few images is moved less. No vehicle label is used, but other
test images are (transductive). Before and after, the aligned map is shifted, turned and mirrored onto the raw one (orthogonal
Procrustes): where a map's axes point to is arbitrary, and without it points would move for that reason alone. In UMAP a
point that changes its group says something; a group that moves as a whole does not.
"""


def render(bench: Workbench) -> None:
    """The models' maps, the selection's pictures, tags, and the file that keeps them."""
    _page(bench)
    functions = (extract, project, GalleryNotes, read_notes)
    if bench.is_aligned:
        explain((*EQUATIONS, ALIGNMENT), LOOK_FOR + ALIGNED, (*functions, align_cameras, turned_onto, own_camera))
    else:
        explain(EQUATIONS, LOOK_FOR, functions)


def prepare(bench: Workbench) -> None:
    """Loads UMAP, which the viewer may choose next."""
    if len(bench.dataset.test) >= FEWEST:
        warm_up_umap()


def _page(bench: Workbench) -> None:
    images = bench.dataset.test
    if len(images) < 2:
        st.info(f"{bench.dataset.name} has fewer than two test images, too few for a map.")
        return
    features = ensure_features(bench.models.values())
    branches = list(dict.fromkeys(branch for title in bench.networks for branch in features[title].branch_dims))
    models, pair = list(bench.models.values()), False
    if bench.is_aligned:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            pair = one_of("Maps", (PAIR, SIDE_BY_SIDE), "map_shown") == PAIR
            if pair:
                titles = {model.raw.title: model for model in models}
                model = titles[one_of("Model", list(titles), "map_model", default=bench.ssrnet.raw.title)]
                models = [model.raw, model]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = one_of("Projection", METHODS, "map_method")
        help = "One branch alone; a model that does not have it is drawn with its whole embedding."
        branch = one_of("Features", [WHOLE, *branches], "map_branch", help=help)
        colouring = _colour(images, pair)
    uploads = map_uploads(bench, method)
    projections = []
    try:
        for at, model in enumerate(models):
            with progress(f"Drawing the map of {model.title} with {method}", f"map_{at}") as progress_callback:
                try:
                    projections.append(gallery_map(model, method, branch, progress_callback))
                except DataError as error:
                    raise DataError(f"The map of {model.title}: {error}") from error
    except DataError as error:
        st.info(str(error))
        return
    query = chosen_image("query", images)
    panels = map_panels(models, projections, pair, branch, query, uploads)
    view = View(method, None if branch == WHOLE else branch, colouring, query.name)
    fragment(_board)(bench, models, panels, view, uploads)


def _colour(images: Sequence[VehicleImage], pair: bool) -> str:
    """The control of the colours; what a legend can name, and cameras before and after alignment, where none is chosen."""
    offered = list(dict.fromkeys([*colourings(images), *([MOVED] if len(images) <= MOST_COMPARED else []), TAG]))
    usual = CAMERA if pair and CAMERA in offered else usual_colouring(images)
    offered = [usual, *(each for each in offered if each != usual)]
    before = st.session_state.get("map_usual_colour", usual)
    st.session_state["map_usual_colour"] = usual
    if before != usual and st.session_state.get("map_colour") == before and "map_colour" not in st.query_params:
        st.session_state["map_colour"] = usual
    return st.selectbox("Colour", offered, key="map_colour", bind="query-params", format_func=in_words, width=220)


def _board(
    bench: Workbench, models: Sequence[OpenedModel], panels: Sequence[Panel], view: View, uploads: MapUploads
) -> None:
    """The maps, and what is done with a selection."""
    data, images, colouring = bench.data, bench.dataset.test, view.colouring
    query = chosen_image("query", images)
    if (query.name, uploads.query_now) != (view.query, uploads.query):
        st.rerun()  # a picture was clicked, and the sidebar shows the query too
    notes = current_notes(data)
    change = moved(*models[:2], view.branch or WHOLE) if colouring == MOVED else None
    kinds = _kinds(images, colouring, notes, change)
    chosen = selected(data)
    place = {image.name: i for i, image in enumerate(images)}
    rows = [place[name] for name in chosen]
    things = _things(images, kinds, place[query.name], rows, uploads)
    if colouring == MOVED:
        things = replace(things, order=CHANGES, colours=CHANGE_COLOURS)
    shown, mine = (*images, *uploads.images), f" and {len(uploads.images):,} of yours" * bool(uploads.images)
    alt = f"{len(images):,} test images{mine} by {view.method}, coloured by {in_words(colouring)}; the query is marked"

    def choose_points(points: Sequence[int]) -> None:
        select(data, [images[i].name for i in points if i < len(images)])
        uploads.select([i - len(images) for i in points if i >= len(images)])

    scatter("map_scatter", panels, things, alt, choose_points, 430, lambda i: thumbnail(shown[i], SMALL))
    if any(panel.listed or panel.unlisted or panel.ranked for panel in panels):
        st.caption(LINES_OF_UPLOAD if uploads.query else LINES)
    if not link_selection():
        st.caption("This selection is too long for a link: keep it as a tag or a view, and save the file.")
    if panels[-1].motion:
        st.caption(compared(models, view.branch or WHOLE))
    with st.container(horizontal=True, vertical_alignment="center"):
        export_buttons("gallery_map", lambda format: print_figure(figure(panels, things), format), key="map_scatter")
        csv_button(lambda: map_rows(shown, models, panels, things.kinds, notes), "gallery_map")
        with st.popover("Record of this map", icon=":material/receipt_long:", type="tertiary"):
            st.json(map_record(bench, models, panels, view, len(uploads.images)))
    if colouring != TAG:  # the list of tags stands below
        key = f"map_kinds_{colouring}"
        st.multiselect(
            f"Select by {in_words(colouring)}",
            sorted(set(kinds)),
            key=key,
            on_change=lambda: select(data, [i.name for i, kind in zip(images, kinds) if kind in st.session_state[key]]),
            placeholder="choose instead of drawing around the points",
        )
    left, right = st.columns([5, 3], gap="large")
    with left:
        if chosen and not bench.dataset.is_labelled:
            page_link("label", "Label as one vehicle", label_task=TASKS["map"])
        mine = uploads.selected
        pictures([*(images[row] for row in rows), *mine], uploads.query or query)
        if len(rows) == 1 and not mine:
            neighbours_of(models, view.branch or WHOLE, images, rows[0])
        if len(mine) == 1 and not rows:
            neighbours_of_upload(models, view.branch or WHOLE, images, mine[0])
    with right:
        tags(data, notes, chosen)
        notes_file(data, notes, replace(view, selected=tuple(chosen)))
    if len(images) <= MOST_COMPARED:
        folded = st.expander("Which points moved", icon=":material/moving:", key="map_moved_open", on_change="rerun")
        if folded.open:
            with folded:
                moved_most((models[0].title, models[1].title), moved(*models[:2], view.branch or WHOLE), images)


def _things(
    images: Sequence[VehicleImage], kinds: Sequence[str], query: int, rows: Sequence[int], uploads: MapUploads
) -> Things:
    """The test images and, behind them, the uploads; ``query`` and the selected ``rows`` are positions of test images."""
    labels = [image_title(image) for image in images]
    if not uploads.images:
        return Things(labels, kinds, marked=[query], selected=rows)
    mine, count = uploads.images, len(images)
    return Things(
        [*labels, *(f"your image · {image.name}" for image in mine)],
        [*kinds, *[YOURS] * len(mine)],
        marked=[count + mine.index(uploads.query) if uploads.query else query],
        selected=[*rows, *(count + mine.index(image) for image in uploads.selected)],
        starred=YOURS,
    )


def _kinds(images: Sequence[VehicleImage], colouring: str, notes: GalleryNotes, change: np.ndarray | None) -> list[str]:
    """Each image's kind. change: of its neighbours, where points are coloured by it."""
    if colouring == TAG:
        tagged = notes.by_image()
        return [" + ".join(tagged.get(image.name, ())) or "no tag" for image in images]
    if colouring == MOVED:
        return change_kinds(change)
    return kinds_of(images, colouring)

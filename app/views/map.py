"""Gallery map: all test images as the models embed them; selections get tags, tags and views go into a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from app.widgets.components.image_picker import choose, chosen_image
from app.widgets.components.image_rows import Figure, ImageRow, image_rows
from app.widgets.components.scatter import Panel, Things, figure, projection_panel, scatter
from app.widgets.controls import one_of
from app.widgets.evaluations import ensure_features
from app.widgets.export import csv_button, export_buttons, print_figure
from app.widgets.map_notes import current_notes, notes_file, select, selected, tags
from app.widgets.page import explain
from app.widgets.problems import fragment
from app.widgets.progress import progress
from app.workbench import Workbench
from app.workbench.images import image_label, thumbnail
from app.workbench.maps import METHODS, TAG, WHOLE, colourings, gallery_map
from app.workbench.maps import kinds as kinds_of
from ssrnet.analysis.attributes import in_words
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError
from ssrnet.explain.gallery_notes import GalleryNotes, View, read_notes
from ssrnet.explain.projection import NEIGHBOURS, REDUCED, project
from ssrnet.retrieval.extraction import extract

MOST_SHOWN = 60
"""Thumbnails of a selection that travel to the browser."""

EQUATIONS = (
    r"x_i = \frac{f_i}{\lVert f_i \rVert}, \qquad \lVert x_i - x_j \rVert^2 = 2 - 2\cos(f_i, f_j)",
    r"\text{PCA: } y_i = (x_i - \bar x)\, V_2, \qquad \text{UMAP: } y = \arg\min_y \mathrm{CE}(P(x), Q(y))",
)
LOOK_FOR = """
Each point is a test image (query or gallery), placed by its embedding at unit length. **PCA** keeps distances as far as
two axes can; its title says how much of the variance they hold. **UMAP** (50 principal components, 15 neighbours, seed
0) keeps neighbourhoods: how large a group is, and how far apart two groups are, says nothing.

**Look for** vehicles whose images fall into one group with one model and into several with the other; groups made of
one camera in place of one vehicle; single points amid another vehicle's. The same images are marked in every map.
"""


def render(bench: Workbench) -> None:
    """The models' maps, the selection's pictures, tags, and the file that keeps them."""
    _page(bench)
    explain(EQUATIONS, LOOK_FOR, (extract, project, GalleryNotes, read_notes))


def _page(bench: Workbench) -> None:
    images = bench.dataset.test
    if len(images) < 2:
        st.info(f"{bench.dataset.name} has fewer than two test images, too few for a map.")
        return
    features = ensure_features(bench.models.values())
    branches = list(dict.fromkeys(branch for title in bench.networks for branch in features[title].branch_dims))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = one_of("Projection", METHODS, "map_method")
        help = "One branch alone; a model that does not have it is drawn with its whole embedding."
        branch = one_of("Features", [WHOLE, *branches], "map_branch", help=help)
        offered = [*colourings(images), TAG]
        colouring = st.selectbox(
            "Colour", offered, key="map_colour", bind="query-params", format_func=in_words, width=220
        )
    panels = []
    try:
        for at, (title, model) in enumerate(bench.models.items()):
            with progress(f"Drawing the map of {title} with {method}", f"map_{at}") as progress_callback:
                try:
                    projection = gallery_map(model, method, branch, progress_callback)
                except DataError as error:
                    raise DataError(f"The map of {title}: {error}") from error
            alone = f", {branch} alone" if branch in features[title].branch_dims else ""
            panels.append(projection_panel(title + alone, projection))
    except DataError as error:
        st.info(str(error))
        return
    shown = chosen_image("query", images)
    view = View(method, None if branch == WHOLE else branch, colouring, shown.name)
    fragment(_board)(bench, panels, view)


def _board(bench: Workbench, panels: Sequence[Panel], view: View) -> None:
    """The maps, and what is done with a selection."""
    data, images, colouring = bench.data, bench.dataset.test, view.colouring
    query = chosen_image("query", images)
    if query.name != view.query:
        st.rerun()  # a picture was clicked, and the sidebar shows the query too
    notes = current_notes(data)
    if colouring == TAG:
        tagged = notes.by_image()
        kinds = [" + ".join(tagged.get(image.name, ())) or "no tag" for image in images]
    else:
        kinds = kinds_of(images, colouring)
    chosen = selected(data)
    place = {image.name: i for i, image in enumerate(images)}
    rows = [place[name] for name in chosen]
    things = Things([_label(image) for image in images], kinds, marked=[place[query.name]], selected=rows)
    alt = f"{len(images):,} test images by {view.method}, coloured by {in_words(colouring)}; the query is marked"
    scatter("map_scatter", panels, things, alt, lambda points: select(data, [images[i].name for i in points]), 430)
    with st.container(horizontal=True, vertical_alignment="center"):
        export_buttons("gallery_map", lambda format: print_figure(figure(panels, things), format), key="map_scatter")
        csv_button(lambda: _rows(images, panels, kinds, notes), "gallery_map")
        with st.popover("Record of this map", icon=":material/receipt_long:", type="tertiary"):
            st.json(_record(bench, view))
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
        _pictures([images[place[name]] for name in chosen], query)
    with right:
        tags(data, notes, chosen)
        notes_file(data, notes, replace(view, selected=tuple(chosen)))


def _pictures(chosen: Sequence[VehicleImage], query: VehicleImage) -> None:
    st.subheader(f"Selected: {len(chosen):,}", anchor=False)
    if not chosen:
        st.caption("Lasso points in a map to see their images here.")
        return
    vehicles = len({image.vehicle_id for image in chosen})
    more = f" The first {MOST_SHOWN} are shown." if len(chosen) > MOST_SHOWN else ""
    whose = "1 vehicle" if vehicles == 1 else f"{vehicles:,} vehicles"
    st.caption(f"Of {whose}. A click on a picture makes it the query.{more}")
    figures = [
        Figure(thumbnail(image), image_label(image), image_label(image), picks=image.name)
        for image in chosen[:MOST_SHOWN]
    ]
    image_rows([ImageRow("", "", figures)], "grid", "map_pictures", query.name, lambda name: choose("query", name))


def _record(bench: Workbench, view: View) -> dict[str, object]:
    settings = {"length": "unit", "seed": 0}
    if view.method == "UMAP":
        settings |= {"principal_components": REDUCED, "neighbours": NEIGHBOURS}
    return {
        "dataset": bench.dataset.name,
        "dataset_hash": bench.data.hash,
        "images": f"all {len(bench.dataset.test):,} test images",
        "projection": view.method,
        **settings,
        "branch": view.branch or WHOLE,
        "models": {title: model.source.record for title, model in bench.models.items()},
    }


def _rows(
    images: Sequence[VehicleImage], panels: Sequence[Panel], kinds: Sequence[str], notes: GalleryNotes
) -> list[dict[str, object]]:
    tagged = notes.by_image()
    return [
        {
            "image": image.name,
            "vehicle": image.vehicle_id,
            "camera": image.camera_id,
            "kind": kinds[i],
            "tags": ", ".join(tagged.get(image.name, ())),
        }
        | {
            f"{axis} {panel.title}": float(panel.points[i, column])
            for panel in panels
            for column, axis in enumerate("xy")
        }
        for i, image in enumerate(images)
    ]


def _label(image: VehicleImage) -> str:
    return f"vehicle {image_label(image)} · {image.name}"

"""Gallery map: all test images as the models embed them; selections get tags, tags and views go into a file."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.services import Services
from app.services import maps as ask
from app.widgets.explain import explain
from app.widgets.export import export_buttons, print_figure
from app.widgets.features import ensure_features
from app.widgets.fragment import fragment
from app.widgets.image_picker import choose, chosen_image
from app.widgets.progress import progress
from app.widgets.scatter import Panel, Things, figure, scatter
from app.widgets.source import Selection
from app.widgets.thumbnails import thumbnails
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError
from ssrnet.explain.gallery_notes import GalleryNotes, View, read_notes
from ssrnet.explain.projection import NEIGHBOURS, REDUCED, project
from ssrnet.failures.attributes import CAMERA
from ssrnet.failures.rows import csv_text
from ssrnet.retrieval.extraction import extract

METHODS = ("PCA", "UMAP")
WHOLE = "whole embedding"
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


def render(services: Services, selection: Selection) -> None:
    """The models' maps, the selection's pictures, tags, and the file that keeps them."""
    images = selection.opened.dataset.test
    if len(images) < 2:
        st.info(f"{selection.opened.dataset.name} has fewer than two test images, too few for a map.")
        return
    features = ensure_features(services, selection, selection.compared)
    branches = list(dict.fromkeys(branch for title in selection.models for branch in features[title].branch_dims))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.segmented_control(
            "Projection", METHODS, default="PCA", required=True, key="map_method", bind="query-params"
        )
        branch = st.segmented_control(
            "Features", [WHOLE, *branches], default=WHOLE, required=True, key="map_branch", bind="query-params",
            help="One branch alone; a model that does not have it is drawn with its whole embedding.",
        )  # fmt: skip
        offered = [*ask.colourings(images), ask.TAG]
        colouring = st.selectbox(
            "Colour", offered, key="map_colour", bind="query-params", format_func=_say_colouring, width=220
        )
    panels = []
    try:
        for at, (title, checkpoint) in enumerate(selection.compared.items()):
            with progress(f"Drawing the map of {title} with {method}", f"map_{at}") as report:
                found = ask.gallery_map(services, checkpoint, selection.opened, method, branch, report)
            has = branch in features[title].branch_dims
            note = "" if found.variance is None else "{:.0%} + {:.0%} of the variance".format(*found.variance)
            panels.append(Panel(title + (f", {branch} alone" if has else ""), found.points, note))
    except DataError as error:
        st.info(str(error))
        return
    shown = chosen_image("query", images)
    fragment(_board)(services, selection, panels, colouring, method, None if branch == WHOLE else branch, shown)
    explain(EQUATIONS, LOOK_FOR, (extract, project, GalleryNotes, read_notes))


def _board(
    services: Services, selection: Selection, panels: Sequence[Panel], colouring: str, method: str, branch: str | None,
    query: VehicleImage,
) -> None:  # fmt: skip
    """The maps, and what is done with a selection."""
    images = selection.opened.dataset.test
    if chosen_image("query", images) != query:
        st.rerun()  # a picture was clicked, and the sidebar shows the query too
    notes = _notes(selection)
    if colouring == ask.TAG:
        tagged = notes.by_image()
        kinds = [" + ".join(tagged.get(image.name, ())) or "no tag" for image in images]
    else:
        kinds = ask.kinds(images, colouring)
    chosen = _selected(selection)
    place = {image.name: i for i, image in enumerate(images)}
    things = Things([_label(image) for image in images], kinds, marked=[place[query.name]])
    alt = f"{len(images):,} test images by {method}, coloured by {_say_colouring(colouring)}; the query is marked"
    rows = [place[name] for name in chosen]
    scatter(
        "map_scatter", panels, things, alt, rows, lambda found: _select(selection, [images[i].name for i in found]), 430
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        export_buttons("gallery_map", lambda format: print_figure(figure(panels, things), format), key="map_scatter")
        st.download_button(
            "CSV", lambda: csv_text(_rows(images, panels, kinds, notes)), "gallery_map.csv", "text/csv", key="map_csv",
            icon=":material/download:", type="tertiary", on_click="ignore",
        )  # fmt: skip
        with st.popover("Record of this map", icon=":material/receipt_long:", type="tertiary"):
            st.json(_record(selection, method, branch, len(images)))
    if colouring != ask.TAG:  # tags have a list of their own below
        key = f"map_kinds_{colouring}"
        st.multiselect(
            f"Select by {_say_colouring(colouring)}", sorted(set(kinds)), key=key,
            on_change=lambda: _select_kinds(selection, images, kinds, key),
            placeholder="choose instead of drawing around the points",
        )  # fmt: skip
    left, right = st.columns([5, 3], gap="large")
    with left:
        _pictures(services, [images[place[name]] for name in chosen], query)
    with right:
        _tags(selection, notes, chosen)
        _file(selection, notes, View(method, branch, colouring, query.name, tuple(chosen)))


def _pictures(services: Services, chosen: Sequence[VehicleImage], query: VehicleImage) -> None:
    st.subheader(f"Selected: {len(chosen):,}", anchor=False)
    if not chosen:
        st.caption("Draw around points in a map, and their pictures stand here.")
        return
    vehicles = len({image.vehicle_id for image in chosen})
    more = f" The first {MOST_SHOWN} are shown." if len(chosen) > MOST_SHOWN else ""
    whose = "1 vehicle" if vehicles == 1 else f"{vehicles:,} vehicles"
    st.caption(f"Of {whose}. A click on a picture makes it the query.{more}")
    thumbnails("map_pictures", chosen[:MOST_SHOWN], services.thumbnail, query.name, lambda name: choose("query", name))


def _tags(selection: Selection, notes: GalleryNotes, chosen: Sequence[str]) -> None:
    st.subheader("Tags", anchor=False)
    with (
        st.form("map_tag_form", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input("Tag for the selection", key="map_tag", placeholder="for example: odd label", max_chars=60)
        st.form_submit_button("Tag", on_click=_tag, args=(selection,), disabled=not chosen, icon=":material/new_label:")
    if not notes.tags:
        st.caption("No tags yet.")
        return
    tag = st.pills(
        "Tags of this data set", list(notes.tags), key="map_tags",
        format_func=lambda tag: f"{tag} ({len(notes.tags.get(tag, ())):,})",
    )  # fmt: skip
    tag = tag if tag in notes.tags else None
    with st.container(horizontal=True):
        st.button(
            "Select its images", disabled=tag is None, key="map_tag_select",
            on_click=lambda: _select(selection, notes.tags[tag]),
        )  # fmt: skip
        st.button(
            "Remove the tag", disabled=tag is None, key="map_tag_remove",
            on_click=_remove_tag, args=(selection, tag),
        )  # fmt: skip


def _file(selection: Selection, notes: GalleryNotes, view: View) -> None:
    """Views by name, and all notes as a file."""
    st.subheader("Views", anchor=False)
    with (
        st.form("map_view_form", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input("Name for what is shown now", key="map_view", placeholder="a view's name", max_chars=60)
        st.form_submit_button("Keep", on_click=_keep_view, args=(selection, view), icon=":material/bookmark_add:")
    if notes.views:
        name = st.selectbox("Views of this data set", list(notes.views), key="map_views")
        # A full run: the controls above the maps belong to the view.
        if st.button("Open the view", key="map_view_open", on_click=_open, args=(selection, notes.views[name])):
            st.rerun()
    st.subheader("File", anchor=False)
    st.download_button(
        "Save tags and views", notes.json(), f"{selection.opened.dataset.name}-map.json", "application/json",
        key="map_save", icon=":material/download:", on_click="ignore", disabled=not (notes.tags or notes.views),
    )  # fmt: skip
    st.file_uploader(
        "Load tags and views", "json", key="map_upload", on_change=_load, args=(selection,), max_upload_size=20
    )
    message = st.session_state.get("map_message")  # stands until another file is chosen, or none
    if message:
        kind, text = message
        (st.success if kind == "loaded" else st.error)(text)


def _notes(selection: Selection) -> GalleryNotes:
    opened = selection.opened
    kept = st.session_state.get("map_notes")
    if kept is None or kept.dataset_hash != opened.hash:
        kept = GalleryNotes(opened.dataset.name, opened.hash)
    return kept


def _keep(selection: Selection, notes: GalleryNotes) -> None:
    st.session_state["map_notes"] = notes


def _selected(selection: Selection) -> list[str]:
    """Names of the selected images; none where they are another data set's."""
    owner, names = st.session_state.get("map_selected", ("", []))
    return list(names) if owner == selection.opened.hash else []


def _select(selection: Selection, names: Sequence[str]) -> None:
    st.session_state["map_selected"] = (selection.opened.hash, list(names))


def _select_kinds(selection: Selection, images: Sequence[VehicleImage], kinds: Sequence[str], key: str) -> None:
    wanted = set(st.session_state[key])
    _select(selection, [image.name for image, kind in zip(images, kinds) if kind in wanted])


def _tag(selection: Selection) -> None:
    tag, chosen = st.session_state["map_tag"].strip(), _selected(selection)
    if tag and chosen:
        _keep(selection, _notes(selection).with_tag(tag, chosen))


def _remove_tag(selection: Selection, tag: str) -> None:
    st.session_state["map_tags"] = None
    _keep(selection, _notes(selection).without_tag(tag))


def _keep_view(selection: Selection, view: View) -> None:
    name = st.session_state["map_view"].strip()
    if name:
        _keep(selection, _notes(selection).with_view(name, view))


def _open(selection: Selection, view: View) -> None:
    """Sets the controls; what this data set or these models do not have is left as it is."""
    images = selection.opened.dataset.test
    if view.method in METHODS:
        st.session_state["map_method"] = view.method
    st.session_state["map_branch"] = view.branch or WHOLE
    if view.colouring in (*ask.colourings(images), ask.TAG):
        st.session_state["map_colour"] = view.colouring
    choose("query", view.query)
    _select(selection, view.selected)


def _load(selection: Selection) -> None:
    """Takes up an uploaded file's notes, or says why not."""
    file = st.session_state["map_upload"]
    if file is None:
        st.session_state.pop("map_message", None)
        return
    opened = selection.opened
    try:
        found = read_notes(
            file.getvalue(), file.name, opened.dataset.name, opened.hash, {i.name for i in opened.dataset.test}
        )
    except DataError as error:
        st.session_state["map_message"] = ("refused", str(error))
        return
    _keep(selection, _notes(selection).joined(found))
    st.session_state["map_message"] = (
        "loaded", f"{file.name} is loaded. Tags: {len(found.tags):,}, views: {len(found.views):,}.",
    )  # fmt: skip


def _record(selection: Selection, method: str, branch: str | None, images: int) -> dict[str, object]:
    opened = selection.opened
    settings = {"length": "unit", "seed": 0}
    if method == "UMAP":
        settings |= {"principal_components": REDUCED, "neighbours": NEIGHBOURS}
    return {
        "dataset": opened.dataset.name, "dataset_hash": opened.hash, "images": f"all {images:,} test images",
        "projection": method, **settings, "branch": branch or WHOLE,
        "models": {title: checkpoint.record for title, checkpoint in selection.compared.items()},
    }  # fmt: skip


def _rows(
    images: Sequence[VehicleImage], panels: Sequence[Panel], kinds: Sequence[str], notes: GalleryNotes
) -> list[dict[str, object]]:
    tagged = notes.by_image()
    return [
        {"image": image.name, "vehicle": image.vehicle_id, "camera": image.camera_id, "kind": kinds[i],
         "tags": ", ".join(tagged.get(image.name, ()))}
        | {f"{axis} {panel.title}": float(panel.points[i, column])
           for panel in panels for column, axis in enumerate("xy")}
        for i, image in enumerate(images)
    ]  # fmt: skip


def _label(image: VehicleImage) -> str:
    camera = f" · {image.camera_id}" if image.camera_id else ""
    return f"vehicle {image.vehicle_id}{camera} · {image.name}"


def _say_colouring(colouring: str) -> str:
    return "camera" if colouring == CAMERA else colouring.replace("_", " ")

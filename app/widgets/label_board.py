"""What is answered for on the page Label: ranked images, pairs, a selection of the map, vehicles."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.widgets.components.image_picker import choose, image_picker
from app.widgets.components.image_rows import Figure, ImageRow, Kind, image_rows
from app.widgets.controls import one_of
from app.widgets.page import page_link
from app.widgets.progress import run_with_progress
from app.widgets.selection import current_selection
from app.workbench import OpenedModel, Workbench
from app.workbench.images import image_label, thumbnail
from app.workbench.labels import Labelling, disagreeing_pairs, ranked_again
from ssrnet.analysis.disagreements import NEAR
from ssrnet.data.labels import Relation
from ssrnet.data.records import VehicleImage
from ssrnet.retrieval.feedback import FeedbackSettings
from ssrnet.retrieval.ranking import RankedImage

TASKS = {
    "ranks": "Ranked images",
    "pairs": "Pairs the models disagree on",
    "map": "Selected on the map",
    "vehicles": "Vehicles",
}
"""What is answered for, by its name in the code."""
SAME, OTHER, FORGET = "s", "o", "f"
ANSWERS = {SAME: ("✓ S", "same vehicle"), OTHER: ("✗ O", "other vehicle")}
KEYS = "Keys: ← → ↑ ↓ move · **S** same vehicle · **O** other vehicle · **U** undo · **N** next query"
KEYS_OF_A_PAIR = "Keys: **S** same vehicle · **O** other vehicle · **U** undo · **N** next pair"
LENGTHS = (10, 5, 20)
KINDS: dict[Relation | None, Kind] = {"same": "hit", "other": "error", None: "plain"}
SIGNS: dict[Relation | None, str] = {"same": " ✓", "other": " ✗", None: ""}
WORDS: dict[Relation | None, str] = {"same": "same vehicle: ", "other": "another vehicle: ", None: ""}
VEHICLES_SHOWN = 50
LARGE = 320
"""Height in pixels of the pictures of a pair."""


def ranked_images(bench: Workbench, now: Labelling, key: str, drawn: str) -> None:
    """A query, its ranks by one model, and what is left of them once it is asked again with the answers.

    drawn: the query that the sidebar shows; another one draws the whole page again.
    """
    images = bench.dataset.test
    with st.container(horizontal=True, vertical_alignment="bottom"):
        title = one_of("Model", list(bench.models), "label_model", default=bench.ssrnet.title)
        length = one_of("Images listed", LENGTHS, "label_length")
        _undo(now)
        following = st.empty()
    query = image_picker(key, images)
    if query.name != drawn:
        st.rerun()
    following.button(
        "Next query",
        key="label_next",
        icon=":material/skip_next:",
        shortcut="n",
        on_click=_next_query,
        args=(key, images, query, now),
    )
    st.caption(KEYS)
    rows = _rows(bench.models[title], query, now, length)
    first = next((figure.picks for figure in rows[0].figures if figure.picks and not figure.answered), "")
    image_rows(
        rows,
        "ranks",
        "label_ranks",
        jump=_jump(query, now, first),
        answers=ANSWERS,
        on_answer=lambda letter, name: now.relate(query.name, name, letter == SAME),
    )
    weights = FeedbackSettings()
    st.caption(
        ":blue[■] query  :green[■] ✓ same vehicle  :red[■] ✗ another vehicle. Numbers: rank and cosine. The second row asks again "
        f"with the mean of what was confirmed (weight {weights.beta:g}) and of what was refused (−{weights.gamma:g}), and leaves out "
        "both: it lists what nobody has answered for yet."
    )


def _jump(query: VehicleImage, now: Labelling, first: str) -> tuple[int, str]:
    """Where the focus goes: with a new query to the first image without an answer, after undo back to its image."""
    turn, before, undone = st.session_state.get("label_jump", (0, "", 0))
    goal = first if before != query.name else now.taken_back[1]
    turn += (before, undone) != (query.name, now.taken_back[0])
    st.session_state["label_jump"] = turn, query.name, now.taken_back[0]
    return turn, goal


def _next_query(key: str, images: Sequence[VehicleImage], query: VehicleImage, now: Labelling) -> None:
    """The next image without a vehicle, after the last one the first; where all have one, the next of all."""
    at = images.index(query)
    following = [*images[at + 1 :], *images[:at]]
    left = [image for image in following if image.name not in now.labels.vehicle_of]
    if following:
        choose(key, (left or following)[0].name)


def _rows(model: OpenedModel, query: VehicleImage, now: Labelling, length: int) -> list[ImageRow]:
    alone, again = ranked_again(model, query, now.labels, FeedbackSettings(), length)
    rank_alone = {each.index: each.rank for each in alone}
    asked = Figure(thumbnail(query), f"query: {query.name}", f"\n{image_label(query)}", "query", mark="Query")
    rows = [ImageRow(f"{model.title}, the query alone", "", [asked, *_figures(model, query, alone[:length], now, {})])]
    note = "" if again else "every image is answered for"
    figures = _figures(model, query, again, now, rank_alone)
    rows.append(ImageRow("Asked again with the answers", note, [asked, *figures]))
    return rows


def _figures(
    model: OpenedModel, query: VehicleImage, ranked: Sequence[RankedImage], now: Labelling, before: dict[int, int]
) -> list[Figure]:
    figures = []
    for each in ranked:
        image = model.data.dataset.test[each.index]
        known = now.labels.relation(query.name, image.name)
        moved = f", before {before[each.index]}" if before.get(each.index, each.rank) != each.rank else ""
        alt = f"{WORDS[known]}{image.name}, rank {each.rank}{moved}"
        figures.append(
            Figure(
                thumbnail(image),
                alt,
                f"{moved} · {each.cosine:.3f}\n{image_label(image)}",
                KINDS[known],
                image.name,
                f"{each.rank}{SIGNS[known]}",
                answered=known is not None,
            )
        )
    return figures


def disagreeing(bench: Workbench, now: Labelling) -> None:
    """One pair after the other that one network ranks near and the other far, of those that nobody has answered for."""
    titles, images = list(bench.networks), bench.dataset.test
    pairs = run_with_progress(
        "Looking for pairs that the models disagree on",
        "label_pairs",
        lambda callback: disagreeing_pairs(bench, callback),
    )
    open_pairs = [
        pair
        for pair in pairs
        if now.labels.relation(images[pair.a].name, images[pair.b].name) is None
        and (images[pair.a].name, images[pair.b].name) not in now.skipped
    ]
    if not open_pairs:
        st.info(
            f"No pair is left: of all pairs that are among the first {NEAR} of an image with one model and farther down with the "
            "other, each is answered for or passed over."
        )
        _undo(now)
        return
    pair = open_pairs[0]
    a, b = images[pair.a], images[pair.b]
    words = " · ".join(
        f"{title}: cosine {cosine:.3f}, rank {rank:,}" for title, cosine, rank in zip(titles, pair.cosines, pair.ranks)
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{words}**", width="content")
        _undo(now)
        st.button(
            "Next pair",
            key="label_next",
            icon=":material/skip_next:",
            shortcut="n",
            on_click=now.skipped.add,
            args=((a.name, b.name),),
        )
    st.caption(KEYS_OF_A_PAIR)
    figures = [
        Figure(thumbnail(image, LARGE), image.name, image_label(image), picks=image.name if image is b else "")
        for image in (a, b)
    ]
    image_rows(
        [ImageRow("", "", figures)],
        "pair",
        "label_pair",
        jump=(1 + len(pairs) - len(open_pairs), b.name),
        answers=ANSWERS,
        on_answer=lambda letter, name: now.relate(a.name, b.name, letter == SAME),
    )
    st.caption(
        f"{len(open_pairs):,} of {len(pairs):,} such pairs have no answer yet; the largest ratio of the two ranks comes first. A pair's "
        "rank is the better one of each image's in the other's list."
    )


def selection(bench: Workbench, now: Labelling) -> None:
    """What is selected on the Gallery map, as one vehicle with a name."""
    chosen = current_selection()
    names = set(chosen.names) if chosen.dataset_hash == bench.data.hash else set()
    images = [image for image in bench.dataset.test if image.name in names]
    page_link("map", "Select images on the Gallery map")
    if not images:
        st.info("Nothing is selected: draw around points on the Gallery map of this folder, then come back.")
        return
    figures = [Figure(thumbnail(image), image.name, image_label(image)) for image in images]
    image_rows([ImageRow("", "", figures)], "grid")
    with (
        st.form("label_name_form", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input("The vehicle's name", key="label_name", placeholder="for example: bus 12", max_chars=60)
        st.form_submit_button(
            f"These {len(images):,} images show this vehicle",
            icon=":material/label:",
            on_click=lambda: now.answer(
                lambda labels: labels.name([image.name for image in images], st.session_state["label_name"])
            ),
        )
    _undo(now)


def vehicles(bench: Workbench, now: Labelling) -> None:
    """The images of each vehicle; the answers about one of them can be taken back."""
    listed = now.labels.vehicles
    if not listed:
        st.info("No vehicle has images yet.")
        return
    images = {image.name: image for image in bench.dataset.test}
    rows = []
    for vehicle, names in sorted(listed.items(), key=lambda each: -len(each[1]))[:VEHICLES_SHOWN]:
        figures = [
            Figure(thumbnail(images[name]), name, image_label(images[name]), picks=name)
            for name in names
            if name in images
        ]
        rows.append(ImageRow(vehicle, f"{len(names):,} images", figures))
    image_rows(
        rows,
        "cards",
        "label_vehicles",
        answers={FORGET: ("F", "forget the answers about this image")},
        on_answer=lambda _, name: now.answer(lambda labels: labels.forget(name)),
    )
    if len(listed) > VEHICLES_SHOWN:
        st.caption(f"The {VEHICLES_SHOWN} largest of {len(listed):,} vehicles.")
    st.caption("**F** takes back all answers about an image.")
    _undo(now)


def _undo(now: Labelling) -> None:
    st.button(
        "Undo", key="label_undo", icon=":material/undo:", shortcut="u", disabled=len(now.history) < 2, on_click=now.undo
    )

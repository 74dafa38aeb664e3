"""Quiz: which of five images shows the query's vehicle? The viewer against both models, ten rounds and the score."""

from __future__ import annotations

import streamlit as st

from app.widgets.components.focus_button import focus_button
from app.widgets.evaluations import ensure_features
from app.widgets.needs_labels import needs_labels
from app.widgets.page import explain, page_link
from app.widgets.problems import fragment
from app.widgets.quiz_board import answers_table, board, by_number, explained_table, score_line, verdict
from app.workbench import Workbench
from app.workbench.quiz import Play, compared_attributes, play, play_again, rounds
from ssrnet.analysis.quiz import CHOICES, ROUNDS, Round, differences, draw_rounds, score
from ssrnet.errors import DataError

SEED = "quiz"
"""The URL's name for the seed."""
MOST_DIGITS = 9

INTRO = r"""
Which of the five images shows the query's vehicle, seen by another camera? You answer by looking; each model answers
$\arg\max_{i} \cos(x_q, x_{g_i})$.
"""
EQUATIONS = (r"\text{a model's answer} = \arg\max_{i = 1 \ldots 5} \cos(x_q, x_{g_i})",)
LOOK_FOR = f"""
Each of the {ROUNDS} rounds shows a query and {CHOICES} gallery images of {CHOICES} vehicles; one is the query's vehicle, by another camera.
Where the data names **siblings**, look-alikes that differ by their marks alone, they are the wrong images; then follow the vehicles
that either model ranks nearest. Where it names none, the queries are those on which a model errs, or comes closest to it.

The right image is the match that the models together rank first, so it mostly shows the vehicle from a similar side. Images by the query's
camera are left out: their background would give them away, to a person and to a model. So the wrong images are the ones that are hard *for
these models*, which does not make it a fair trial of a person against a machine: by chance one in {CHOICES} is right, and ten rounds say little.

Rounds depend on the seed in the URL, the data, the protocol, the models and the *Align cameras* switch: with the same five everyone gets the
same rounds. Answers stay in this session alone.
"""


def render(bench: Workbench) -> None:
    """A query with five images to choose from; after the answer what is known of them; after ten rounds the score."""
    if bench.dataset.is_labelled:
        ensure_features(bench.networks.values())
        with st.container(key="quiz_round"):
            fragment(_quiz)(bench)
    else:
        needs_labels("The quiz")
    explain(EQUATIONS, LOOK_FOR, (draw_rounds, Round, differences, score))


def _quiz(bench: Workbench) -> None:
    seed = _seed()
    try:
        drawn = rounds(bench, seed)
    except DataError as error:
        st.info(f"There is no quiz on this data: {error}")
        return
    played = play(bench, seed)
    if played.left < len(drawn):
        _round(bench, drawn, played, seed)
    else:
        _end(bench, drawn, played, seed)


def _seed() -> int:
    """The URL's, else the session's, else 1; the URL names it from now on."""
    text = st.query_params.get(SEED, st.session_state.get("quiz_kept", "1"))
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        st.warning(
            f"The seed in the address, {SEED}=…, must be a whole number of at most {MOST_DIGITS} digits; these are the rounds of seed 1."
        )
        text = "1"
    _choose_seed(int(text))
    return int(text)


def _choose_seed(seed: int) -> None:
    st.session_state["quiz_kept"] = str(seed)  # Streamlit drops the URL's parameters when another page opens
    if st.query_params.get(SEED) != str(seed):
        st.query_params[SEED] = str(seed)


def _round(bench: Workbench, drawn: tuple[Round, ...], played: Play, seed: int) -> None:
    """The round in view: the question, or once it is answered what was right and why."""
    number, titles = played.left, list(bench.networks)
    one, answered = drawn[number], len(played.given) > number
    left, right = st.columns([4, 1], vertical_alignment="center")
    with left:
        score_line(number, len(drawn), seed, titles, score(drawn, played.given))
        if answered:
            verdict(one, played.given[number], titles)
        else:
            st.markdown(f"**Press 1 to {CHOICES}, or click below the picture.**")
    if answered:
        last = number + 1 == len(drawn)
        right.button(
            "Score (Enter)" if last else "Next (Enter)",
            key="quiz_next",
            type="primary",
            width="stretch",
            on_click=played.leave,
            args=(number,),
        )
        focus_button("quiz_next", f"{seed} {number}")
    board(bench.split, one, played, number, titles)
    if answered:
        _explain_round(bench, one, played.given[number])


def _explain_round(bench: Workbench, one: Round, given: int) -> None:
    split = bench.split
    query = split.query[one.query]
    explained_table(split, one, list(bench.networks), compared_attributes(bench), bench.is_aligned)
    # Retrieval closes a match of another query than the one that it showed last.
    st.session_state["match_query"] = query.name
    with st.container(horizontal=True):
        for place in dict.fromkeys([one.right, given, *one.answers]):
            image = split.gallery[one.choices[place]]
            page_link("retrieval", f"Why this match? With {by_number(place)}", query=query.name, match=image.name)
        page_link("attention", "Where the models look in the query", query=query.name)


def _end(bench: Workbench, drawn: tuple[Round, ...], played: Play, seed: int) -> None:
    """The score, where person and models differ, and the way on."""
    st.subheader("Score", anchor=False)
    answers_table(bench.split, drawn, played.given, list(bench.networks), score(drawn, played.given))
    with st.container(horizontal=True):
        st.button(
            f"Play again: the rounds of seed {seed + 1}",
            key="quiz_again",
            type="primary",
            on_click=_choose_seed,
            args=(seed + 1,),
        )
        st.button("The same rounds again", key="quiz_same", on_click=play_again, args=(bench, seed))
    focus_button("quiz_again", f"{seed}")

"""The quiz's rounds, drawn once for a seed and shared by all sessions, and the answers that a viewer has given."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from app.workbench import Workbench
from app.workbench.cache import cached, content_key
from ssrnet.analysis.quiz import Round, draw_rounds, vehicle_attributes

PLAYS = "quiz_plays"
"""The session state's key for the answers; they go when the page is closed."""


@dataclass
class Play:
    """The places that the viewer has answered so far, a round each; ``left``: how many rounds are over and done."""

    given: list[int] = field(default_factory=list)
    left: int = 0

    def answer(self, number: int, place: int) -> None:
        """Answers round ``number``, from 0 on; a second answer does not count."""
        if number == len(self.given):
            self.given.append(place)

    def leave(self, number: int) -> None:
        """Goes on to the round after ``number``, once that is answered."""
        if number == self.left < len(self.given):
            self.left += 1


def rounds(bench: Workbench, seed: int) -> tuple[Round, ...]:
    """Ten rounds by the features that are compared; raises :class:`ssrnet.errors.DataError` where none can be drawn."""
    models = list(bench.networks.values())

    def draw() -> tuple[Round, ...]:
        features = [model.compared_features() for model in models]
        return draw_rounds(bench.split, features, seed, bench.dataset.distractor_ids)

    return cached("quiz rounds", (models, seed), draw, 32, "Drawing ten rounds")


def compared_attributes(bench: Workbench) -> tuple[str, ...]:
    """The attributes of this data set that describe vehicles."""
    return cached("vehicle attributes", bench.data, lambda: vehicle_attributes(bench.dataset.test), 8)


def play(bench: Workbench, seed: int) -> Play:
    """This viewer's answers to these rounds."""
    plays = st.session_state.setdefault(PLAYS, {})
    return plays.setdefault(content_key((list(bench.networks.values()), seed)), Play())


def play_again(bench: Workbench, seed: int) -> None:
    """Forgets this viewer's answers to these rounds."""
    st.session_state.get(PLAYS, {}).pop(content_key((list(bench.networks.values()), seed)), None)

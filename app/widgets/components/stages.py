"""A line of stages that are stepped through by buttons and by the arrow keys, one of which stands in the URL."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st

from app.widgets.components import component

_component = component("stages")


def chosen_stage(key: str, count: int) -> int:
    """The stage that the URL names, from 1 to ``count``; the first where it names none."""
    try:
        stage = int(st.query_params.get(key, 1))
    except ValueError:
        return 1
    return min(max(stage, 1), count)


def stages(key: str, titles: Sequence[str], absent: Collection[int]) -> int:
    """Draws the line and returns the chosen stage, from 1 on; ``absent`` ones are passed over by keys and buttons."""
    at = chosen_stage(key, len(titles))

    def moved() -> None:
        stage = st.session_state[f"{key}_line"].stage
        if stage:
            st.query_params[key] = str(stage)

    data = {"titles": list(titles), "absent": sorted(absent), "at": at}
    _component(data=data, key=f"{key}_line", on_stage_change=moved)
    return at

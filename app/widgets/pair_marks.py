"""Pairs of uploaded pictures to mark as one vehicle or two, and the threshold that the marks give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import streamlit as st
from PIL import Image

from app.widgets.evaluations import ensure_features
from app.widgets.export import download, table
from app.widgets.problems import fragment
from app.widgets.progress import run_with_progress
from app.workbench import Workbench
from app.workbench.cache import content_key
from app.workbench.images import uploaded_thumbnail
from app.workbench.pair_marks import Mark, marked_rows, marks, pair_to_mark, threshold_of_marks, upload_cosines
from ssrnet.analysis.csv_rows import Row, csv_text
from ssrnet.analysis.marked_pairs import ASKED, LEAST, ErrorRate, MarkedThreshold

BUTTONS: Mapping[Mark, tuple[str, str, str]] = {
    "one vehicle": ("Same vehicle", "S", ":material/check:"),
    "two vehicles": ("Other vehicle", "O", ":material/close:"),
    "not sure": ("Not sure", "N", ":material/question_mark:"),
}
"""Label, key and icon of each."""
RATES = (
    "Threshold: where both error rates of the marked pairs are closest; its interval is a bootstrap over the pictures "
    "(seed 0), since pairs that share a picture err together. Each error rate judges every pair by the threshold of the others; "
    "its exact interval takes the pairs as independent, so it is too narrow where pictures recur. The pairs "
    "proposed are spread evenly over the cosines, so hard ones are more frequent among them than among all pairs: rates "
    "and threshold are of these pairs, and of pictures by the same cameras, cropped alike."
)


def mark_uploads(bench: Workbench, pictures: Mapping[str, Image.Image]) -> None:
    """The pair to mark next and what the marks give, of at least two ``pictures`` by name."""
    if bench.is_aligned:
        ensure_features(bench.networks.values())
    cosines = {}
    for at, (title, model) in enumerate(bench.networks.items()):
        compute = partial(upload_cosines, model, list(pictures.values()))
        cosines[title] = run_with_progress(f"Embedding with {title}", f"images_known_{at}", compute)
    fragment(_board)(bench, pictures, cosines)


def _board(bench: Workbench, pictures: Mapping[str, Image.Image], cosines: Mapping[str, np.ndarray]) -> None:
    rows = marked_rows(pictures, cosines)
    counts = Counter(row["mark"] for row in rows)
    one, two = counts["one vehicle"], counts["two vehicles"]
    marked = one + two
    of_asked = f" of {ASKED}" if marked < ASKED else ""
    st.progress(min(1.0, marked / ASKED), f"{marked}{of_asked} pairs marked: {one} of one vehicle, {two} of two")
    _ask(pictures, cosines, rows)
    thresholds = {title: threshold_of_marks(model, list(pictures.values())) for title, model in bench.networks.items()}
    if all(thresholds.values()):
        _thresholds(thresholds)
    else:
        st.info(
            f"A threshold needs {ASKED} marked pairs, at least {LEAST} of one vehicle and {LEAST} of two. Until then there is no "
            "verdict."
        )


def _ask(pictures: Mapping[str, Image.Image], cosines: Mapping[str, np.ndarray], rows: Sequence[Row]) -> None:
    """The pair to mark next; the buttons, which have keys; ``rows``, the marks, as a file."""
    digests = [content_key(picture) for picture in pictures.values()]
    pair = pair_to_mark(list(cosines.values()), digests)
    if pair is None:
        few = f" {ASKED} pairs need at least seven pictures: upload more." * (
            len(digests) * (len(digests) - 1) // 2 < ASKED
        )
        st.success(f"All pairs of these pictures are marked.{few}")
    else:
        with st.container(horizontal=True, key="images_pair_to_mark"):
            for at, which in zip(pair, ("first", "second")):
                name, picture = list(pictures.items())[at]
                st.image(uploaded_thumbnail(picture, 240), f"`{name}`", alt=f"{which} picture: {name}", width=300)
    with st.container(horizontal=True):
        for mark, (label, key, icon) in BUTTONS.items():
            chosen = (tuple(sorted(digests[at] for at in pair)), mark) if pair else ()
            st.button(
                label,
                key=f"images_mark_{key}",
                icon=icon,
                shortcut=key,
                on_click=marks().__setitem__,
                args=chosen,
                disabled=pair is None,
            )
        st.button(
            "Undo",
            key="images_mark_undo",
            icon=":material/undo:",
            shortcut="Z",
            type="tertiary",
            on_click=marks().popitem,
            disabled=not marks(),
        )
        if rows:
            options = {"icon": ":material/download:", "type": "tertiary"}
            download("Marks as CSV", lambda: csv_text(rows), "marked_pairs.csv", "marked_pairs_csv", **options)


def _thresholds(thresholds: Mapping[str, MarkedThreshold]) -> None:
    """A row for each model."""
    rows = [
        {
            "Model": title,
            "Threshold": each.threshold,
            "95 % interval": f"{each.low:.3f} to {each.high:.3f}",
            "Two vehicles accepted": rate_words(each.false_match),
            "One vehicle rejected": rate_words(each.false_non_match),
        }
        for title, each in thresholds.items()
    ]
    table(rows, "threshold of your pairs", {"Threshold": st.column_config.NumberColumn(format="%.3f")})
    st.caption(RATES)


def rate_words(rate: ErrorRate) -> str:
    """With its 95 % interval."""
    low, high = 100 * rate.low, 100 * rate.high
    return f"{100 * rate.value:.1f} % ({rate.errors} of {rate.pairs}; {low:.1f} to {high:.1f} %)"


def verdict(threshold: MarkedThreshold, cosine: float, is_marked: bool) -> str:
    """The verdict on a pair in words, with the pairs it rests on; ``is_marked``: whether it is one of them."""
    one, two = threshold.false_non_match, threshold.false_match
    rests_on = (
        f"the threshold {threshold.threshold:.3f} (95 % interval {threshold.low:.3f} to {threshold.high:.3f}) of the "
        f"{threshold.pairs} pairs that you marked{', this one among them' * is_marked}. It accepts {rate_words(two)} of "
        f"those of two vehicles and rejects {rate_words(one)} of those of one."
    )
    same = threshold.is_same(cosine)
    if same is None:
        return f"**No verdict**: the cosine lies within the interval of {rests_on}"
    return f"**{'Same vehicle' if same else 'Two vehicles'}** by {rests_on}"

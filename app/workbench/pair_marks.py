"""Pairs of uploaded pictures that the viewer has marked, in the viewer's session alone, and the thresholds they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import streamlit as st
from PIL import Image
from torch.nn.functional import normalize

from app.workbench import OpenedModel, Progress
from app.workbench.cache import content_key, session_cached
from app.workbench.images import Picture
from ssrnet.analysis.csv_rows import Row
from ssrnet.analysis.marked_pairs import MarkedThreshold, marked_threshold, next_pair

Mark = Literal["one vehicle", "two vehicles", "not sure"]
Pair = tuple[str, str]
"""The digests of two pictures, in order."""
MARKS = "pair_marks"


def marks() -> dict[Pair, Mark]:
    """What the viewer has marked, in the order in which it was."""
    return st.session_state.setdefault(MARKS, {})


def pair_of(first: Picture, second: Picture) -> Pair:
    return tuple(sorted((content_key(first), content_key(second))))


def upload_cosines(
    model: OpenedModel, pictures: Sequence[Image.Image], progress_callback: Progress | None = None
) -> np.ndarray:
    """(N, N) cosines of uploaded pictures, aligned by the whole set's statistics where the model is."""
    embeddings, statistics = model.embed(pictures, progress_callback), model.statistics()
    if statistics is not None:
        embeddings = statistics.align(embeddings, [None] * len(pictures))
    embeddings = normalize(embeddings, dim=1)
    return (embeddings @ embeddings.T).cpu().numpy()


def pair_to_mark(by_model: Sequence[np.ndarray], digests: Sequence[str]) -> tuple[int, int] | None:
    """Positions of the pair to mark next, spread over the mean of the models' cosines (N, N); None once all are marked."""
    first, second = np.triu_indices(len(digests), 1)
    done = marks()
    marked = np.array([tuple(sorted((digests[i], digests[j]))) in done for i, j in zip(first, second)], bool)
    at = next_pair(np.mean(by_model, axis=0)[first, second], marked)
    return None if at is None else (int(first[at]), int(second[at]))


def marked_rows(pictures: Mapping[str, Image.Image], cosines: Mapping[str, np.ndarray]) -> list[Row]:
    """A row for each marked pair of ``pictures``, by name; ``cosines`` (N, N) by the models' titles."""
    places = {content_key(picture): at for at, picture in enumerate(pictures.values())}
    names = list(pictures)
    return [
        {"first": names[places[a]], "second": names[places[b]], "mark": mark}
        | {f"cosine, {title}": float(each[places[a], places[b]]) for title, each in cosines.items()}
        for (a, b), mark in marks().items()
        if a in places and b in places
    ]


def threshold_of_marks(model: OpenedModel, pictures: Sequence[Image.Image]) -> MarkedThreshold | None:
    """The threshold that the marked pairs among ``pictures`` give; None where they are too few."""
    by_digest = {content_key(picture): picture for picture in pictures}
    here = {pair: mark for pair, mark in marks().items() if set(pair) <= set(by_digest) and mark != "not sure"}

    def compute() -> MarkedThreshold | None:
        digests = sorted({digest for pair in here for digest in pair})
        cosines = upload_cosines(model, [by_digest[digest] for digest in digests])
        pairs = np.array([[digests.index(digest) for digest in pair] for pair in here])
        is_same = np.array([mark == "one vehicle" for mark in here.values()])
        return marked_threshold(cosines[tuple(pairs.T)], is_same, pairs)

    if not here:
        return None
    return session_cached(
        ("threshold", model, *(word for pair, mark in here.items() for word in (*pair, mark))), compute
    )

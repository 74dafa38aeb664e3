"""Projections of embeddings, made in a thread of their own, so that a page can show how far they are; cached."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import streamlit as st

from app.workbench import Model, OpenedDataset, Report, Services
from ssrnet.analysis.attributes import CAMERA, attribute_names, values
from ssrnet.data.records import VehicleImage
from ssrnet.explain.projection import Projection, ProjectionName, project

METHODS = ("PCA", "UMAP")
WHOLE = "whole embedding"
PATIENCE = 5.0
"""Seconds after which nobody waits any more for work that nobody has asked about."""
TICK = 0.2
STEPS, BEFORE_ROUNDS = 1000, 300
"""Of so many steps of a bar, loading and finding neighbours are taken to be the first."""
EXPECTED = {"PCA": 3.0, "UMAP": 8.0, "t-SNE": 5.0}
"""Seconds that these take, as a first guess."""
MOST_KINDS = 24
BINS = 6
VEHICLE, TAG, NONE = "vehicle", "tag", "none"


class Abandoned(Exception):
    """The page that waited has gone."""


@dataclass
class Work:
    """One projection under way or done."""

    finished: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)
    asked: float = field(default_factory=time.monotonic)
    rounds: tuple[int, int] = (0, 0)
    result: Projection | None = None
    error: Exception | None = None

    def listen(self, done: int, total: int) -> None:
        self.rounds = done, total
        if time.monotonic() - self.asked > PATIENCE:
            raise Abandoned

    def steps(self, method: ProjectionName) -> int:
        """How far it is, of :data:`STEPS`."""
        done, total = self.rounds
        if total:
            return BEFORE_ROUNDS + (STEPS - BEFORE_ROUNDS) * done // total
        share = (time.monotonic() - self.began) / EXPECTED[method]
        return max(1, int(BEFORE_ROUNDS * min(1.0, share)))


@dataclass
class Works:
    """The last few projections by key."""

    entries: OrderedDict[tuple, Work] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    most: int = 32

    def of(self, key: tuple, make: Callable[[Report], Projection]) -> Work:
        """The work of this key, begun where there is none."""
        with self.lock:
            work = self.entries.get(key)
            if work is None:
                work = self.entries[key] = Work()
                threading.Thread(target=self._do, args=(key, work, make), daemon=True).start()
                while len(self.entries) > self.most:
                    self.entries.popitem(last=False)
            self.entries.move_to_end(key)
        return work

    def _do(self, key: tuple, work: Work, make: Callable[[Report], Projection]) -> None:
        try:
            work.result = make(work.listen)
        except Exception as error:  # whatever it is, the page that waits raises it
            work.error = error
            with self.lock:  # the next one who asks begins anew
                self.entries.pop(key, None)
        finally:
            work.finished.set()


def projected(
    key: tuple, vectors: Callable[[], np.ndarray], method: ProjectionName, report: Report | None = None
) -> Projection:
    """:func:`ssrnet.explain.projection.project`, which goes on while pages come and go, and ends when none waits.

    ``key`` names the vectors. What ``report`` raises leaves the work, which the next call finds again.
    """
    while True:
        work = _works().of((*key, method), lambda listen: project(vectors(), method, listen))
        work.asked = time.monotonic()
        while not work.finished.wait(TICK):
            work.asked = time.monotonic()
            if report:
                report(work.steps(method), STEPS)
        if work.result is not None:
            return work.result
        if not isinstance(work.error, Abandoned):
            raise work.error


def gallery_map(
    services: Services,
    checkpoint: Model,
    opened: OpenedDataset,
    method: ProjectionName,
    branch: str | None = None,
    report: Report | None = None,
) -> Projection:
    """All test images as one model sees them, in the data set's order; of one branch where the model has it."""
    features = services.features(checkpoint, opened)
    branches = (branch,) if branch in features.branch_dims else ()

    def vectors() -> np.ndarray:
        return features.only(branches).rows(opened.dataset.test).numpy()

    return projected((checkpoint.hash, opened.hash, branches), vectors, method, report)


def colourings(images: list[VehicleImage] | tuple[VehicleImage, ...]) -> list[str]:
    """What points may be coloured by, the vehicle first."""
    return [VEHICLE, *attribute_names(images)]


def kinds(images: list[VehicleImage] | tuple[VehicleImage, ...], colouring: str) -> list[str]:
    """Each image's kind; numbers of which there are many are put into :data:`BINS` bins of equal size."""
    if colouring == VEHICLE:
        return [f"vehicle {image.vehicle_id}" for image in images]
    found = values(images, colouring).tolist()
    different = {value for value in found if value not in (None, "")}
    if len(different) > MOST_KINDS and colouring != CAMERA:
        binned = _bins(found)
        if binned is not None:
            return binned
    return [NONE if value in (None, "") else str(value) for value in found]


def _bins(found: list[str | None]) -> list[str] | None:
    """Each number's bin, such as "41 to 90"; None where some value is no number."""
    try:
        numbers = np.array([np.nan if value in (None, "") else float(value) for value in found])
    except ValueError:
        return None
    edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, BINS + 1)))
    if len(edges) < 2:
        return None
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    names = [f"{i + 1}: {low:.4g} to {high:.4g}" for i, (low, high) in enumerate(pairwise(edges))]
    return [NONE if np.isnan(number) else names[i] for number, i in zip(numbers, place)]


@st.cache_resource
def _works() -> Works:
    return Works()

"""Loads in the background, once the first page stands, what the next one would wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module

import numpy as np

from app.garbage import set_aside_what_is_loaded
from app.workbench import OpenedModel, Workbench
from ssrnet.data.records import VehicleImage
from ssrnet.explain.projection import project

LIBRARIES = ("torchvision", "cv2", "plotly.graph_objects", "pytorch_grad_cam")
"""Libraries that take three seconds to import together, and that the first page may not need."""
UMAP = ("UMAP",)
"""Stands for UMAP among what has begun, beside pairs of networks."""
_begun: set[tuple[str, ...]] = set()


def warm_up(bench: Workbench, image: VehicleImage) -> threading.Thread | None:
    """Begins to load libraries and the viewer's networks, and to take ``image`` through them; once a pair of networks.

    A page that needs one of them sooner waits for it. What fails here is left to the page, which says what is wrong.
    """
    networks = list(bench.networks.values())
    return _once(tuple(model.hash for model in networks), _load, networks, image)


def warm_up_umap() -> threading.Thread | None:
    """Begins to lay out a few points, once, since UMAP compiles itself when it is first called: ten seconds and more."""
    return _once(UMAP, _compile)


def _once(key: tuple[str, ...], work: Callable[..., None], *arguments: object) -> threading.Thread | None:
    if key in _begun:
        return None
    _begun.add(key)
    thread = threading.Thread(target=_work, args=(work, *arguments), daemon=True, name="warm-up")
    thread.start()
    return thread


def _work(work: Callable[..., None], *arguments: object) -> None:
    work(*arguments)
    set_aside_what_is_loaded()


def _compile() -> None:
    with suppress(Exception):
        project(np.random.default_rng(0).normal(size=(64, 64)), "UMAP")


def _load(networks: Sequence[OpenedModel], image: VehicleImage) -> None:
    for name in LIBRARIES:
        with suppress(Exception):
            import_module(name)
    for model in networks:
        with suppress(Exception):
            _ = model.view(image).trace

"""Loads in the background, once the first page stands, what the next one would wait for."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from app.workbench import OpenedModel, Workbench
from ssrnet.data.records import VehicleImage

LIBRARIES = ("torchvision", "cv2", "plotly.graph_objects", "pytorch_grad_cam")
"""Which take three seconds, and which the first page may not have needed."""
_begun: set[tuple[str, ...]] = set()


def warm_up(bench: Workbench, image: VehicleImage) -> threading.Thread | None:
    """Begins to load libraries and the viewer's networks, and to take ``image`` through them; once a pair of networks.

    A page that needs one of them sooner waits for it. What fails here is left to the page, which says what is wrong.
    """
    networks = list(bench.networks.values())
    key = tuple(model.hash for model in networks)
    if key in _begun:
        return None
    _begun.add(key)
    thread = threading.Thread(target=_load, args=(networks, image), daemon=True, name="warm-up")
    thread.start()
    return thread


def _load(networks: Sequence[OpenedModel], image: VehicleImage) -> None:
    for name in LIBRARIES:
        with suppress(Exception):
            import_module(name)
    for model in networks:
        with suppress(Exception):
            _ = model.view(image).trace

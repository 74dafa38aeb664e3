"""Does in the background what a first visit would wait for: imports with the server, networks with the first viewer."""

from __future__ import annotations

import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.workbench import Workbench

LIBRARIES = ("torch", "pandas", "plotly.graph_objects", "torchvision", "cv2", "pytorch_grad_cam")
"""In the order in which a first visit meets them. Together they take twice as long as PyTorch alone."""


def _import_libraries() -> None:
    for name in LIBRARIES:
        with suppress(Exception):  # of any kind; the page that needs it says what is wrong
            import_module(name)


_imports = threading.Thread(target=_import_libraries, daemon=True)
_opened: set[tuple[str, ...]] = set()


def import_libraries() -> None:
    """Begins to import :data:`LIBRARIES`, in a thread; a page that needs one sooner waits for it."""
    _imports.start()


def open_networks(bench: Workbench) -> None:
    """Begins to load the viewer's networks and to take the query through them, in a thread, for the next page.

    Once a pair of checkpoints; never where :func:`import_libraries` was not called, as in a test of one page.
    """
    networks, images = bench.networks.values(), bench.dataset.test
    key = tuple(model.hash for model in networks)
    if _imports.ident is None or key in _opened or not images:
        return
    from app.widgets.components.image_picker import chosen_image  # imports PyTorch, which this module only begins to

    image = chosen_image("query", images)
    _opened.add(key)

    def work() -> None:
        _imports.join()
        for model in networks:
            with suppress(Exception):  # as above
                _ = model.view(image).trace

    threading.Thread(target=work, daemon=True).start()

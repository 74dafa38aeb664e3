"""One picture searched for in a gallery index of any size."""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from pathlib import Path

import streamlit as st
from PIL import Image

from app.widgets.components.image_rows import Figure, ImageRow, image_rows
from app.widgets.export import table
from app.widgets.problems import choose_path, show_problem
from app.workbench import Workbench
from app.workbench.images import image_label, thumbnail
from app.workbench.indexes import index_folders, index_model, outside, path_of, search
from ssrnet.data.records import VehicleImage
from ssrnet.errors import SSRNetError
from ssrnet.index.entries import Entry, Filters, Neighbour

MOST = 100
HOW = (
    "`ssrnet index build --data DIR --checkpoint FILE --out runs/NAME` makes an index of any number of images; those "
    "below `runs/` are offered here."
)


def index_search(bench: Workbench, key: str, picture: Callable[[], Image.Image], camera: str | None = None) -> None:
    """A choice of index and filters, and the nearest images; ``camera`` took the picture, where it is known.

    ``picture`` is called once an index is chosen; ``key`` tells the pages' searches apart.
    """
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    folder = choose_path("Gallery index", index_folders(), "index", place=left)
    k = right.number_input("Images", 1, MOST, 10, key="index_k", bind="query-params")
    if not folder:
        st.caption(HOW)
        return
    left, right = st.columns(2, vertical_alignment="bottom")
    cameras = left.text_input(
        "Cameras", key="index_cameras", bind="query-params", placeholder="all; or names, separated by commas"
    )
    other_cameras = camera is not None and right.toggle(
        f"Leave out the query's own camera, {camera}", value=True, key="index_other_cameras", bind="query-params"
    )
    wanted = tuple(name.strip() for name in cameras.split(",") if name.strip())
    try:
        model = index_model(folder, bench.networks.values())
        filters = Filters(cameras=wanted, not_cameras=(camera,) if other_cameras else ())
        result = search(folder, model, picture(), int(k), filters)
    except SSRNetError as error:
        show_problem(error)
        return
    if not result.neighbours:
        st.info(f"None of the index's {result.size:,} images passes the filters.")
        return
    closed = outside([each.entry for each in result.neighbours])
    listed = [_picture(rank, each, closed) for rank, each in enumerate(result.neighbours, 1)]
    note = f"the nearest of {result.size:,} images in {Path(folder).name}, {result.how}"
    image_rows([ImageRow(model.title, note, listed)], "cards", f"{key}_index_rows", tooltip="")
    for error in list(closed.values())[:1]:
        show_problem(error)
    names = ("rank", "distance", "vehicle", "camera", "time", "image", "from")
    rows = [
        dict(zip(names, (rank, distance, each.vehicle_id, each.camera_id, each.time, each.name, each.source)))
        for rank, (each, distance) in enumerate(result.neighbours, 1)
    ]
    table(rows, "index_search", {"distance": st.column_config.NumberColumn(format="%.4f")})


def _picture(rank: int, neighbour: Neighbour, closed: Container[Entry]) -> Figure:
    """The image where its file still is and may be read; a grey field else."""
    entry = neighbour.entry
    path = Path(os.devnull) if entry in closed else path_of(entry)
    image = VehicleImage(path, entry.name, entry.vehicle_id or "", entry.camera_id)
    caption = f"{rank} · {neighbour.distance:.3f} · {image_label(image)}"
    return Figure(thumbnail(image), f"rank {rank}: {entry.name}", caption)

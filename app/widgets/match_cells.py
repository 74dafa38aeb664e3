"""One match cell by cell: point at a part of the query and see what answers in the image, and in the image it is weighed against."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.widgets.components.image_rows import Kind
from app.widgets.components.microscope import Slide, microscope
from app.widgets.controls import one_of
from app.widgets.symbols import typeset
from app.workbench import OpenedModel, RankingOptions, Workbench
from app.workbench.images import image_label
from app.workbench.matches import PairPictures, Rival, cells, find_rival
from app.workbench.queries import Query, query_image
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage

HELP = (
    "Each cell of a feature map is a vector; the colours are its cosines with the cells of the other images. F_attn is F_G "
    "with its channels weighed by M_c; M_s only makes a cell longer or shorter, which a cosine does not see."
)


def match_cells(
    bench: Workbench,
    options: RankingOptions,
    query: Query,
    gallery: int,
    pictures: Mapping[str, PairPictures],
    colours: str,
) -> None:
    """The query, the image and its rival side by side; ``pictures`` by the model's title say where one points at first."""
    model, feature_map = _choose(bench)
    split, rival = bench.split, find_rival(model, options, query, gallery)
    listed = [split.gallery[gallery]] + ([split.gallery[rival.index]] if rival else [])
    asked = query_image(split, query)
    compared = cells(model, [asked, *listed], feature_map)
    titles = ["Query", "This image", rival_title(rival) if rival else ""]
    kinds = ["query", _kind(split, asked, gallery), "hit" if rival and rival.is_match else "error"]
    notes = [image_label(image) for image in (asked, *listed)]
    if rival:
        notes[2] += f", rank {rival.rank}"
    slides = [
        Slide(uri, ratio, f"{title}: {note}", title, note, kind)
        for uri, ratio, title, note, kind in zip(compared.pictures, compared.ratios, titles, notes, kinds)
    ]
    start = int(pictures[model.title].maps[0].cells.argmax())
    microscope("match_cells_shown", slides, compared.size, compared.cosines, start, colours)
    st.caption(
        "Point at a picture, or reach it with Tab and move with the arrows; a click holds the cell, another lets it go. It starts at the "
        "query's cell that raises the similarity most by the maps below. A ring marks the cell that answers most."
    )


def rival_title(rival: Rival) -> str:
    return "First true match" if rival.is_match else "First other vehicle"


def _choose(bench: Workbench) -> tuple[OpenedModel, str]:
    """The network, and which of its feature maps one points at; both in the URL."""
    choices = {}
    for model in (bench.ssrnet, bench.baseline):
        attends = model.settings.attention_branch and model.settings.attention in ("cbam", "se")
        choices |= {f"{model.raw.title} · {each}": (model, each) for each in ("F_G", "F_attn")[: 1 + attends]}
    return choices[one_of("Cells of", list(choices), "match_cells", help=typeset(HELP))]


def _kind(split: Split, asked: VehicleImage, gallery: int) -> Kind:
    image = split.gallery[gallery]
    if asked.vehicle_id is None:
        return "plain"
    if image.vehicle_id != asked.vehicle_id:
        return "error"
    return "junk" if split.same_camera_is_junk and image.camera_id == asked.camera_id else "hit"

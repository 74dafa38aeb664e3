"""Sentences on where the maps in view lie, and whether they say anything about a match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import streamlit as st

from app.widgets.symbols import typeset
from ssrnet.data.parts import masked_images
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.explain.cam import map_title
from ssrnet.explain.captions import map_caption, map_shares, mask_caption
from ssrnet.explain.image_maps import ImageMap, mass_by_part
from ssrnet.studies.verdicts import ModelVerdicts


@dataclass(frozen=True)
class PartMasses:
    """Means over the ``masked`` images in view that have a part mask: the parts' area, and by map their mass."""

    masked: int = 0
    area: Mapping[str, float] = field(default_factory=dict)
    mass: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def part_masses(
    dataset: ReIDDataset, shown: Sequence[VehicleImage], by_title: Mapping[str, Sequence[ImageMap]]
) -> PartMasses:
    """``by_title``: maps of all images ``shown``, by what they are called."""
    masked = masked_images(dataset, shown)
    if not masked:
        return PartMasses()
    at = [shown.index(image) for image in masked]
    area, mass = {}, {}
    for title, maps in by_title.items():
        if maps:
            mass[title], area = mass_by_part(dataset, masked, [maps[i] for i in at])
    return PartMasses(len(masked), area, mass)


def map_captions(
    by_title: Mapping[str, Sequence[ImageMap]], verdicts: Mapping[str, ModelVerdicts], parts: PartMasses, images: int
) -> None:
    """A sentence a map, computed from it. ``verdicts``: what the explanations study found, by the models' titles."""
    cautions = {
        f"{title}: {map_title(one.name)}": model.caution(one.name)
        for title, model in verdicts.items()
        for one in model.maps
    }
    lines = []
    for title, maps in by_title.items():
        if maps:
            by_part = (parts.mass[title], parts.area) if parts.masked else None
            shares = map_shares([one.cells for one in maps], parts.masked, by_part)
            lines.append(f"- **{title}** {map_caption(shares)} {cautions.get(title, '')}")
    st.markdown(typeset("\n".join(lines)))
    st.caption(mask_caption(images, parts.masked))

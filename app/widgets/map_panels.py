"""The Gallery map's panels: a map a model, or one model's before and after alignment, with lines from the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from app.widgets.components.scatter import Motion, Panel, projection_panel
from app.widgets.map_uploads import MapUploads
from app.workbench import OpenedModel
from app.workbench.maps import matches, nearest_by_own_camera, nearest_to_upload, placed_uploads
from app.workbench.options import LONGEST_LIST
from ssrnet.data.records import VehicleImage
from ssrnet.explain.projection import Projection, turned_onto

LINES = (
    f"Lines lead from the query to its matches: green where the model lists them among its first {LONGEST_LIST} images, "
    "dotted where not. Junk has none."
)
FIRST = 5
"""Gallery images that lines lead to from an upload, of which nobody has said the matches."""
LINES_OF_UPLOAD = (
    f"Lines lead from your image to the {FIRST} gallery images that the model ranks first; nothing says whether one of them "
    "shows its vehicle."
)


def map_panels(
    models: Sequence[OpenedModel],
    projections: Sequence[Projection],
    pair: bool,
    branch: str,
    query: VehicleImage,
    uploads: MapUploads,
) -> list[Panel]:
    """A panel a model, the uploads' points behind those of the test images; ``pair``: of one model, raw and aligned."""
    alone = [f", {branch} alone" if branch in model.features().branch_dims else "" for model in models]
    points = [_with_uploads(*each, branch, uploads) for each in zip(projections, models)]
    if pair:
        panels = _before_and_after(models, projections, points, alone[0], branch)
    else:
        panels = [
            replace(projection_panel(model.title + what, projection), points=places)
            for model, what, projection, places in zip(models, alone, projections, points)
        ]
    return [_with_lines(*each, branch, query, uploads) for each in zip(panels, models)]


def compared(models: Sequence[OpenedModel], branch: str) -> str:
    """The number below each of two maps in words, and how the second was placed."""
    placed = (
        "The aligned map is shifted, turned and mirrored onto the raw one, which changes no distance within it; both have "
        "one scale."
    )
    raw, aligned = (nearest_by_own_camera(model, branch) for model in models)
    if not (raw and aligned):
        return placed
    return (
        f"For {raw.share:.1%} of {aligned.images:,} images raw, and for {aligned.share:.1%} aligned, the most similar image of "
        "another vehicle is by the same camera (cosine of the features, not distance in the map); it would be for "
        f"{aligned.expected:.1%} if cameras made no difference. {placed}"
    )


def _with_uploads(projection: Projection, model: OpenedModel, branch: str, uploads: MapUploads) -> np.ndarray:
    """(N + M, 2): the points of the test images, then of the uploads; NaN for those where the model has no network."""
    if not uploads.images:
        return projection.points
    nowhere = np.full((len(uploads.images), 2), np.nan, np.float32)
    places = placed_uploads(model, branch, uploads.images) if model.has_network else nowhere
    return np.concatenate([projection.points, places])


def _with_lines(panel: Panel, model: OpenedModel, branch: str, query: VehicleImage, uploads: MapUploads) -> Panel:
    """The panel with lines from the query to its matches, or from an upload to what the model ranks first."""
    place = {image.name: i for i, image in enumerate(model.data.dataset.test)}
    if uploads.query is None:
        listed, unlisted = (sorted(place[name] for name in names) for names in matches(model, branch, query))
        return replace(panel, listed=listed, unlisted=unlisted)
    if not model.has_network:
        return panel
    first = nearest_to_upload(model, branch, uploads.query, FIRST, in_gallery=True)
    return replace(panel, ranked=[place[model.split.gallery[one.index].name] for one in first])


def _before_and_after(
    models: Sequence[OpenedModel],
    projections: Sequence[Projection],
    points: Sequence[np.ndarray],
    alone: str,
    branch: str,
) -> list[Panel]:
    """One model's raw and aligned map; the points of the second can come from their places in the first."""
    raw, aligned = points
    aligned, ends, panels = turned_onto(aligned, raw[: len(projections[0].points)]), ("raw", "aligned"), []
    for model, places, projection, end in zip(models, (raw, aligned), projections, ends):
        nearest = nearest_by_own_camera(model, branch)
        panels.append(
            Panel(
                f"{model.raw.title}, {end}{alone}",
                places,
                f"{sum(projection.variance):.0%} of the variance" if projection.variance else "",
                f"Nearest image of another vehicle by the same camera: {nearest.share:.1%}" if nearest else "",
                Motion(raw, ends) if end == ends[1] else None,
            )
        )
    return panels

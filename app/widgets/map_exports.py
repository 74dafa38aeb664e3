"""The Gallery map's record and table."""

from __future__ import annotations

from collections.abc import Sequence

from app.widgets.components.scatter import Panel
from app.workbench import OpenedModel, Workbench
from app.workbench.maps import WHOLE
from ssrnet.data.records import VehicleImage
from ssrnet.explain.gallery_notes import GalleryNotes, View
from ssrnet.explain.projection import NEIGHBOURS, REDUCED


def map_record(
    bench: Workbench, models: Sequence[OpenedModel], panels: Sequence[Panel], view: View, uploads: int = 0
) -> dict[str, object]:
    """How the maps were made; ``uploads``: how many images of the viewer's are placed on them."""
    settings = {"length": "unit", "seed": 0}
    if view.method == "UMAP":
        settings |= {"principal_components": REDUCED, "neighbours": NEIGHBOURS}
    if panels[-1].motion:
        settings["placed"] = "the aligned map by orthogonal Procrustes onto the raw one"
    if uploads:
        settings["uploads"] = f"{uploads:,}, placed by the axes of the test images"
    return {
        "dataset": bench.dataset.name,
        "dataset_hash": bench.data.hash,
        "images": f"all {len(bench.dataset.test):,} test images",
        "projection": view.method,
        **settings,
        "branch": view.branch or WHOLE,
        "models": {
            model.title: model.source.record | {"camera_alignment": str(model.statistics() or "none")}
            for model in models
        },
    }


def map_rows(
    images: Sequence[VehicleImage],
    models: Sequence[OpenedModel],
    panels: Sequence[Panel],
    kinds: Sequence[str],
    notes: GalleryNotes,
) -> list[dict[str, object]]:
    """A row an image, with its places in all panels."""
    tagged = notes.by_image()
    alignment = {"camera alignment": str(models[-1].statistics())} if models[-1].alignment else {}
    return [
        {
            "image": image.name,
            "vehicle": image.vehicle_id,
            "camera": image.camera_id,
            "kind": kinds[i],
            "tags": ", ".join(tagged.get(image.name, ())),
        }
        | {
            f"{axis} {panel.title}": float(panel.points[i, column])
            for panel in panels
            for column, axis in enumerate("xy")
        }
        | alignment
        for i, image in enumerate(images)
    ]

"""How images are called on the pages."""

from __future__ import annotations

from ssrnet.data.records import VehicleImage


def image_label(image: VehicleImage) -> str:
    """Vehicle and camera, "0007 · c001"; the vehicle alone where the data set does not say which camera it was."""
    return " · ".join(filter(None, (image.vehicle_id, image.camera_id)))

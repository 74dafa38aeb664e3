"""Thousands of images that lie nowhere, and a page that has them to choose from."""

from pathlib import Path

from ssrnet.data.records import VehicleImage

IMAGES = tuple(
    VehicleImage(
        Path(f"/nowhere/{i:05d}.jpg"),
        f"{i:05d}.jpg",
        f"v{i // 5:04d}",
        f"c{i % 20:02d}",
        {"type": ("car", "bus", "van")[i % 3], "colour": ("red", "blue")[i % 2], "frame": str(i), "same": "x"},
    )
    for i in range(5000)
)
ASKED: list[str] = []
"""Names of the images whose thumbnails were asked for."""


def page() -> None:
    from unittest.mock import patch

    import streamlit as st

    from app.widgets.components import image_picker
    from tests.app.many import ASKED, IMAGES

    def thumbnail(image):
        ASKED.append(image.name)
        return "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"

    with patch.object(image_picker, "thumbnail", thumbnail):
        chosen = image_picker.image_picker("query", list(IMAGES))  # a new list at each run, as a page makes it
    st.text(chosen.name)

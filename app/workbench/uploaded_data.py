"""The viewer's uploads as a data set: in the session alone, never on the disk, and in the URL by a name that says so."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from app.workbench.cache import OPENED_UPLOADS, held_uploads, session_values
from app.workbench.dataset import OpenedDataset
from app.workbench.images import uploaded_images
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploaded_set import NAME, uploaded_set
from ssrnet.data.uploads import UploadedImage
from ssrnet.errors import DataError


def is_uploaded(data: str | None) -> bool:
    """Whether what the sidebar names as data are the viewer's uploads."""
    return data == NAME


def open_uploads() -> OpenedDataset:
    """The pictures that were uploaded when they were first opened as a data set; raises :class:`DataError` where there are none."""
    values = session_values()
    if OPENED_UPLOADS not in values:
        data = uploads_now()
        if data is None:
            raise DataError(
                "These pictures were uploaded in another session, or before the page was reloaded, or have been removed; upload "
                "them again."
            )
        values[OPENED_UPLOADS] = data
    return values[OPENED_UPLOADS]


def opened_uploads() -> OpenedDataset | None:
    """Those that are open as a data set."""
    return session_values().get(OPENED_UPLOADS)


def uploads_now() -> OpenedDataset | None:
    """All pictures that this session's uploaders hold, as a data set; None where there are none."""
    dataset = uploaded_set(held_uploads())
    return OpenedDataset.of(dataset) if dataset.gallery else None


def uploads_beside() -> list[UploadedImage]:
    """The uploads that are no images of the data set."""
    opened = opened_uploads()
    inside = {image.digest for image in opened.dataset.gallery} if opened else set()
    return [image for image in uploaded_images() if image.digest not in inside]


def close_uploads() -> None:
    """Opened again, the data set is of the uploads that are there then."""
    session_values().pop(OPENED_UPLOADS, None)


class RowsInSession:
    """The rows of an extraction that a session's uploads have already, as in ``RestorableFeatures``.

    made_by: what says how rows are made. So a broken-off extraction continues, and a picture more is one row more.
    """

    def __init__(self, *made_by: Hashable) -> None:
        self.made_by = made_by

    def restore(self, images: Sequence[VehicleImage], features: Tensor) -> Tensor:
        rows, restored = session_values(), torch.zeros(len(images), dtype=torch.bool)
        for at, image in enumerate(images):
            row = rows.get(self._key(image))
            if row is not None:
                features[at], restored[at] = row, True
        return restored

    def keep(self, images: Sequence[VehicleImage], features: Tensor) -> None:
        session_values().update({self._key(image): row for image, row in zip(images, features, strict=True)})

    def _key(self, image: VehicleImage) -> tuple:
        return "feature row", *self.made_by, image.digest

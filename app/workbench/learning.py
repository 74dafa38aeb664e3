"""Batches of the opened data as the losses see them, from stored features; the recorded training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from app.workbench import places
from app.workbench.cache import cached
from app.workbench.images import data_uri
from app.workbench.model import OpenedModel
from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.explain.attention import in_image
from ssrnet.explain.batch import MinedBatch, batch_labels, branches_before_neck
from ssrnet.explain.overlay import Scale, overlay, scale_of
from ssrnet.studies.learning.record import LearningRecord

PART, SHOW = "learning_part", "recorded_show"
PARTS = {"batch": "A batch", "run": "A recorded run", "scores": "AP, mAP, CMC"}
SHOWN = {
    "inside": "Attention and nodes",
    "ranks": "Hardest pair and ranks",
    "losses": "Cross-entropy and β",
    "curves": "Training curves",
}
"""Parts of the page, and of its recorded run: their parameters in the URL, whose values are what stands on their buttons."""
WHOLE = "embedding"
"""The features of all branches after their necks, as ranking takes them."""

RECORD = "assets/learning"
"""Where `ssrnet study learning --publish assets` puts its record."""


class RecordedRun(NamedTuple):
    """The record, and the batch's images (B, S, S, 3) uint8."""

    record: LearningRecord
    pictures: np.ndarray

    def uri(self, position: int) -> str:
        """One image as a data URI."""
        key = (places.ROOT / RECORD / "batch.jpg", position)
        return cached("recorded pictures", key, lambda: data_uri(self.pictures[position]), 100)

    def scale(self, state: int | None = None, number: int | None = None) -> Scale:
        """Of M_s of one of the images looked at, at one epoch; without them, of all the run's maps."""
        M_s = self.record.M_s if state is None else self.record.M_s[state, number]
        return scale_of([M_s.numpy()])

    def map_uri(self, state: int, number: int, scale: Scale, colours: str) -> str:
        """M_s of one of the images looked at over the image, as a data URI; ``colours`` is in :data:`COLOUR_MAPS`."""

        def draw() -> str:
            picture = self.pictures[int(self.record.looked_at[number])]
            heat = in_image(self.record.M_s[state, number].numpy(), len(picture))
            return data_uri(overlay(picture, scale.fractions(heat), colours=colours))

        key = (places.ROOT / RECORD / "run.safetensors", state, number, scale, colours)
        return cached("recorded maps", key, draw, 400)


def recorded_run() -> RecordedRun | None:
    """The recorded run that comes with the project; None where it is absent. Raises :class:`DataError` for another file."""
    path = places.ROOT / RECORD / "run.safetensors"

    def load() -> RecordedRun:
        record = LearningRecord.load(path)
        sheet = np.asarray(read_image(path.with_name("batch.jpg")))
        side = int(record.about["image_size"])
        rows, columns = len(sheet) // side, sheet.shape[1] // side
        pictures = sheet.reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
        return RecordedRun(record, pictures)

    return cached("recorded run", path, load, 1) if path.exists() else None


def mined_batch(model: OpenedModel, images: Sequence[VehicleImage]) -> Mapping[str, MinedBatch]:
    """The batch before the neck by branch, as Eq. 6 has it, and after it as the :data:`WHOLE` embedding.

    Features are the model's own, never aligned: training knows no alignment.
    """
    features = model.features()
    rows, labels = features.rows(images), batch_labels(images)
    spaces = branches_before_neck(rows, features.branch_dims, model.network.necks) | {WHOLE: rows}
    return {name: MinedBatch.of(each.cpu(), labels) for name, each in spaces.items()}

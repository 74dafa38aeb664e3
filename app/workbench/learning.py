"""Batches of the opened data as the losses see them, from stored features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.workbench.workbench import OpenedModel
from ssrnet.data.records import VehicleImage
from ssrnet.explain.batch import MinedBatch, batch_labels, branches_before_neck

WHOLE = "embedding"
"""The features of all branches after their necks, as ranking takes them."""


def mined_batch(model: OpenedModel, images: Sequence[VehicleImage]) -> Mapping[str, MinedBatch]:
    """The batch before the neck by branch, as Eq. 6 has it, and after it as the :data:`WHOLE` embedding.

    Features are the model's own, never aligned: training knows no alignment.
    """
    features = model.features()
    rows, labels = features.rows(images), batch_labels(images)
    spaces = branches_before_neck(rows, features.branch_dims, model.network.necks) | {WHOLE: rows}
    return {name: MinedBatch.of(each.cpu(), labels) for name, each in spaces.items()}

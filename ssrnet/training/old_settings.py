"""Stored settings of earlier versions, read as they are written today."""

from __future__ import annotations

from collections.abc import Mapping


def split_loss_name(training: Mapping[str, object]) -> dict[str, object]:
    """``training`` with the loss as ``classification`` and ``metric``.

    Runs, checkpoints and study cells of version 0.1 name both at once: ``{"name": "circle+triplet"}``, with "none" for
    a missing second. Everything else stays as it is.
    """
    loss = training.get("loss")
    if not isinstance(loss, dict) or not isinstance(loss.get("name"), str):
        return dict(training)
    classification, _, metric = loss["name"].partition("+")
    rest = {name: value for name, value in loss.items() if name != "name"}
    return {**training, "loss": {"classification": classification, "metric": metric or "none", **rest}}

"""Cosine similarity to a reference image, as a whole and by branch, from stored features; no network runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.data.records import VehicleImage
from ssrnet.explain.cam import WHOLE
from ssrnet.explain.shares import branch_products
from ssrnet.retrieval.extraction import FeatureSet


def branch_cosines(features: FeatureSet, reference: str) -> dict[str, np.ndarray]:
    """Cosines (N,) of every row to the row ``reference``: under :data:`WHOLE` of the whole embedding, then of each
    branch alone, where there are several."""
    query = features.features[features.names.index(reference)]
    products = branch_products(query, features.features, features.branch_dims)
    alone = {branch: products.shares((branch,))[0] for branch in products.branches if len(products.branches) > 1}
    return {name: row.numpy(force=True) for name, row in {WHOLE: products.shares().sum(0), **alone}.items()}


def nearest_other(
    features: FeatureSet, images: Sequence[VehicleImage], vehicle: str, embedding: Tensor
) -> float | None:
    """The highest cosine of ``embedding`` (D,) to an image of another vehicle; None without other vehicles.

    In a rank list, a view of ``vehicle`` with a lower cosine stands below that image.
    """
    others = [image for image in images if image.vehicle_id != vehicle]
    if not others:
        return None
    return float(torch.max(F.cosine_similarity(features.rows(others), embedding[None])))

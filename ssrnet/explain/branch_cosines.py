"""Likeness to a reference, model by model and branch by branch, from features alone; no network runs."""

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
    """(N,) cosines of every row to the row ``reference``: of the whole embedding under :data:`WHOLE`, then of each
    branch by itself, where there are several."""
    query = features.features[features.names.index(reference)]
    products = branch_products(query, features.features, features.branch_dims)
    alone = {branch: products.shares((branch,))[0] for branch in products.branches if len(products.branches) > 1}
    return {name: row.numpy(force=True) for name, row in {WHOLE: products.shares().sum(0), **alone}.items()}


def nearest_other(
    features: FeatureSet, images: Sequence[VehicleImage], vehicle: str, embedding: Tensor
) -> float | None:
    """The highest cosine of ``embedding`` (D,) to an image of another vehicle; None where there is none.

    A view of ``vehicle`` that is less like ``embedding`` than this stands below that image in a rank list.
    """
    others = [image for image in images if image.vehicle_id != vehicle]
    if not others:
        return None
    return float(torch.max(F.cosine_similarity(features.rows(others), embedding[None])))

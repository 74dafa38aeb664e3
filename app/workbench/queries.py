"""A query: one of the split's, or a picture that the viewer has uploaded, of which nobody has said the vehicle."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from app.workbench.cache import cached
from app.workbench.model import OpenedModel
from app.workbench.options import RankingOptions
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage
from ssrnet.retrieval.extraction import FeatureSet

Query = int | UploadedImage
"""The position of one of the split's queries, or an upload."""


def query_of(split: Split, image: VehicleImage) -> Query:
    """An image that is one of the split's queries, or an upload, as a query."""
    return image if isinstance(image, UploadedImage) else split.query.index(image)


def query_image(split: Split, query: Query) -> VehicleImage:
    return query if isinstance(query, UploadedImage) else split.query[query]


def query_position(query: Query) -> int | None:
    """None for an upload, as :meth:`ssrnet.explain.shares.BranchFeatures.rank` takes a picture from elsewhere."""
    return None if isinstance(query, UploadedImage) else query


def upload_embeddings(
    model: OpenedModel, images: Sequence[UploadedImage], options: RankingOptions = RankingOptions()
) -> Tensor:
    """(N, D): uploads by the branches that ``options`` compare, not aligned; each is computed once a session."""
    if options.flip_test:
        rows = torch.stack([_flipped(model, image, options) for image in images])
    else:
        rows = model.embed([image.picture for image in images])
    numbers = tuple(map(str, range(len(images))))
    return options.ranked_features(FeatureSet(rows, numbers, model.network.branch_dims)).features


def _flipped(model: OpenedModel, image: UploadedImage, options: RankingOptions) -> Tensor:
    return cached(
        "flipped", (model.hash, image), lambda: model.predictor.embed_as(image.picture, options.extraction)[0], 500
    )

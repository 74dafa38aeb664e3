"""A query: one of the split's, or a picture that the viewer has uploaded, of which nobody has said the vehicle."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from app.workbench.cache import cached
from app.workbench.model import OpenedModel
from app.workbench.options import LONGEST_LIST, RankingOptions
from app.workbench.workbench import Workbench
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage
from ssrnet.explain.shares import ELSEWHERE, of_one_query
from ssrnet.retrieval.evaluation import ranked
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.ranking import Ranking
from ssrnet.retrieval.reranking import ReRankSettings

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


def rankers(bench: Workbench, query: Query) -> list[OpenedModel]:
    """The models that can rank for the query: for an upload those with a network."""
    return [model for model in bench.models.values() if isinstance(query, int) or model.has_network]


def query_embedding(model: OpenedModel, query: Query, options: RankingOptions = RankingOptions()) -> Tensor | None:
    """(D,): an upload's, not aligned; None for a query of the split, whose features are stored."""
    return upload_embeddings(model, [query], options)[0] if isinstance(query, UploadedImage) else None


def query_ranking(model: OpenedModel, query: Query, options: RankingOptions = RankingOptions()) -> Ranking:
    """The ranking of one query alone: the only row is row 0. Of an upload's, no image is a match or junk."""
    if isinstance(query, int):
        return model.ranking(query, options)
    return cached("rankings", (model, options, query), lambda: _rank_upload(model, query, options))


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


def _rank_upload(model: OpenedModel, image: UploadedImage, options: RankingOptions) -> Ranking:
    embedding = query_embedding(model, image, options)
    if options.expansion is None and not options.re_rank:
        return model.branch_features(options).rank(None, embedding=embedding)
    stored = options.ranked_features(model.features(settings=options.extraction))
    rows, names = torch.cat([stored.features, embedding[None]]), (*stored.names, ELSEWHERE.name)
    return ranked(
        FeatureSet(rows, names, stored.branch_dims),
        of_one_query(model.split, None),
        re_rank=ReRankSettings() if options.re_rank else None,
        expansion=options.expansion,
        alignment=model.statistics(options),
        top_k=LONGEST_LIST,
    )


def _flipped(model: OpenedModel, image: UploadedImage, options: RankingOptions) -> Tensor:
    return cached(
        "flipped", (model.hash, image), lambda: model.predictor.embed_as(image.picture, options.extraction)[0], 500
    )

"""Relevance feedback: a query asked again with the images that a person confirmed and refused.

Rocchio's formula ("Relevance feedback in information retrieval", in The SMART Retrieval System, 1971) moves the query towards
the mean of what was confirmed and away from the mean of what was refused. The usual weights are those of Manning, Raghavan
and Schütze (Introduction to Information Retrieval, 2008, Sec. 9.1.1): confirmed images say more than refused ones.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.errors import SettingsError
from ssrnet.retrieval.ranking import RankedImage, rank_by_cosine


@dataclass(frozen=True)
class FeedbackSettings:
    """Rocchio's weights of the query, of the mean of confirmed and of the mean of refused images."""

    alpha: float = 1.0
    beta: float = 0.75
    gamma: float = 0.15

    def __post_init__(self) -> None:
        if self.alpha <= 0 or self.beta < 0 or self.gamma < 0:
            raise SettingsError(
                f"the weights of feedback are {self.alpha:g}, {self.beta:g} and {self.gamma:g}; the first must be "
                "positive, the others at least 0."
            )


def asked_again(
    query: Tensor, confirmed: Tensor, refused: Tensor, settings: FeedbackSettings = FeedbackSettings()
) -> Tensor:
    """The query (D,) of length 1 that the answers (R, D) and (S, D) make of ``query`` (D,).

    q' = alpha q + beta mean(confirmed) - gamma mean(refused), normalised; all vectors are L2-normalised first. Without answers
    of a kind its term is 0.
    """
    moved = settings.alpha * F.normalize(query.float(), dim=0)
    for weight, images in ((settings.beta, confirmed), (-settings.gamma, refused)):
        if len(images):
            moved = moved + weight * F.normalize(images.float()).mean(0)
    return F.normalize(moved, dim=0)


def rank_again(
    features: Tensor,
    query: int,
    confirmed: Collection[int],
    refused: Collection[int],
    settings: FeedbackSettings = FeedbackSettings(),
    top_k: int | None = None,
) -> list[RankedImage]:
    """The images that nobody has answered for yet, by their cosine to the query asked again; all, or ``top_k``.

    features: (N, D), the query's row among them. Query, confirmed and refused images are left out: the list says what to
    look at next. ``index`` is the row in ``features``.
    """
    known = {query, *confirmed, *refused}
    left = [row for row in range(len(features)) if row not in known]
    if not left:
        return []
    vector = asked_again(features[query], features[sorted(confirmed)], features[sorted(refused)], settings)
    ranked = rank_by_cosine(vector, features[torch.tensor(left)].float(), top_k)
    return [RankedImage(each.rank, left[each.index], each.cosine) for each in ranked]

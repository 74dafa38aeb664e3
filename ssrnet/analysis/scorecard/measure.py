"""Scores models side by side: every protocol, every branch and every slice from one set of features a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from ssrnet.analysis.scorecard.scorecard import LeftOut, ProtocolResult, Row, Slice
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import ReIDDataset
from ssrnet.retrieval.evaluation import Evaluation, evaluate, query_scores, restrict
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.metric_intervals import QueryScores, differences, estimates, vehicles_of
from ssrnet.retrieval.query_filters import QueryFilter
from ssrnet.retrieval.ranking import DistanceName


@dataclass(frozen=True)
class Contestant:
    """A model by its features; ``made_by`` as in :func:`ssrnet.retrieval.evaluation.evaluate`."""

    title: str
    features: FeatureSet
    made_by: dict[str, object]

    @property
    def parts(self) -> list[tuple[str, ...]]:
        """All branches together, which is written (), then each alone where there are several."""
        branches = tuple(self.features.branch_dims)
        return [(), *((branch,) for branch in branches if len(branches) > 1)]


Rankings = dict[tuple[str, tuple[str, ...]], list[Evaluation]]
"""By title and branches: one evaluation a seed."""


def measure(
    dataset: ReIDDataset,
    contestants: Sequence[Contestant],
    seeds: Sequence[Protocol],
    slices: Mapping[str, Sequence[QueryFilter]],
    *,
    difference: tuple[str, str],
    images: str = "all",
    distance: DistanceName = "cosine",
) -> tuple[ProtocolResult, list[LeftOut]]:
    """One protocol, of which ``seeds`` are the random galleries, and the slices that it has no query for.

    ``slices`` are by the text that asked for them. ``difference`` names two contestants, the second minus
    the first. Every ranking is made once and serves all slices.
    """
    dataset_hash = dataset.content_hash()
    rankings: Rankings = {}
    for contestant in contestants:
        for branches in contestant.parts:
            features = contestant.features.only(branches)
            made_by = contestant.made_by | ({"branches": list(branches)} if branches else {})
            rankings[contestant.title, branches] = [
                evaluate(
                    features,
                    dataset,
                    protocol,
                    made_by=made_by,
                    distance=distance,
                    top_k=1,
                    images=images,
                    dataset_hash=dataset_hash,
                )
                for protocol in seeds
            ]
    measured, left_out = [_slice("all", "", rankings, difference)], []
    for text, filters in slices.items():
        for queries in filters:
            kept = {
                key: [restrict(e, queries) for e in evaluations if queries.rows(e.split.query)]
                for key, evaluations in rankings.items()
            }
            if any(evaluation.metrics.queries for evaluation in next(iter(kept.values()))):
                measured.append(_slice(queries.title, text, kept, difference))
            else:
                left_out.append(LeftOut(seeds[0].name, queries.title, "no such query has a match in the gallery"))
    drawn = () if seeds[0].name == "cross_camera" else tuple(protocol.seed for protocol in seeds)
    return ProtocolResult(seeds[0].name, drawn, tuple(measured)), left_out


def _slice(title: str, asked_as: str, rankings: Rankings, difference: tuple[str, str]) -> Slice:
    scores: dict[tuple[str, tuple[str, ...]], list[QueryScores]] = {
        key: [query_scores(evaluation) for evaluation in evaluations] for key, evaluations in rankings.items()
    }
    rows = tuple(
        Row(model, branches, estimates(scores[model, branches]), asdict(evaluations[0].record))
        for (model, branches), evaluations in rankings.items()
    )
    first, second = ((title, ()) for title in difference)
    metrics = [evaluation.metrics for evaluation in rankings[first]]
    return Slice(
        title=title,
        asked_as=asked_as,
        queries=tuple(m.queries for m in metrics),
        excluded=tuple(m.excluded for m in metrics),
        vehicles=len(vehicles_of(scores[first])),
        rows=rows,
        difference=differences(scores[first], scores[second]),
    )

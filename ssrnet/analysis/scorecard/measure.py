"""Scores models side by side: each protocol, branch and slice of queries from one set of features per model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from ssrnet.analysis.scorecard.scorecard import LeftOut, ModelScores, ProtocolScores, SliceScores
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import ReIDDataset
from ssrnet.retrieval.evaluated_models import ModelFeatures
from ssrnet.retrieval.evaluation import Evaluation, evaluate, query_scores, restrict
from ssrnet.retrieval.metric_intervals import QueryScores, differences, estimates, vehicles_of
from ssrnet.retrieval.query_filters import QueryFilter
from ssrnet.retrieval.ranking import DistanceName

Rankings = dict[tuple[str, tuple[str, ...]], list[Evaluation]]
"""By title and branches: one evaluation per seed."""


@dataclass(frozen=True)
class ScorecardTask:
    """What to score, under any protocol.

    ``slices`` are query filters by the --slices value that they come from. ``differences`` name two of the models each,
    the second minus the first. ``images``: "all", or the value of --only.
    """

    dataset: ReIDDataset
    models: Sequence[ModelFeatures]
    slices: Mapping[str, Sequence[QueryFilter]]
    differences: Sequence[tuple[str, str]]
    images: str = "all"
    distance: DistanceName = "cosine"


def score_protocol(task: ScorecardTask, seeds: Sequence[Protocol]) -> tuple[ProtocolScores, list[LeftOut]]:
    """Scores under one protocol, ``seeds`` with different random galleries; and the slices without any query.

    Each ranking is computed once and serves all slices.
    """
    dataset_hash = task.dataset.content_hash()
    rankings: Rankings = {}
    for model in task.models:
        for branches in model.branch_sets:
            part = model.only(branches)
            rankings[model.title, branches] = [
                evaluate(
                    part.features,
                    task.dataset,
                    protocol,
                    made_by=part.made_by,
                    distance=task.distance,
                    alignment=part.alignment,
                    top_k=1,
                    images=task.images,
                    dataset_hash=dataset_hash,
                )
                for protocol in seeds
            ]
    slices, left_out = [_score("all", "", rankings, task.differences)], []
    for text, filters in task.slices.items():
        for queries in filters:
            restricted = {
                key: [restrict(e, queries) for e in evaluations if queries.rows(e.split.query)]
                for key, evaluations in rankings.items()
            }
            if any(evaluation.metrics.queries for evaluation in next(iter(restricted.values()))):
                slices.append(_score(queries.title, text, restricted, task.differences))
            else:
                left_out.append(LeftOut(seeds[0].name, queries.title, "no such query has a match in the gallery"))
    drawn = () if seeds[0].name == "cross_camera" else tuple(protocol.seed for protocol in seeds)
    return ProtocolScores(seeds[0].name, drawn, tuple(slices)), left_out


def _score(title: str, asked_as: str, rankings: Rankings, pairs: Sequence[tuple[str, str]]) -> SliceScores:
    scores: dict[tuple[str, tuple[str, ...]], list[QueryScores]] = {
        key: [query_scores(evaluation) for evaluation in evaluations] for key, evaluations in rankings.items()
    }
    rows = tuple(
        ModelScores(model, branches, estimates(scores[model, branches]), asdict(evaluations[0].record))
        for (model, branches), evaluations in rankings.items()
    )
    any_model = next(iter(rankings))  # which queries have a match does not depend on the model
    metrics = [evaluation.metrics for evaluation in rankings[any_model]]
    return SliceScores(
        title=title,
        asked_as=asked_as,
        queries=tuple(m.queries for m in metrics),
        excluded=tuple(m.excluded for m in metrics),
        vehicles=len(vehicles_of(scores[any_model])),
        rows=rows,
        differences=tuple(differences(scores[a, ()], scores[b, ()]) for a, b in pairs),
    )

"""Evaluation of features under a protocol, with a record from which the numbers can be computed again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np

import ssrnet
from ssrnet.data.protocols import Protocol, ProtocolName, Split
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import SettingsError
from ssrnet.metrics import AP_DEFINITION, Metrics
from ssrnet.retrieval.alignment import AlignmentSettings, CameraStatistics, camera_statistics, cameras_of
from ssrnet.retrieval.expansion import ExpansionSettings, expand_queries
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.metric_intervals import QueryScores
from ssrnet.retrieval.query_filters import QueryFilter
from ssrnet.retrieval.ranking import DistanceName, Ranking, check_features, rank, rank_blocks
from ssrnet.retrieval.reranking import ReRankSettings, k_reciprocal_distances


@dataclass(frozen=True)
class ProtocolRecord:
    """Everything needed to compute a number again; attached to every number shown or saved."""

    dataset: str
    dataset_hash: str
    images: str
    """Test images used: "all", or a filter such as "vehicle_type=car,truck"."""
    queries_kept: str
    """Queries scored: "all", or a :class:`QueryFilter`; the gallery is whole in either case."""
    protocol: str
    seed: int | None
    shots: int | None
    junk_rule: str
    queries: int
    gallery: int
    excluded_vehicles: int
    average_precision: str
    distance: str
    re_ranking: str
    features: dict[str, object]
    """Model, checkpoint hash, image size, flip test, neck and branches of the features."""
    version: str
    query_expansion: str = "none"
    camera_alignment: str = "none"
    """What was done, over which images."""
    damaged_images: int = 0
    """Test images left out since they cannot be read."""
    layout: str = ""
    """What the data folder was read as; empty in records of before it was kept."""

    def json(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


class Evaluation(NamedTuple):
    """A ranking, its metrics, and the record of how it was made."""

    ranking: Ranking
    metrics: Metrics
    record: ProtocolRecord
    split: Split


def evaluate(
    features: FeatureSet,
    dataset: ReIDDataset,
    protocol: Protocol,
    *,
    made_by: dict[str, object],
    distance: DistanceName = "cosine",
    re_rank: ReRankSettings | None = None,
    expansion: ExpansionSettings | None = None,
    alignment: AlignmentSettings | CameraStatistics | None = None,
    top_k: int = 20,
    images: str = "all",
    dataset_hash: str | None = None,
    progress_callback: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Ranks and scores one protocol.

    ``features`` must cover the data set's test images; ``made_by`` describes them in the record. ``top_k`` is
    limited to the gallery's size. ``dataset_hash``: the data set's content hash where the caller has it, since
    computing it looks at every file. ``alignment``: settings, whose statistics are measured on the split's images, or
    statistics as they are. Features are aligned first; queries are then expanded before re-ranking, which calls
    ``progress_callback(queries done, total)``.
    Raises :class:`DataError` for images without vehicle labels, :class:`ProtocolError` where the data set cannot serve the
    protocol, :class:`ResourceError` where re-ranking does not fit, :class:`SettingsError` for query expansion with another distance than the cosine.
    """
    if expansion is not None and distance != "cosine":
        raise SettingsError(f"query expansion averages cosine neighbours; the distance is {distance}: use cosine.")
    dataset.check_labelled("a score")
    split = protocol.split(dataset)
    if isinstance(alignment, AlignmentSettings):
        alignment = camera_statistics(features, split, alignment)
    ranking = ranked(features, split, distance, re_rank, expansion, alignment, top_k, progress_callback)
    record = ProtocolRecord(
        dataset=dataset.name,
        dataset_hash=dataset_hash or dataset.content_hash(),
        images=images,
        queries_kept="all",
        protocol=protocol.name,
        seed=None if protocol.name == "cross_camera" else protocol.seed,
        shots=None if protocol.name == "cross_camera" else protocol.shots,
        junk_rule=split.junk_rule,
        queries=len(split.query),
        gallery=len(split.gallery),
        excluded_vehicles=split.excluded_vehicles,
        average_precision=AP_DEFINITION,
        distance=distance if re_rank is None else "cosine",
        re_ranking="none" if re_rank is None else f"k-reciprocal {asdict(re_rank)}",
        features=made_by,
        version=ssrnet.__version__,
        query_expansion="none" if expansion is None else str(expansion),
        camera_alignment="none" if alignment is None else str(alignment),
        damaged_images=dataset.damaged,
        layout=dataset.layout,
    )
    return Evaluation(ranking, ranking.metrics, record, split)


def ranked(
    features: FeatureSet,
    split: Split,
    distance: DistanceName = "cosine",
    re_rank: ReRankSettings | None = None,
    expansion: ExpansionSettings | None = None,
    alignment: CameraStatistics | None = None,
    top_k: int = 20,
    progress_callback: Callable[[int, int], None] | None = None,
) -> Ranking:
    """The ranking that :func:`evaluate` scores; also of a split without labels, which has no scores."""
    query, gallery = features.rows(split.query), features.rows(split.gallery)
    if alignment is not None:
        for rows, of in ((query, split.query), (gallery, split.gallery)):
            alignment.align_in_place(rows, cameras_of(of))
    if expansion is not None:
        check_features(query, gallery, split)
        query = expand_queries(query, gallery, expansion)
    top_k = min(top_k, len(split.gallery))
    if re_rank is None:
        return rank(query, gallery, split, distance, top_k)
    check_features(query, gallery, split)
    distances = k_reciprocal_distances(query, gallery, re_rank, progress_callback=progress_callback)
    return rank_blocks(distances.__getitem__, split, top_k)


def with_seeds(name: ProtocolName, seeds: int, shots: int) -> list[Protocol]:
    """The protocol once, or a shot protocol once for each of ``seeds`` random galleries."""
    return [Protocol(name, seed=seed, n=shots) for seed in range(1 if name == "cross_camera" else seeds)]


def restrict(evaluation: Evaluation, queries: QueryFilter) -> Evaluation:
    """The same ranking of the same gallery, reduced to the queries that ``queries`` selects.

    Raises :class:`DataError` where there is none.
    """
    split, record = evaluation.split, evaluation.record
    rows = queries.required_rows(split.query)
    ranking = evaluation.ranking.take(rows)
    split = replace(split, query=tuple(split.query[i] for i in rows))
    record = replace(record, queries_kept=str(queries), queries=len(rows))
    return Evaluation(ranking, ranking.metrics, record, split)


def query_scores(evaluation: Evaluation) -> QueryScores:
    """The scores per query, for bootstrap intervals."""
    ranking = evaluation.ranking
    vehicles = [image.vehicle_id for image in evaluation.split.query]
    return QueryScores.from_queries(vehicles, ranking.average_precision, ranking.inp, ranking.first_hit)


class Spread(NamedTuple):
    """Mean and standard deviation (n - 1) of each metric over seeds; the deviation is 0 for one seed."""

    mean: Metrics
    deviation: Metrics


def over_seeds(metrics: Sequence[Metrics]) -> Spread:
    """Mean and deviation of a protocol's metrics over its seeds."""

    def combine(function) -> Metrics:
        return replace(
            metrics[0],
            mAP=float(function([m.mAP for m in metrics])),
            mINP=float(function([m.mINP for m in metrics])),
            cmc=tuple(function(np.array([m.cmc for m in metrics]), axis=0).tolist()),
        )

    def deviation(values, axis=None):
        return np.std(values, ddof=1, axis=axis) if len(metrics) > 1 else np.std(values, axis=axis)

    return Spread(combine(np.mean), combine(deviation))

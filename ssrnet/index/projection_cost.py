"""The cost of a projection: rank-1 and mAP of whole and projected features under a data set's own protocol."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch

from ssrnet.data.protocols import Protocol
from ssrnet.data.records import ReIDDataset
from ssrnet.index.exact_store import ExactIndex
from ssrnet.index.pca import Projection
from ssrnet.retrieval.evaluation import Evaluation, evaluate
from ssrnet.retrieval.extraction import FeatureSet

MAX_NUMBERS = 500_000_000
"""Whole features of more numbers than this, 2 GB as float32, are not measured: the ranking holds them in memory."""


@dataclass(frozen=True)
class ProjectionCost:
    """Rank-1 and mAP, in [0, 1], of whole and of projected features; ``record``: the protocol record of both."""

    whole_rank_1: float
    whole_mAP: float
    projected_rank_1: float
    projected_mAP: float
    projected_to: int
    record: dict[str, object]

    def __str__(self) -> str:
        def line(name: str, whole: float, projected: float) -> str:
            change = 100 * (projected - whole)
            return f"  {name:7}{100 * whole:6.2f}% whole  {100 * projected:6.2f}% projected  {change:+.2f} points"

        lines = (
            line("rank-1", self.whole_rank_1, self.projected_rank_1),
            line("mAP", self.whole_mAP, self.projected_mAP),
        )
        protocol = f"{self.record['dataset']}, {self.record['protocol']}, seed {self.record['seed']}"
        return "\n".join((f"measured on {protocol}:", *lines))


def measure_cost(
    whole: ExactIndex, dataset: ReIDDataset, projection: Projection, made_by: dict[str, object]
) -> ProjectionCost | str:
    """The cost on the data set's test images under its own protocol, or the reason why it cannot be measured."""
    if not dataset.is_labelled:
        return f"{dataset.name} does not say which images show the same vehicle"
    protocol = Protocol(dataset.protocol, seed=0)
    reason = protocol.unavailable(dataset)
    if reason is not None:
        return reason
    if len(dataset.test) * whole.dimension > MAX_NUMBERS:
        return f"{dataset.name}'s {len(dataset.test):,} test images are too many to hold; build on a smaller subset"
    source, rows = f"{dataset.name}/test", {}
    wanted = {image.name for image in dataset.test}
    for entries, features in whole.blocks():
        for entry, feature in zip(entries, features, strict=True):
            if entry.source == source and entry.name in wanted:
                rows[entry.name] = feature
    if len(rows) < len(wanted):
        return f"the index has {len(rows):,} of {dataset.name}'s {len(wanted):,} test images"
    names = tuple(rows)
    stacked = np.stack([rows[name] for name in names]).astype(np.float32)
    data_hash = dataset.content_hash()

    def evaluated(features: np.ndarray) -> Evaluation:
        features_of = FeatureSet(torch.from_numpy(features), names, {"all": features.shape[1]})
        return evaluate(features_of, dataset, protocol, made_by=made_by, dataset_hash=data_hash)

    before = evaluated(stacked)
    after = evaluated(projection(stacked).astype(np.float16).astype(np.float32))  # an index stores float16
    return ProjectionCost(
        before.metrics.cmc[0],
        before.metrics.mAP,
        after.metrics.cmc[0],
        after.metrics.mAP,
        len(projection.directions),
        asdict(before.record),
    )

"""What is done to features and distances before images are ranked."""

from __future__ import annotations

from dataclasses import dataclass

from ssrnet.model import EmbeddingSettings
from ssrnet.retrieval.expansion import ExpansionSettings
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet

LONGEST_LIST = 20
"""The longest rank list that a page shows."""


@dataclass(frozen=True)
class RankingOptions:
    """The switches of the Retrieval page; every one of them is in the protocol record."""

    re_rank: bool = False
    flip_test: bool = False
    expansion: ExpansionSettings | None = None
    branches: tuple[str, ...] = ()
    """Branches that count (G, attn, token), of those that a model has; empty means all."""
    unit_length: bool = False
    """Each branch's feature L2-normalised before they are concatenated, so that each weighs the same."""

    @property
    def extraction(self) -> ExtractSettings:
        return ExtractSettings(flip_test=self.flip_test)

    @property
    def touched(self) -> bool:
        return self != RankingOptions()

    def chosen_branches(self, features: FeatureSet) -> tuple[str, ...]:
        """The chosen branches that these features have; empty, which means all, where they have none of them or all."""
        chosen = tuple(branch for branch in features.branch_dims if branch in self.branches)
        return () if len(chosen) == len(features.branch_dims) else chosen

    def ranked_features(self, features: FeatureSet) -> FeatureSet:
        """The columns that count, as they are compared."""
        chosen = features.only(self.chosen_branches(features))
        return chosen.at_unit_length() if self.unit_length else chosen

    def embedding(self, branches: tuple[str, ...]) -> EmbeddingSettings:
        """How the network makes the same of an image, for records, maps and the graph."""
        return EmbeddingSettings(branches=branches, normalise_branches=self.unit_length)

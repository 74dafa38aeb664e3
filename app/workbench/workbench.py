"""What the sidebar has opened: a data set, models and a protocol, as one object that every page works on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.workbench.dataset import OpenedDataset
from app.workbench.model import OpenedModel
from ssrnet.data.protocols import Protocol, Split
from ssrnet.data.records import ReIDDataset
from ssrnet.retrieval.external.model import ImportedModel
from ssrnet.training.checkpoint import StoredCheckpoint


@dataclass(frozen=True)
class Workbench:
    """What the sidebar has chosen; every page works on this."""

    data: OpenedDataset
    baseline: OpenedModel
    ssrnet: OpenedModel
    protocol: Protocol
    third: OpenedModel | None = None
    """Features without a network; where rankings are compared, it stands beside the two."""

    @classmethod
    def of(
        cls,
        data: OpenedDataset,
        baseline: StoredCheckpoint,
        ssrnet: StoredCheckpoint,
        protocol: Protocol,
        third: ImportedModel | None = None,
    ) -> Workbench:
        titles = [checkpoint.info.model.title for checkpoint in (baseline, ssrnet)]
        if titles[0] == titles[1]:  # two runs of one network: their files tell them apart
            titles = [f"{role}: {title}" for role, title in zip(("First", "Second"), titles)]
        a, b = (OpenedModel(*each, data, protocol) for each in zip(titles, (baseline, ssrnet)))
        return cls(data, a, b, protocol, OpenedModel(third.title, third, data, protocol) if third else None)

    @property
    def dataset(self) -> ReIDDataset:
        return self.data.dataset

    @property
    def networks(self) -> dict[str, OpenedModel]:
        """By row title, the baseline first as in the paper's Figs. 5 and 6."""
        return {model.title: model for model in (self.baseline, self.ssrnet)}

    @property
    def models(self) -> dict[str, OpenedModel]:
        """``networks``, and the third model where there is one."""
        return {**self.networks, **({self.third.title: self.third} if self.third else {})}

    @property
    def split(self) -> Split:
        """Queries and gallery under the protocol."""
        return self.baseline.split

    @property
    def with_graph(self) -> OpenedModel | None:
        """The network whose graph is shown: SSR-Net, else the other one; None where neither has one."""
        return next((model for model in (self.ssrnet, self.baseline) if model.has_graph), None)

    @property
    def with_raw(self) -> dict[str, OpenedModel]:
        """``models``; where features are aligned, each with its raw features before it."""
        pairs = ((model.raw, model) for model in self.models.values())
        return {model.title: model for pair in pairs for model in pair}

    def under(self, protocol: Protocol) -> Workbench:
        """The same models and data under another protocol."""
        return self._with(lambda model: replace(model, protocol=protocol), protocol)

    @property
    def aligned(self) -> Workbench:
        """The same with every model's features aligned by camera."""
        return self._with(lambda model: model.aligned, self.protocol)

    @property
    def raw(self) -> Workbench:
        """The same with every model's features as they are."""
        return self._with(lambda model: model.raw, self.protocol)

    @property
    def is_aligned(self) -> bool:
        return self.baseline.is_aligned

    def _with(self, change: Callable[[OpenedModel], OpenedModel], protocol: Protocol) -> Workbench:
        third = change(self.third) if self.third else None
        return Workbench(self.data, change(self.baseline), change(self.ssrnet), protocol, third)

"""What the recorded run keeps: a batch's distances and logits, and some of its images inside, at every epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.errors import DataError
from ssrnet.explain.batch import MinedBatch
from ssrnet.files import parse_json
from ssrnet.losses import hardest_pairs
from ssrnet.tensors import read_tensors, write_tensors


@dataclass(frozen=True)
class LearningRecord:
    """E states of the network, the first before training, then one an epoch, on one PK batch of B training images.

    distance: (E, b, B, B), Euclidean, before the neck of each of the b branches. logits: (E, b, B, M), after it, over
    the run's M vehicles. cosine: (E, B, B) of the embeddings. plane: (E, B, 2), embeddings of unit length on the two
    principal axes of the last state's. M_s: (E, n, h, w) and node_cosine: (E, l + 1, n, nodes, nodes) of the n images at
    the positions ``looked_at`` (n,). labels: (B,) int64, from 0 to M - 1. All in evaluation mode, without augmentation.
    about: branches, nodes, vehicles (their names by label), images (the batch's names), settings and log of the run.
    """

    distance: Tensor
    logits: Tensor
    cosine: Tensor
    plane: Tensor
    M_s: Tensor
    node_cosine: Tensor
    looked_at: Tensor
    labels: Tensor
    about: Mapping[str, object]

    def __post_init__(self) -> None:
        E, b, B, M = self.logits.shape
        assert self.distance.shape == (E, b, B, B) and self.cosine.shape == (E, B, B) and self.plane.shape == (E, B, 2)
        assert len(self.M_s) == len(self.node_cosine) == E and self.labels.shape == (B,) and int(self.labels.max()) < M
        assert len(self.branches) == b and len(self.vehicles) == M and len(self.images) == B
        assert self.M_s.shape[1] == self.node_cosine.shape[2] == len(self.looked_at) and int(self.looked_at.max()) < B
        assert self.node_cosine.shape[3] == len(self.nodes) and len(self.log) == E - 1

    @property
    def states(self) -> int:
        """E: the epochs and the state before them."""
        return len(self.logits)

    @property
    def branches(self) -> Sequence[str]:
        return self.about["branches"]

    @property
    def nodes(self) -> Sequence[str]:
        return self.about["nodes"]

    @property
    def vehicles(self) -> Sequence[str]:
        """The run's vehicles, by label."""
        return self.about["vehicles"]

    @property
    def images(self) -> Sequence[str]:
        """Names of the batch's images."""
        return self.about["images"]

    @property
    def log(self) -> Sequence[Mapping[str, float]]:
        """A line an epoch: learning_rate, loss, accuracy and the loss's terms, as the training saw them."""
        return self.about["log"]

    def mined(self, state: int, branch: str) -> MinedBatch:
        """The batch before a branch's neck, with its hardest pairs."""
        distance = self.distance[state, self.branches.index(branch)]
        return MinedBatch(distance, self.labels, hardest_pairs(distance, self.labels))

    def probabilities(self, state: int, branch: str, position: int) -> Tensor:
        """(M,): p_im of Eq. 5, the classifier's probability of each vehicle for one image."""
        return self.logits[state, self.branches.index(branch), position].softmax(0)

    def terms(self, state: int, margin: float) -> dict[str, float]:
        """Eqs. 5 and 6 on the batch, "cross_entropy/G" and so on, both as means over its images."""
        terms = {}
        for row, branch in enumerate(self.branches):
            terms[f"cross_entropy/{branch}"] = float(F.cross_entropy(self.logits[state, row], self.labels))
        for branch in self.branches:
            terms[f"triplet/{branch}"] = float(self.mined(state, branch).pairs.terms(margin).mean())
        return terms

    def first_ranks(self, state: int, position: int, k: int) -> list[tuple[int, float]]:
        """The k images of the batch that are most similar to one of them, with their cosines; itself left out."""
        cosine = self.cosine[state, position].clone()
        cosine[position] = -torch.inf
        order = cosine.argsort(descending=True, stable=True)[:k].tolist()
        return [(at, float(cosine[at])) for at in order]

    def save(self, path: Path) -> None:
        """Writes ``path`` (.safetensors) atomically."""
        tensors = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "about"}
        write_tensors(path, tensors, {"about": json.dumps(self.about, sort_keys=True)})

    @classmethod
    def load(cls, path: Path) -> LearningRecord:
        """Raises :class:`DataError` for any other file."""
        try:
            file = read_tensors(path)
            return cls(**file.tensors, about=parse_json(file.metadata["about"]))
        except (OSError, KeyError, TypeError, ValueError, AssertionError, IndexError) as error:
            raise DataError(
                f"{path} is no record of `ssrnet study learning` ({type(error).__name__}: {error}); make it again."
            ) from error


def eq_7(terms: Mapping[str, float], beta: float) -> float:
    """The total loss of :meth:`LearningRecord.terms`: cross-entropy terms plus beta times the triplet terms."""
    return sum(beta * term if name.startswith("triplet") else term for name, term in terms.items())

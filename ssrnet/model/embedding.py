"""How branch features become the vector that is compared at test time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.errors import SettingsError


@dataclass(frozen=True)
class EmbeddingSettings:
    """How branch features are joined. The paper says that it concatenates three (Sec. 3.1), and no more."""

    neck: Literal["after", "before"] = "after"
    """Features after or before the batch-norm neck."""
    normalise_branches: bool = False
    """L2-normalise each branch first, so that each weighs the same in a cosine."""
    branches: tuple[str, ...] = ()
    """Branches to use (G, attn, token); empty means all that the model has."""


def embed(before: Mapping[str, Tensor], after: Mapping[str, Tensor], settings: EmbeddingSettings) -> Tensor:
    """(B, D): the chosen branches, concatenated in the model's order.

    Raises :class:`SettingsError` for a branch that the model does not have.
    """
    features = after if settings.neck == "after" else before
    absent = [branch for branch in settings.branches if branch not in features]
    if absent:
        raise SettingsError(
            f"the model has no branch {', '.join(absent)}; it has {', '.join(features)}: choose among these."
        )
    chosen = [feature for branch, feature in features.items() if not settings.branches or branch in settings.branches]
    if settings.normalise_branches:
        chosen = [F.normalize(feature) for feature in chosen]
    return torch.cat(chosen, dim=1)

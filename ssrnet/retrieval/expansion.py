"""Query expansion: a query's nearest gallery features are averaged into it, and it asks again.

Average query expansion (AQE; Chum et al., "Total Recall", ICCV 2007) weighs each neighbour as the query;
alpha-weighted query expansion (alphaQE; Radenovic et al., TPAMI 2018, Sec. 3.3) weighs it by its cosine to the
power alpha, and is AQE for alpha = 0.

Junk may be among the neighbours: which images are junk is known from labels alone, and a method that asks for
labels could not be used outside of a benchmark. VeRi-776 files its queries in the gallery too, so there one of the
neighbours is the query itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.errors import SettingsError
from ssrnet.retrieval.ranking import BLOCK_ELEMENTS


@dataclass(frozen=True)
class ExpansionSettings:
    """Query expansion; ``alpha`` 3 is Radenovic et al.'s, 0 is plain averaging."""

    neighbours: int = 5
    """Nearest gallery images that are averaged into the query; all where the gallery has fewer."""
    alpha: float = 0.0
    """Power of the cosine that weighs a neighbour; a cosine below 0 then weighs nothing."""

    def __post_init__(self) -> None:
        if self.neighbours < 1 or self.alpha < 0:
            raise SettingsError(
                f"query expansion has {self.neighbours} neighbours and alpha = {self.alpha:g}; "
                "it needs at least 1 neighbour and an alpha of at least 0."
            )

    def __str__(self) -> str:
        name = "average" if self.alpha == 0 else f"alpha = {self.alpha:g}"
        return f"{name}, {self.neighbours} neighbours"


def expand_queries(query: Tensor, gallery: Tensor, settings: ExpansionSettings = ExpansionSettings()) -> Tensor:
    """(Q, D) float32 queries of length 1, from query (Q, D) and gallery (G, D) features.

    q' = (q + sum over the nearest x_i of (q . x_i)^alpha x_i), normalised, of features that are L2-normalised
    first. For cosine distances.
    """
    q, x = F.normalize(query.float()), F.normalize(gallery.float())
    count, step = min(settings.neighbours, len(x)), max(1, BLOCK_ELEMENTS // max(1, len(x)))
    expanded = [q[:0]]
    for start in range(0, len(q), step):
        own = q[start : start + step]
        near = (own @ x.T).topk(count, dim=1)  # (b, n)
        weights = torch.ones_like(near.values) if settings.alpha == 0 else near.values.clamp_min(0) ** settings.alpha
        expanded.append(F.normalize(own + torch.einsum("bn,bnd->bd", weights, x[near.indices])))
    return torch.cat(expanded)

"""Query expansion: a query is averaged with its nearest gallery features before ranking.

Average query expansion (AQE; Chum et al., "Total Recall", ICCV 2007) weights each neighbour like the query;
alpha-weighted query expansion (alphaQE; Radenovic et al., TPAMI 2018, Sec. 3.3) weights it by its cosine to the
power alpha, and is AQE for alpha = 0.

Junk may be among the neighbours: only labels tell which images are junk, and a method that needs labels cannot be
used outside a benchmark. VeRi-776 has its queries in the gallery too, so there one of the neighbours is the query
itself.
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
    """Nearest gallery images averaged with the query; all where the gallery has fewer."""
    alpha: float = 0.0
    """Power of the cosine as a neighbour's weight; negative cosines then have weight 0."""

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

    q' = (q + sum over the nearest x_i of (q . x_i)^alpha x_i), normalised; q and x_i are L2-normalised first. For
    cosine distances.
    """
    q, x = F.normalize(query.float()), F.normalize(gallery.float())
    count, step = min(settings.neighbours, len(x)), max(1, BLOCK_ELEMENTS // max(1, len(x)))
    expanded = [q[:0]]
    for start in range(0, len(q), step):
        block = q[start : start + step]
        near = (block @ x.T).topk(count, dim=1)  # (b, n)
        weights = torch.ones_like(near.values) if settings.alpha == 0 else near.values.clamp_min(0) ** settings.alpha
        expanded.append(F.normalize(block + torch.einsum("bn,bnd->bd", weights, x[near.indices])))
    return torch.cat(expanded)

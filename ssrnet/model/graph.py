"""The spatial structure graph and its convolution (paper Sec. 3.4, Eqs. 3 and 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssrnet.model.regions import REGION_NAMES

TOKEN_DEVIATION = 0.02
"""Of the normal distribution that the token starts from: the paper says "randomly initialized" and no more."""
CORNER_RING = (("ul", "ur"), ("ur", "dr"), ("dr", "dl"), ("dl", "ul"))


def node_names(global_node: bool = True, token_node: bool = True) -> tuple[str, ...]:
    """The graph's nodes in row order: global, ul, ur, mid, dl, dr, token (absent ones left out)."""
    return (("global",) if global_node else ()) + REGION_NAMES + (("token",) if token_node else ())


def adjacency(nodes: tuple[str, ...]) -> Tensor:
    """A (n, n) of Eq. 3: symmetric, zeros and ones, zero diagonal.

    The corners form a ring and each joins the middle; the token joins all others, so that the
    global node meets the locals only through it. Without a token the global node joins every local
    one (Table 1, "w/o token").
    """
    index = {name: i for i, name in enumerate(nodes)}
    edges = [*CORNER_RING, *((corner, "mid") for corner in REGION_NAMES if corner != "mid")]
    hub = "token" if "token" in index else "global"
    edges += [(hub, name) for name in nodes if name != hub]
    A = torch.zeros(len(nodes), len(nodes))
    for a, b in edges:
        A[index[a], index[b]] = A[index[b], index[a]] = 1.0
    return A


def with_self_loops(A: Tensor) -> Tensor:
    """A + I of Eq. 3."""
    return A + torch.eye(len(A), dtype=A.dtype, device=A.device)


def normalised_adjacency(A: Tensor) -> Tensor:
    """D^-1 (A + I) of Eq. 4: every row is non-negative and sums to 1."""
    A_tilde = with_self_loops(A)
    return A_tilde / A_tilde.sum(1, keepdim=True)


class RelationGraph(nn.Module):
    """``depth`` graph convolutions: H(l+1) = ReLU(D^-1 (A + I) H(l) W(l)), Eq. 4; no bias, as written.

    The last layer maps to ``out`` channels, the others keep ``channels``. Table 4 has depth 1 to 3.
    """

    def __init__(
        self, channels: int, out: int, depth: int = 2, global_node: bool = True, token_node: bool = True
    ) -> None:
        super().__init__()
        self.nodes = node_names(global_node, token_node)
        self.readout = self.nodes.index("token" if token_node else "global")
        self.token = nn.Parameter(torch.randn(1, channels) * TOKEN_DEVIATION) if token_node else None
        self.register_buffer("A", adjacency(self.nodes), persistent=False)
        widths = [channels] * depth + [out]
        self.weights = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in zip(widths, widths[1:]))
        for layer in self.weights:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def initial_nodes(self, f_G: Tensor, local: list[Tensor]) -> Tensor:
        """H(0), (B, n, C): the pooled global map, the five pooled regions and the token, in row order."""
        rows = {"global": f_G, **dict(zip(REGION_NAMES, local))}
        if self.token is not None:
            rows["token"] = self.token.expand(len(f_G), -1)
        return torch.stack([rows[name] for name in self.nodes], dim=1)

    def forward(self, H0: Tensor, A: Tensor | None = None) -> list[Tensor]:
        """[H(0), H(1), ... H(depth)], each (B, n, channels or out). ``A`` (n, n) replaces the graph's adjacency."""
        propagate = normalised_adjacency(self.A if A is None else A)  # (n, n)
        H = [H0]
        for layer in self.weights:
            H.append(F.relu(propagate @ layer(H[-1])))
        return H

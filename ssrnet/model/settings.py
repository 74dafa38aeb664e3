"""Which SSR-Net: every row of the paper's Tables 1 to 4 is a value of these settings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from ssrnet.errors import SettingsError
from ssrnet.model.attention import AttentionName
from ssrnet.model.backbones import BACKBONES, BackboneName, StridePosition

PartsName = Literal["regions", "pcb"]
PaddingName = Literal["zeros", "replicate", "reflect"]
WIDEST = 8192
"""Limit of ``branch_dim``, four times F_G: metadata of a few bytes must not fill the memory."""


@dataclass(frozen=True)
class ModelSettings:
    """The network. The defaults are the paper's SSR-Net; both branches off is its baseline "GB"."""

    backbone: BackboneName = "resnet50"
    """The CNN that computes F_G."""
    last_stride: int = 1
    """Stride of the backbone's last stage: 1 gives a 16x16 F_G at 256x256."""
    stride_position: StridePosition = "conv2"
    """Convolution that carries a bottleneck's stride: conv2 (torchvision) or conv1 (He et al.'s v1)."""
    padding: PaddingName = "zeros"
    """What convolutions see beyond the border. With zeros (torchvision's) a ResNet can mark the border in F_G."""
    attention_branch: bool = True
    """The branch "+AB" of Table 1."""
    relation_branch: bool = True
    """The branch "+RB" of Table 1."""
    attention: AttentionName = "cbam"
    """Module that makes F_attn (Table 2)."""
    parts: PartsName = "regions"
    """Five regions in a graph, or PCB's stripes in its place (Table 3)."""
    global_node: bool = True
    """Off: "w/o GN" of Table 1."""
    global_node_from: Literal["before", "after"] = "before"
    """The global node's row of H(0): f_G before its batch-norm neck, as the regions have none, or after it (Sec. 3.2)."""
    token_node: bool = True
    """Off: "w/o token" of Table 1."""
    gcn_depth: int = 2
    """Graph convolutions l, 1 to 3 (Table 4)."""
    crop_ratio: float = 2 / 3
    """Lambda of Eq. 2, in (0, 1] (Fig. 4)."""
    branch_dim: int = 512
    """Length of f_attn and f_token."""

    def __post_init__(self) -> None:
        # The command line checks types, but a checkpoint's metadata may hold anything.
        for field in fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise SettingsError(f"{field.name} is {value!r}; it must be of type {kind.__name__}.")
        for name, choices in (
            ("backbone", tuple(BACKBONES)),
            ("stride_position", get_args(StridePosition)),
            ("padding", get_args(PaddingName)),
            ("attention", get_args(AttentionName)),
            ("parts", get_args(PartsName)),
            ("global_node_from", ("before", "after")),
        ):
            if getattr(self, name) not in choices:
                raise SettingsError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}.")
        if not 0 < self.crop_ratio <= 1:
            # A whole number in metadata may be too large for a float.
            ratio = f"{self.crop_ratio:g}" if isinstance(self.crop_ratio, float) else str(self.crop_ratio)[:20]
            raise SettingsError(f"crop ratio is {ratio}; it must lie in (0, 1], 2/3 in the paper.")
        if self.last_stride not in (1, 2):
            raise SettingsError(f"last_stride is {self.last_stride}; the backbone's last stage has stride 1 or 2.")
        if self.gcn_depth not in (1, 2, 3):
            raise SettingsError(f"GCN depth is {self.gcn_depth}; the paper's Table 4 has 1, 2 and 3.")
        if not 1 <= self.branch_dim <= WIDEST:
            raise SettingsError(f"branch_dim is {self.branch_dim}; it must lie in 1 to {WIDEST:,}, 512 in the paper.")
        if self.has_graph and not (self.global_node or self.token_node):
            raise SettingsError("the graph has neither global node nor token, so no row to read out; keep one of them.")

    @property
    def has_graph(self) -> bool:
        """Whether the relation branch is the graph over five regions."""
        return self.relation_branch and self.parts == "regions"

    @property
    def has_stripes(self) -> bool:
        """Whether PCB's six stripes stand in place of the graph (Table 3)."""
        return self.relation_branch and self.parts == "pcb"

    @property
    def title(self) -> str:
        """The row of the paper's tables that these settings are, for headings and records."""
        row = "GB" + ("+AB" if self.attention_branch else "")
        if self.relation_branch:
            row += "+RB" if self.parts == "regions" else "+PCB"
        details = []
        if self.attention_branch and self.attention != "cbam":
            details.append(self.attention)
        if self.has_graph:
            if not self.global_node:
                details.append("w/o GN")
            elif self.global_node_from == "after":
                details.append("GN after BN")
            if not self.token_node:
                details.append("w/o token")
            if self.gcn_depth != 2:
                details.append(f"l = {self.gcn_depth}")
            if abs(self.crop_ratio - 2 / 3) > 1e-6:
                details.append(f"λ = {self.crop_ratio:.3g}")
        known = {"GB": "Baseline (GB)", "GB+AB+RB": "SSR-Net (GB+AB+RB)"}
        row = row if details else known.get(row, row)
        return f"{row}, {', '.join(details)}" if details else row


TABLE_1: dict[str, dict[str, bool]] = {
    "GB": dict(attention_branch=False, relation_branch=False),
    "+AB": dict(attention_branch=True, relation_branch=False),
    "+RB (w/o GN)": dict(attention_branch=False, relation_branch=True, global_node=False),
    "+RB (w/o token)": dict(attention_branch=False, relation_branch=True, token_node=False),
    "+RB": dict(attention_branch=False, relation_branch=True),
    "+AB+RB (w/o GN)": dict(attention_branch=True, relation_branch=True, global_node=False),
    "+AB+RB": dict(attention_branch=True, relation_branch=True),
}
"""The seven rows of Table 1 as changes to :class:`ModelSettings`."""

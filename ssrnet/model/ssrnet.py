"""SSR-Net assembled from its parts (paper Fig. 2), and the trace of one forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from ssrnet.model.attention import AttentionHead, BilinearHead, SpatialTransformer, build_attention
from ssrnet.model.backbones import BACKBONES
from ssrnet.model.embedding import EmbeddingSettings, embed
from ssrnet.model.graph import RelationGraph
from ssrnet.model.regions import Box, pool_regions, region_boxes
from ssrnet.model.settings import ModelSettings, PaddingName

PCB_STRIPES = 6
PCB_DIM = 256


class FeatureMap(NamedTuple):
    """``F_G`` (B, C, H, W), and the spatial transformer's ``theta`` (B, 2, 3) where there is one."""

    F_G: Tensor
    theta: Tensor | None = None


@dataclass(frozen=True)
class Trace:
    """Everything one forward pass computed, under the paper's names. Batch first throughout.

    F_G and F_attn: (B, C, H, W). M_c: (B, C, 1, 1) and M_s: (B, 1, H, W) in (0, 1), None where the
    model has no such map. boxes: the five regions in cells of F_attn, empty without a relation
    branch. nodes and H: the graph's node names and [H(0) ... H(l)], each (B, n, channels).
    before and after: each branch's feature before and after its batch-norm neck, (B, channels).
    theta: see :class:`FeatureMap`; boxes and maps are in the warped image's frame.
    """

    F_G: Tensor
    F_attn: Tensor
    before: Mapping[str, Tensor]
    after: Mapping[str, Tensor]
    M_c: Tensor | None = None
    M_s: Tensor | None = None
    crop_ratio: float | None = None
    boxes: tuple[Box, ...] = ()
    nodes: tuple[str, ...] = ()
    A: Tensor | None = None
    H: tuple[Tensor, ...] = ()
    theta: Tensor | None = None

    @property
    def f_G(self) -> Tensor:
        """(B, C): GAP of F_G, before the neck."""
        return self.before["G"]

    @property
    def f_attn(self) -> Tensor | None:
        """(B, 512): the attention branch's feature, before the neck."""
        return self.before.get("attn")

    @property
    def f_token(self) -> Tensor | None:
        """(B, 512): the token's row of H(l), before the neck (the global node's row without a token)."""
        return self.before.get("token")

    def embedding(self, settings: EmbeddingSettings = EmbeddingSettings()) -> Tensor:
        """(B, D): the representation used for retrieval, 3072 long for the paper's SSR-Net."""
        return embed(self.before, self.after, settings)


class PartStripes(nn.Module):
    """PCB's part branch: six horizontal stripes, each pooled and reduced to 256 (Sun et al., ECCV 2018; [56]).

    Our reading of Table 3's "PCB*, same base network": the stripes take the relation branch's place on
    the same map, each with its own neck and classifier and no graph. Adaptive pooling lets six stripes
    share 16 rows.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.ModuleList(nn.Linear(channels, PCB_DIM) for _ in range(PCB_STRIPES))

    def forward(self, feature_map: Tensor) -> list[Tensor]:
        stripes = F.adaptive_avg_pool2d(feature_map, (PCB_STRIPES, 1)).flatten(2)  # (B, C, 6)
        return [layer(stripes[:, :, i]) for i, layer in enumerate(self.reduce)]


def set_padding(module: nn.Module, padding: PaddingName) -> None:
    """Makes every padded convolution in ``module`` see ``padding`` beyond the border of its map, in place.

    Strided convolutions of an even input apply zeros at the top and left alone, so that training can turn the
    upper left corner into a constant (Alsallakh et al., "Mind the Pad", ICLR 2021).
    """
    for convolution in module.modules():
        if isinstance(convolution, nn.Conv2d) and any(convolution.padding):
            convolution.padding_mode = padding


class SSRNet(nn.Module):
    """Global, attention and relation branch over one backbone; see :class:`ModelSettings` for the variants.

    Each branch feature has a batch-norm neck without shift (Luo et al., CVPRW 2019, the neck that the
    paper's "triplet before, cross-entropy after BN" describes) and, for training, a linear classifier
    over ``num_classes`` vehicles. Input: (B, 3, h, w), RGB, normalised as ImageNet's.
    """

    def __init__(self, settings: ModelSettings = ModelSettings(), num_classes: int | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.num_classes = num_classes
        self.cosine_logits = False
        """Whether :meth:`forward` gives cosines with the classifiers' weights, which a circle loss over classes compares."""
        family = BACKBONES[settings.backbone].family
        self.backbone = family(settings.backbone, settings.last_stride, settings.stride_position)
        channels = self.backbone.channels
        dims = {"G": channels}

        uses_stn = settings.attention_branch and settings.attention == "stn"
        self.transformer = SpatialTransformer() if uses_stn else None
        self.attention = build_attention(settings.attention if settings.attention_branch else "none", channels)
        self.attention_head: nn.Module | None = None
        if settings.attention_branch:
            head = BilinearHead if settings.attention == "bilinear" else AttentionHead
            self.attention_head = head(channels, settings.branch_dim)
            dims["attn"] = settings.branch_dim

        self.graph: RelationGraph | None = None
        self.stripes: PartStripes | None = None
        if settings.has_graph:
            self.graph = RelationGraph(
                channels, settings.branch_dim, settings.gcn_depth, settings.global_node, settings.token_node
            )
            dims["token"] = settings.branch_dim
        elif settings.has_stripes:
            self.stripes = PartStripes(channels)
            dims |= {f"part{i + 1}": PCB_DIM for i in range(PCB_STRIPES)}

        self.necks = nn.ModuleDict({branch: nn.BatchNorm1d(dim) for branch, dim in dims.items()})
        for neck in self.necks.values():
            neck.bias.requires_grad_(False)
        self.classifiers = nn.ModuleDict()
        if num_classes is not None:
            self.classifiers.update({b: nn.Linear(dim, num_classes, bias=False) for b, dim in dims.items()})
            for classifier in self.classifiers.values():
                nn.init.normal_(classifier.weight, std=0.001)
        self.branch_dims = dims
        set_padding(self, settings.padding)

    @property
    def branches(self) -> tuple[str, ...]:
        """Branch names in embedding order: G, attn, token (or part1 ... part6)."""
        return tuple(self.branch_dims)

    @property
    def branch_weights(self) -> dict[str, float]:
        """Each branch's weight in Eq. 7: 1, and PCB's six stripes together 1."""
        return {branch: 1 / PCB_STRIPES if branch.startswith("part") else 1.0 for branch in self.branches}

    def feature_map(self, x: Tensor) -> FeatureMap:
        """The costly part, once an image: (B, 3, h, w) -> F_G. Hand it to :meth:`head` as often as you like."""
        theta = None
        if self.transformer is not None:
            x, theta = self.transformer(x)
        return FeatureMap(self.backbone(x), theta)

    def head(self, feature_map: FeatureMap, crop_ratio: float | None = None, A: Tensor | None = None) -> Trace:
        """All that follows F_G. ``crop_ratio`` and ``A`` (n, n) replace the model's lambda and adjacency.

        Raises :class:`SettingsError` for a ratio outside (0, 1] or one that leaves no cell of F_G.
        """
        F_G, theta = feature_map
        before = {"G": F_G.mean((2, 3))}
        after = {"G": self.necks["G"](before["G"])}
        of_global_node = (after if self.settings.global_node_from == "after" else before)["G"]
        attended = self.attention(F_G)
        if self.attention_head is not None:
            before["attn"] = self.attention_head(attended.F_attn)
        boxes: tuple[Box, ...] = ()
        nodes: tuple[str, ...] = ()
        H: list[Tensor] = []
        ratio = None
        if self.graph is not None:
            ratio = self.settings.crop_ratio if crop_ratio is None else crop_ratio
            boxes = region_boxes(F_G.shape[2], F_G.shape[3], ratio)
            nodes = self.graph.nodes
            A = self.graph.A if A is None else A
            H = self.graph(self.graph.initial_nodes(of_global_node, pool_regions(attended.F_attn, boxes)), A)
            before["token"] = H[-1][:, self.graph.readout]
        if self.stripes is not None:
            before |= {f"part{i + 1}": part for i, part in enumerate(self.stripes(attended.F_attn))}
        after |= {branch: self.necks[branch](feature) for branch, feature in before.items() if branch != "G"}
        return Trace(
            F_G,
            attended.F_attn,
            before,
            after,
            attended.M_c,
            attended.M_s,
            ratio,
            boxes,
            nodes,
            A if self.graph is not None else None,
            tuple(H),
            theta,
        )

    def trace(self, x: Tensor, crop_ratio: float | None = None) -> Trace:
        """One forward pass with everything it computed; (B, 3, h, w) normalised images."""
        return self.head(self.feature_map(x), crop_ratio)

    def forward(self, x: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What training needs: features before the neck (B, dim) and logits (B, num_classes), by branch."""
        trace = self.trace(x)
        logits = {}
        for branch, classifier in self.classifiers.items():
            if self.cosine_logits:
                logits[branch] = F.linear(F.normalize(trace.after[branch]), F.normalize(classifier.weight))
            else:
                logits[branch] = classifier(trace.after[branch])
        return dict(trace.before), logits

"""The graphs of a whole gallery, cached so that an edit gives every image's f_token in about a second.

Cached in float16 (sizes for 12,000 images, ResNet-50, 16x16 feature map):

- H(0) W(0) at the lambda of training, of the nodes that depend on the image: (6, N, 2048), 295 MB. A switch
  changes only P in H(1) = ReLU(P H(0) W(0)), so no product with W(0) is left. The token's row is the same for
  all images. Each layer computes only the rows that reach the read-out.
- f_token at each lambda that makes other boxes, 16 of them: (16, N, 512), 197 MB.

float16 moves a cosine by up to 1e-4; float32 takes twice the memory and does not.

F_G of a gallery (2048 x 16 x 16 an image, 12.6 GB) is not cached, so a lambda cannot be computed on demand: one
pass over the images computes all of them at once, for a tenth of the backbone's time on top. Lambda and switches
together would need H(0) W(0) at each lambda, 3.9 GB; :func:`ssrnet.explain.graph.edit_trace` does that for one image.
A graph of depth 3 multiplies every node by W(1), and takes twelve times as long as one of depth 2.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError, SettingsError
from ssrnet.explain.graph import EditedRanking, EditLabel, GraphEdit, edit_label, graph_of, token_columns
from ssrnet.explain.shares import BranchFeatures
from ssrnet.model import EmbeddingSettings, FeatureMap, SSRNet
from ssrnet.model.graph import RelationGraph
from ssrnet.model.regions import Box, region_boxes
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.ranking import DistanceName
from ssrnet.tensors import read_tensors, write_tensors

GRAPHS, SUFFIX = "test graphs", ".graphs"
"""The split in the record of stored graphs, and the end of their files' names: .safetensors below runs/ are offered as
checkpoints."""
CHUNK = 256
"""Images propagated at once: their nodes, 15 MB, stay in the processor's cache."""


@dataclass(frozen=True)
class EditedFeatures:
    """A split's features with every f_token computed after an edit."""

    features: BranchFeatures
    label: EditLabel

    def rank(self, query: int, distance: DistanceName = "cosine") -> EditedRanking:
        """The whole gallery for one query."""
        return EditedRanking(self.features.rank(query, distance=distance), self.label)


@dataclass(frozen=True)
class EditedFeatureSet:
    """A data set's features with every f_token after an edit; put ``str(label.edit)`` in the protocol record."""

    features: FeatureSet
    label: EditLabel


@dataclass(frozen=True)
class GalleryGraphs:
    """The cached graphs of N images, from :func:`cache_graphs`; ``model`` is shared and never changed.

    products: (m, N, C) H(0) W(0) of the graph's first m nodes, all but the token; (0, N, C) after :meth:`at_ratios`.
    by_ratio: (S, N, d) f_token at each of ``ratios``. size: (H, W) of the feature map.
    """

    model: SSRNet
    names: tuple[str, ...]
    products: Tensor
    ratios: tuple[float, ...]
    by_ratio: Tensor
    size: tuple[int, int]

    @torch.no_grad()
    def tokens(self, edit: GraphEdit) -> Tensor:
        """(N, d) float32: every image's f_token, before the neck, after ``edit``.

        Raises :class:`SettingsError` for an edit that does not fit the graph, or one of lambda and switches together.
        """
        graph, trained_ratio = graph_of(self.model), self.model.settings.crop_ratio
        boxes = region_boxes(*self.size, trained_ratio if edit.crop_ratio is None else edit.crop_ratio)
        if not edit.switches:
            cached = [region_boxes(*self.size, ratio) for ratio in self.ratios]
            return self.by_ratio[cached.index(boxes)].float()
        plan = _plan(graph, edit)
        if not len(self.products):
            raise SettingsError(
                f"these graphs hold f_token by λ alone, so {edit} cannot reach the gallery; cache it anew."
            )
        if boxes != region_boxes(*self.size, trained_ratio):
            raise SettingsError(
                f"the gallery's graphs are cached at λ = {trained_ratio:.3g} alone, so {edit} cannot reach the "
                "gallery; change either λ or the switches, or edit the query alone."
            )
        chunks = self.products.split(CHUNK, dim=1)
        return torch.cat([_propagate(graph, plan, chunk).to(self.products.device) for chunk in chunks])

    def at_ratios(self, ratios: Iterable[float]) -> GalleryGraphs:
        """The f_token alone, at those of ``ratios`` that leave a region a cell: 1 KB an image and lambda."""
        least = (1 - 1e-9) / min(self.size)
        wanted = {region_boxes(*self.size, ratio) for ratio in ratios if ratio >= least}
        rows = [row for row, ratio in enumerate(self.ratios) if region_boxes(*self.size, ratio) in wanted]
        listed = tuple(self.ratios[row] for row in rows)
        return replace(self, products=self.products[:0], ratios=listed, by_ratio=self.by_ratio[rows])

    def edit(
        self, features: BranchFeatures, edit: GraphEdit, embedding: EmbeddingSettings = EmbeddingSettings()
    ) -> EditedFeatures:
        """``features`` after ``edit`` on both sides; ``embedding`` made them, without flip test.

        Raises :class:`DataError` for an image that has no graph here, :class:`SettingsError` as :meth:`tokens`.
        """
        columns = self._columns(features.gallery, edit, embedding)
        split = features.split
        replaced = features.replaced("token", columns.rows(split.query), columns.rows(split.gallery))
        return EditedFeatures(replaced, edit_label(self.model, edit, "both", edit.crop_ratio))

    def edit_all(
        self, features: FeatureSet, edit: GraphEdit, embedding: EmbeddingSettings = EmbeddingSettings()
    ) -> EditedFeatureSet:
        """As :meth:`edit`, for :func:`ssrnet.retrieval.evaluation.evaluate`."""
        columns = self._columns(features.branch_dims, edit, embedding)
        missing = sorted(set(features.names) - set(self.names))
        if missing:
            raise DataError(f"{len(missing):,} images have no graph here, for example {missing[0]}; cache them again.")
        index = {name: row for row, name in enumerate(self.names)}
        by_branch = dict(zip(features.branch_dims, features.features.split(list(features.branch_dims.values()), dim=1)))
        by_branch["token"] = columns.features[[index[name] for name in features.names]]
        edited = replace(features, features=torch.cat(list(by_branch.values()), dim=1))
        return EditedFeatureSet(edited, edit_label(self.model, edit, "both", edit.crop_ratio))

    @torch.no_grad()
    def _columns(self, branches: Iterable[str], edit: GraphEdit, embedding: EmbeddingSettings) -> FeatureSet:
        """The token's columns after ``edit``."""
        if "token" not in branches:
            raise SettingsError("the features have no branch token, which is all that an edit of the graph changes.")
        tokens = self.tokens(edit).to(self.model.necks["token"].weight.device)
        columns = token_columns(self.model, tokens, embedding).to(self.products.device)
        return FeatureSet(columns, self.names, {"token": columns.shape[1]})

    def save(self, path: Path, record: dict[str, object]) -> None:
        """Writes ``path`` (.safetensors) atomically, with ``record``: what made the graphs."""
        header = {"names": self.names, "ratios": self.ratios, "size": self.size, "record": record}
        tensors = {"products": self.products, "by_ratio": self.by_ratio}
        metadata = {"graphs": json.dumps(header)}
        write_tensors(path, tensors, metadata)

    @classmethod
    def load(cls, path: Path, model: SSRNet) -> tuple[GalleryGraphs, dict[str, object]]:
        """The graphs and the record they were saved with; the caller checks that ``model`` made them."""
        graph = graph_of(model)
        try:
            tensors, metadata, _ = read_tensors(path)
            header = json.loads(metadata["graphs"])
            products, by_ratio = tensors["products"], tensors["by_ratio"]
            names, ratios, size = (tuple(header[key]) for key in ("names", "ratios", "size"))
            record = header["record"]
            nodes = (0, _image_nodes(graph))
            fits = len(products) in nodes and products.shape[1:] == (len(names), graph.weights[0].out_features)
            fits = fits and by_ratio.shape == (len(ratios), len(names), graph.weights[-1].out_features)
        except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise DataError(f"{path} holds no graphs of ssrnet ({error}); compute them again.") from error
        if not fits:
            raise DataError(f"{path} holds graphs of another network; compute them again with this checkpoint.")
        return cls(model, names, products, ratios, by_ratio, size), record


def distinct_ratios(height: int, width: int) -> tuple[float, ...]:
    """One lambda for each set of boxes that a height x width map can have, ascending: 1/16 ... 16/16 at 16x16."""
    sides = {k / height for k in range(1, height + 1)} | {k / width for k in range(1, width + 1)}
    by_boxes: dict[tuple[Box, ...], float] = {}
    for ratio in sorted(sides):
        if ratio * min(height, width) >= 1 - 1e-9:
            by_boxes.setdefault(region_boxes(height, width, ratio), ratio)
    return tuple(by_boxes.values())


def extract_graphs(
    model: SSRNet,
    images: Sequence[VehicleImage],
    image_size: int,
    batch_size: int = 16,
    workers: int = 0,
    progress: Callable[[Iterable, int], Iterable] | None = None,
    dtype: torch.dtype = torch.float16,
) -> GalleryGraphs:
    """The graphs of ``images``, in order; ``model`` is used where it is and stays as it is.

    ``progress`` wraps the batches and gets their number, as in :func:`ssrnet.retrieval.extraction.extract`.
    """
    from ssrnet.data.transforms import ImageTensors, read_batches, test_transform  # torchvision takes seconds

    graph_of(model)  # before any image is read
    loader = DataLoader(ImageTensors(images, test_transform(image_size)), batch_size, num_workers=workers)
    batches = read_batches(loader)
    device = next(model.parameters()).device
    batches = progress(batches, len(loader)) if progress else batches
    maps = (model.feature_map(x.to(device)) for x, _ in batches)
    return cache_graphs(model, maps, [image.name for image in images], dtype)


def seconds_an_image(model: SSRNet, image_size: int, batch_size: int = 16) -> float:
    """What :func:`extract_graphs` takes an image, measured on one batch of blank images, which are not read."""
    blank = torch.zeros(batch_size, 3, image_size, image_size, device=next(model.parameters()).device)
    began = time.perf_counter()
    with torch.no_grad():
        cache_graphs(model, [model.feature_map(blank)], [str(number) for number in range(batch_size)])
    return (time.perf_counter() - began) / batch_size


def joined(graphs: Sequence[GalleryGraphs]) -> GalleryGraphs:
    """The graphs of several lists of images as those of one list; all of one model, and at least one."""
    names = tuple(name for each in graphs for name in each.names)
    products, by_ratio = (torch.cat([getattr(each, name) for each in graphs], 1) for name in ("products", "by_ratio"))
    return replace(graphs[0], names=names, products=products, by_ratio=by_ratio)


@torch.no_grad()
def cache_graphs(
    model: SSRNet, feature_maps: Iterable[FeatureMap], names: Sequence[str], dtype: torch.dtype = torch.float16
) -> GalleryGraphs:
    """Graphs of the images ``names``, whose feature maps come in that order in batches of any size; stored on the CPU.

    dtype: of the stored numbers; float32 where one is too large for it.
    Raises :class:`SettingsError` for a model without a graph, :class:`DataError` where there is no image.
    """
    graph = graph_of(model)
    plan = _plan(graph, GraphEdit())
    products = by_ratio = torch.empty(0)
    ratios: tuple[float, ...] = ()
    start = 0
    for F_G, _ in feature_maps:
        height, width = F_G.shape[2:]
        if not start:
            ratios = distinct_ratios(height, width)
            boxes = [region_boxes(height, width, ratio) for ratio in ratios]
            trained = boxes.index(region_boxes(height, width, model.settings.crop_ratio))
            pooling = torch.cat([_pooling(b, height, width) for b in boxes], dim=1).to(F_G.device)  # (HW, S * 5)
            N, last = len(names), graph.weights[-1].out_features
            products = torch.empty(_image_nodes(graph), N, graph.weights[0].out_features, dtype=dtype)
            by_ratio = torch.empty(len(ratios), N, last, dtype=dtype)
        rows = slice(start, start + len(F_G))
        local = model.attention(F_G).F_attn.flatten(2) @ pooling  # (B, C, S * 5), every region at every lambda
        regions = graph.weights[0](local.permute(2, 0, 1)).unflatten(0, (len(ratios), 5))  # (S, 5, B, C)
        whole = [graph.weights[0](F_G.mean((2, 3)))[None]] if "global" in graph.nodes else []
        X = [torch.cat([*whole, regions[i]]) for i in range(len(ratios))]  # (m, B, C) each
        products = _put(products, rows, X[trained])
        by_ratio = _put(by_ratio, rows, torch.stack([_propagate(graph, plan, x) for x in X]))
        start = rows.stop
    if not start:
        raise DataError("the gallery has no image, so there is no graph to cache; choose another one.")
    return GalleryGraphs(model, tuple(names), products, ratios, by_ratio, (height, width))


def _pooling(boxes: Sequence[Box], height: int, width: int) -> Tensor:
    """(HW, 5): a map (C, HW) times this is the mean of each box."""
    weights = torch.zeros(len(boxes), height, width)
    for row, box in zip(weights, boxes, strict=True):
        row[box.top : box.bottom, box.left : box.right] = 1
    return (weights / weights.sum((1, 2), keepdim=True)).flatten(1).T


def _put(cached: Tensor, rows: slice, values: Tensor) -> Tensor:
    """``cached`` (k, N, C) with ``values`` in some rows; as float32 from the first number that is too large."""
    if values.abs().max() > torch.finfo(cached.dtype).max:
        cached = cached.float()
    cached[:, rows] = values
    return cached


def _image_nodes(graph: RelationGraph) -> int:
    return len(graph.nodes) - (graph.token is not None)


def _plan(graph: RelationGraph, edit: GraphEdit) -> list[tuple[Tensor, list[int]]]:
    """By layer: the rows and columns of D^-1 (A + I) that reach the read-out, and the nodes of the columns."""
    first, others = edit.propagation(graph)
    plan: list[tuple[Tensor, list[int]]] = []
    rows = [graph.readout]
    for layer in reversed(range(len(graph.weights))):
        P = (others if layer else first)[rows]
        sources = P.any(0).nonzero()[:, 0].tolist()
        plan.insert(0, (P[:, sources], sources))
        rows = sources
    return plan


def _propagate(graph: RelationGraph, plan: list[tuple[Tensor, list[int]]], products: Tensor) -> Tensor:
    """(m, B, C) H(0) W(0) of the image's nodes, in any float type -> (B, d): f_token."""
    P, sources = plan[0]
    cached = [node for node in sources if node < len(products)]
    H = _mix(P[:, : len(cached)], products[cached].to(P))  # (rows, B, C)
    if graph.token is not None and sources and sources[-1] == len(products):  # the token, last of the nodes
        H += (P[:, -1:] * graph.weights[0](graph.token))[:, None]
    H.relu_()
    for layer, (P, _) in zip(graph.weights[1:], plan[1:], strict=True):
        H = layer(_mix(P, H)).relu_()
    return H[0]


def _mix(P: Tensor, H: Tensor) -> Tensor:
    """(r, c) x (c, B, C) -> (r, B, C)."""
    return (P @ H.flatten(1)).view(len(P), *H.shape[1:])

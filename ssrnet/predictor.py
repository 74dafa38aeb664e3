"""A trained network opened for questions: load it once, set an image once, ask often.

>>> from ssrnet import Predictor
>>> predictor = Predictor.load("checkpoints/ssrnet.safetensors")
>>> view = predictor.set_image("assets/city/image_query/0017_c003_26852103_0.jpg")  # F_G, the costly part, once
>>> view.trace.M_s.shape, view.trace.nodes[:2]  # everything one forward pass computed, by the paper's names
(torch.Size([1, 1, 16, 16]), ('global', 'ul'))
>>> view.at(0.5).boxes[0]  # the regions at another lambda
Box(left=0, top=0, right=8, bottom=8)
>>> view.without(nodes=["mid"]).trace.embedding().shape  # the relation graph without a node
torch.Size([1, 3072])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image, upright_rgb
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError
from ssrnet.explain.attention import spatial_attention, to_image_frame
from ssrnet.explain.graph import EditedTrace, GraphEdit, edit_trace
from ssrnet.model import EmbeddingSettings, FeatureMap, SSRNet, Trace
from ssrnet.resources import DeviceName, resolve_device
from ssrnet.retrieval.alignment import AlignmentSettings
from ssrnet.retrieval.evaluation import Evaluation, evaluate
from ssrnet.retrieval.extraction import ExtractSettings, branch_dims, describe, embeddings, extract
from ssrnet.retrieval.ranking import RankedImage, rank_by_cosine
from ssrnet.training.checkpoint import load_checkpoint

Picture = str | Path | VehicleImage | Image.Image | np.ndarray
"""A file, a data set's image, a PIL image of any mode, or an array (H, W, 3) uint8, RGB."""
BATCH = 4
"""Pictures in one forward pass; small, so that progress is seen. See :data:`ssrnet.retrieval.extraction.CPU_BATCH`."""


class Predictor:
    """A network in evaluation mode and what its checkpoint says of it."""

    def __init__(self, model: SSRNet, image_size: int, made_by: dict[str, object] | None = None) -> None:
        """``image_size``: side of the square input in pixels. ``made_by``: goes into protocol records."""
        self.model = model.eval()
        self.image_size = image_size
        self.made_by = made_by or {"model": model.settings.title}

    @classmethod
    def load(cls, path: Path | str, device: DeviceName = "auto") -> Predictor:
        """The network of a checkpoint; raises :class:`CheckpointError` for a file that holds none."""
        checkpoint = load_checkpoint(path)
        checkpoint.model.to(resolve_device(device))
        return cls(checkpoint.model, checkpoint.info.image_size, checkpoint.record)

    @property
    def title(self) -> str:
        """As in tables: "SSR-Net (GB+AB+RB)"."""
        return self.model.settings.title

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def set_image(self, picture: Picture) -> ImageView:
        """F_G of one picture, computed once, and all further questions about it; raises as :func:`as_image`."""
        return self.set_images([picture])[0]

    def set_images(
        self, pictures: Sequence[Picture], progress_callback: Callable[[int, int], None] | None = None
    ) -> list[ImageView]:
        """As :meth:`set_image`, :data:`BATCH` pictures in a forward pass; each keeps 2 MB of F_G at 256 pixels.

        ``progress_callback(done, total)`` is called after each batch. Raises as :func:`as_image`.
        """
        views: list[ImageView] = []
        for start in range(0, len(pictures), BATCH):
            images = [as_image(picture) for picture in pictures[start : start + BATCH]]
            views += [ImageView(self, each, image.size) for each, image in zip(self._feature_maps(images), images)]
            if progress_callback:
                progress_callback(len(views), len(pictures))
        return views

    def embed(
        self,
        pictures: Sequence[Picture],
        embedding: EmbeddingSettings = EmbeddingSettings(),
        progress_callback: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """(N, D) float32 on the CPU, one row a picture, D = 3072 for the paper's SSR-Net; not normalised.

        ``progress_callback`` and errors as in :meth:`set_images`, but no F_G is kept.
        """
        rows: list[Tensor] = []
        for start in range(0, len(pictures), BATCH):
            views = self.set_images(pictures[start : start + BATCH])
            rows += [view.embedding(embedding) for view in views]
            if progress_callback:
                progress_callback(len(rows), len(pictures))
        return (
            torch.stack(rows)
            if rows
            else torch.zeros(0, sum(branch_dims(self.model, ExtractSettings(embedding=embedding)).values()))
        )

    @torch.inference_mode()
    def embed_as(self, picture: Picture, settings: ExtractSettings) -> Tensor:
        """(1, D) float32 on the CPU: one picture as feature files and indexes made with ``settings`` hold it."""
        return embeddings(self.model, self.pixels([picture], settings.image_size), settings).cpu()

    def rank(
        self,
        query: Picture,
        gallery: Sequence[Picture],
        top_k: int | None = None,
        embedding: EmbeddingSettings = EmbeddingSettings(),
        progress_callback: Callable[[int, int], None] | None = None,
    ) -> list[RankedImage]:
        """The gallery's pictures by their cosine to the query, most similar first; all, or the first ``top_k``."""
        embeddings = self.embed([query, *gallery], embedding, progress_callback)
        return rank_by_cosine(embeddings[0], embeddings[1:], top_k)

    def evaluate(
        self,
        dataset: ReIDDataset | Path | str,
        protocol: Protocol | None = None,
        settings: ExtractSettings = ExtractSettings(),
        progress: Callable[[Iterable, int], Iterable] | None = None,
        alignment: AlignmentSettings | None = None,
    ) -> Evaluation:
        """Ranking, metrics and protocol record on a data set's test images; the data set's usual protocol if None.

        ``progress`` wraps the batches, as tqdm does, and is given their number. ``alignment``: how features are aligned
        by camera before they are ranked; not at all if None. Two models' evaluations are compared
        query by query with ``ssrnet.Comparison(a, b)``. Raises
        :class:`DataError` for a folder that is no data set, :class:`ProtocolError` for a protocol that it cannot serve.
        """
        if not isinstance(dataset, ReIDDataset):
            dataset = open_dataset(dataset)
        dataset.check_labelled("a score")
        protocol = protocol or Protocol(dataset.protocol)
        protocol.split(dataset)  # whether it can be served is known before a minute of extraction
        features = extract(self.model, dataset.test, settings, self.image_size, self.device, progress=progress)
        made_by = self.made_by | describe(settings, self.image_size)
        return evaluate(features, dataset, protocol, made_by=made_by, alignment=alignment)

    def pixels(self, pictures: Sequence[Picture], image_size: int | None = None) -> Tensor:
        """(N, 3, S, S) float32, normalised: the pictures as the network takes them; raises as :func:`as_image`.

        image_size: S in pixels, by default the predictor's.
        """
        from ssrnet.data.transforms import test_transform  # imports torchvision, which takes seconds

        transform = test_transform(image_size or self.image_size)
        return torch.stack([transform(as_image(picture)) for picture in pictures]).to(self.device)

    @torch.no_grad()
    def _feature_maps(self, images: Sequence[Image.Image]) -> list[FeatureMap]:
        """F_G (1, C, H, W) of each RGB image."""
        batch = self.model.feature_map(self.pixels(images))
        thetas = [None] * len(images) if batch.theta is None else batch.theta.split(1)
        # Clones: a slice would keep the whole batch in memory.
        return [FeatureMap(F_G.clone(), theta) for F_G, theta in zip(batch.F_G.split(1), thetas, strict=True)]


@dataclass(frozen=True, eq=False)
class ImageView:
    """One image in a network: its F_G, and everything that follows from it at any lambda, with any node or edge off."""

    predictor: Predictor
    feature_map: FeatureMap
    """F_G (1, C, H, W), and the spatial transformer's theta where there is one."""
    size: tuple[int, int]
    """Width and height of the picture in pixels."""

    @cached_property
    @torch.no_grad()
    def trace(self) -> Trace:
        """Everything one forward pass computed, at the lambda that the network was trained with."""
        return self.predictor.model.head(self.feature_map)

    def edit(self, edit: GraphEdit) -> EditedTrace:
        """The trace after an edit of the relation graph, with the label that must stand beside its numbers.

        Only the graph is computed again. Raises :class:`SettingsError` for a network without a relation graph, an
        unknown node or edge, and a ratio that leaves no cell.
        """
        return edit_trace(self.predictor.model, self.trace, edit)

    def at(self, crop_ratio: float) -> Trace:
        """The trace with the five regions cut at another lambda (Eq. 2), at test time; raises as :meth:`edit`."""
        return self.edit(GraphEdit(crop_ratio=crop_ratio)).trace

    def without(
        self, nodes: str | Sequence[str] = (), edges: Sequence[tuple[str, str]] = (), crop_ratio: float | None = None
    ) -> EditedTrace:
        """The relation graph without one or several nodes or edges: ``.trace``, and the ``.label`` of its numbers.

        Raises as :meth:`edit`.
        """
        nodes = (nodes,) if isinstance(nodes, str) else nodes
        return self.edit(GraphEdit(nodes_off=tuple(nodes), edges_off=tuple(edges), crop_ratio=crop_ratio))

    def embedding(self, settings: EmbeddingSettings = EmbeddingSettings()) -> Tensor:
        """(D,) float32 on the CPU, not normalised."""
        return self.trace.embedding(settings)[0].float().cpu()

    def attention(self) -> np.ndarray | None:
        """M_s of Eq. 1 over the picture, (height, width) in (0, 1); None where the network has no spatial attention."""
        cells = spatial_attention(self.trace)
        width, height = self.size
        return None if cells is None else to_image_frame(cells, (height, width), self.feature_map.theta)[0]


def as_image(picture: Picture) -> Image.Image:
    """The picture as an upright RGB image; the same pixels from a path and from ``PIL.Image.open``.

    Raises :class:`DataError` for a file or image that cannot be read and for an array that is not (H, W, 3) uint8.
    """
    if isinstance(picture, Image.Image):
        return upright_rgb(picture, "the picture")
    if isinstance(picture, VehicleImage):
        return picture.read()
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise DataError(
                f"an image array has the shape {picture.shape} and the type {picture.dtype}; "
                "give (height, width, 3) uint8, in the order red, green, blue."
            )
        return Image.fromarray(picture)
    return read_image(picture)


def joined(views: Sequence[ImageView]) -> FeatureMap:
    """The feature maps of several images as one batch."""
    thetas = [view.feature_map.theta for view in views if view.feature_map.theta is not None]
    return FeatureMap(torch.cat([view.feature_map.F_G for view in views]), torch.cat(thetas) if thetas else None)

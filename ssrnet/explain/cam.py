"""Class activation maps (CAMs) of a similarity: where in an image its likeness to another comes from.

A class activation map needs a class, and a vehicle seen for the first time has none. Here it explains the similarity
of two embeddings instead, so no classifier is needed.

All maps have one value a cell of F_G, are never negative, and are not stretched: their unit is that of the
similarity, so that maps of two images can be compared.

To add a CAM, write a function of a :class:`CamInput` and add a row to :data:`CAMS`; the study and the app's pages
offer every row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssrnet.errors import SettingsError
from ssrnet.explain.attention import NETWORK_MAPS
from ssrnet.explain.cam_methods import CamInput, TargetName, eigen_cam, gradient_cam, score_cam
from ssrnet.model import EmbeddingSettings, FeatureMap, SSRNet
from ssrnet.retrieval.alignment import Standardisation, standardised

WHOLE = "all"
"""The key of all branches together, in :func:`each_branch`."""


@dataclass(frozen=True)
class Cam:
    """A row of :data:`CAMS`.

    function: returns (B, H, W) float32 on the cells of F_G, at least 0. target: the number it explains unless
    :class:`CamSettings` names another. masks_images: it needs the images, and a forward pass for every channel that it
    tries; the others take a pass through the head and back. is_control: it uses no reference. note: what a reader
    should know, as the rest of a sentence that starts with the title.
    """

    title: str
    function: Callable[[CamInput], np.ndarray]
    target: TargetName = "projection"
    masks_images: bool = False
    is_control: bool = False
    note: str = ""


CAMS: dict[str, Cam] = {
    "grad-cam": Cam("Grad-CAM", partial(gradient_cam, "GradCAM")),
    "grad-cam-cosine": Cam("Grad-CAM of the cosine", partial(gradient_cam, "GradCAM"), target="cosine"),
    "grad-cam++": Cam("Grad-CAM++", partial(gradient_cam, "GradCAMPlusPlus")),
    "hires-cam": Cam("HiResCAM", partial(gradient_cam, "HiResCAM")),
    "layer-cam": Cam("Layer-CAM", partial(gradient_cam, "LayerCAM")),
    "eigen-cam": Cam(
        "Eigen-CAM",
        lambda given: eigen_cam(given.feature_map.F_G),
        is_control=True,
        note="looks at neither query nor branch: take it as a control",
    ),
    "score-cam": Cam(
        "Score-CAM", score_cam, masks_images=True, note="masks the image 64 times and takes about ten seconds an image"
    ),
}
"""By the name that settings and files use; in the order that choices and tables show."""


@dataclass(frozen=True)
class CamSettings:
    """Which map is drawn. Raises :class:`SettingsError` for a method that is not in :data:`CAMS`."""

    method: str = "grad-cam"
    """A name in :data:`CAMS`."""
    target: TargetName | None = None
    """The number that is explained, see :class:`SimilarityTarget`; None for the method's usual one."""
    score_channels: int | None = 64
    """Channels that Score-CAM tries, one forward pass each; None tries all, 2048 for the paper's network."""

    def __post_init__(self) -> None:
        if self.method not in CAMS:
            raise SettingsError(f"there is no CAM {self.method!r}; choose one of {', '.join(CAMS)}.")
        if self.score_channels is not None and self.score_channels < 1:
            raise SettingsError(f"score_channels is {self.score_channels}; it must be at least 1.")


@dataclass(frozen=True)
class PairMaps:
    """Both directions of one pair: ``query`` explained by the gallery image and ``gallery`` by the query.

    Each (H, W), at least 0; ``similarity`` is the pair's cosine, in [-1, 1].
    """

    query: np.ndarray
    gallery: np.ndarray
    similarity: float


def map_names() -> tuple[str, ...]:
    """Every map that explains a similarity: the names in :data:`CAMS`, then those in :data:`NETWORK_MAPS`."""
    return (*CAMS, *NETWORK_MAPS)


def map_title(name: str) -> str:
    """The title of a CAM or of a network's map; other names are returned as they are."""
    row = CAMS.get(name) or NETWORK_MAPS.get(name)
    return row.title if row else name


def similarity_cam(
    model: SSRNet,
    feature_map: FeatureMap,
    reference: Tensor,
    embedding: EmbeddingSettings = EmbeddingSettings(),
    settings: CamSettings = CamSettings(),
    images: Tensor | None = None,
    standardisation: Standardisation | None = None,
) -> np.ndarray:
    """Maps on F_G of what makes each image similar to its reference, (B, H, W) float32, at least 0.

    model: in evaluation mode, with gradients switched off, as ``load_checkpoint`` gives it; it is not changed, and
    other threads may use it meanwhile. feature_map: of B images, from ``model.feature_map``. reference:
    (B, D) or (D,), the embeddings that the images are compared with, by the same ``embedding`` settings, whose
    ``branches`` choose what is explained. images: (B, 3, h, w), those of the feature map, for score-cam alone.
    standardisation: of the B images, to explain the similarity of aligned embeddings; ``reference`` is aligned then.
    A map of zeros means that no cell raises the similarity. :func:`to_image_frame` brings maps to the image.

    Costs a pass through the head and back, a tenth of a forward pass each; score-cam costs
    ``score_channels`` + 1 forward passes an image. Raises ValueError for a model in training, or for score-cam
    without images.
    """
    if model.training or any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("similarity_cam needs a model in eval mode with requires_grad_(False), or it would change it")
    cam = CAMS[settings.method]
    references = reference.expand(len(feature_map.F_G), -1)
    target = settings.target or cam.target
    return cam.function(
        CamInput(model, feature_map, references, embedding, target, images, settings.score_channels, standardisation)
    )


def pair_cams(
    model: SSRNet,
    query: FeatureMap,
    gallery: FeatureMap,
    embedding: EmbeddingSettings = EmbeddingSettings(),
    settings: CamSettings = CamSettings(),
    images: tuple[Tensor, Tensor] | None = None,
    standardisation: Standardisation | None = None,
) -> PairMaps:
    """Both maps of a pair, in one pass; query and gallery are feature maps of one image each.

    images: the two as (1, 3, h, w), for score-cam alone. standardisation: of query and gallery image, to explain the
    cosine of their aligned embeddings. Model, cost and errors as :func:`similarity_cam`.
    """
    theta = None if query.theta is None or gallery.theta is None else torch.cat([query.theta, gallery.theta])
    both = FeatureMap(torch.cat([query.F_G, gallery.F_G]), theta)
    with torch.no_grad():
        embeddings = standardised(model.head(both).embedding(embedding), standardisation)  # (2, D)
    pixels = None if images is None else torch.cat(images)
    maps = similarity_cam(model, both, embeddings.flip(0), embedding, settings, pixels, standardisation)
    return PairMaps(maps[0], maps[1], F.cosine_similarity(embeddings[0], embeddings[1], dim=0).item())


def each_branch(model: SSRNet, embedding: EmbeddingSettings = EmbeddingSettings()) -> dict[str, EmbeddingSettings]:
    """``embedding`` as it is, under :data:`WHOLE`; then of each of its branches alone, where it has several."""
    branches = [branch for branch in model.branches if not embedding.branches or branch in embedding.branches]
    alone = {branch: replace(embedding, branches=(branch,)) for branch in branches if len(branches) > 1}
    return {WHOLE: embedding, **alone}

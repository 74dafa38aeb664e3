"""Maps over images for the Attention page: CAMs of a similarity, and which maps passed the explanations study."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from app.workbench import OpenedModel, places
from app.workbench.cache import cached
from app.workbench.images import data_uri
from ssrnet.data.records import VehicleImage
from ssrnet.explain.cam import CAMS, CamSettings
from ssrnet.explain.image_maps import ImageMap, SimilarityMap
from ssrnet.explain.image_maps import similarity_maps as compute_maps
from ssrnet.explain.overlay import DEFAULT_COLOURS, Scale, coloured_image, scale_of
from ssrnet.model import EmbeddingSettings
from ssrnet.predictor import joined
from ssrnet.studies.verdicts import ExplanationVerdicts, read_verdicts

MAP_SIDE = 128
"""Pixels of a coloured map's side; a map has 16x16 values, and the browser smooths what it enlarges."""
VERDICTS = "assets/explanations.json"
"""Where `ssrnet study explanations --publish assets` says which maps pass its tests, of which checkpoints."""


def study_verdicts() -> ExplanationVerdicts | None:
    """What the explanations study published; None where it did not. Raises :class:`DataError` for another file."""
    path = places.ROOT / VERDICTS
    return cached("study verdicts", path, lambda: read_verdicts(path), 2) if path.exists() else None


def similarity_maps(
    model: OpenedModel, images: Sequence[VehicleImage], references: Sequence[VehicleImage], method: str, branch: str
) -> list[SimilarityMap]:
    """Each image explained by its similarity to its reference, in one ``branch`` of the model or, where "", in all.

    method: a name in :data:`CAMS`.
    """

    def compute() -> list[SimilarityMap]:
        embedding = EmbeddingSettings(branches=(branch,) if branch else ())
        views = model.views([*images, *references])
        embeddings = torch.cat([view.trace.embedding(embedding) for view in views])
        count, settings = len(images), CamSettings(method)
        pixels = model.predictor.pixels(images) if CAMS[method].masks_images else None
        of_images, of_references = embeddings[:count], embeddings[count:]
        return compute_maps(model.network, joined(views[:count]), of_images, of_references, embedding, settings, pixels)

    return cached("similarity maps", (model.hash, images, references, method, branch), compute, 200)


def map_uri(one: ImageMap, scale: Scale | None = None, colours: str = DEFAULT_COLOURS) -> str:
    """A map in colours as a data URI, on its own range where no ``scale`` is given."""
    scale = scale or scale_of([one.cells])
    return data_uri(coloured_image(scale.fractions(one.at(MAP_SIDE)), colours), "png")

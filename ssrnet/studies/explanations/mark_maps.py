"""Maps of one photograph with a mark and without it, and how much of each lies on the mark."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from ssrnet.data.images import read_image
from ssrnet.data.probes import AS_IT_IS, REMOVED
from ssrnet.explain.attention import in_image
from ssrnet.explain.cam import CamSettings, each_branch, similarity_cam
from ssrnet.explain.faithfulness import region_share
from ssrnet.explain.overlay import Scale, outlined, overlay
from ssrnet.predictor import ImageView
from ssrnet.studies.explanations.sample import Pair

WIDTH = 320
"""Width of a painted photograph in pixels."""


class MarkMaps(NamedTuple):
    """A CAM of the similarity to the reference, with the mark and without it, and its share on the mark.

    with_mark, without_mark, change: (h, w) float32, at least 0, at the size of ``photographs``, those with and without
    the mark (h, w, 3) uint8; mark: (h, w) bool. share: of the map's mass with the mark, on the mark's
    pixels; change_share: of the change by its removal. area: the mark's share of the photograph, the expected share of
    a random map.
    """

    with_mark: np.ndarray
    without_mark: np.ndarray
    change: np.ndarray
    photographs: tuple[np.ndarray, np.ndarray]
    mark: np.ndarray
    share: float
    change_share: float
    area: float

    def painted(self, name: Literal["with_mark", "without_mark", "change"], scale: Scale, colours: str) -> np.ndarray:
        """One of the maps over its photograph, (h, w, 3) uint8, the mark outlined."""
        heatmap, photograph = getattr(self, name), self.photographs[name == "without_mark"]
        return outlined(overlay(photograph, scale.fractions(heatmap), colours=colours), self.mark)


def mark_maps(
    pair: Pair,
    with_mark: ImageView,
    without_mark: ImageView,
    reference: ImageView,
    part_names: tuple[str, ...],
    branch: str,
    method: str,
) -> MarkMaps:
    """The maps of the pair's similarity to the reference by one ``branch`` of :func:`each_branch`.

    The three views come from one network; ``method`` is a name in :data:`CAMS`. Raises as
    :meth:`MarkProbe.region`.
    """
    model = reference.predictor.model
    embedding = each_branch(model)[branch]
    target = reference.trace.embedding(embedding)
    width, height = with_mark.size
    size = height, width
    region = pair.probe.region(AS_IT_IS, size, part_names)

    def heatmap(view: ImageView) -> np.ndarray:
        cells = similarity_cam(model, view.feature_map, target, embedding, CamSettings(method))[0]
        return in_image(cells, size, view.feature_map.theta)

    here, gone = heatmap(with_mark), heatmap(without_mark)
    change = np.abs(here - gone)
    shown = WIDTH, round(height * WIDTH / width)

    def resized(heatmap: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(heatmap).resize(shown))

    def photograph(name: str) -> np.ndarray:
        return np.asarray(read_image(pair.probe.photographs[name].path).resize(shown, Image.Resampling.BICUBIC))

    return MarkMaps(
        *map(resized, (here, gone, change)),
        (photograph(AS_IT_IS), photograph(REMOVED)),
        np.asarray(Image.fromarray(region).resize(shown, Image.Resampling.NEAREST)),
        region_share(here, region),
        region_share(change, region),
        float(region.mean()),
    )

"""Maps of one photograph with a mark and without it, and how much of each lies on the mark."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from ssrnet.data.images import read_image
from ssrnet.data.probes import AS_IT_IS, REMOVED
from ssrnet.explain.attention import in_image
from ssrnet.explain.cam import CamSettings, each_branch, similarity_cam
from ssrnet.explain.faithfulness import region_share
from ssrnet.explain.overlay import outlined, overlay
from ssrnet.predictor import ImageView
from ssrnet.studies.explanations.sample import Pair

WIDTH = 320
"""Width of a painted photograph in pixels."""


class MarkMaps(NamedTuple):
    """A CAM of the similarity to the reference, with the mark and without it, and its share on the mark.

    with_mark, without_mark, change: (h, w, 3) uint8, maps over the photograph, the mark outlined; the first two share
    one range of colours. share: of the map's mass with the mark, on the mark's pixels; change_share: of the change by
    its removal. area: the mark's share of the photograph, the expected share of a random map.
    """

    with_mark: np.ndarray
    without_mark: np.ndarray
    change: np.ndarray
    share: float
    change_share: float
    area: float


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
    mark = np.asarray(Image.fromarray(region).resize(shown, Image.Resampling.NEAREST))

    def paint(photograph: str, heatmap: np.ndarray, most: float) -> np.ndarray:
        picture = read_image(pair.probe.photographs[photograph].path).resize(shown, Image.Resampling.BICUBIC)
        stretched = np.asarray(Image.fromarray(heatmap / most if most > 0 else heatmap).resize(shown))
        return outlined(overlay(np.asarray(picture), np.clip(stretched, 0, 1)), mark)

    most = float(max(here.max(), gone.max()))
    return MarkMaps(
        paint(AS_IT_IS, here, most),
        paint(REMOVED, gone, most),
        paint(AS_IT_IS, change, float(change.max())),
        region_share(here, region),
        region_share(change, region),
        float(region.mean()),
    )

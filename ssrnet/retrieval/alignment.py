"""Camera alignment: each camera's features are standardised by that camera's own mean and deviation.

Images by one camera share its exposure, colours, height and background, so that in an embedding they lie closer together
than two images of one vehicle by two cameras; most so for cameras that the network was never trained on. Taking each
camera's mean off its features, and dividing by its deviation, removes what a camera's images have in common. It needs
camera labels, no vehicle labels and no training. It is transductive: the statistics are those of the test images.

The idea is the test stage of camera-based batch normalization (Zhuang et al., ECCV 2020), applied to the embedding in
place of every batch norm.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import SettingsError
from ssrnet.retrieval.extraction import FeatureSet

ALIGNED = ", aligned"
"""What the title of a model ends with whose features are aligned by camera."""
BLOCK_ROWS = 1024
"""Rows that are read at once: 12 MB of 3,072 numbers."""
CONSTANT = 1e-6
"""A dimension whose deviation within a camera is below this share of the whole set's counts as constant there."""


@dataclass(frozen=True)
class AlignmentSettings:
    """How a camera's statistics are estimated; the defaults were chosen by ``ssrnet study alignment``."""

    prior: float = 8.0
    """Weight of the whole set's statistics in each camera's, as a number of images; 0 takes the camera's alone."""
    min_images: int = 4
    """A camera with fewer images takes the whole set's statistics."""

    def __post_init__(self) -> None:
        if not 0 <= self.prior < math.inf or self.min_images < 1:
            raise SettingsError(
                f"camera alignment has a prior of {self.prior:g} images and at least {self.min_images} images a camera; "
                "it needs a finite prior of at least 0 and at least 1 image."
            )


class _Measured(NamedTuple):
    """Numbers of images n (C + 1, 1), means and variances (C + 1, D) by camera, float64; last, of those by no such camera."""

    cameras: tuple[str, ...]
    n: Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, features: Tensor, cameras: Sequence[str | None], min_images: int) -> _Measured:
        counts = Counter(camera for camera in cameras if camera)
        names = tuple(sorted(camera for camera, count in counts.items() if count >= min_images))
        codes = _codes(names, cameras, features.device)
        n = torch.bincount(codes, minlength=len(names) + 1).double()[:, None]
        mean = _means(features, codes, n)
        return cls(names, n, mean, _means(features, codes, n, mean))


@dataclass(frozen=True)
class Standardisation:
    """Alignment of B images as a function: each image has the mean and deviation (B, D) of its camera."""

    mean: Tensor
    deviation: Tensor

    def __call__(self, embeddings: Tensor) -> Tensor:
        """(B, D): the images' embeddings (B, D), aligned; gradients flow through."""
        return (embeddings - self.mean.to(embeddings)) / self.deviation.to(embeddings)

    def __getitem__(self, images: slice) -> Standardisation:
        """The same for some of the images."""
        return Standardisation(self.mean[images], self.deviation[images])


def standardised(embeddings: Tensor, standardisation: Standardisation | None) -> Tensor:
    """``embeddings`` (B, D) aligned, or as they are without a ``standardisation``."""
    return embeddings if standardisation is None else standardisation(embeddings)


@dataclass(frozen=True)
class CameraStatistics:
    """Mean and deviation of the embedding by camera, over ``images`` images.

    mean, deviation: (C + 1, D) float32, a row for each of ``cameras``, then the whole set's. by_whole_set: how many of
    the images are aligned by the latter, since their camera is unknown or has too few images.
    """

    cameras: tuple[str, ...]
    mean: Tensor
    deviation: Tensor
    images: int
    by_whole_set: int
    settings: AlignmentSettings

    @classmethod
    def of(
        cls, features: Tensor, cameras: Sequence[str | None], settings: AlignmentSettings = AlignmentSettings()
    ) -> CameraStatistics:
        """Measures features (N, D), any float type; ``cameras`` has each row's camera, None or "" where it is unknown.

        With n images of a camera, its mean m_c and variance v_c, those of the whole set m and v, and the prior k, the
        camera's are (n m_c + k m) / (n + k) and (n v_c + k v) / (n + k). Reads the features twice, in blocks.
        Raises :class:`SettingsError` where there is no feature.
        """
        if not len(features):
            raise SettingsError("there are no features to align; give at least one image.")
        measured = _Measured.of(features, cameras, settings.min_images)
        n, m_c, v_c = measured.n, measured.mean, measured.variance
        m = (n * m_c).sum(0) / len(features)
        v = (n * (v_c + (m_c - m).square())).sum(0) / len(features)
        return cls._with_prior(measured, m, v, settings)

    def with_cameras(self, features: Tensor, cameras: Sequence[str | None]) -> CameraStatistics:
        """Statistics of other images, features (N, D), by their own cameras, with this set as the prior.

        As :meth:`of`, with this set's mean and variance as m and v; images whose camera is unknown or has too few images
        are aligned by these. A camera that has the name of one of this set's is another camera.
        """
        measured = _Measured.of(features, cameras, self.settings.min_images)
        m, v = self.mean[-1].double(), self.deviation[-1].double().square()
        return self._with_prior(measured, m, v, self.settings)

    @classmethod
    def _with_prior(cls, measured: _Measured, m: Tensor, v: Tensor, settings: AlignmentSettings) -> CameraStatistics:
        """From what was measured by camera, and the mean m and variance v (D,) of the prior."""
        n, k = measured.n, settings.prior
        mean, variance = (n * measured.mean + k * m) / (n + k), (n * measured.variance + k * v) / (n + k)
        mean[-1], variance[-1] = m, v
        deviation = variance.sqrt()
        deviation = torch.where(deviation > CONSTANT * v.sqrt(), deviation, v.sqrt())
        deviation = torch.where(deviation > 0, deviation, 1.0)  # what is the same in all images is centred alone
        return cls(measured.cameras, mean.float(), deviation.float(), int(n.sum()), int(n[-1]), settings)

    def align(self, features: Tensor, cameras: Sequence[str | None]) -> Tensor:
        """(N, D) float32: each row minus its camera's mean, over its camera's deviation; a copy."""
        return self.align_in_place(features.float().clone(), cameras)

    def align_in_place(self, features: Tensor, cameras: Sequence[str | None]) -> Tensor:
        """As :meth:`align`, in the memory of the features (N, D) float32."""
        codes = _codes(self.cameras, cameras, features.device)
        for rows, code in zip(features.split(BLOCK_ROWS), codes.split(BLOCK_ROWS), strict=True):
            rows.sub_(self.mean[code]).div_(self.deviation[code])
        return features

    def align_set(self, features: FeatureSet, images: Sequence[VehicleImage]) -> FeatureSet:
        """The features of ``images``, aligned, in that order; raises as :meth:`FeatureSet.rows`."""
        rows = self.align_in_place(features.rows(images), cameras_of(images))
        return FeatureSet(rows, tuple(image.name for image in images), features.branch_dims)

    def of_images(self, cameras: Sequence[str | None]) -> Standardisation:
        """What :meth:`align` does to images by these cameras, for embeddings that need gradients."""
        codes = _codes(self.cameras, cameras, self.mean.device)
        return Standardisation(self.mean[codes], self.deviation[codes])

    def only(self, columns: slice) -> CameraStatistics:
        """The statistics of some columns of the embedding."""
        return replace(self, mean=self.mean[:, columns], deviation=self.deviation[:, columns])

    def __str__(self) -> str:
        """What was done, for the protocol record."""
        least = self.settings.min_images
        return (
            "each feature minus its camera's mean, over its camera's standard deviation, both over the "
            f"{self.images:,} test images without vehicle labels (transductive); cameras with statistics of their own: "
            f"{len(self.cameras):,}; weight of the whole set's statistics in images: {self.settings.prior:g}; fewest images "
            f"of a camera: {least:,}; images aligned by the whole set's statistics: {self.by_whole_set:,}"
        )


def align_cameras(
    features: Tensor, cameras: Sequence[str | None], settings: AlignmentSettings = AlignmentSettings()
) -> Tensor:
    """(N, D) float32: features (N, D) aligned by their own :class:`CameraStatistics`."""
    return CameraStatistics.of(features, cameras, settings).align(features, cameras)


def camera_statistics(
    features: FeatureSet, split: Split, settings: AlignmentSettings = AlignmentSettings()
) -> CameraStatistics:
    """Over the images of a split, queries and gallery together, each once; raises as :meth:`FeatureSet.rows`."""
    images = {image.name: image for image in (*split.gallery, *split.query)}
    if images.keys() == set(features.names):  # the features as they lie, without a copy
        return CameraStatistics.of(features.features, cameras_of([images[name] for name in features.names]), settings)
    chosen = list(images.values())
    return CameraStatistics.of(features.rows(chosen), cameras_of(chosen), settings)


def cameras_of(images: Sequence[VehicleImage]) -> list[str | None]:
    """Each image's camera, None where it is unknown."""
    return [image.camera_id for image in images]


def _codes(names: Sequence[str], cameras: Sequence[str | None], device: torch.device) -> Tensor:
    """(N,) int64: the row of each camera's statistics; the last for a camera that is not among ``names``."""
    row = {name: i for i, name in enumerate(names)}
    return torch.tensor([row.get(camera or "", len(names)) for camera in cameras], dtype=torch.int64, device=device)


def _means(features: Tensor, codes: Tensor, n: Tensor, centre: Tensor | None = None) -> Tensor:
    """(C + 1, D) float64: means by code, 0 where there is none; with a ``centre`` (C + 1, D), of squared differences."""
    sums = torch.zeros(len(n), features.shape[1], dtype=torch.float64, device=features.device)
    for rows, code in zip(features.split(BLOCK_ROWS), codes.split(BLOCK_ROWS), strict=True):
        x = rows.double() if centre is None else (rows.double() - centre[code]).square_()
        sums += one_hot(code, len(n)).T.double() @ x  # a third of index_add_'s time
    return sums / n.clamp_min(1)

"""Extraction: the embeddings of a list of images, and the file that stores them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.data import DataLoader

from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError, ResourceError, SettingsError
from ssrnet.files import parse_json
from ssrnet.model import EmbeddingSettings, SSRNet
from ssrnet.tensors import read_float32, write_tensors
from ssrnet.training.distributed import Processes

CPU_BATCH = 4
"""Images a forward pass on a CPU. `ssrnet benchmark extraction` measured 4 as the fastest and 16 a fifth slower: from 8 images
of 256 pixels, ResNet-50's activations exceed the 32 MB above which glibc maps and unmaps memory page by page."""
CUDA_BATCH = 256
"""Images a forward pass on a GPU at first; halved until they fit in its memory."""


@dataclass(frozen=True)
class ExtractSettings:
    """How embeddings are computed."""

    image_size: int | None = None
    """Side of the square input in pixels; by default the size the checkpoint was trained at."""
    batch_size: int | None = None
    """Images a forward pass; by default chosen for the device, on CUDA as many as fit in its memory."""
    flip_test: bool = False
    """Average the embeddings of an image and its mirror image."""
    embedding: EmbeddingSettings = EmbeddingSettings()
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 is faster, for CUDA only, and changes features in the third digit."""

    def __post_init__(self) -> None:
        for name in ("image_size", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{name} is {value}; it must be at least 1.")


@dataclass(frozen=True)
class FeatureSet:
    """``features`` (N, D) float32, a row per name; ``branch_dims``: each branch's number of columns, in order."""

    features: Tensor
    names: tuple[str, ...]
    branch_dims: dict[str, int]

    def __post_init__(self) -> None:
        shape = (len(self.names), sum(self.branch_dims.values()))
        assert self.features.shape == shape, f"features are {tuple(self.features.shape)}, names and dims say {shape}"

    def rows(self, images: Sequence[VehicleImage]) -> Tensor:
        """(len(images), D) features in that order; raises :class:`DataError` for an image without."""
        index = {name: i for i, name in enumerate(self.names)}
        absent = [image.name for image in images if image.name not in index]
        if absent:
            raise DataError(
                f"no features for {len(absent):,} of {len(images):,} images, for example {absent[0]}; "
                "extract the features again from this data set."
            )
        return self.features[[index[image.name] for image in images]]

    def only(self, branches: Sequence[str]) -> FeatureSet:
        """The columns of some branches, in the model's order; all for empty ``branches``.

        Raises :class:`SettingsError` for a branch that the features do not have.
        """
        if not branches:
            return self
        check_branches(branches, self.branch_dims)
        columns = dict(zip(self.branch_dims, self.features.split(list(self.branch_dims.values()), dim=1), strict=True))
        chosen = {branch: dim for branch, dim in self.branch_dims.items() if branch in branches}
        return FeatureSet(torch.cat([columns[branch] for branch in chosen], dim=1), self.names, chosen)

    def at_unit_length(self) -> FeatureSet:
        """Each branch's columns L2-normalised first, as :attr:`EmbeddingSettings.normalise_branches` does."""
        columns = self.features.split(list(self.branch_dims.values()), dim=1)
        return replace(self, features=torch.cat([normalize(branch) for branch in columns], dim=1))

    def save(self, path: Path, record: dict[str, object]) -> None:
        """Writes ``path`` (.safetensors) atomically, in float16; ``record`` says how the features were made."""
        metadata = {
            "names": json.dumps(self.names),
            "branch_dims": json.dumps(self.branch_dims),
            "record": json.dumps(record),
        }
        write_tensors(path, {"features": self._stored()}, metadata)

    def rounded(self) -> FeatureSet:
        """The features as :meth:`load` returns them, so that numbers are the same with and without a file."""
        return replace(self, features=self._stored().float())

    def _stored(self) -> Tensor:
        """float16, which has three digits; float32 where a number is too large for it."""
        half = self.features.half()
        return half if torch.isfinite(half).all() else self.features

    @classmethod
    def load(cls, path: Path) -> tuple[FeatureSet, dict[str, object]]:
        """The features, as float32, and their record; raises :class:`DataError` for any other file."""
        try:
            features, metadata = read_float32(path, "features")
            names, dims, record = (parse_json(metadata[name]) for name in ("names", "branch_dims", "record"))
            _check_stored(names, dims, record, tuple(features.shape))
            if not features.sum().isfinite() and not features.isfinite().all():  # a sum may overflow by itself
                raise ValueError("its features hold NaN or infinity")
            return cls(features, tuple(names), dims), record
        except (OSError, KeyError, ValueError) as error:
            raise DataError(
                f"{path} is not a feature file of ssrnet ({error}); make one with `ssrnet extract`."
            ) from error


def _check_stored(names: object, dims: object, record: object, shape: tuple[int, ...]) -> None:
    """Raises ValueError where a feature file's entries have wrong types, or do not match each other."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("its names are not a list of strings")
    if len(set(names)) < len(names):
        raise ValueError("it names an image twice")
    if not isinstance(dims, dict) or not all(type(dim) is int and dim > 0 for dim in dims.values()):
        raise ValueError("its branches have no lengths")
    if not isinstance(record, dict):
        raise ValueError("its record is not a mapping")
    if shape != (len(names), sum(dims.values())):
        raise ValueError(f"its features are {shape}, names and branches say {(len(names), sum(dims.values()))}")


class RestorableFeatures(Protocol):
    """Stores the features of an extraction batch by batch; see :class:`ssrnet.index.partial.PartialFeatures`."""

    def restore(self, images: Sequence[VehicleImage], features: Tensor) -> Tensor:
        """Fills the stored rows of ``features`` (N, D); returns (N,) bool, the rows filled."""

    def keep(self, images: Sequence[VehicleImage], features: Tensor) -> None:
        """Stores the features (B, D) float32 of a batch of the images."""


def extract(
    model: SSRNet,
    images: Sequence[VehicleImage],
    settings: ExtractSettings,
    image_size: int,
    device: torch.device,
    workers: int = 0,
    progress: Callable[[Iterable, int], Iterable] | None = None,
    group: Processes | None = None,
    partial: RestorableFeatures | None = None,
    among: Sequence[VehicleImage] | None = None,
) -> FeatureSet:
    """Embeddings of ``images``, in order, as float32 on the CPU.

    ``image_size`` is used where the settings name none. ``progress(batches, total)`` wraps the iteration
    (tqdm in the shell, a bar in the app). The model is put in evaluation mode, channels last.
    The processes of ``group`` share the images and all return all embeddings; each must call this.
    Rows stored in ``partial`` by an earlier run are not computed again, and each new batch is stored there; in a
    group only by the first process. Raises as :func:`embed_batches`, of whichever process, naming all images that are bad
    ``among`` these, by default all ``images``.
    """
    check_precision(settings, device)
    group = group or Processes(device)
    dims = branch_dims(model, settings)
    features = torch.zeros(len(images), sum(dims.values()))
    restored = torch.zeros(len(images), dtype=torch.uint8)
    if partial is not None:
        if group.first:
            restored.copy_(partial.restore(images, features))
        group.from_first(restored)
        group.from_first(features)
    missing = (restored == 0).nonzero().flatten()
    mine = missing[shard(len(missing), group.rank, group.world)]
    among = images if among is None else among
    batches = embed_batches(model, [images[i] for i in mine.tolist()], settings, image_size, device, workers, among)
    total = -(-len(mine) // batch_size(settings, device))
    for positions, rows in progress(batches, total) if progress else batches:
        # By position: an image that two processes computed fills one row.
        positions, rows = group.gather(mine[positions].to(device)).cpu(), group.gather(rows).cpu()
        features[positions] = rows
        if partial is not None and group.first:
            partial.keep([images[i] for i in positions.tolist()], rows)
    return FeatureSet(features, tuple(image.name for image in images), dims)


@torch.inference_mode()
def embed_batches(
    model: SSRNet,
    images: Sequence[VehicleImage],
    settings: ExtractSettings,
    image_size: int,
    device: torch.device,
    workers: int = 0,
    among: Sequence[VehicleImage] | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The images batch by batch, in order: their positions (B,) on the CPU, and embeddings (B, D) float32 on the device.

    ``workers`` processes decode. Raises :class:`DamagedImagesError` for images that cannot be read (``among`` as
    :func:`ssrnet.data.transforms.read_batches`), :class:`ResourceError`
    where a batch of the requested size does not fit in the GPU's memory, :class:`SettingsError` as
    :func:`check_precision` and for a branch that the model lacks.
    """
    # Imported here, since torchvision takes seconds, which loading features should not.
    from ssrnet.data.transforms import ImageTensors, pixel_transform, read_batches

    check_precision(settings, device)
    data = ImageTensors(images, pixel_transform(settings.image_size or image_size))
    most = batch_size(settings, device)
    loader = DataLoader(data, most, num_workers=workers, pin_memory=device.type == "cuda")
    model.eval().to(device, memory_format=torch.channels_last)
    for pixels, positions in read_batches(loader, among):
        pixels = pixels.to(device, non_blocking=True)  # (B, S, S, 3) uint8
        while (rows := _if_memory_allows(model, pixels, settings, most)) is None:
            most //= 2
        yield positions, rows


def _if_memory_allows(model: SSRNet, pixels: Tensor, settings: ExtractSettings, most: int) -> Tensor | None:
    """Embeddings (B, D) of pixels (B, S, S, 3), ``most`` images a forward pass; None where they do not fit in memory."""
    from ssrnet.data.transforms import to_input

    try:
        return torch.cat([embeddings(model, to_input(some), settings) for some in pixels.split(most)])
    except torch.OutOfMemoryError as error:
        if settings.batch_size is not None or most == 1:
            raise ResourceError(
                f"{most} images of {pixels.shape[1]} pixels a forward pass do not fit in the memory of {pixels.device}; "
                "give a smaller --extraction.batch-size or --extraction.image-size, or --device cpu."
            ) from error
        return None  # leaving the block releases the error, which would keep tensors alive on the device


def embeddings(model: SSRNet, batch: Tensor, settings: ExtractSettings) -> Tensor:
    """(B, D) float32 of a batch (B, 3, S, S) of normalised images, on its device."""
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        embedding = model.trace(batch).embedding(settings.embedding).float()
        if settings.flip_test:
            embedding = (embedding + model.trace(batch.flip(-1)).embedding(settings.embedding).float()) / 2
    return embedding


def batch_size(settings: ExtractSettings, device: torch.device) -> int:
    """Images of the first forward pass; on CUDA it may be halved."""
    return settings.batch_size or (CUDA_BATCH if device.type == "cuda" else CPU_BATCH)


def branch_dims(model: SSRNet, settings: ExtractSettings) -> dict[str, int]:
    """Branches of an embedding and their dimensions, in order."""
    chosen = settings.embedding.branches
    return {branch: dim for branch, dim in model.branch_dims.items() if not chosen or branch in chosen}


def check_branches(branches: Iterable[str], known: Iterable[str]) -> None:
    """Raises :class:`SettingsError` for a branch that features do not have."""
    absent = [branch for branch in branches if branch not in known]
    if absent:
        raise SettingsError(
            f"the features have no branch {', '.join(absent)}; they have {', '.join(known)}: choose among these."
        )


def check_precision(settings: ExtractSettings, device: torch.device) -> None:
    """Raises :class:`SettingsError` for bfloat16 on other devices than CUDA; a CPU took 20 times as long."""
    if settings.precision != "float32" and device.type != "cuda":
        raise SettingsError(
            f"--extraction.precision {settings.precision} is for CUDA only and the device is {device.type}; leave the option out."
        )


def shard(count: int, rank: int, world: int) -> list[int]:
    """Positions in 0 ... count - 1 for one process of ``world``.

    All get the same number, since they exchange batch by batch: the last ones repeat positions from the start.
    """
    if not count:
        return []
    each = -(-count // world)
    return [(rank + number * world) % count for number in range(each)]


def describe(settings: ExtractSettings, image_size: int) -> dict[str, object]:
    """The settings that affect the features, as plain values for the record.

    float32 is not recorded, so that the records of earlier feature files, without a precision, stay equal.
    """
    precision = {} if settings.precision == "float32" else {"precision": settings.precision}
    return {
        "image_size": settings.image_size or image_size,
        "flip_test": settings.flip_test,
        **asdict(settings.embedding),
        **precision,
    }

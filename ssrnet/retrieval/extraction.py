"""Embeddings of a list of images, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from ssrnet.data.records import VehicleImage
from ssrnet.distributed import Processes
from ssrnet.errors import DataError, SettingsError
from ssrnet.files import write_tensors
from ssrnet.model import EmbeddingSettings, SSRNet


@dataclass(frozen=True)
class ExtractSettings:
    """How embeddings are computed."""

    image_size: int | None = None
    """Side of the square input in pixels; by default the size the checkpoint was trained to."""
    batch_size: int = 32
    """Images a forward pass."""
    flip_test: bool = False
    """Average the embeddings of an image and its mirror image."""
    embedding: EmbeddingSettings = EmbeddingSettings()

    def __post_init__(self) -> None:
        for name in ("image_size", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{name} is {value}; it must be at least 1.")


@dataclass(frozen=True)
class FeatureSet:
    """``features`` (N, D) float32, one row a name; ``branch_dims`` says which columns are which branch's."""

    features: Tensor
    names: tuple[str, ...]
    branch_dims: dict[str, int]

    def __post_init__(self) -> None:
        shape = (len(self.names), sum(self.branch_dims.values()))
        assert self.features.shape == shape, f"features are {tuple(self.features.shape)}, names and dims say {shape}"

    def rows(self, images: Sequence[VehicleImage]) -> Tensor:
        """(len(images), D) in that order; raises :class:`DataError` for an image that has no features."""
        index = {name: i for i, name in enumerate(self.names)}
        absent = [image.name for image in images if image.name not in index]
        if absent:
            raise DataError(
                f"no features for {len(absent):,} of {len(images):,} images, for example {absent[0]}; "
                "extract the features again from this data set."
            )
        return self.features[[index[image.name] for image in images]]

    def only(self, branches: Sequence[str]) -> FeatureSet:
        """The columns of some branches, in the model's order; all where ``branches`` is empty.

        Raises :class:`SettingsError` for a branch that the features do not have.
        """
        if not branches:
            return self
        absent = [branch for branch in branches if branch not in self.branch_dims]
        if absent:
            raise SettingsError(
                f"the features have no branch {', '.join(absent)}; they have {', '.join(self.branch_dims)}: "
                "choose among these."
            )
        parts = dict(zip(self.branch_dims, self.features.split(list(self.branch_dims.values()), dim=1), strict=True))
        kept = [branch for branch in parts if branch in branches]
        columns = torch.cat([parts[branch] for branch in kept], dim=1)
        return FeatureSet(columns, self.names, {branch: self.branch_dims[branch] for branch in kept})

    def save(self, path: Path, record: dict[str, object]) -> None:
        """Writes ``path`` (.safetensors) atomically, in float16; ``record`` says what made the features."""
        metadata = {
            "names": json.dumps(self.names),
            "branch_dims": json.dumps(self.branch_dims),
            "record": json.dumps(record),
        }
        write_tensors(path, {"features": self._stored()}, metadata)

    def rounded(self) -> FeatureSet:
        """The features as :meth:`load` gives them back, so that numbers do not change once they come from a file."""
        return replace(self, features=self._stored().float())

    def _stored(self) -> Tensor:
        """float16, which keeps three digits; float32 where a number is too large for it."""
        half = self.features.half()
        return half if torch.isfinite(half).all() else self.features

    @classmethod
    def load(cls, path: Path) -> tuple[FeatureSet, dict[str, object]]:
        """The features, as float32, and the record they were saved with."""
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata()
                names = tuple(json.loads(metadata["names"]))
                dims = json.loads(metadata["branch_dims"])
                return cls(file.get_tensor("features").float(), names, dims), json.loads(metadata["record"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
            raise DataError(
                f"{path} is no feature file of ssrnet ({error}); make one with `ssrnet extract`."
            ) from error


def extract(
    model: SSRNet,
    images: Sequence[VehicleImage],
    settings: ExtractSettings,
    image_size: int,
    device: torch.device,
    workers: int = 0,
    progress: Callable[[Iterable, int], Iterable] | None = None,
    group: Processes | None = None,
) -> FeatureSet:
    """Embeddings of ``images``, in order, as float32 on the CPU.

    ``image_size`` is used where the settings name none. ``progress`` wraps the batches and is told
    how many there are (tqdm in the shell, a bar in the app). The model is put in evaluation mode.
    The processes of ``group`` share the images and all return all embeddings; each must call this.
    """
    # Here, since torchvision takes seconds that loading features need not.
    from ssrnet.data.transforms import ImageTensors, read_batches, test_transform

    group = group or Processes(device)
    own = shard(len(images), group.rank, group.world)
    data = Subset(ImageTensors(images, test_transform(settings.image_size or image_size)), own)
    loader = DataLoader(data, batch_size=settings.batch_size, num_workers=workers)
    model.eval().to(device)
    chosen = settings.embedding.branches
    dims = {branch: dim for branch, dim in model.branch_dims.items() if not chosen or branch in chosen}
    features = torch.zeros(len(images), sum(dims.values()))
    with torch.inference_mode():
        batches = read_batches(loader)
        for batch, index in progress(batches, len(loader)) if progress else batches:
            embedding = embeddings(model, batch.to(device), settings)
            # By index: an image that two processes had to take lands on one row.
            features[group.gather(index.to(device)).cpu()] = group.gather(embedding).cpu()
    return FeatureSet(features, tuple(image.name for image in images), dims)


def embeddings(model: SSRNet, batch: Tensor, settings: ExtractSettings) -> Tensor:
    """(B, D) float32 of a batch (B, 3, S, S) of normalised images, on its device."""
    embedding = model.trace(batch).embedding(settings.embedding)
    if settings.flip_test:
        embedding = (embedding + model.trace(batch.flip(-1)).embedding(settings.embedding)) / 2
    return embedding.float()


def shard(count: int, rank: int, world: int) -> list[int]:
    """Positions in 0 ... count - 1 for one process of ``world``.

    All get as many, since they exchange batch by batch: the last ones repeat positions from the start.
    """
    if not count:
        return []
    each = -(-count // world)
    return [(rank + number * world) % count for number in range(each)]


def describe(settings: ExtractSettings, image_size: int) -> dict[str, object]:
    """What of the settings shapes the features, as plain values for records."""
    return {
        "image_size": settings.image_size or image_size,
        "flip_test": settings.flip_test,
        **asdict(settings.embedding),
    }

"""The networks that `ssrnet evaluate` and `ssrnet compare` evaluate, and their features of the test images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from ssrnet.data.datasets import open_dataset
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import SettingsError
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.resources import DeviceName, resolve_device
from ssrnet.retrieval.alignment import ALIGNED, AlignmentSettings
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, describe, extract
from ssrnet.retrieval.query_filters import filter_test_images
from ssrnet.training.checkpoint import CheckpointInfo, file_hash, load_backbone, load_checkpoint
from ssrnet.training.trained_on import seen_by


class EvaluatedModel(NamedTuple):
    """A network, the image size it was trained at, its title in headings, and its part of the protocol record.

    ``info`` is the checkpoint's metadata, None for an untrained network.
    """

    model: SSRNet
    image_size: int
    title: str
    made_by: dict[str, object]
    info: CheckpointInfo | None = None


@dataclass(frozen=True)
class ModelFeatures:
    """One model's features of the test images; ``made_by`` as in :func:`ssrnet.retrieval.evaluation.evaluate`."""

    title: str
    features: FeatureSet
    made_by: dict[str, object]
    alignment: AlignmentSettings | None = None
    """How they are aligned by camera before they are ranked."""

    @property
    def branch_sets(self) -> list[tuple[str, ...]]:
        """The branches to evaluate: all together, written (), then each alone where there are several."""
        branches = tuple(self.features.branch_dims)
        return [(), *((branch,) for branch in branches if len(branches) > 1)]

    def only(self, branches: tuple[str, ...]) -> ModelFeatures:
        """With the columns of some branches, which the record then names; all for ()."""
        made_by = self.made_by | ({"branches": list(branches)} if branches else {})
        return replace(self, features=self.features.only(branches), made_by=made_by)

    def aligned(self, alignment: AlignmentSettings) -> ModelFeatures:
        """The same features, aligned by camera before they are ranked, which the title says."""
        return replace(self, title=self.title + ALIGNED, alignment=alignment)


def trained_model(path: Path) -> EvaluatedModel:
    """The network of a checkpoint; raises as :func:`load_checkpoint`."""
    checkpoint = load_checkpoint(path)
    info = checkpoint.info
    return EvaluatedModel(checkpoint.model, info.image_size, info.model.title, checkpoint.record, info)


def untrained_model(weights: str, settings: ModelSettings, image_size: int) -> EvaluatedModel:
    """A network before training, its backbone's ``weights`` as for :func:`load_backbone`."""
    network = SSRNet(settings)
    note = load_backbone(network, weights)
    details = [note, network.backbone.variant, "" if settings.padding == "zeros" else f"{settings.padding} padding"]
    name = f"untrained {settings.backbone} ({'; '.join(filter(None, details))})"
    made_by: dict[str, object] = {"model": name}
    if Path(weights).is_file():
        made_by |= {"checkpoint": Path(weights).name, "checkpoint_hash": file_hash(Path(weights))}
    return EvaluatedModel(network, image_size, f"Untrained {settings.backbone}", made_by)


def open_test_images(data: Path, subset: int | None, only: str | None) -> tuple[ReIDDataset, str]:
    """The data set, with the test images that ``only`` ("vehicle_type=car,truck") selects; and ``only``, or "all".

    Raises as :func:`open_dataset`, :class:`SettingsError` for a malformed ``only``,
    :class:`DataError` for a value that no test image has.
    """
    dataset = open_dataset(data, subset)
    if only is None:
        return dataset, "all"
    attribute, equals, values = only.partition("=")
    if not equals or not values:
        raise SettingsError(f"--only is {only!r}; write an attribute and its values, as vehicle_type=car,truck.")
    return filter_test_images(dataset, attribute, values.split(",")), only


def note_training_data(model: EvaluatedModel, dataset: ReIDDataset) -> EvaluatedModel:
    """Prints how much of the test data the checkpoint was trained on; returns the model with that in its record.

    Prints and records nothing for a checkpoint that does not name its training data.
    """
    seen = None if model.info is None else seen_by(model.info, dataset)
    if seen is None:
        return model
    for text in filter(None, (seen.warning, seen.note)):
        print(f"{model.title}: {text}")
    return model._replace(made_by=model.made_by | seen.record)


def embed_test_images(
    model: EvaluatedModel, dataset: ReIDDataset, settings: ExtractSettings, device: DeviceName, workers: int
) -> ModelFeatures:
    """The embeddings of all test images, with a progress bar in the shell."""
    features = extract(
        model.model,
        dataset.test,
        settings,
        model.image_size,
        resolve_device(device),
        workers,
        progress=lambda batches, total: tqdm(batches, total=total, unit="batch"),
    )
    return ModelFeatures(model.title, features, model.made_by | describe(settings, model.image_size))


def distinct_titles(models: Sequence[EvaluatedModel]) -> list[str]:
    """Each model's title; equal ones get the file's name as a suffix, else the file's hash, else a number."""
    titles = [model.title for model in models]
    suffixes: list[Callable[[int], object]] = [
        lambda i: models[i].made_by.get("checkpoint"),
        lambda i: models[i].made_by.get("checkpoint_hash"),
        lambda i: i + 1,
    ]
    for suffix in suffixes:
        same = [i for i, title in enumerate(titles) if titles.count(title) > 1]
        if len({suffix(i) for i in same}) == len(same):
            for i in same:
                titles[i] += f", {suffix(i)}"
    return titles

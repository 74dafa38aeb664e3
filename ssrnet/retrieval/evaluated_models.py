"""The networks and images of `ssrnet evaluate` and `ssrnet compare`, and the features that they rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ssrnet.data.damaged import without_damaged
from ssrnet.data.datasets import open_dataset
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import CheckpointError, SettingsError
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.retrieval.alignment import ALIGNED, AlignmentSettings
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.feature_files import Record, feature_record
from ssrnet.retrieval.query_filters import filter_test_images
from ssrnet.training.checkpoint import CheckpointInfo, file_hash, load_backbone, load_checkpoint, read_checkpoint
from ssrnet.training.trained_on import seen_by


class EvaluatedModel(NamedTuple):
    """A network, the image size it was trained at, its title in headings, and its part of the protocol record.

    ``load`` reads the network, which stored features do not need. ``info`` is the checkpoint's metadata, None for an
    untrained network. ``notes`` are entries of the record that do not identify the model. ``by_content``: whether
    ``made_by`` identifies the network by its content, so that features can be stored under it.
    """

    load: Callable[[], SSRNet]
    image_size: int
    title: str
    made_by: Record
    info: CheckpointInfo | None = None
    notes: Record = {}
    by_content: bool = True


@dataclass(frozen=True)
class EvaluatedImages:
    """The test images of ``dataset``, and their title in headings and records: "all", the value of --only, "held-back".

    Stored features of ``whole``, the data set before --only, serve too. ``split`` is that of their feature record.
    """

    dataset: ReIDDataset
    title: str
    whole: ReIDDataset
    split: str = "test"

    @cached_property
    def dataset_hash(self) -> str:
        return self.dataset.content_hash()

    def records(self, made_by: Record) -> list[Record]:
        """The records under which features of these images may be stored: of the whole data set, then of the images."""
        own = feature_record(made_by, self.dataset, self.dataset_hash, self.split)
        if self.whole is self.dataset:
            return [own]
        return [feature_record(made_by, self.whole, self.whole.content_hash(), self.split), own]


@dataclass(frozen=True)
class ModelFeatures:
    """One model's features of the test images; ``made_by`` as in :func:`ssrnet.retrieval.evaluation.evaluate`."""

    title: str
    features: FeatureSet
    made_by: Record
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
    """The network of a checkpoint; raises as :func:`read_checkpoint`, and its ``load`` as :func:`load_checkpoint`."""
    stored = read_checkpoint(path)

    def load() -> SSRNet:
        checkpoint = load_checkpoint(path)
        if checkpoint.hash != stored.hash:
            raise CheckpointError(f"{path} was rewritten while this command ran; run it again.")
        return checkpoint.model

    return EvaluatedModel(load, stored.info.image_size, stored.info.model.title, stored.record, stored.info)


def untrained_model(weights: str, settings: ModelSettings, image_size: int) -> EvaluatedModel:
    """A network before training, its backbone's ``weights`` as for :func:`load_backbone`.

    Its record identifies it by content where the weights are a file and it has no branches, whose weights are random.
    """
    network = SSRNet(settings)
    note = load_backbone(network, weights)
    details = [note, network.backbone.variant, "" if settings.padding == "zeros" else f"{settings.padding} padding"]
    name = f"untrained {settings.backbone} ({'; '.join(filter(None, details))})"
    made_by: Record = {"model": name}
    is_file = Path(weights).is_file()
    if is_file:
        made_by |= {"checkpoint": Path(weights).name, "checkpoint_hash": file_hash(Path(weights))}
        made_by |= {name: getattr(settings, name) for name in ("backbone", "last_stride", "stride_position", "padding")}
    by_content = is_file and not settings.attention_branch and not settings.relation_branch
    return EvaluatedModel(lambda: network, image_size, f"Untrained {settings.backbone}", made_by, by_content=by_content)


def open_test_images(
    data: Path, subset: int | None, only: str | None, skip_damaged: bool = False, layout: str | None = None
) -> EvaluatedImages:
    """The data set's test images, or those that ``only`` ("vehicle_type=car,truck") selects.

    ``skip_damaged`` reads every image first, and leaves out those that cannot be read.

    Raises as :func:`open_dataset`, :class:`SettingsError` for a malformed ``only``,
    :class:`DataError` for images without vehicle labels, and for a value that no test image has.
    """
    dataset = open_dataset(data, subset, layout)
    dataset.check_labelled("a score")
    if skip_damaged:
        dataset = without_damaged(dataset)
    if only is None:
        return EvaluatedImages(dataset, "all", dataset)
    attribute, equals, values = only.partition("=")
    if not equals or not values:
        raise SettingsError(f"--only is {only!r}; write an attribute and its values, as vehicle_type=car,truck.")
    return EvaluatedImages(filter_test_images(dataset, attribute, values.split(",")), only, dataset)


def note_training_data(model: EvaluatedModel, dataset: ReIDDataset) -> EvaluatedModel:
    """Prints how much of the test data the checkpoint was trained on; returns the model with that in its record.

    Prints and records nothing for a checkpoint that does not name its training data.
    """
    seen = None if model.info is None else seen_by(model.info, dataset)
    if seen is None:
        return model
    for text in filter(None, (seen.warning, seen.note)):
        print(f"{model.title}: {text}")
    return model._replace(notes=seen.record)


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

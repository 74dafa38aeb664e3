"""What `ssrnet evaluate` and `ssrnet compare` put to the test: networks, and the images that they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from ssrnet.data.datasets import open_dataset
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import SettingsError
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.resources import DeviceName, resolve_device
from ssrnet.retrieval.evaluation import keep
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, extract
from ssrnet.retrieval.query_filters import check_values
from ssrnet.training.checkpoint import CheckpointInfo, file_hash, load_backbone, load_checkpoint
from ssrnet.training.trained_on import seen_by


class Subject(NamedTuple):
    """A network, the image size it was trained to, its name in headings, and what records say of it.

    ``info`` is what its checkpoint says of itself, where it has one.
    """

    model: SSRNet
    image_size: int
    title: str
    made_by: dict[str, object]
    info: CheckpointInfo | None = None


def trained(path: Path) -> Subject:
    """The network of a checkpoint; raises as :func:`load_checkpoint`."""
    checkpoint = load_checkpoint(path)
    info = checkpoint.info
    return Subject(checkpoint.model, info.image_size, info.model.title, checkpoint.record, info)


def untrained(weights: str, model: ModelSettings, image_size: int) -> Subject:
    """A network before its training: ``weights`` for its backbone, as :func:`load_backbone` takes them."""
    network = SSRNet(model)
    note = load_backbone(network, weights)
    details = [note, network.backbone.variant, "" if model.padding == "zeros" else f"{model.padding} padding"]
    name = f"untrained {model.backbone} ({'; '.join(filter(None, details))})"
    made_by: dict[str, object] = {"model": name}
    if Path(weights).is_file():
        made_by |= {"checkpoint": Path(weights).name, "checkpoint_hash": file_hash(Path(weights))}
    return Subject(network, image_size, f"Untrained {model.backbone}", made_by)


def open_images(data: Path, subset: int | None, only: str | None) -> tuple[ReIDDataset, str]:
    """The data set, its test images cut by ``only`` ("vehicle_type=car,truck"), and that cut in words.

    Raises as :func:`open_dataset`, :class:`SettingsError` for an ``only`` of another form,
    :class:`DataError` for a value that no test image has.
    """
    dataset = open_dataset(data, subset)
    if only is None:
        return dataset, "all"
    attribute, equals, values = only.partition("=")
    if not equals or not values:
        raise SettingsError(f"--only is {only!r}; write an attribute and its values, as vehicle_type=car,truck.")
    check_values(dataset, attribute, values.split(","))
    return keep(dataset, attribute, values.split(",")), only


def note_training_data(subject: Subject, title: str, dataset: ReIDDataset) -> Subject:
    """Prints how much of the test data the subject's checkpoint was trained on; returns it with that in its record.

    Nothing is printed or recorded where the checkpoint does not say.
    """
    seen = None if subject.info is None else seen_by(subject.info, dataset)
    if seen is None:
        return subject
    for text in filter(None, (seen.warning, seen.note)):
        print(f"{title}: {text}")
    return subject._replace(made_by=subject.made_by | seen.record)


def features_of(
    subject: Subject, dataset: ReIDDataset, settings: ExtractSettings, device: DeviceName, workers: int
) -> FeatureSet:
    """The embeddings of all test images, with a bar in the shell."""
    return extract(
        subject.model,
        dataset.test,
        settings,
        subject.image_size,
        resolve_device(device),
        workers,
        progress=lambda batches, total: tqdm(batches, total=total, unit="batch"),
    )


def distinct_titles(subjects: Sequence[Subject]) -> list[str]:
    """Each network's title; those that are equal get the file's name, else the file's hash, else a number."""
    titles = [subject.title for subject in subjects]
    tails: list[Callable[[int], object]] = [
        lambda i: subjects[i].made_by.get("checkpoint"),
        lambda i: subjects[i].made_by.get("checkpoint_hash"),
        lambda i: i + 1,
    ]
    for tail in tails:
        same = [i for i, title in enumerate(titles) if titles.count(title) > 1]
        if len({tail(i) for i in same}) == len(same):
            for i in same:
                titles[i] += f", {tail(i)}"
    return titles

"""A checkpoint's training sets: inherited with --start-from, restated from folders, compared with a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ssrnet.data.datasets import join_training_data, open_training_parts
from ssrnet.data.holdout import hold_back
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.data.training_sets import SeenInTraining, TrainingSet, describe_training, seen_in_training, union
from ssrnet.errors import CheckpointError, DataError, SettingsError
from ssrnet.training.checkpoint import CheckpointInfo, read_checkpoint


def sets_of_start(path: Path | None) -> tuple[TrainingSet, ...]:
    """The training sets of the checkpoint that a run starts from; empty where it stores none."""
    if path is None or path.suffix != ".safetensors":
        return ()
    try:
        return read_checkpoint(path).info.training_sets
    except CheckpointError:
        return ()  # loading its weights will raise the reason


def state_training_sets(info: CheckpointInfo, folders: Sequence[Path], source: Path) -> CheckpointInfo:
    """``info`` of the checkpoint ``source`` with its training sets made anew from the folders that it was trained on.

    Raises :class:`SettingsError` unless their content is what ``info.dataset_hash`` says; as :func:`open_dataset`
    where one cannot be opened.
    """
    subset, layout = info.training.get("subset"), info.training.get("layout")
    parts = open_training_parts(
        folders[0],
        subset if isinstance(subset, int) else None,
        folders[1:],
        layout if isinstance(layout, str) else None,
    )
    joined = join_training_data(parts)
    if joined.content_hash() != info.dataset_hash:
        raise SettingsError(
            f"{source} was trained on {info.dataset or 'data that it does not name'} (hash {info.dataset_hash}), but "
            f"--training-data is {joined.name} (hash {joined.content_hash()}); name the folder of its --data, "
            "then those of its --more-data in their order."
        )
    names = info.dataset.split(" + ")
    if len(names) == len(parts):  # as they were called then
        parts = tuple(replace(part, name=name) for part, name in zip(parts, names, strict=True))
    stated = describe_training(parts, _fit(info, joined))
    hashes = {one.content_hash for one in stated}
    return replace(
        info, training_sets=union(stated, (one for one in info.training_sets if one.content_hash not in hashes))
    )


def seen_by(info: CheckpointInfo, dataset: ReIDDataset, content_hash: str | None = None) -> SeenInTraining | None:
    """How much of ``dataset`` the checkpoint was trained on; None where the checkpoint does not tell.

    A checkpoint from before training sets were stored has only ``dataset_hash``, which identifies the data set that it
    was trained on. ``content_hash`` is that of ``dataset``, for a caller that knows it.
    """
    sets = info.training_sets
    if not sets and dataset.train and info.dataset_hash == (content_hash or dataset.content_hash()):
        sets = describe_training([dataset], _fit(info, dataset))
    return seen_in_training(sets, dataset)


def _fit(info: CheckpointInfo, dataset: ReIDDataset) -> Sequence[VehicleImage]:
    """The training images without those that the run held back, as its settings drew them."""
    holdout, seed = info.training.get("holdout"), info.training.get("seed")
    if not (type(holdout) is int and type(seed) is int and holdout > 0 and seed >= 0):
        return dataset.train
    try:
        return hold_back(dataset, holdout, seed)[0]
    except (DataError, SettingsError):  # damaged settings
        return dataset.train

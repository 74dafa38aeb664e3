"""One cell of a study: train one variant, evaluate it, and write its numbers with their records."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ssrnet.data.datasets import available_subsets, open_dataset
from ssrnet.data.protocols import Protocol, ProtocolName, available_protocols
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import ResourceError
from ssrnet.losses import LossSettings
from ssrnet.model import ModelSettings
from ssrnet.resources import resolve_device
from ssrnet.retrieval.evaluation import evaluate, over_seeds, query_scores, with_seeds
from ssrnet.retrieval.extraction import ExtractSettings, describe, extract
from ssrnet.retrieval.metric_intervals import VehicleSums
from ssrnet.studies.cell_results import CellResult, Score, by_vehicle, read_cell, write_json
from ssrnet.studies.definitions import Row
from ssrnet.train import train
from ssrnet.training.checkpoint import Checkpoint, file_hash, load_checkpoint
from ssrnet.training.settings import TrainSettings

NOT_PART_OF_A_CELL = {
    "data",
    "more_data",
    "layout",
    "out",
    "resume",
    "workers",
    "device",
    "evaluate_every",
    "recipe",
    "network",
    "cache",
    "cache_images",
    "skip_damaged",
}
"""Settings that do not affect the numbers: paths, devices, and the names of recipe and network."""
LATER = {
    "model": ("global_node_from",),
    "loss": ("circle_level", "circle_margin", "circle_scale", "normalise_pairs", "instance_classes"),
}
"""Settings younger than published cells, which count where they differ from their default: other cells keep their names."""


@dataclass(frozen=True)
class Cell:
    """One variant to train. ``data`` is the test data, read as ``layout`` where one is named; ``training.data`` may be a
    part of it, or other data.

    ``training.out`` is the cell's folder of checkpoints; its numbers, under each of ``protocols``, are beside it in
    ``cell.json``.
    """

    training: TrainSettings
    data: Path
    galleries: int
    protocols: tuple[ProtocolName, ...] = ()
    layout: str | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def folder(self) -> Path:
        return self.training.out.parent

    @property
    def result(self) -> Path:
        return self.folder / "cell.json"

    @property
    def title(self) -> str:
        """The variant in words, as "GB+AB, se; cross_entropy+triplet"."""
        loss = self.training.loss
        beta = f", β = {loss.beta:g}" if loss.metric != "none" and loss.beta != 1 else ""
        summed = ", summed" if loss.reduction == "sum" else ""
        return f"{self.training.model.title}; {loss.title}{beta}{summed}"


def make_cell(
    shared: TrainSettings,
    row: Row,
    cells: Path,
    data: Path,
    origin: Sequence[str],
    galleries: int,
    protocols: tuple[ProtocolName, ...] = (),
    layout: str | None = None,
) -> Cell:
    """The cell of a table's row, in a folder of ``cells`` named by the variant and a hash of what affects its numbers.

    ``data`` is the test data, read as ``layout`` where one is named; ``origin`` identifies training and test data.
    Starting weights count by their content, so that a cell has one name on every machine; protocols do not count, since a
    trained cell is evaluated under any.

    Settings without effect on the variant are set to their defaults first, so that a variant has
    one cell, whichever tables it is in: full SSR-Net, or beta = 0 and cross-entropy alone.
    """
    model = effective_model(replace(shared.model, **row.model_changes))
    loss = effective_loss(replace(shared.loss, **row.loss))
    network = "ssrnet" if model.attention_branch or model.relation_branch else "baseline"
    training = replace(shared, model=model, loss=loss, network=network, resume=False)
    shaping = {name: value for name, value in asdict(training).items() if name not in NOT_PART_OF_A_CELL}
    # As the loss was written up to version 0.1, so that cells of that time keep their names.
    pair = ("classification", "metric")
    shaping["loss"] = {k: v for k, v in shaping["loss"].items() if k not in pair} | {"name": loss.title}
    for part, defaults in (("model", asdict(ModelSettings())), ("loss", asdict(LossSettings()))):
        for name in LATER[part]:
            if shaping[part][name] == defaults[name]:
                del shaping[part][name]
    for name in ("backbone_weights", "start_from"):
        if shaping[name] is not None and Path(shaping[name]).is_file():
            shaping[name] = file_hash(Path(shaping[name]))
    shaping |= {"data": list(origin), "galleries": galleries}
    digest = hashlib.sha256(json.dumps(shaping, sort_keys=True, default=str).encode()).hexdigest()[:8]
    words = re.findall(r"[A-Za-z0-9.]+", f"{model.title} {loss.title}")
    return Cell(replace(training, out=cells / "-".join([*words, digest]) / "run"), data, galleries, protocols, layout)


def effective_model(model: ModelSettings) -> ModelSettings:
    """``model`` with every setting without effect at its default."""
    idle = []
    if not model.attention_branch:
        idle.append("attention")
    if not model.relation_branch:
        idle.append("parts")
    if not model.has_graph:
        idle += ["global_node", "token_node", "gcn_depth", "crop_ratio"]
    if not (model.has_graph and model.global_node):
        idle.append("global_node_from")
    return replace(model, **{name: getattr(ModelSettings(), name) for name in idle})


def effective_loss(loss: LossSettings) -> LossSettings:
    """``loss`` without a metric loss whose weight is 0, and with every setting without effect at its default."""
    idle = []
    if loss.metric == "none" or loss.beta == 0:
        loss = replace(loss, metric="none")
        idle.append("beta")
    if loss.weights.keys() == {"cross_entropy"}:
        idle.append("reduction")
    if "circle" not in loss.weights:
        idle += ["circle_level", "circle_margin", "circle_scale"]
    if not loss.weights.keys() & {"contrastive", "lifted"}:
        idle.append("normalise_pairs")
    if "instance" not in loss.weights:
        idle.append("instance_classes")
    return replace(loss, **{name: getattr(LossSettings(), name) for name in idle})


def run_cell(cell: Cell) -> bool:
    """Trains and evaluates the cell unless it is done; False where another process is working on it.

    A killed cell resumes from its last checkpoint; one that was measured under other protocols is evaluated again.
    Raises what training and evaluation raise.
    """
    with _locked(cell.folder) as locked:
        if not locked:
            return False
        if not is_done(cell):
            weights = cell.training.out / "last.safetensors"
            trained = cell.result.exists() and weights.exists()
            checkpoint = load_checkpoint(weights if trained else _train(cell.training))
            result = evaluate_cell(cell, checkpoint)
            write_json(cell.result, asdict(result))
            # The weights stay; the optimiser's state is twice as large and no longer needed.
            (cell.training.out / "resume.pt").unlink(missing_ok=True)
    return True


def is_done(cell: Cell) -> bool:
    """Whether the cell's file has its numbers under every protocol; raises :class:`DataError` for a damaged one."""
    if not cell.result.exists():
        return False
    return set(cell.protocols) <= {score.record.get("protocol") for score in read_cell(cell.result).scores}


def _train(training: TrainSettings) -> Path:
    begun = (training.out / "resume.pt").exists()
    if not begun:
        shutil.rmtree(training.out, ignore_errors=True)  # stopped before its first checkpoint: nothing to resume
    return train(replace(training, resume=begun))


def evaluate_cell(cell: Cell, checkpoint: Checkpoint) -> CellResult:
    """The cell's numbers on every test set of its data, each under every protocol."""
    info = checkpoint.info
    subset = None if cell.training.data != cell.data else cell.training.subset
    trained_on = open_dataset(cell.training.data, subset, cell.training.layout)
    training_set = {
        "name": trained_on.name,
        "hash": trained_on.content_hash(),
        "images": len(trained_on.train),
        "vehicles": len({image.vehicle_id for image in trained_on.train}),
        "held_back": cell.training.holdout,
    }
    made_by = checkpoint.record | describe(ExtractSettings(), info.image_size) | {"training_set": training_set}
    datasets = sets_to_test(cell.data, cell.training.subset, cell.layout)
    pooled = {image.name: image for dataset in datasets for image in dataset.test}
    features = extract(
        checkpoint.model,
        list(pooled.values()),
        ExtractSettings(),
        info.image_size,
        resolve_device(cell.training.device),
        cell.training.workers,
    )
    scores = []
    for dataset in datasets:
        for name in cell.protocols:
            protocols = with_seeds(name, cell.galleries, Protocol.n)
            evaluations = [evaluate(features, dataset, protocol, made_by=made_by, top_k=1) for protocol in protocols]
            spread = over_seeds([evaluation.metrics for evaluation in evaluations])
            seeds = tuple(protocol.seed for protocol in protocols)
            record = asdict(evaluations[0].record)
            sums = VehicleSums.of([query_scores(evaluation) for evaluation in evaluations])
            deviation = spread.deviation if len(seeds) > 1 else None
            scores.append(Score(dataset.name, record, seeds, spread.mean, deviation, by_vehicle(sums)))
    return CellResult(
        cell.name, cell.title, info.image_size, info.epoch, info.step, info.training, training_set, tuple(scores)
    )


def sets_to_test(data: Path, subset: int | None, layout: str | None = None) -> list[ReIDDataset]:
    """The test set of ``data``, or all its test subsets (VehicleID-800, 1600 and 2400) unless ``subset`` is one."""
    subsets: Sequence[int | None] = available_subsets(data, layout) or (None,)
    if subset is not None:
        subsets = (subset,)
    return [open_dataset(data, subset, layout) for subset in subsets]


def usual_protocols(dataset: ReIDDataset) -> tuple[ProtocolName, ...]:
    """The protocol that the data's authors report, then single-gallery-shot, the paper's (Sec. 4.7), if the data serve it."""
    serves = available_protocols(dataset)["single_gallery_shot"] is None
    return tuple(dict.fromkeys((dataset.protocol, *(["single_gallery_shot"] if serves else []))))


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether this process has exclusive use of the folder; the lock ends with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")
    except OSError as error:
        raise ResourceError(f"{folder} cannot be written ({error.strerror}); choose another --out.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True

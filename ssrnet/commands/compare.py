"""``ssrnet compare``: two checkpoints on one data set, with intervals, and their difference.

    ssrnet compare --data DIR --baseline runs/baseline/last.safetensors --ssrnet runs/ssrnet/last.safetensors \\
        --untrained resnet50.safetensors --slices sibling_group --out comparison.json

prints Markdown tables; ``render(read_scorecard(path))`` makes them again from the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, get_args

import tyro

import ssrnet
from ssrnet.analysis.csv_rows import Row, write_csv
from ssrnet.analysis.inspection import Inspection, inspect
from ssrnet.analysis.query_table import query_rows
from ssrnet.analysis.scorecard.markdown import render
from ssrnet.analysis.scorecard.measure import ScorecardTask, score_protocol
from ssrnet.analysis.scorecard.scorecard import LeftOut, Scorecard, ScoredModel
from ssrnet.commands.stored_features import embed_test_images
from ssrnet.data.protocols import Protocol, ProtocolName
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import DataError, ProtocolError, SettingsError
from ssrnet.files import check_writable, write_atomically
from ssrnet.resources import DeviceName
from ssrnet.retrieval.alignment import ALIGNED, AlignmentSettings
from ssrnet.retrieval.evaluated_models import (
    EvaluatedModel,
    ModelFeatures,
    distinct_titles,
    note_training_data,
    open_test_images,
    trained_model,
    untrained_model,
)
from ssrnet.retrieval.evaluation import evaluate, with_seeds
from ssrnet.retrieval.extraction import ExtractSettings
from ssrnet.retrieval.feature_files import read_record
from ssrnet.retrieval.query_filters import parse_slices
from ssrnet.retrieval.ranking import DistanceName


@dataclass(frozen=True)
class CompareSettings:
    """Compare two checkpoints, branch by branch and on slices of the queries."""

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder, or the path of a CSV manifest."""
    baseline: Path
    """Checkpoint to compare with: the baseline, or any other."""
    ssrnet: Path
    """Checkpoint to judge: SSR-Net, or any other."""
    out: Path
    """JSON file for the numbers and their protocol records."""
    queries_csv: Path | None = None
    """CSV file with one row per query and protocol: AP and first hit of both, the wrong vehicle at rank 1, attributes."""
    sheet: Path | None = None
    """PDF file for the verdict: numbers, slices, pictures of fixed and broken queries, records. Three pages for each
    protocol, of a shot protocol on its first random gallery."""
    untrained: str | None = None
    """Weights (a file, or `imagenet`) that the baseline's backbone started from, for a row before training."""
    features: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE ...")] = ()
    """Files of `ssrnet extract` with these checkpoints' features. Others are sought in assets/features and
    runs/features, and else extracted and kept there."""
    protocols: tuple[ProtocolName, ...] = get_args(ProtocolName)
    """Protocols to use; those that the data cannot serve are skipped, with the reason."""
    seeds: int = 10
    """Random galleries of the shot protocols; mean and spread are reported."""
    shots: int = 6
    """Gallery images per vehicle in multi-gallery-shot (n of the paper's Fig. 6)."""
    subset: int | None = None
    """Test subset of VehicleID or VERI-Wild."""
    layout: str | None = None
    """Read the folder as this layout, as `Folders` or `unlabelled`, whatever it is recognised as."""
    skip_damaged: bool = False
    """Read every image first, and go on without those that cannot be read; the protocol records count them."""
    only: str | None = None
    """Only test images with these values, as `vehicle_type=car,truck,bus`; reduces queries and gallery."""
    slices: tuple[str, ...] = ()
    """Queries to score separately, the gallery whole. An attribute stands for one slice per value, or,
    where some images lack it, for the queries with and without; `vehicle_type=bus,truck` is one slice."""
    distance: DistanceName = "cosine"
    """Distance between embeddings."""
    align_cameras: bool = False
    """Also score every model with its features aligned by camera, and the differences that this makes."""
    alignment: AlignmentSettings = AlignmentSettings()
    extraction: ExtractSettings = ExtractSettings()
    workers: int = 2
    """Processes that read images."""
    device: DeviceName = "auto"
    """Where to run."""

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise SettingsError(f"seeds is {self.seeds}; at least one random gallery is needed.")
        if not self.protocols:
            raise SettingsError(f"--protocols names none; choose among {', '.join(get_args(ProtocolName))}.")
        if self.out.suffix != ".json":
            raise SettingsError(f"{self.out} does not end in .json; give --out such a name.")
        if self.queries_csv is not None and self.queries_csv.suffix != ".csv":
            raise SettingsError(f"{self.queries_csv} does not end in .csv; give --queries-csv such a name.")
        if self.sheet is not None and self.sheet.suffix != ".pdf":
            raise SettingsError(f"{self.sheet} does not end in .pdf; give --sheet such a name.")


def compare_checkpoints(settings: CompareSettings) -> None:
    """Runs the command; raises :class:`ProtocolError` where the data set serves none of the protocols."""
    models = [trained_model(settings.baseline), trained_model(settings.ssrnet)]
    if settings.untrained is not None:
        start = replace(models[0].info.model, attention_branch=False, relation_branch=False)
        models.insert(0, untrained_model(settings.untrained, start, models[0].image_size))
    images = open_test_images(settings.data, settings.subset, settings.only, settings.skip_damaged, settings.layout)
    dataset = images.dataset
    print(dataset.summary())
    models = [model._replace(title=title) for model, title in zip(models, distinct_titles(models), strict=True)]
    models = [note_training_data(model, dataset) for model in models]
    for path in filter(None, (settings.out, settings.queries_csv, settings.sheet)):
        check_writable(path)  # before minutes of work, not after
    slices = {text: parse_slices(text, dataset) for text in settings.slices}
    served, left_out = _served(settings, dataset)
    features = [
        embed_test_images(model, images, settings.extraction, settings.device, settings.workers, file)
        for model, file in zip(models, _files(settings.features, models), strict=True)
    ]
    pair = features[-2:]
    pairs = [(pair[0].title, pair[1].title)]
    scored = features
    if settings.align_cameras:
        aligned = [one.aligned(settings.alignment) for one in features]
        pairs += [(aligned[-2].title, aligned[-1].title), *((one.title, f"{one.title}{ALIGNED}") for one in pair)]
        scored = [each for both in zip(features, aligned) for each in both]
    task = ScorecardTask(dataset, scored, slices, pairs, images.title, settings.distance)
    results = []
    for protocols in served:
        scores, empty = score_protocol(task, protocols)
        results.append(scores)
        left_out += empty
    scorecard = Scorecard(
        dataset=dataset.name,
        dataset_hash=images.dataset_hash,
        images=images.title,
        models=tuple(ScoredModel(one.title, one.made_by) for one in features),
        differences=tuple(pairs),
        protocols=tuple(results),
        left_out=tuple(left_out),
        version=ssrnet.__version__,
    )
    print("\n" + render(scorecard), end="")
    scorecard.write(settings.out)
    if settings.queries_csv is not None:
        first_seeds = [protocols[0] for protocols in served]
        write_csv(settings.queries_csv, protocol_rows(dataset, *features[-2:], first_seeds, settings.distance))
    if settings.sheet is not None:
        from ssrnet.analysis.verdict_pdf import draw_verdict_pdf  # imports matplotlib, which takes seconds

        inspections = [
            tuple(_inspect(one, dataset, protocols[0], settings.distance) for one in features[-2:])
            for protocols in served
        ]
        pdf = draw_verdict_pdf((features[-2].title, features[-1].title), *inspections)
        write_atomically(settings.sheet, lambda temporary: temporary.write_bytes(pdf))


def protocol_rows(
    dataset: ReIDDataset, a: ModelFeatures, b: ModelFeatures, protocols: Sequence[Protocol], distance: DistanceName
) -> list[Row]:
    """:func:`ssrnet.analysis.query_table.query_rows` of two models under each protocol, which the first columns name."""
    rows: list[Row] = []
    for protocol in protocols:
        first, second = (_inspect(one, dataset, protocol, distance) for one in (a, b))
        named: Row = {"protocol": protocol.name, "seed": first.evaluation.record.seed}
        rows += [{**named, **row} for row in query_rows(first, second)]
    return rows


def _inspect(model: ModelFeatures, dataset: ReIDDataset, protocol: Protocol, distance: DistanceName) -> Inspection:
    made = evaluate(model.features, dataset, protocol, made_by=model.made_by, distance=distance, top_k=1)
    return inspect(model.features, made)


def _files(paths: Sequence[Path], models: Sequence[EvaluatedModel]) -> list[Path | None]:
    """The feature file of each model, by the checkpoint's hash; None for a model without.

    Raises :class:`DataError` for a file that is no model's.
    """
    files = {model.made_by["checkpoint_hash"]: None for model in models if "checkpoint_hash" in model.made_by}
    for path in paths:
        record = read_record(path)
        if record is None:
            raise DataError(f"{path} is not a feature file of ssrnet; make one with `ssrnet extract`.")
        if record.get("checkpoint_hash") not in files:
            raise DataError(
                f"{path} has features of {record.get('checkpoint', record.get('model'))} "
                f"({record.get('checkpoint_hash', 'no checkpoint')}), which is none of the compared models; leave it out."
            )
        files[record["checkpoint_hash"]] = path
    return [files.get(model.made_by.get("checkpoint_hash")) for model in models]


def _served(settings: CompareSettings, dataset: ReIDDataset) -> tuple[list[list[Protocol]], list[LeftOut]]:
    """The usable protocols, each with its seeds, and the others with the reason."""
    served, left_out = [], []
    for name in dict.fromkeys(settings.protocols):
        protocols = with_seeds(name, settings.seeds, settings.shots)
        reason = protocols[0].unavailable(dataset)
        if reason:
            left_out.append(LeftOut(name, "all", reason))
            print(f"{name} is left out: {reason}")
        else:
            served.append(protocols)
    if not served:
        reasons = "; ".join(f"{left.protocol}: {left.reason}" for left in left_out)
        raise ProtocolError(f"{dataset.name} serves none of the protocols ({reasons}); choose others with --protocols.")
    return served, left_out

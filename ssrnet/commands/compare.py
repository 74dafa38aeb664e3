"""``ssrnet compare``: two checkpoints on one data set, each number with an interval, and their difference.

    ssrnet compare --data DIR --baseline runs/baseline/last.safetensors --ssrnet runs/ssrnet/last.safetensors \\
        --untrained resnet50.safetensors --slices sibling_group --out comparison.json

prints Markdown tables; ``render(read_comparison(path))`` gives them again from the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, get_args

import tyro

import ssrnet
from ssrnet.analysis.csv_rows import Row, write_csv
from ssrnet.analysis.inspection import inspect
from ssrnet.analysis.query_table import query_rows
from ssrnet.analysis.scorecard.markdown import render
from ssrnet.analysis.scorecard.measure import Contestant, measure
from ssrnet.analysis.scorecard.scorecard import ComparedModel, LeftOut, ModelComparison
from ssrnet.data.protocols import Protocol, ProtocolName
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import ProtocolError, SettingsError
from ssrnet.files import check_writable
from ssrnet.resources import DeviceName
from ssrnet.retrieval.evaluated_models import (
    distinct_titles,
    features_of,
    note_training_data,
    open_images,
    trained,
    untrained,
)
from ssrnet.retrieval.evaluation import evaluate, with_seeds
from ssrnet.retrieval.extraction import ExtractSettings, describe
from ssrnet.retrieval.query_filters import slices
from ssrnet.retrieval.ranking import DistanceName


@dataclass(frozen=True)
class CompareSettings:
    """Judge two checkpoints against each other, by their branches and on slices of the queries."""

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder, or the path of a CSV manifest."""
    baseline: Path
    """Checkpoint to compare with: the baseline, or any other."""
    ssrnet: Path
    """Checkpoint in question: SSR-Net, or any other."""
    out: Path
    """JSON file for the numbers and their protocol records."""
    queries_csv: Path | None = None
    """CSV file with a line a query and protocol: AP and first hit of both, which identity captured it, attributes."""
    untrained: str | None = None
    """Weights (a file, or `imagenet`) with which the baseline's backbone began, for a row before training."""
    protocols: tuple[ProtocolName, ...] = get_args(ProtocolName)
    """Protocols to use; those that the data cannot serve are left out and said."""
    seeds: int = 10
    """Random galleries of the shot protocols; mean and spread are reported."""
    shots: int = 6
    """Gallery images a vehicle in multi-gallery-shot (n of the paper's Fig. 6)."""
    subset: int | None = None
    """Test subset of VehicleID or VERI-Wild."""
    only: str | None = None
    """Only test images with an attribute, as `vehicle_type=car,truck,bus`; cuts queries and gallery."""
    slices: tuple[str, ...] = ()
    """Queries to look at by themselves, the gallery whole. An attribute stands for one slice a value, or,
    where some images lack it, for the queries with and without; `vehicle_type=bus,truck` is one slice."""
    distance: DistanceName = "cosine"
    """Distance between embeddings."""
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
            raise SettingsError(f"{self.out} does not end in .json; name the file of the comparison so.")
        if self.queries_csv is not None and self.queries_csv.suffix != ".csv":
            raise SettingsError(f"{self.queries_csv} does not end in .csv; name the table of the queries so.")


def compare_checkpoints(settings: CompareSettings) -> None:
    """Runs the command; raises :class:`ProtocolError` where the data set serves none of the protocols."""
    before, after = trained(settings.baseline), trained(settings.ssrnet)
    subjects = [before, after]
    if settings.untrained is not None:
        start = replace(before.model.settings, attention_branch=False, relation_branch=False)
        subjects.insert(0, untrained(settings.untrained, start, before.image_size))
    dataset, images = open_images(settings.data, settings.subset, settings.only)
    print(dataset.summary())
    titles = distinct_titles(subjects)
    subjects = [note_training_data(*one, dataset) for one in zip(subjects, titles, strict=True)]
    for path in filter(None, (settings.out, settings.queries_csv)):
        check_writable(path)  # before minutes of work, not after
    asked = {text: slices(text, dataset) for text in settings.slices}
    served, left_out = _served(settings, dataset)
    contestants = []
    for title, subject in zip(titles, subjects, strict=True):
        print(f"{title}: {len(dataset.test):,} images")
        features = features_of(subject, dataset, settings.extraction, settings.device, settings.workers)
        made_by = subject.made_by | describe(settings.extraction, subject.image_size)
        contestants.append(Contestant(title, features, made_by))
    difference = (contestants[-2].title, contestants[-1].title)
    results = []
    for protocols in served:
        result, empty = measure(
            dataset, contestants, protocols, asked, difference=difference, images=images, distance=settings.distance
        )
        results.append(result)
        left_out += empty
    comparison = ModelComparison(
        dataset=dataset.name,
        dataset_hash=dataset.content_hash(),
        images=images,
        models=tuple(ComparedModel(one.title, one.made_by) for one in contestants),
        difference=difference,
        protocols=tuple(results),
        left_out=tuple(left_out),
        version=ssrnet.__version__,
    )
    print("\n" + render(comparison), end="")
    comparison.write(settings.out)
    if settings.queries_csv is not None:
        first_seeds = [protocols[0] for protocols in served]
        write_csv(settings.queries_csv, protocol_rows(dataset, *contestants[-2:], first_seeds, settings.distance))


def protocol_rows(
    dataset: ReIDDataset, a: Contestant, b: Contestant, protocols: Sequence[Protocol], distance: DistanceName
) -> list[Row]:
    """:func:`ssrnet.analysis.query_table.query_rows` of two models for each protocol, which its first columns name."""
    rows: list[Row] = []
    for protocol in protocols:
        first, second = (
            inspect(
                one.features, evaluate(one.features, dataset, protocol, made_by=one.made_by, distance=distance, top_k=1)
            )
            for one in (a, b)
        )
        named: Row = {"protocol": protocol.name, "seed": first.evaluation.record.seed}
        rows += [{**named, **row} for row in query_rows(first, second)]
    return rows


def _served(settings: CompareSettings, dataset: ReIDDataset) -> tuple[list[list[Protocol]], list[LeftOut]]:
    """The protocols that can be used, each with its seeds, and those that cannot, with the reason."""
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

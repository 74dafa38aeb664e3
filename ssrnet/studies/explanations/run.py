"""``ssrnet study explanations``: runs the measurements still missing, saves after each, and reports.

    ssrnet study explanations --data assets/city --baseline checkpoints/baseline.safetensors \\
        --ssrnet checkpoints/ssrnet.safetensors --out runs/explanations --publish assets
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

import ssrnet
from ssrnet.analysis.mean_intervals import REPLICATES
from ssrnet.data.datasets import open_dataset
from ssrnet.data.parts import folder_of, part_names
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import DataError
from ssrnet.explain.attention import why_no_attended_length, why_no_spatial_attention
from ssrnet.explain.faithfulness import BLUR, TOLERANCE
from ssrnet.files import write_atomically
from ssrnet.resources import resolve_device
from ssrnet.retrieval.evaluated_models import EvaluatedModel, distinct_titles, trained_model
from ssrnet.retrieval.metric_intervals import CONFIDENCE
from ssrnet.studies.explanations import measure
from ssrnet.studies.explanations.measure import Advance, Row
from ssrnet.studies.explanations.measurements import Measurements, ModelMeasurements, read_measurements
from ssrnet.studies.explanations.network import Network
from ssrnet.studies.explanations.report import markdown
from ssrnet.studies.explanations.sample import Pair, Photograph, draw_pairs, draw_photographs
from ssrnet.studies.explanations.summary import ModelSummary, summarise
from ssrnet.studies.settings import ExplanationSettings
from ssrnet.studies.verdicts import ExplanationVerdicts, write_verdicts

NOT_RECORDED = ("study", "data", "baseline", "ssrnet", "out", "publish", "device", "layout")
"""Paths and the like: the record names checkpoints and data by their hashes instead."""


class Sample(NamedTuple):
    """The sample, the same for all networks. ``names`` are the labels of the part masks, None without any."""

    photographs: list[Photograph]
    pairs: list[Pair]
    names: tuple[str, ...] | None


class Measurement(NamedTuple):
    """One of a network's measurements: its cost in forward passes, and the function that computes its rows."""

    name: str
    cost: float
    rows: Callable[[Advance], Iterable[Row]]


def explain_checkpoints(settings: ExplanationSettings) -> None:
    """Runs the study: explanations.json, written after each measurement, and explanations.md in ``settings.out``.

    ``settings.publish`` gets the same report, and the verdicts as a smaller explanations.json.

    Measurements of an earlier run with the same checkpoint, data and settings are reused. Raises
    :class:`DataError` where no test vehicle has two photographs, or where explanations.json is another file.
    """
    evaluated = [trained_model(settings.baseline), trained_model(settings.ssrnet)]
    dataset = open_dataset(settings.data, settings.subset, settings.layout)
    dataset.check_labelled("this study")
    print(dataset.summary())
    sample, left_out = draw(dataset, settings)
    record = _record(dataset, sample, settings)
    path = settings.out / "explanations.json"
    earlier = read_measurements(path).models if path.exists() else []
    device = resolve_device(settings.device)
    networks = [Network(one.load(), one.image_size, settings, device) for one in evaluated]
    models = [
        _resumed(title, one, network, record, earlier)
        for title, one, network in zip(distinct_titles(evaluated), evaluated, networks, strict=True)
    ]
    measurements = Measurements(record, left_out, models)
    todo = [
        (model, measurement)
        for model, network in zip(models, networks, strict=True)
        for measurement in _measurements(network, sample, dataset, left_out)
        if measurement.name not in model.rows
    ]
    total = sum(measurement.cost for _, measurement in todo)
    if todo:
        print(f"{len(todo)} measurements, about {total:,.0f} forward passes")
    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} gone, {remaining} left"
    with tqdm(total=total, bar_format=form) as bar:
        for model, measurement in todo:
            bar.set_description_str(f"{model.title}, {measurement.name}")
            model.rows[measurement.name] = list(measurement.rows(bar.update))
            measurements.write(path)
    summaries = [summarise(model, sample.names or ()) for model in models]
    measurements.write(path, [summary.plain() for summary in summaries])
    text = markdown(measurements, summaries)
    _write_text(path.with_suffix(".md"), text)
    print(f"\n{text}\n{path}\n{path.with_suffix('.md')}")
    if settings.publish is not None:
        publish(settings.publish, measurements, summaries, text)


def publish(folder: Path, measurements: Measurements, summaries: Sequence[ModelSummary], text: str) -> None:
    """Writes the report and the verdicts, without the photographs' rows: small enough to commit."""
    verdicts = ExplanationVerdicts(
        measurements.record,
        tuple(
            summary.verdicts(model.made_by["checkpoint_hash"])
            for model, summary in zip(measurements.models, summaries, strict=True)
        ),
    )
    write_verdicts(folder / "explanations.json", verdicts)
    _write_text(folder / "explanations.md", text)
    print(f"{folder / 'explanations.json'}\n{folder / 'explanations.md'}")


def draw(dataset: ReIDDataset, settings: ExplanationSettings) -> tuple[Sample, dict[str, str]]:
    """The sample, and the measurements that it does not allow, with the reasons.

    Raises :class:`DataError` where no test vehicle has two photographs.
    """
    names = part_names(folder_of(dataset))
    photographs = draw_photographs(dataset, settings.images, settings.seed)
    if not photographs:
        raise DataError(f"no test vehicle of {dataset.name} has two photographs; a similarity needs a pair.")
    left_out = {}
    if not any(photograph.mask for photograph in photographs):
        left_out["masks"] = f"{dataset.name} has no part masks (parts.txt, and a column mask in manifest.csv)"
        photographs = photographs[: max(settings.curves, settings.randomised)]
    pairs = draw_pairs(dataset, settings.pairs, settings.seed) if settings.pairs else []
    if not pairs:
        no_pairs = f"{dataset.name} has no pairs of photographs with and without a mark (probes.csv)"
        left_out["pairs"] = no_pairs if settings.pairs else "--pairs 0"
    if not settings.randomised:
        left_out["randomised"] = "--randomised 0"
    if not settings.curves:
        left_out["curves"] = "--curves 0"
    return Sample(photographs, pairs, names), left_out


def _measurements(
    network: Network, sample: Sample, dataset: ReIDDataset, left_out: dict[str, str]
) -> list[Measurement]:
    photographs, pairs, names = sample
    few = photographs[: network.settings.randomised]
    measurements = [
        Measurement(
            "photographs",
            measure.photographs_cost(network, photographs),
            partial(measure.photographs, network, photographs, dataset, names),
        ),
        Measurement("pairs", measure.pairs_cost(network, pairs), partial(measure.pairs, network, pairs, names)),
        Measurement("randomised", measure.randomised_cost(network, few), partial(measure.randomised, network, few)),
    ]
    return [measurement for measurement in measurements if measurement.name not in left_out]


def _resumed(
    title: str,
    evaluated: EvaluatedModel,
    network: Network,
    record: dict[str, object],
    earlier: Sequence[ModelMeasurements],
) -> ModelMeasurements:
    made_by = evaluated.made_by | {"image_size": network.size}
    determines_rows = {"record": record, "hash": made_by["checkpoint_hash"], "image_size": network.size}
    key = hashlib.sha256(json.dumps(determines_rows, sort_keys=True).encode()).hexdigest()[:16]
    rows = next((model.rows for model in earlier if model.key == key), {})
    model = network.model.settings
    return ModelMeasurements(title, made_by, key, why_no_spatial_attention(model), rows, why_no_attended_length(model))


def _record(dataset: ReIDDataset, sample: Sample, settings: ExplanationSettings) -> dict[str, object]:
    return {
        "dataset": dataset.name,
        "dataset_hash": dataset.content_hash(),
        "annotations_hash": _annotations_hash(folder_of(dataset), sample),
        "settings": {name: value for name, value in asdict(settings).items() if name not in NOT_RECORDED},
        "photographs": [[drawn.image.name, drawn.reference.name] for drawn in sample.photographs],
        "pairs": [[pair.probe.photographs["as it is"].name, pair.reference.name] for pair in sample.pairs],
        "similarity": "cosine of whole embeddings, all branches, after the neck",
        "deletion": "ImageNet mean colour",
        "insertion": f"Gaussian blur, standard deviation {BLUR:g} of the side",
        "pointing_tolerance": TOLERANCE,
        "bootstrap": {"confidence": CONFIDENCE, "replicates": REPLICATES, "drawn": "vehicles"},
        "version": ssrnet.__version__,
    }


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _annotations_hash(folder: Path, sample: Sample) -> str:
    """16 hex digits over parts.txt, probes.csv and the sample's masks, which the data set's hash does not cover."""
    files = [folder / "parts.txt", folder / "probes.csv"]
    files += [folder / photograph.mask for photograph in sample.photographs if photograph.mask]
    files += [mask for pair in sample.pairs for mask in pair.probe.masks.values()]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes() if file.is_file() else b"-")
    return digest.hexdigest()[:16]

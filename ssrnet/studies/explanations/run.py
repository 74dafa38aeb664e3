"""``ssrnet study explanations``: measures what is not measured yet, keeps it part by part, and reports.

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
from ssrnet.retrieval.evaluated_models import Subject, distinct_titles, trained
from ssrnet.retrieval.metric_intervals import CONFIDENCE
from ssrnet.studies.explanations import measure
from ssrnet.studies.explanations.findings import Findings, ModelFindings, read_findings
from ssrnet.studies.explanations.measure import Row, Tick
from ssrnet.studies.explanations.network import Network
from ssrnet.studies.explanations.report import markdown
from ssrnet.studies.explanations.sample import Pair, View, draw_pairs, draw_views
from ssrnet.studies.explanations.summary import ModelSummary, summarise
from ssrnet.studies.settings import ExplanationSettings
from ssrnet.studies.verdicts import ExplanationVerdicts, write_verdicts

ELSEWHERE = ("study", "data", "baseline", "ssrnet", "out", "publish", "device")
"""Settings that say where things are: the record names checkpoints and data by their hashes."""


class Sample(NamedTuple):
    """What all networks are shown. ``names`` are the labels of the part masks, None without any."""

    views: list[View]
    pairs: list[Pair]
    names: tuple[str, ...] | None


class Part(NamedTuple):
    """One of a network's measurements: what it costs in forward passes, and its rows, told of a tick."""

    name: str
    cost: float
    rows: Callable[[Tick], Iterable[Row]]


def explain_checkpoints(settings: ExplanationSettings) -> None:
    """Runs the study: explanations.json, written after each part, and explanations.md in ``settings.out``.

    ``settings.publish`` gets the same report, and the verdicts as an explanations.json of its own.

    A part of a network that an earlier run measured with the same checkpoint, data and settings stays. Raises
    :class:`DataError` where no test vehicle has two photographs, or where the file there is something else.
    """
    subjects = [trained(settings.baseline), trained(settings.ssrnet)]
    dataset = open_dataset(settings.data, settings.subset)
    print(dataset.summary())
    sample, left_out = draw(dataset, settings)
    record = _record(dataset, sample, settings)
    path = settings.out / "explanations.json"
    earlier = read_findings(path).models if path.exists() else []
    device = resolve_device(settings.device)
    networks = [Network(subject.model, subject.image_size, settings, device) for subject in subjects]
    models = [
        _resumed(title, subject, network, record, earlier)
        for title, subject, network in zip(distinct_titles(subjects), subjects, networks, strict=True)
    ]
    findings = Findings(record, left_out, models)
    todo = [
        (model, part)
        for model, network in zip(models, networks, strict=True)
        for part in _parts(network, sample, dataset, left_out)
        if part.name not in model.parts
    ]
    total = sum(part.cost for _, part in todo)
    if todo:
        print(f"{len(todo)} measurements, about {total:,.0f} forward passes")
    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} gone, {remaining} left"
    with tqdm(total=total, bar_format=form) as bar:
        for model, part in todo:
            bar.set_description_str(f"{model.title}, {part.name}")
            model.parts[part.name] = list(part.rows(bar.update))
            findings.write(path)
    summaries = [summarise(model, sample.names or ()) for model in models]
    findings.write(path, [summary.plain() for summary in summaries])
    text = markdown(findings, summaries)
    _write_text(path.with_suffix(".md"), text)
    print(f"\n{text}\n{path}\n{path.with_suffix('.md')}")
    if settings.publish is not None:
        publish(settings.publish, findings, summaries, text)


def publish(folder: Path, findings: Findings, summaries: Sequence[ModelSummary], text: str) -> None:
    """The report and the verdicts, to commit: small, without the photographs' rows."""
    verdicts = ExplanationVerdicts(
        findings.record,
        tuple(
            summary.verdicts(model.made_by["checkpoint_hash"])
            for model, summary in zip(findings.models, summaries, strict=True)
        ),
    )
    write_verdicts(folder / "explanations.json", verdicts)
    _write_text(folder / "explanations.md", text)
    print(f"{folder / 'explanations.json'}\n{folder / 'explanations.md'}")


def draw(dataset: ReIDDataset, settings: ExplanationSettings) -> tuple[Sample, dict[str, str]]:
    """The sample, and the parts of the study that it does not serve, with the reasons.

    Raises :class:`DataError` where no test vehicle has two photographs.
    """
    names = part_names(folder_of(dataset))
    views = draw_views(dataset, settings.images, settings.seed)
    if not views:
        raise DataError(f"no test vehicle of {dataset.name} has two photographs; a similarity needs a pair.")
    left_out = {}
    if not any(view.mask for view in views):
        left_out["masks"] = f"{dataset.name} has no part masks (parts.txt, and a column mask in manifest.csv)"
        views = views[: max(settings.curves, settings.randomised)]
    pairs = draw_pairs(dataset, settings.pairs, settings.seed) if settings.pairs else []
    if not pairs:
        asked = f"{dataset.name} has no pairs of photographs with and without a mark (probes.csv)"
        left_out["pairs"] = asked if settings.pairs else "--pairs 0"
    if not settings.randomised:
        left_out["randomised"] = "--randomised 0"
    if not settings.curves:
        left_out["curves"] = "--curves 0"
    return Sample(views, pairs, names), left_out


def _parts(network: Network, sample: Sample, dataset: ReIDDataset, left_out: dict[str, str]) -> list[Part]:
    views, pairs, names = sample
    few = views[: network.settings.randomised]
    parts = [
        Part(
            "photographs",
            measure.photographs_cost(network, views),
            partial(measure.photographs, network, views, dataset, names),
        ),
        Part("pairs", measure.pairs_cost(network, pairs), partial(measure.pairs, network, pairs, names)),
        Part("randomised", measure.randomised_cost(network, few), partial(measure.randomised, network, few)),
    ]
    return [part for part in parts if part.name not in left_out]


def _resumed(
    title: str, subject: Subject, network: Network, record: dict[str, object], earlier: Sequence[ModelFindings]
) -> ModelFindings:
    made_by = subject.made_by | {"image_size": network.size}
    shapes = {"record": record, "hash": made_by["checkpoint_hash"], "image_size": network.size}
    key = hashlib.sha256(json.dumps(shapes, sort_keys=True).encode()).hexdigest()[:16]
    parts = next((model.parts for model in earlier if model.key == key), {})
    own = subject.model.settings
    return ModelFindings(title, made_by, key, why_no_spatial_attention(own), parts, why_no_attended_length(own))


def _record(dataset: ReIDDataset, sample: Sample, settings: ExplanationSettings) -> dict[str, object]:
    return {
        "dataset": dataset.name,
        "dataset_hash": dataset.content_hash(),
        "annotations_hash": _annotations_hash(folder_of(dataset), sample),
        "settings": {name: value for name, value in asdict(settings).items() if name not in ELSEWHERE},
        "photographs": [[view.image.name, view.reference.name] for view in sample.views],
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
    """16 hex digits over parts.txt, probes.csv and the masks drawn, which the data set's own hash leaves out."""
    files = [folder / "parts.txt", folder / "probes.csv"]
    files += [folder / view.mask for view in sample.views if view.mask]
    files += [mask for pair in sample.pairs for mask in pair.probe.masks.values()]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes() if file.is_file() else b"-")
    return digest.hexdigest()[:16]

"""``ssrnet evaluate``: rank a data set's test images and say how well, and by which rules."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol, ProtocolName
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import DataError, SettingsError
from ssrnet.files import write_atomically
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.resources import DeviceName, resolve_device
from ssrnet.retrieval.evaluation import evaluate, keep, over_seeds
from ssrnet.retrieval.extraction import ExtractSettings, describe, extract
from ssrnet.retrieval.ranking import DistanceName
from ssrnet.retrieval.reranking import ReRankSettings
from ssrnet.training.checkpoint import load_backbone, load_checkpoint

UNTRAINED_IMAGE_SIZE = 256


@dataclass(frozen=True)
class EvaluateSettings:
    """Evaluate a checkpoint, or untrained backbone features, on a data set's test images."""

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder, or the path of a CSV manifest."""
    checkpoint: Path | None = None
    """Checkpoint that `ssrnet train` wrote."""
    untrained: str | None = None
    """In place of a checkpoint: pooled features of these backbone weights (a file, or `imagenet`)."""
    model: ModelSettings = ModelSettings(attention_branch=False, relation_branch=False)
    """With --untrained: the backbone and its strides."""
    protocol: Literal["own", "cross_camera", "single_gallery_shot", "multi_gallery_shot"] = "own"
    """`own` is the one that the data set's owners report."""
    seeds: int = 10
    """Random galleries of the shot protocols; mean and spread are reported."""
    shots: int = 6
    """Gallery images a vehicle in multi-gallery-shot (n of the paper's Fig. 6)."""
    subset: int | None = None
    """Test subset of VehicleID or VERI-Wild."""
    only: str | None = None
    """Only test images with an attribute, as `vehicle_type=car,truck,bus`."""
    distance: DistanceName = "cosine"
    """Distance between embeddings."""
    re_rank: bool = False
    """k-reciprocal re-ranking."""
    re_ranking: ReRankSettings = ReRankSettings()
    extraction: ExtractSettings = ExtractSettings()
    out: Path | None = None
    """JSON file for the numbers and their protocol records."""
    workers: int = 2
    """Processes that read images."""
    device: DeviceName = "auto"
    """Where to run."""


def evaluate_model(settings: EvaluateSettings) -> None:
    """Runs the command: prints metrics with their protocol, and writes them to ``out`` where it is given."""
    if settings.seeds < 1:
        raise SettingsError(f"seeds is {settings.seeds}; at least one random gallery is needed.")
    if settings.re_rank and settings.distance != "cosine":
        raise SettingsError("k-reciprocal re-ranking starts from cosine distances; leave out --distance or --re-rank.")
    model, image_size, made_by = _model(settings)
    dataset, images = _images(settings)
    name: ProtocolName = dataset.protocol if settings.protocol == "own" else settings.protocol  # type: ignore[assignment]
    seeds = [0] if name == "cross_camera" else range(settings.seeds)
    protocols = [Protocol(name, seed=seed, n=settings.shots) for seed in seeds]
    protocols[0].split(dataset)  # an unusable protocol is told before minutes of extraction
    features = extract(
        model, dataset.test, settings.extraction, image_size, resolve_device(settings.device), settings.workers,
        progress=lambda batches, total: tqdm(batches, total=total, unit="batch"),
    )  # fmt: skip
    made_by |= describe(settings.extraction, image_size)
    evaluations = [
        evaluate(
            features, dataset, protocol, made_by=made_by, distance=settings.distance,
            re_rank=settings.re_ranking if settings.re_rank else None, images=images,
        )
        for protocol in protocols
    ]  # fmt: skip
    record = evaluations[0].record
    print(f"{made_by['model']} on {dataset.name}, {images} test images, {name}")
    if len(evaluations) == 1:
        print(f"  {evaluations[0].metrics}")
    else:
        spread = over_seeds([evaluation.metrics for evaluation in evaluations])
        print(f"  mean of {len(evaluations)} random galleries  {spread.mean}")
        print(f"  standard deviation               {spread.deviation}")
    print("protocol record: " + record.json())
    if settings.out is not None:
        results = [{"record": asdict(e.record), "metrics": asdict(e.metrics)} for e in evaluations]
        write_atomically(settings.out, lambda path: path.write_text(json.dumps(results, indent=2)))


def _model(settings: EvaluateSettings) -> tuple[SSRNet, int, dict[str, object]]:
    """The network to evaluate, the image size it was trained to, and what the record says of it."""
    if (settings.checkpoint is None) == (settings.untrained is None):
        raise SettingsError("give either --checkpoint FILE or --untrained WEIGHTS; there is nothing else to evaluate.")
    if settings.checkpoint is not None:
        checkpoint = load_checkpoint(settings.checkpoint)
        return checkpoint.model, checkpoint.info.image_size, dict(checkpoint.record)
    model = SSRNet(settings.model)
    note = load_backbone(model, settings.untrained)
    print(note)
    stride = settings.model.stride_position
    return model, UNTRAINED_IMAGE_SIZE, {"model": f"untrained {settings.model.backbone} ({note}; stride on {stride})"}


def _images(settings: EvaluateSettings) -> tuple[ReIDDataset, str]:
    """The data set, cut by --only, and that cut in words."""
    dataset = open_dataset(settings.data, settings.subset)
    print(dataset.summary())
    if settings.only is None:
        return dataset, "all"
    attribute, equals, values = settings.only.partition("=")
    if not equals or not values:
        raise SettingsError(
            f"--only is {settings.only!r}; write an attribute and its values, as vehicle_type=car,truck."
        )
    known = {image.attributes.get(attribute) for image in dataset.test} - {None}
    absent = set(values.split(",")) - known
    if absent:
        raise DataError(
            f"no test image of {dataset.name} has {attribute} {', '.join(sorted(absent))}; "
            f"it has {', '.join(sorted(known)) or 'no such attribute'}."
        )
    return keep(dataset, attribute, values.split(",")), settings.only

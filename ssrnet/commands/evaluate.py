"""``ssrnet evaluate``: rank a data set's test images and say how well, and by which rules."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ssrnet.data.datasets import open_training_data
from ssrnet.data.holdout import hold_back
from ssrnet.data.protocols import ProtocolName
from ssrnet.data.records import ReIDDataset
from ssrnet.errors import SettingsError
from ssrnet.files import write_atomically
from ssrnet.model import ModelSettings
from ssrnet.resources import DeviceName
from ssrnet.retrieval.evaluated_models import Subject, features_of, note_training_data, open_images, trained, untrained
from ssrnet.retrieval.evaluation import Evaluation, evaluate, over_seeds, query_scores, restrict, with_seeds
from ssrnet.retrieval.expansion import ExpansionSettings
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, describe
from ssrnet.retrieval.metric_intervals import CONFIDENCE, REPLICATES, SEED, Estimate, estimates, vehicles_of
from ssrnet.retrieval.query_filters import QueryFilter
from ssrnet.retrieval.ranking import DistanceName
from ssrnet.retrieval.reranking import ReRankSettings
from ssrnet.training.checkpoint import read_checkpoint

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
    held_back: bool = False
    """In place of the test images, the training vehicles that the checkpoint's run held back (--holdout), drawn
    again; --data and --more-data are then what it trained on. Branches are also scored alone and at unit length."""
    more_data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...")] = ()
    """With --held-back: the run's further data folders, in its order."""
    only: str | None = None
    """Only test images with an attribute, as `vehicle_type=car,truck,bus`; cuts queries and gallery."""
    queries: str | None = None
    """Only queries with an attribute (`sibling_group`), without (`sibling_group=none`) or with one of some
    values (`vehicle_type=bus,truck`); the gallery stays whole."""
    distance: DistanceName = "cosine"
    """Distance between embeddings."""
    re_rank: bool = False
    """k-reciprocal re-ranking."""
    re_ranking: ReRankSettings = ReRankSettings()
    expand: bool = False
    """Query expansion: a query's nearest gallery features are averaged into it."""
    expansion: ExpansionSettings = ExpansionSettings()
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
    if settings.expand and settings.distance != "cosine":
        raise SettingsError("query expansion starts from cosine distances; leave out --distance or --expand.")
    subject = _subject(settings)
    if settings.held_back:
        dataset, images = _held_back(settings), "held-back"
    else:
        dataset, images = open_images(settings.data, settings.subset, settings.only)
    print(dataset.summary())
    if not settings.held_back:
        subject = note_training_data(subject, subject.title, dataset)
    kept = None if settings.queries is None else QueryFilter.parse(settings.queries, dataset)
    own = settings.protocol == "own"
    name: ProtocolName = dataset.protocol if own else settings.protocol  # type: ignore[assignment]
    protocols = with_seeds(name, settings.seeds, settings.shots)
    split = protocols[0].split(dataset)  # an unusable protocol is told before minutes of extraction
    if kept is not None:
        kept.required_rows(split.query)
    features = features_of(subject, dataset, settings.extraction, settings.device, settings.workers)
    made_by = subject.made_by | describe(settings.extraction, subject.image_size)
    evaluations = [
        evaluate(
            features,
            dataset,
            protocol,
            made_by=made_by,
            distance=settings.distance,
            re_rank=settings.re_ranking if settings.re_rank else None,
            expansion=settings.expansion if settings.expand else None,
            images=images,
        )
        for protocol in protocols
    ]
    if kept is not None:
        evaluations = [restrict(evaluation, kept) for evaluation in evaluations]
    shown = "" if settings.held_back else f", {images} test images"
    title = f"{made_by['model']} on {dataset.name}{shown}, {name}"
    print(title if kept is None else f"{title}, queries {kept.title}")
    scores = [query_scores(evaluation) for evaluation in evaluations]
    vehicles, intervals = len(vehicles_of(scores)), estimates(scores)
    _print(evaluations, vehicles, intervals)
    if settings.held_back and len(features.branch_dims) > 1:
        for scale, rescaled in branch_scales(features).items():
            print(f"  {scale:<22}{evaluate(rescaled, dataset, protocols[0], made_by=made_by, top_k=1).metrics}")
    print("protocol record: " + evaluations[0].record.json())
    if settings.out is not None:
        written = {
            "results": [{"record": asdict(e.record), "metrics": asdict(e.metrics)} for e in evaluations],
            "bootstrap": {"confidence": CONFIDENCE, "vehicles": vehicles, "replicates": REPLICATES, "seed": SEED},
            "estimates": {metric: asdict(estimate) for metric, estimate in intervals.items()},
        }
        write_atomically(settings.out, lambda path: path.write_text(json.dumps(written, indent=2)))


def _print(evaluations: list[Evaluation], vehicles: int, intervals: dict[str, Estimate]) -> None:
    if len(evaluations) == 1:
        print(f"  {evaluations[0].metrics}")
    else:
        spread = over_seeds([evaluation.metrics for evaluation in evaluations])
        print(f"  mean of {len(evaluations)} random galleries  {spread.mean}")
        print(f"  standard deviation               {spread.deviation}")
    said = "  ".join(f"{metric} {100 * e.low:.2f}-{100 * e.high:.2f}%" for metric, e in intervals.items())
    print(f"  {CONFIDENCE:.0%} intervals over the {vehicles:,} query vehicles  {said}")


def branch_scales(features: FeatureSet) -> dict[str, FeatureSet]:
    """The features as concatenated, with each branch at unit length, and of each branch alone, by title."""
    alone = {f"{branch} alone": features.only([branch]) for branch in features.branch_dims}
    return {"as concatenated": features, "each at unit length": features.at_unit_length(), **alone}


def _held_back(settings: EvaluateSettings) -> ReIDDataset:
    """The vehicles that the checkpoint's run held back, as :func:`hold_back` drew them.

    Raises :class:`SettingsError` where it held none back, or where the folders are not those that it trained on.
    """
    if settings.checkpoint is None or settings.only is not None:
        raise SettingsError("--held-back needs --checkpoint, whose run drew the vehicles, and goes without --only.")
    info = read_checkpoint(settings.checkpoint).info
    holdout, seed = info.training.get("holdout"), info.training.get("seed")
    if not isinstance(holdout, int) or not isinstance(seed, int) or holdout < 2:
        raise SettingsError(f"the run of {settings.checkpoint} held no vehicles back; train with --holdout.")
    dataset = open_training_data(settings.data, settings.subset, settings.more_data)
    if dataset.content_hash() != info.dataset_hash:
        raise SettingsError(
            f"{settings.checkpoint} was trained on {info.dataset} ({info.dataset_hash}), but --data and --more-data are "
            f"{dataset.name} ({dataset.content_hash()}); name the run's folders in its order."
        )
    _, held = hold_back(dataset, holdout, seed)
    return held


def _subject(settings: EvaluateSettings) -> Subject:
    if (settings.checkpoint is None) == (settings.untrained is None):
        raise SettingsError("give either --checkpoint FILE or --untrained WEIGHTS; there is nothing else to evaluate.")
    if settings.checkpoint is not None:
        return trained(settings.checkpoint)
    return untrained(settings.untrained, settings.model, UNTRAINED_IMAGE_SIZE)

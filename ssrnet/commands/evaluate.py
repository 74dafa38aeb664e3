"""``ssrnet evaluate``: rank a data set's test images; print and write metrics with their protocol record."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ssrnet.commands.stored_features import embed_test_images, read_features
from ssrnet.data.damaged import TRAIN, without_damaged
from ssrnet.data.datasets import join_training_data, open_training_parts
from ssrnet.data.holdout import hold_back
from ssrnet.data.protocols import ProtocolName
from ssrnet.errors import SettingsError
from ssrnet.files import write_atomically
from ssrnet.model import ModelSettings
from ssrnet.resources import DeviceName
from ssrnet.retrieval.alignment import AlignmentSettings
from ssrnet.retrieval.evaluated_models import (
    EvaluatedImages,
    EvaluatedModel,
    note_training_data,
    open_test_images,
    trained_model,
    untrained_model,
)
from ssrnet.retrieval.evaluation import Evaluation, evaluate, over_seeds, query_scores, restrict, with_seeds
from ssrnet.retrieval.expansion import ExpansionSettings
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet
from ssrnet.retrieval.metric_intervals import CONFIDENCE, REPLICATES, SEED, Estimate, estimates, vehicles_of
from ssrnet.retrieval.query_filters import QueryFilter
from ssrnet.retrieval.ranking import DistanceName
from ssrnet.retrieval.reranking import ReRankSettings
from ssrnet.training.checkpoint import read_checkpoint

UNTRAINED_IMAGE_SIZE = 256


@dataclass(frozen=True)
class EvaluateSettings:
    """Evaluate a checkpoint, untrained backbone features, or features in a file, on a data set's test images."""

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder, or the path of a CSV manifest."""
    checkpoint: Path | None = None
    """Checkpoint that `ssrnet train` wrote."""
    untrained: str | None = None
    """Instead of a checkpoint: pooled features of these backbone weights (a file, or `imagenet`)."""
    model: ModelSettings = ModelSettings(attention_branch=False, relation_branch=False)
    """With --untrained: the backbone and its strides."""
    features: Path | None = None
    """Stored features: with --checkpoint that checkpoint's; else those of `ssrnet import` or `ssrnet extract` alone. Without
    it they are sought in assets/features and runs/features, and else extracted and kept there."""
    protocol: Literal["own", "cross_camera", "single_gallery_shot", "multi_gallery_shot"] = "own"
    """`own` is the protocol that the data set's authors report."""
    seeds: int = 10
    """Random galleries of the shot protocols; mean and spread are reported."""
    shots: int = 6
    """Gallery images per vehicle in multi-gallery-shot (n of the paper's Fig. 6)."""
    subset: int | None = None
    """Test subset of VehicleID or VERI-Wild."""
    layout: str | None = None
    """Read the folder as this layout, as `Folders` or `unlabelled`, whatever it is recognised as."""
    held_back: bool = False
    """Instead of the test images, the training vehicles that the checkpoint's run held back (--holdout); --data and
    --more-data are then those of that run. Branches are also scored alone and at unit length."""
    more_data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...")] = ()
    """With --held-back: the --more-data folders of the run, in the same order."""
    skip_damaged: bool = False
    """Read every image first, and go on without those that cannot be read; the protocol record counts them."""
    only: str | None = None
    """Only test images with these values, as `vehicle_type=car,truck,bus`; reduces queries and gallery."""
    queries: str | None = None
    """Only queries with an attribute (`sibling_group`), without it (`sibling_group=none`) or with certain
    values (`vehicle_type=bus,truck`); the gallery stays whole."""
    distance: DistanceName = "cosine"
    """Distance between embeddings."""
    re_rank: bool = False
    """k-reciprocal re-ranking."""
    re_ranking: ReRankSettings = ReRankSettings()
    expand: bool = False
    """Query expansion: average a query with its nearest gallery features."""
    expansion: ExpansionSettings = ExpansionSettings()
    align_cameras: bool = False
    """Align features by camera first: each minus its camera's mean, over its camera's standard deviation, both over the
    test images, without vehicle labels."""
    alignment: AlignmentSettings = AlignmentSettings()
    extraction: ExtractSettings = ExtractSettings()
    out: Path | None = None
    """JSON file for the metrics and their protocol records."""
    workers: int = 2
    """Processes that read images."""
    device: DeviceName = "auto"
    """Where to run."""


def evaluate_model(settings: EvaluateSettings) -> None:
    """Runs the command: prints metrics with their protocol record, and writes them to ``settings.out`` if given."""
    if settings.seeds < 1:
        raise SettingsError(f"seeds is {settings.seeds}; at least one random gallery is needed.")
    if settings.re_rank and settings.distance != "cosine":
        raise SettingsError("k-reciprocal re-ranking starts from cosine distances; leave out --distance or --re-rank.")
    if settings.expand and settings.distance != "cosine":
        raise SettingsError("query expansion starts from cosine distances; leave out --distance or --expand.")
    model = _model(settings)
    if settings.held_back:
        images = _held_back(settings)
    else:
        images = open_test_images(settings.data, settings.subset, settings.only, settings.skip_damaged, settings.layout)
    dataset = images.dataset
    print(dataset.summary())
    if model is not None and not settings.held_back:
        model = note_training_data(model, dataset)
    queries = None if settings.queries is None else QueryFilter.parse(settings.queries, dataset)
    name: ProtocolName = dataset.protocol if settings.protocol == "own" else settings.protocol  # type: ignore[assignment]
    protocols = with_seeds(name, settings.seeds, settings.shots)
    split = protocols[0].split(dataset)  # raises for an unusable protocol before minutes of extraction
    if queries is not None:
        queries.required_rows(split.query)
    if model is None:
        test_features = read_features(settings.features, images, settings.extraction)
    else:
        test_features = embed_test_images(
            model, images, settings.extraction, settings.device, settings.workers, settings.features
        )
    features, made_by = test_features.features, test_features.made_by
    alignment = settings.alignment if settings.align_cameras else None
    evaluations = [
        evaluate(
            features,
            dataset,
            protocol,
            made_by=made_by,
            distance=settings.distance,
            re_rank=settings.re_ranking if settings.re_rank else None,
            expansion=settings.expansion if settings.expand else None,
            alignment=alignment,
            images=images.title,
            dataset_hash=images.dataset_hash,
        )
        for protocol in protocols
    ]
    if queries is not None:
        evaluations = [restrict(evaluation, queries) for evaluation in evaluations]
    shown = "" if settings.held_back else f", {images.title} test images"
    title = f"{made_by['model']} on {dataset.name}{shown}, {name}{', aligned by camera' if alignment else ''}"
    print(title if queries is None else f"{title}, queries {queries.title}")
    scores = [query_scores(evaluation) for evaluation in evaluations]
    vehicles, intervals = len(vehicles_of(scores)), estimates(scores)
    _print(evaluations, vehicles, intervals)
    if settings.held_back and len(features.branch_dims) > 1:
        for scale, rescaled in branch_scales(features).items():
            scored = evaluate(rescaled, dataset, protocols[0], made_by=made_by, alignment=alignment, top_k=1)
            print(f"  {scale:<22}{scored.metrics}")
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
    text = "  ".join(f"{metric} {100 * e.low:.2f}-{100 * e.high:.2f}%" for metric, e in intervals.items())
    print(f"  {CONFIDENCE:.0%} intervals over the {vehicles:,} query vehicles  {text}")


def branch_scales(features: FeatureSet) -> dict[str, FeatureSet]:
    """By title: the features as concatenated, with each branch at unit length, and of each branch alone."""
    alone = {f"{branch} alone": features.only([branch]) for branch in features.branch_dims}
    return {"as concatenated": features, "each at unit length": features.at_unit_length(), **alone}


def _held_back(settings: EvaluateSettings) -> EvaluatedImages:
    """The vehicles that the checkpoint's run held back, drawn again by :func:`hold_back`.

    Raises :class:`SettingsError` where it held none back, or where the folders are not those of the run.
    """
    if settings.checkpoint is None or settings.only is not None:
        raise SettingsError("--held-back needs --checkpoint, whose run held the vehicles back, and no --only.")
    info = read_checkpoint(settings.checkpoint).info
    holdout, seed = info.training.get("holdout"), info.training.get("seed")
    if not isinstance(holdout, int) or not isinstance(seed, int) or holdout < 2:
        raise SettingsError(f"the run of {settings.checkpoint} held back no vehicles; train with --holdout.")
    parts = open_training_parts(settings.data, settings.subset, settings.more_data, settings.layout)
    if settings.skip_damaged:
        parts = [without_damaged(part, TRAIN) for part in parts]
    dataset = join_training_data(parts)
    if dataset.content_hash() != info.dataset_hash:
        raise SettingsError(
            f"{settings.checkpoint} was trained on {info.dataset} ({info.dataset_hash}), but --data and --more-data are "
            f"{dataset.name} ({dataset.content_hash()}); give the run's folders in the same order."
        )
    _, held = hold_back(dataset, holdout, seed)
    return EvaluatedImages(held, "held-back", held, split="held-back")


def _model(settings: EvaluateSettings) -> EvaluatedModel | None:
    """The network to evaluate; None for features by themselves."""
    if settings.checkpoint is not None and settings.untrained is not None:
        raise SettingsError("give either --checkpoint FILE or --untrained WEIGHTS, not both.")
    if settings.untrained is not None and settings.features is not None:
        raise SettingsError("--features has no features of untrained networks; leave it out, or --untrained.")
    if settings.checkpoint is not None:
        return trained_model(settings.checkpoint)
    if settings.untrained is None and settings.features is None:
        raise SettingsError(
            "give --checkpoint FILE, --untrained WEIGHTS or --features FILE; there is nothing to evaluate."
        )
    return (
        None
        if settings.untrained is None
        else untrained_model(settings.untrained, settings.model, UNTRAINED_IMAGE_SIZE)
    )

"""A scorecard made by hand, small enough to be read as a table."""

from __future__ import annotations

from ssrnet.analysis.scorecard.scorecard import (
    LeftOut,
    ModelScores,
    ProtocolScores,
    Scorecard,
    ScoredModel,
    SliceScores,
)
from ssrnet.retrieval.metric_intervals import METRICS, Estimate

FEATURES = {"image_size": 64, "flip_test": False, "neck": "after", "checkpoint_hash": "0123456789abcdef"}


def estimates(value: float, deviation: float | None = None, half: float = 0.04) -> dict[str, Estimate]:
    """``value`` for rank-1, a hundredth more for each further metric."""
    return {
        name: Estimate(value + i / 100, value + i / 100 - half, value + i / 100 + half, deviation)
        for i, name in enumerate(METRICS)
    }


def one_slice(title: str, asked_as: str, deviation: float | None, record: dict, **changes) -> SliceScores:
    rows = (
        ModelScores("Baseline (GB)", (), estimates(0.5, deviation), record),
        ModelScores("SSR-Net (GB+AB+RB)", (), estimates(0.6, deviation), record),
        ModelScores("SSR-Net (GB+AB+RB)", ("attn",), estimates(0.55, deviation), record),
        ModelScores("SSR-Net (GB+AB+RB)", ("part1",), estimates(0.4, deviation), record),
    )
    values = {"queries": (20,), "excluded": (0,), "vehicles": 7, "rows": rows}
    return SliceScores(title, asked_as, **{**values, "differences": (estimates(-0.03, deviation),), **changes})


def scorecard(**changes) -> Scorecard:
    camera = {"gallery": 1234, "shots": None, "junk_rule": "same vehicle and same camera", "excluded_vehicles": 0}
    shot = {"gallery": 30, "shots": 6, "junk_rule": "none", "excluded_vehicles": 2}
    protocols = (
        ProtocolScores(
            "cross_camera",
            (),
            (
                one_slice("all", "", None, camera, excluded=(3,)),
                one_slice("with group", "group", None, camera),
                one_slice("without group", "group", None, camera, queries=(1,), vehicles=1),
                *(one_slice(f"type {name}", "type", None, camera) for name in ("bus", "car", "truck", "van")),
            ),
        ),
        ProtocolScores("multi_gallery_shot", (0, 1), (one_slice("all", "", 0.02, shot, queries=(20, 22)),)),
    )
    models = (
        ScoredModel("Baseline (GB)", FEATURES | {"model": "Baseline (GB)", "checkpoint": "b.safetensors"}),
        ScoredModel("SSR-Net (GB+AB+RB)", FEATURES | {"model": "SSR-Net (GB+AB+RB)", "checkpoint": "s.safetensors"}),
    )
    values = {
        "dataset": "toys",
        "dataset_hash": "fedcba9876543210",
        "images": "all",
        "models": models,
        "differences": (("Baseline (GB)", "SSR-Net (GB+AB+RB)"),),
        "protocols": protocols,
        "left_out": (
            LeftOut("single_gallery_shot", "all", "no vehicle has two images"),
            LeftOut("multi_gallery_shot", "type van", "no such query has a match in the gallery"),
        ),
        "version": "0",
    }
    return Scorecard(**{**values, **changes})

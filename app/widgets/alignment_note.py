"""What camera alignment did to the models' numbers, in words."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.workbench import Workbench
from ssrnet.metrics import Metrics
from ssrnet.retrieval.alignment import CameraStatistics
from ssrnet.retrieval.evaluation import Evaluation


def alignment_note(bench: Workbench, scored: Mapping[str, Evaluation], statistics: CameraStatistics) -> str:
    """Markdown: each model's mAP and rank-1 raw and aligned, which network is ahead aligned, by which statistics.

    ``bench`` is aligned; ``scored`` has the evaluations of its ``with_raw``.
    """
    changes = []
    for title, model in bench.models.items():
        raw, aligned = _shown(scored[model.raw.title].metrics), _shown(scored[title].metrics)
        gains = ", ".join(f"{name} {raw[name]:.1f} → {aligned[name]:.1f}" for name in raw)
        changes.append(f"{model.raw.title} {gains}")
    sentences = [f"**Aligned by camera**, raw → aligned: {'; '.join(changes)}."]
    a, b = (_shown(scored[model.title].metrics) for model in (bench.baseline, bench.ssrnet))
    ahead = [f"{name} ({a[name]:.1f} against {b[name]:.1f})" for name in a if a[name] > b[name]]
    if ahead:
        baseline, ssrnet = (model.raw.title for model in (bench.baseline, bench.ssrnet))
        sentences.append(f"Aligned, {baseline} is ahead of {ssrnet} in {' and in '.join(ahead)}.")
    return " ".join([*sentences, _statistics_used(bench, statistics)])


def show_cautions(bench: Workbench) -> None:
    """Warnings where features are aligned by cameras of which too little is known; draws nothing otherwise."""
    if bench.is_aligned:
        for text in dict.fromkeys(text for model in bench.networks.values() for text in model.alignment_cautions):
            st.warning(f"Camera alignment: {text}", icon=":material/warning:")


def _shown(metrics: Metrics) -> dict[str, float]:
    """Percentages as they are printed."""
    return {"mAP": round(100 * metrics.mAP, 1), "rank-1": round(100 * metrics.rank(1), 1)}


def _statistics_used(bench: Workbench, statistics: CameraStatistics) -> str:
    """How many images are aligned by their own camera's statistics, and why the others are not."""
    least = statistics.settings.min_images
    if not any(image.camera_id for image in (*bench.split.query, *bench.split.gallery)):
        return "The data names no cameras, so the whole set counts as one camera."
    if not statistics.cameras:
        return f"No camera has {least} images, so the whole set counts as one camera."
    count = len(statistics.cameras)
    cameras = f"{count:,} camera{'s' * (count != 1)}; {statistics.by_whole_set:,} of {statistics.images:,} images"
    why = f", whose camera is unknown or has fewer than {least} images" if statistics.by_whole_set else ""
    return f"{cameras} by the whole set's statistics{why}."

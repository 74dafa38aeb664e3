"""``ssrnet study alignment``: renders two towns, chooses camera alignment's settings on one and measures on the other.

    ssrnet study alignment --baseline checkpoints/baseline.safetensors --ssrnet checkpoints/ssrnet.safetensors \\
        --publish assets
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

import ssrnet
from ssrnet.commands.compare import CompareSettings, compare_checkpoints
from ssrnet.commands.stored_features import embed_test_images
from ssrnet.data.records import ReIDDataset
from ssrnet.files import write_atomically
from ssrnet.retrieval.alignment import AlignmentSettings
from ssrnet.retrieval.evaluated_models import ModelFeatures, distinct_titles, open_test_images, trained_model
from ssrnet.retrieval.extraction import ExtractSettings
from ssrnet.studies.alignment.choose import choose
from ssrnet.studies.alignment.draws import draws
from ssrnet.studies.alignment.measure import DrawResult, measure_draws
from ssrnet.studies.alignment.report import markdown
from ssrnet.studies.settings import AlignmentStudySettings
from ssrnet.synth.generate import console_progress, generate
from ssrnet.synth.settings import CityName, city_recipe

TOWNS: dict[str, CityName] = {"choose": "town-choose", "report": "town-report"}


def study_alignment(settings: AlignmentStudySettings) -> None:
    """Runs the command: writes alignment.json, alignment.md and town-report.json to ``settings.out``.

    ``settings.publish`` gets the first two as well. Towns and features that are there already are used again. Raises
    :class:`InstallationError` without the ``synth`` extra.
    """
    models = [trained_model(path) for path in (settings.baseline, settings.ssrnet)]
    models = [model._replace(title=title) for model, title in zip(models, distinct_titles(models), strict=True)]
    record: dict = {"seeds": settings.seeds, "version": ssrnet.__version__}
    results: dict[str, list[DrawResult]] = {}
    for role, recipe in TOWNS.items():
        town = settings.out / recipe
        generate(replace(city_recipe(recipe), out=town, workers=settings.workers), console_progress())
        images = open_test_images(town, None, None)
        dataset = images.dataset
        embedded = [
            embed_test_images(model, images, ExtractSettings(), settings.device, settings.workers) for model in models
        ]
        record[role] = _describe(dataset)
        record["models"] = {one.title: one.made_by for one in embedded}
        results[role] = measure_draws(
            dataset.test,
            _rows(embedded, dataset),
            draws(settings.seeds),
            lambda kinds, role=role: tqdm(kinds, desc=f"draws from {TOWNS[role]}", unit="draw"),
        )
    choice = choose(results["choose"])
    text = markdown(record, results["choose"], results["report"], choice)
    written = {"record": record, "chosen": asdict(choice)}
    for folder in filter(None, (settings.out, settings.publish)):
        _write(folder / "alignment.md", text)
        _write(folder / "alignment.json", json.dumps(written, indent=2, ensure_ascii=False) + "\n")
    print(f"\n{text}")
    compare_checkpoints(
        CompareSettings(
            settings.out / TOWNS["report"],
            settings.baseline,
            settings.ssrnet,
            settings.out / "town-report.json",
            align_cameras=True,
            alignment=AlignmentSettings(choice.prior, choice.min_images),
            protocols=("cross_camera",),
            workers=settings.workers,
            device=settings.device,
        )
    )


def _rows(embedded: list[ModelFeatures], dataset: ReIDDataset) -> dict[str, Tensor]:
    return {one.title: one.features.rows(dataset.test) for one in embedded}


def _describe(dataset: ReIDDataset) -> dict[str, object]:
    return {
        "dataset": dataset.name,
        "dataset_hash": dataset.content_hash(),
        "images": len(dataset.test),
        "vehicles": len({image.vehicle_id for image in dataset.test}),
        "cameras": len({image.camera_id for image in dataset.test}),
    }


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))

"""``ssrnet study``: plan the cells of the chosen studies, and run those that are not done."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import torch

import ssrnet
from ssrnet.commands.study_report import publish_numbers
from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from ssrnet.errors import DivergedError, SettingsError, SSRNetError, TrainingError
from ssrnet.files import read_json
from ssrnet.model import SSRNet
from ssrnet.studies.cell_results import write_json
from ssrnet.studies.cells import Cell, is_done, make_cell, run_cell, sets_to_test, usual_protocols
from ssrnet.studies.complexity import measure_complexity
from ssrnet.studies.definitions import STUDIES, STUDY_NAMES, Study
from ssrnet.studies.settings import StudySettings
from ssrnet.studies.training_slice import training_slice

Plan = dict[str, dict[str, Cell]]
"""The cell of each row, by study and by the row's label."""


def run_study(settings: StudySettings) -> None:
    """Runs the study that ``settings`` name, or all; finished cells and measurements are not repeated.

    Writes to ``settings.out``: ``studies/NAME.json`` (the cell of each row), ``cells/*/cell.json``
    (numbers and their protocol records) with the checkpoints beside them, ``slices/`` with --train-identities, and
    ``cache/`` with decoded images, which may be deleted once the studies are done; the first two also to
    ``settings.publish``, after each cell.
    Raises :class:`TrainingError` at the end where cells diverged, and immediately the errors of bad
    settings, bad data or a full disk.
    """
    names = STUDY_NAMES if settings.study == "all" else (settings.study,)
    studies = [STUDIES[name] for name in names if name in STUDIES]
    if studies:
        plan = make_plan(settings, studies)
        if settings.publish is not None:
            _adopt_published(distinct(plan), settings.publish)
        if settings.dry_run:
            _list_cells(plan)
        else:
            _run_cells(plan, settings)
    if settings.dry_run:
        return
    if "complexity" in names:
        _run_complexity(settings)
    print(f"ssrnet study report --out {settings.out} shows the tables beside the paper's.")


def make_plan(settings: StudySettings, studies: list[Study]) -> Plan:
    """All cells, after checking everything that can be checked before training."""
    dataset = open_dataset(settings.data, settings.subset, settings.layout)
    dataset.check_labelled("a study")
    print(dataset.summary())
    if not dataset.train:
        raise SettingsError(f"{dataset.root} has no training images; choose a data set with a training split.")
    # A shared cache: without it each cell would decode every image again.
    shared = replace(settings.training, resume=False, cache=settings.cache or settings.out / "cache")
    origin = [dataset.content_hash()]
    if settings.train_identities is not None:
        cut = training_slice(dataset, settings.train_identities, settings.seed, settings.out / "slices")
        shared = replace(shared, data=cut, layout=None)
        origin.append(cut.name)  # the name has the number of vehicles and a hash of the draw
    if settings.test_data is not None:
        tested_on = open_dataset(settings.test_data)
        tested_on.check_labelled("a study")
        origin.append(tested_on.content_hash())
    tested, layout = (settings.test_data, None) if settings.test_data else (settings.data, settings.layout)
    tests = sets_to_test(tested, settings.subset, layout)
    protocols = settings.protocol or usual_protocols(tests[0])
    for test_set in tests:
        for name in protocols:
            Protocol(name).split(test_set)
    cells = settings.out / "cells"
    plan = {
        study.name: {
            row.label: make_cell(shared, row, cells, tested, origin, settings.galleries, protocols, layout)
            for row in (*study.rows, *study.readings)
        }
        for study in studies
    }
    for cell in distinct(plan):
        check_sizes(cell)
    return plan


def distinct(plan: Plan) -> list[Cell]:
    """Each cell once, in the order of the tables."""
    return list({cell.name: cell for cells in plan.values() for cell in cells.values()}.values())


def check_sizes(cell: Cell) -> None:
    """Raises :class:`SettingsError` where the variant cannot process images of a training size."""
    for _, size in cell.training.sizes:
        with torch.device("meta"):  # shapes only: nothing is computed
            try:
                SSRNet(cell.training.model).eval().trace(torch.zeros(1, 3, size, size))
            except SettingsError as error:
                raise SettingsError(f"{cell.title} cannot train at {size} pixels: {error}") from error


def _run_cells(plan: Plan, settings: StudySettings) -> None:
    for name, cells in plan.items():
        rows = [{"label": label, "cell": cell.name} for label, cell in cells.items()]
        write_json(settings.out / "studies" / f"{name}.json", {"study": name, "rows": rows})
    cells = distinct(plan)
    failed, busy = [], []
    for number, cell in enumerate(cells, 1):
        done = is_done(cell)
        print(f"[{number}/{len(cells)}] {cell.title}: {'done before' if done else 'training'} ({cell.folder})")
        try:
            if not done and not run_cell(cell):
                print("  another process is working on it; continuing with the next")
                busy.append(cell)
        except DivergedError as error:  # the other rows still run, unlike after a requested stop
            print(f"  failed: {error}")
            failed.append((cell, error))
        except TrainingError as error:
            raise TrainingError(f"stopped at {cell.title} ({error}) The same study command resumes there.") from error
        except SSRNetError as error:
            raise type(error)(f"{cell.title}: {error}") from error
        if settings.publish is not None and is_done(cell):
            publish_numbers(settings.out, settings.publish)
    if busy:
        print(f"{len(busy)} cells are in use by another process; run the same command again once it is done.")
    if failed:
        cell, error = failed[0]
        raise TrainingError(
            f"{len(failed)} of {len(cells)} cells could not be trained; the first, {cell.title}: {error}"
        )


def _adopt_published(cells: list[Cell], published: Path) -> None:
    """Copies the numbers of published cells to where the study looks for them, so that they count as done."""
    for cell in cells:
        path = published / "cells" / cell.name / cell.result.name
        if path.exists() and not cell.result.exists():
            write_json(cell.result, read_json(path))


def _list_cells(plan: Plan) -> None:
    """Prints each cell with its tables, and how many remain."""
    cells = distinct(plan)
    for number, cell in enumerate(cells, 1):
        tables = [name for name, rows in plan.items() if cell.name in {row.name for row in rows.values()}]
        state = "done" if is_done(cell) else "to do"
        print(f"[{number}/{len(cells)}] {state}: {cell.title} ({', '.join(tables)}; {cell.name})")
    print(
        f"{len(cells)} networks, {sum(not is_done(cell) for cell in cells)} to do, under {', '.join(cells[0].protocols)}."
    )


def _run_complexity(settings: StudySettings) -> None:
    inputs = {
        "model": asdict(settings.model),
        "latency": asdict(settings.latency),
        "device": settings.device,
        "version": ssrnet.__version__,
    }
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:8]
    path = settings.out / "studies" / "complexity.json"
    if _key(path) == key:
        print(f"complexity: done before ({path})")
        return
    measured = measure_complexity(settings)
    write_json(path, {"study": "complexity", "key": key, **asdict(measured)})
    if settings.publish is not None:
        publish_numbers(settings.out, settings.publish)
    print(f"complexity: SSR-Net takes {measured.ratio:.3f} times GB's time ({path})")


def _key(path: Path) -> str | None:
    try:
        return read_json(path).get("key")
    except (OSError, ValueError, AttributeError):
        return None

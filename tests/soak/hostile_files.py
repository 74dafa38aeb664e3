"""Hostile files against every reader: each opens or ends in one sentence, writes nothing, runs nothing, and ends soon.

The cases are in the modules ``hostile_*``, each made anew when it is tried; :mod:`tests.soak.trial` tries one.
"""

from __future__ import annotations

from pathlib import Path

from tests.soak import (
    hostile_images,
    hostile_imports,
    hostile_indexes,
    hostile_layouts,
    hostile_pickles,
    hostile_results,
    hostile_tables,
    hostile_uploads,
    hostile_weights,
)
from tests.soak.hostile import Case
from tests.soak.report import Row, lost
from tests.soak.trial import MEMORY, run

GROUPS = {
    "images, uploads and zip files": (hostile_images, hostile_uploads),
    "lists, tables, data folders and imports": (hostile_tables, hostile_layouts, hostile_imports),
    "checkpoints, pickles, features and resume files": (hostile_weights, hostile_pickles),
    "indexes, runs, studies and notes": (hostile_indexes, hostile_results),
}
TIMES = 5
"""Seeds of the long form, which decide where files are spoiled."""


def cases() -> dict[str, list[Case]]:
    """By group; no two of one name."""
    return {title: [case for module in modules for case in module.cases()] for title, modules in GROUPS.items()}


def soak(folder: Path, seed: int) -> list[Row]:
    """All cases, the large ones too, ``TIMES`` over."""
    return [_row(title, own, folder / "place", seed) for title, own in cases().items()]


def _row(title: str, own: list[Case], place: Path, seed: int) -> Row:
    failures, most, slowest = [], 0, 0.0
    for number in range(TIMES):
        print(f"  {title}, seed {seed + number}", flush=True)
        for case in own:
            outcome = run(case, place, seed + number)
            most = max(most, outcome.grown)
            slowest = max(slowest, outcome.seconds if case.seconds <= 5 else 0.0)
            if outcome.failure:
                failures.append(f"{case.name}: {outcome.failure}")
                print(f"  {failures[-1]}", flush=True)
    measured = (
        f"{len(own):,} cases; at most {most / 2**20:,.0f} of {MEMORY // 2**20:,} MB, {slowest:.1f} s of the processor"
    )
    return Row(f"hostile {title}", len(own) * TIMES, lost(failures), measured)

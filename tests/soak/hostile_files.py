"""Hostile files against every reader: each opens or ends in one sentence, writes nothing, runs nothing, and ends soon.

The cases are in the modules ``hostile_*``, each made anew when it is tried; :mod:`tests.soak.hostile` tries one.
"""

from __future__ import annotations

from pathlib import Path

from tests.soak import hostile_folders, hostile_images, hostile_tables, hostile_weights
from tests.soak.hostile import MEMORY, Case, run
from tests.soak.report import Row, lost

GROUPS = {
    "images, uploads and zip files": hostile_images, "lists, tables, data folders and imports": hostile_tables,
    "checkpoints, pickles, features and resume files": hostile_weights, "indexes, runs, studies and notes": hostile_folders,
}  # fmt: skip
TIMES = 5
"""Seeds of the long form, which decide where files are spoiled."""


def cases() -> dict[str, list[Case]]:
    """By group; no two of one name."""
    return {title: module.cases() for title, module in GROUPS.items()}


def soak(folder: Path, seed: int) -> list[Row]:
    """All cases, the large ones too, ``TIMES`` over."""
    return [_row(title, own, folder / "place", seed) for title, own in cases().items()]


def _row(title: str, own: list[Case], place: Path, seed: int) -> Row:
    failures, most, slowest = [], 0, 0.0
    for number in range(TIMES):
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

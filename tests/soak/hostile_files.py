"""Hostile files against every reader: each opens or ends in one sentence, writes nothing, runs nothing, and ends soon.

The cases are in the modules ``hostile_*``, each made anew when it is tried; :mod:`tests.soak.trial` tries one.
"""

from __future__ import annotations

from pathlib import Path

from tests.soak import hostile_data, hostile_images, hostile_owned, hostile_uploads
from tests.soak.hostile import Case
from tests.soak.report import Row, lost
from tests.soak.trial import MEMORY, Process

GROUPS = {
    "images, uploads and zip files": (hostile_images, hostile_uploads),
    "data folders": (hostile_data,),
    "files of the owner: weights, features, indexes, runs, studies": (hostile_owned,),
}
TIMES = 5
"""Seeds of the long form, which decide where files are spoiled."""


def cases() -> dict[str, list[Case]]:
    """By group; no two of one name."""
    return {title: [case for module in modules for case in module.cases()] for title, modules in GROUPS.items()}


def soak(folder: Path, seed: int) -> list[Row]:
    """All cases, the large ones too, with ``TIMES`` seeds."""
    return [_row(title, group, folder / "place", seed) for title, group in cases().items()]


def _row(title: str, group: list[Case], place: Path, seed: int) -> Row:
    failures, most, slowest, process = [], 0, 0.0, Process(group, place)
    for turn in range(TIMES):
        print(f"  {title}, seed {seed + turn}", flush=True)
        for number, case in enumerate(group):
            outcome = process.run(number, seed + turn)
            most = max(most, outcome.grown)
            slowest = max(slowest, outcome.seconds if case.seconds <= 5 else 0.0)
            if outcome.failure:
                failures.append(f"{case.name}: {outcome.failure}")
                print(f"  {failures[-1]}", flush=True)
    process.close()
    limit = f"{most / 2**20:,.0f} of {MEMORY // 2**20:,} MB, {slowest:.1f} s of the processor"
    return Row(f"hostile {title}", len(group) * TIMES, lost(failures), f"{len(group):,} cases; at most {limit}")

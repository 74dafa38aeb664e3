"""``python -m tests.soak [part ...]``: the long form of the robustness tests; ``make soak`` runs all of it.

Each part is a module of its name in this folder whose ``soak(folder, seed)`` returns rows of the report; its short form
is the ``test_*.py`` beside it. Exits with 1 where anything was lost, after printing the table for tests/README.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated

import tyro

from tests.soak.report import FOLDER, NOTHING, save, table

PARTS = ("hostile_files", "kills", "faults", "privacy")


@dataclass(frozen=True)
class Settings:
    """Tries for most of an hour what ``make test`` tries briefly, and reports what was lost."""

    parts: Annotated[tuple[str, ...], tyro.conf.Positional] = PARTS
    """Which parts, of hostile_files, kills, faults and privacy."""
    seed: int = 0
    out: Path = FOLDER


def main(settings: Settings) -> int:
    unknown = [part for part in settings.parts if part not in PARTS]
    if unknown:
        print(f"there is no part {unknown[0]!r}; choose from {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    whole = True
    for part in settings.parts:
        print(f"== {part}", flush=True)
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"soak-{part}-") as folder:
            rows = import_module(f"tests.soak.{part}").soak(Path(folder), settings.seed)
        save(settings.out, part, rows, settings.seed, time.monotonic() - started)
        for row in rows:
            print(f"{row.tried}: {row.times:,} times, lost {row.lost}. {row.measured}", flush=True)
        whole = whole and all(row.lost == NOTHING for row in rows)
    print(table(settings.out))
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Settings)))

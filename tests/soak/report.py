"""Results of the long tests: a JSON file a part, and one table of all of them, which tests/README.md shows."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import torch

import ssrnet

FOLDER = Path("assets/figures/soak")
NOTHING = "nothing"
PARTS = ("hostile_files", "fuzz", "kills", "faults", "privacy", "viewers", "numbers")
"""In the table's order. ``fuzz``, ``viewers`` and ``numbers`` no longer have a long form; their last results stay."""


@dataclass(frozen=True)
class Row:
    """One line of the table: what was tried, how often, and what was lost (``NOTHING``, or a sentence)."""

    tried: str
    times: int
    lost: str = NOTHING
    measured: str = ""


def lost(failures: Sequence[str]) -> str:
    """The text of ``Row.lost``: nothing, or how many tries failed, and the first failure."""
    return f"{len(failures)} times, first: {failures[0]}" if failures else NOTHING


def save(folder: Path, part: str, rows: Sequence[Row], seed: int, seconds: float) -> None:
    """Writes the part's rows with date, seed and versions, over its last ones."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "part": part,
        "date": date.today().isoformat(),
        "version": ssrnet.__version__,
        "seed": seed,
        "minutes": round(seconds / 60, 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "rows": [asdict(row) for row in rows],
    }
    (folder / f"{part}.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n")


def table(folder: Path) -> str:
    """The rows of every part in ``folder``, then date, duration and versions of each run."""
    lines = ["| tried | times | lost | measured |", "|---|---|---|---|"]
    runs = []
    for part in PARTS:
        path = folder / f"{part}.json"
        if not path.exists():
            continue
        about = json.loads(path.read_text())
        lines += [f"| {row['tried']} | {row['times']:,} | {row['lost']} | {row['measured']} |" for row in about["rows"]]
        versions = f"Python {about['python']}, PyTorch {about['torch']}"
        runs.append(f"`{part}` on {about['date']}, seed {about['seed']}, {about['minutes']} minutes, {versions}")
    return "\n".join([*lines, "", f"Runs: {'; '.join(runs)}.", ""])

"""What the long tests found: a JSON file a part, and one table of all of them, which tests/README.md shows."""

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


@dataclass(frozen=True)
class Row:
    """One line of the table: what was tried, how often, what was lost by it (``NOTHING``, or a sentence)."""

    tried: str
    times: int
    lost: str = NOTHING
    measured: str = ""


def lost(failures: Sequence[str]) -> str:
    """The words for ``Row.lost``: nothing, or how many of the tries failed and the first of their sentences."""
    return f"{len(failures)} times, first: {failures[0]}" if failures else NOTHING


def save(folder: Path, part: str, rows: Sequence[Row], seed: int, seconds: float) -> None:
    """Writes ``part``'s rows with what they ran on, in place of its last ones."""
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


def table(folder: Path, parts: Sequence[str]) -> str:
    """What ``folder`` has of these parts, in their order: every row, then when, how long and with what they ran."""
    lines = ["| tried | times | lost | measured |", "|---|---|---|---|"]
    runs = []
    for part in parts:
        path = folder / f"{part}.json"
        if not path.exists():
            continue
        about = json.loads(path.read_text())
        lines += [f"| {row['tried']} | {row['times']:,} | {row['lost']} | {row['measured']} |" for row in about["rows"]]
        versions = f"Python {about['python']}, PyTorch {about['torch']}"
        runs.append(f"`{part}` on {about['date']}, seed {about['seed']}, {about['minutes']} minutes, {versions}")
    return "\n".join([*lines, "", f"Runs: {'; '.join(runs)}.", ""])

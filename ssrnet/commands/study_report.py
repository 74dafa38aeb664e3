"""``ssrnet study report``: render the tables as Markdown and as one HTML page of Plotly tables."""

from __future__ import annotations

import json
from pathlib import Path

from ssrnet.commands.publish import without_folders
from ssrnet.errors import DataError
from ssrnet.files import write_atomically
from ssrnet.studies.cell_results import read_cell, write_json
from ssrnet.studies.report import markdown
from ssrnet.studies.settings import ReportSettings
from ssrnet.studies.tables import report_tables


def write_report(settings: ReportSettings) -> tuple[Path, Path]:
    """Writes report.md and report.html into ``settings.out``; raises :class:`DataError` where no study was run."""
    out = settings.out
    if not (out / "studies").is_dir():
        raise DataError(f"{out} has no study; run `ssrnet study NAME --data DIR --out {out}` first.")
    tables = report_tables(out)
    from ssrnet.studies.html_report import html_page  # here, since importing Plotly would slow down every command

    paths = out / "report.md", out / "report.html"
    for path, text in zip(paths, (markdown(tables), html_page(tables))):
        write_atomically(path, lambda temporary, text=text: temporary.write_text(text, encoding="utf-8"))
        print(path)
    if settings.publish is not None:
        publish_numbers(out, settings.publish)
    return paths


def publish_numbers(out: Path, to: Path) -> None:
    """Copies a study's plans and its cells' numbers, with directories stripped from paths in the training settings.

    A plan that is there already stays until the new one has as many rows with numbers. Raises :class:`DataError` for a
    cell that cannot be read.
    """
    plans, cells = sorted(out.glob("studies/*.json")), sorted(out.glob("cells/*/cell.json"))
    for path in cells:
        read_cell(path)  # raises for a damaged file
        values = json.loads(path.read_text(encoding="utf-8"))
        write_json(to / path.relative_to(out), values | {"training": without_folders(values["training"])})
    for path in plans:
        published = to / path.relative_to(out)
        if not published.exists() or measured_rows(out, path) >= measured_rows(to, published):
            write_json(published, json.loads(path.read_text(encoding="utf-8")))
    print(f"{to}: {len(plans)} studies, {len(cells)} cells")


def measured_rows(out: Path, plan: Path) -> int:
    """How many of a plan's rows have numbers in ``out``; 0 for complexity's, which has no cells."""
    rows = json.loads(plan.read_text(encoding="utf-8")).get("rows", [])
    return sum((out / "cells" / row["cell"] / "cell.json").exists() for row in rows)

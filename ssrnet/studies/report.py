"""``ssrnet study report``: the tables as Markdown and as one HTML page of Plotly tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ssrnet.errors import DataError
from ssrnet.files import write_atomically
from ssrnet.studies.paper import citation, references
from ssrnet.studies.results import read_cell, write_json
from ssrnet.studies.tables import HERE, Column, ReportTable, TableRow, report_tables

if TYPE_CHECKING:  # settings bring training's libraries along, which a page that shows tables does without
    from ssrnet.studies.settings import ReportSettings

HEADING = "The paper's studies, measured here and in the paper"

CAUTION = (
    "Measured on other data.",
    'Columns headed "here" were measured by this package on the data, recipe and machine named below each table. '
    'Columns headed "paper" are the numbers of the paper, measured by its authors on VeRi-776 and VehicleID. '
    "Unless your data are the paper's, no number of one kind can be compared with one of the other: compare how "
    "the rows of one column differ. One seed a row: small differences between rows may be chance.",
)
"""The mark that everything measured here carries: a title and its explanation."""


def write_report(settings: ReportSettings) -> tuple[Path, Path]:
    """Writes report.md and report.html into ``settings.out``; raises :class:`DataError` where no study was run."""
    out = settings.out
    if not (out / "studies").is_dir():
        raise DataError(f"{out} holds no study; run `ssrnet study NAME --data DIR --out {out}` first.")
    tables = report_tables(out)
    from ssrnet.studies.page import html_page  # here, since importing Plotly would slow every command down

    paths = out / "report.md", out / "report.html"
    for path, text in zip(paths, (markdown(tables), html_page(tables))):
        write_atomically(path, lambda temporary, text=text: temporary.write_text(text, encoding="utf-8"))
        print(path)
    if settings.publish is not None:
        publish_numbers(out, settings.publish)
    return paths


def publish_numbers(out: Path, to: Path) -> None:
    """Copies a study's plans and its cells' numbers; of the paths in the training settings only the last name stays.

    Raises :class:`DataError` for a cell that cannot be read.
    """
    from ssrnet.publish import without_folders  # brings PyTorch along

    plans, cells = sorted(out.glob("studies/*.json")), sorted(out.glob("cells/*/cell.json"))
    for path in cells:
        read_cell(path)  # says what is wrong with it
        values = json.loads(path.read_text(encoding="utf-8"))
        write_json(to / path.relative_to(out), values | {"training": without_folders(values["training"])})
    for path in plans:
        write_json(to / path.relative_to(out), json.loads(path.read_text(encoding="utf-8")))
    print(f"{to}: {len(plans)} studies, {len(cells)} rows")


def markdown(tables: list[ReportTable]) -> str:
    """The whole report; row labels link to the JSON file with the row's protocol records."""
    title, explanation = CAUTION
    parts = [f"# {HEADING}", f"> **{title}** {explanation}", f"The paper: {citation()}"]
    for table in tables:
        parts += [f"## {table.title}", _markdown_table(table)]
        parts.append("\n".join(f"- {note}" for note in table.notes))
    parts += ["## References of the tables", "\n".join(f"- {line}" for line in reference_list())]
    return "\n\n".join(parts) + "\n"


def reference_list() -> list[str]:
    """Every work that a table cites, by the paper's number."""
    return [f"[{number}] {text}" for number, text in references().items()]


def heading(column: Column) -> tuple[str, ...]:
    """A column's heading in lines: whose number, which test set, which metric."""
    return tuple(line for line in (column.origin, column.test_set, column.metric) if line)


def best(table: ReportTable) -> set[tuple[int, int]]:
    """(row, column) of the highest Rank-k and mAP of each column, which the paper prints in bold; ties together.

    Columns with fewer than two numbers have no best.
    """
    chosen = set()
    for c, column in enumerate(table.columns):
        if not column.metric.startswith(("Rank-", "mAP")):
            continue
        values = {r: float(row.values[c].split()[0]) for r, row in enumerate(table.rows) if row.values[c][0].isdigit()}
        if len(values) > 1:
            chosen |= {(r, c) for r, value in values.items() if value == max(values.values())}
    return chosen


def _markdown_table(table: ReportTable) -> str:
    bold = best(table)
    head = ["", *("<br>".join(heading(column)) for column in table.columns)]
    lines = [head, ["---", *("---:" if column.metric != "Source" else "---" for column in table.columns)]]
    for r, row in enumerate(table.rows):
        values = [f"**{value}**" if (r, c) in bold else value for c, value in enumerate(row.values)]
        lines.append([_label(row), *values])
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _label(row: TableRow) -> str:
    return f"[{row.label}]({row.record})" if row.record else row.label


def is_measured(column: Column) -> bool:
    """Whether the column's numbers are ours."""
    return column.origin == HERE

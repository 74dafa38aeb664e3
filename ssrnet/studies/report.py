"""The studies' tables as Markdown."""

from __future__ import annotations

from ssrnet.studies.paper import citation, references
from ssrnet.studies.readings import as_table
from ssrnet.studies.tables import HERE, Column, ReportTable, TableRow

HEADING = "The paper's studies, measured here and in the paper"

CAUTION = (
    "Measured on other data.",
    'Columns headed "here" were measured by this package on the data, recipe and machine named below each table. '
    'Columns headed "paper" are the numbers of the paper, measured by its authors on VeRi-776 and VehicleID. '
    "Unless your data are the paper's, no number of one kind can be compared with one of the other: compare how "
    "the rows of one column differ. One seed a row: small differences between rows may be chance.",
)
"""The warning shown with everything measured here: a title and its explanation."""


def markdown(tables: list[ReportTable]) -> str:
    """The whole report; row labels link to the JSON file with the row's protocol records."""
    title, explanation = CAUTION
    parts = [f"# {HEADING}", f"> **{title}** {explanation}", f"The paper: {citation()}"]
    for table in tables:
        parts += [f"## {table.title}", *([table.finding] if table.finding else []), _markdown_table(table)]
        parts.append("\n".join(f"- {note}" for note in table.notes))
    parts += ["## Where the paper is silent", as_table()]
    parts += ["## References of the tables", "\n".join(f"- {line}" for line in reference_list())]
    return "\n\n".join(parts) + "\n"


def reference_list() -> list[str]:
    """All works cited by the tables, with the paper's numbers."""
    return [f"[{number}] {text}" for number, text in references().items()]


def heading(column: Column) -> tuple[str, ...]:
    """A column's heading, line by line: source, test set, protocol, metric."""
    return tuple(line for line in (column.origin, column.test_set, column.protocol, column.metric) if line)


def best(table: ReportTable) -> set[tuple[int, int]]:
    """(row, column) of the highest Rank-k and mAP of each column, which the paper prints in bold; with ties.

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
        if row.group:
            lines.append([f"**{row.group}**", *[""] * len(row.values)])
        values = [emphasised(value, "**", "**") if (r, c) in bold else value for c, value in enumerate(row.values)]
        lines.append([_label(row), *(value.replace("\n", "<br>") for value in values)])
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def emphasised(value: str, before: str, after: str) -> str:
    """A cell's number between two marks; the interval on the line below it stays as it is."""
    number, line, interval = value.partition("\n")
    return f"{before}{number}{after}{line}{interval}"


def _label(row: TableRow) -> str:
    return f"[{row.label}]({row.record})" if row.record else row.label


def is_measured(column: Column) -> bool:
    """Whether the column's numbers were measured here."""
    return column.origin == HERE

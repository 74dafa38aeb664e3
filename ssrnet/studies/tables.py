"""The studies' tables as text for rendering: our measurements beside the paper's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ssrnet.errors import DataError
from ssrnet.files import read_json
from ssrnet.metrics import Metrics
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.model.regions import Box, region_boxes
from ssrnet.retrieval.metric_intervals import estimates_of_sums
from ssrnet.studies.cell_results import CellResult, Score, read_cell
from ssrnet.studies.definitions import STUDIES, Study
from ssrnet.studies.orders import CHANCE, order_sentence
from ssrnet.studies.paper import Claim, PaperTable, paper_tables, references
from ssrnet.studies.readings import as_note, readings_of

ABSENT = "–"

HERE, PAPER = "here", "paper"


@dataclass(frozen=True)
class Column:
    """``origin``: :data:`HERE` or :data:`PAPER`, the source of the column's numbers. ``protocol``: of a measured column."""

    origin: str
    test_set: str
    metric: str
    protocol: str = ""


@dataclass(frozen=True)
class TableRow:
    """``values``: text, one per column, below a measured number its interval on a line of its own.

    ``record``: file of the protocol records, relative to the report's folder. ``group``: heading that stands above the row.
    """

    label: str
    values: tuple[str, ...]
    record: str | None = None
    group: str = ""


@dataclass(frozen=True)
class ReportTable:
    """One table of the report. ``notes``: sentences below it on protocol, interpretation and missing rows.

    ``finding``: whether the paper's order holds here, "" where nothing is measured.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]
    curve: tuple[CurvePoint, ...] = ()
    finding: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether any of its rows was measured here."""
        return any(row.record for row in self.rows)


@dataclass(frozen=True)
class CurvePoint:
    """A measured point of Fig. 4: crop ratio, and Rank-1 and mAP in percent on one test set under one protocol.

    ``intervals``: of both the ends of the 95 % interval, where the file has what it is drawn from.
    """

    test_set: str
    ratio: float
    rank_1: float
    mAP: float
    intervals: tuple[tuple[float, float], tuple[float, float]] | None = None


def report_tables(out: Path) -> list[ReportTable]:
    """Tables 1 to 9 and Fig. 4 in the paper's order, with the results of each study in ``out``.

    Raises :class:`DataError` for a file in ``out`` that no study writes.
    """
    studies = {study.paper: study for study in STUDIES.values()}
    tables = []
    for name, paper in paper_tables().items():
        try:
            if name in studies:
                tables.append(study_table(studies[name], paper, out))
            elif name == "Table 7":
                tables.append(complexity_table(paper, out))
            else:
                tables.append(reference_table(paper))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise DataError(
                f"{out} has values for {name} that no study writes ({error}); remove them and run the study again."
            ) from error
    return tables


def protocol_records(out: Path, row: TableRow) -> list[dict[str, Any]]:
    """The protocol records of a row's measurements, one per test set; empty for an unmeasured row."""
    if row.record is None:
        return []
    if row.record.startswith("cells/"):
        return [score.record for score in read_cell(out / row.record).scores]
    return [_json(out / row.record)["record"]]


def study_table(study: Study, paper: PaperTable, out: Path) -> ReportTable:
    """A trained study's rows, measured columns first."""
    results = _cell_results(study, out)
    here = [
        Column(HERE, test_set, metric, protocol)
        for test_set, protocol in _tests(results.values())
        for metric in study.metrics
    ]
    there = [Column(PAPER, test_set, metric) for test_set, metric in paper.columns] if paper.rows else []
    rows = []
    for row in (*study.rows, *study.readings):
        result, printed = results.get(row.label), paper.row(row.label)
        values = [_measured(result, column) for column in here]
        values += [_number(value) for value in printed.values] if printed else [ABSENT] * len(there)
        rows.append(TableRow(row.label, tuple(values), f"cells/{result.cell}/cell.json" if result else None))
    notes = _protocol_notes(study, results) + [*study.notes, *_paper_notes(paper)]
    curve = _curve(results) if study.name == "crop-ratio" else ()
    notes += _equal_regions(results) if study.name == "crop-ratio" else []
    title = f"{paper.title} ({paper.name}, {paper.source})"
    if any(score.sums is not None for result in results.values() for score in result.scores):
        notes.insert(0, CHANCE)
    return ReportTable(study.name, title, (*here, *there), tuple(rows), tuple(notes), curve, _finding(paper, results))


def reference_table(paper: PaperTable) -> ReportTable:
    """Table 8 or 9: other methods as the paper reports them, with their citations; nothing here measures them."""
    columns = (*(Column(PAPER, *column) for column in paper.columns), Column(PAPER, "", "Source"))
    rows = []
    for row in paper.rows:
        source = short_reference(row.reference) if row.reference else "the paper itself"
        star = "*" if row.same_base_network else ""
        group = paper.groups.get(row.label, "")
        rows.append(TableRow(row.label + star, (*map(_number, row.values), source), group=group))
    notes = ("Reference data: copied from the paper, measured by nobody here.", *_paper_notes(paper))
    anchor = paper.name.lower().replace(" ", "-")
    return ReportTable(anchor, f"{paper.title} ({paper.name})", columns, tuple(rows), notes)


def _paper_notes(paper: PaperTable) -> list[str]:
    """What to know of the paper's table: where its text differs from it, how we read it, and our other readings."""
    return [*(_claim_note(paper, each) for each in paper.claims), *paper.notes, *map(as_note, readings_of(paper.name))]


def _claim_note(paper: PaperTable, claim: Claim) -> str:
    gain = paper.smallest_gain(claim)
    stated = "" if claim.stated is None else f", {claim.stated:.2f} points of {claim.metric}"
    return (
        f"Text and table differ: {claim.where} says “{claim.words}”{stated}; in {paper.name} {gain.better} has "
        f"{abs(gain.points):.2f} points of {claim.metric} {'more' if gain.points > 0 else 'less'} than {gain.over} on "
        f"{gain.test_set}."
    )


def short_reference(number: int) -> str:
    """As "[33] Liao et al., 2015"; the whole citation is in the report's list of references."""
    authors, year = re.match(r"(.*?)\. (\d{4})\. ", references()[number]).groups()
    names = [name.split()[-1] for name in re.split(r",? and |, ", authors)]
    by = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
    return f"[{number}] {by}, {year}"


def complexity_table(paper: PaperTable, out: Path) -> ReportTable:
    """Table 7, with each network's cost over GB's."""
    metrics = ("Parameters", "Multiply-adds", "Time, GB = 1")
    here = [Column(HERE, "", metric) for metric in metrics]
    there = [Column(PAPER, "", metric) for metric in metrics] + [Column(PAPER, *column) for column in paper.columns[3:]]
    path = out / "studies" / "complexity.json"
    measured = _json(path) if path.exists() else None
    rows = []
    printed_seconds = paper.value("GB", "", "Seconds an image")
    for row in paper.rows:
        parameters, multiply_adds, seconds, *accuracy = row.values
        printed = [f"{parameters / 1e6:.1f} M", f"{multiply_adds / 1e9:.2f} G", f"{seconds / printed_seconds:.2f}"]
        printed += map(_number, accuracy)
        values = _cost(measured, row.label) if measured else [ABSENT] * len(here)
        rows.append(TableRow(row.label, (*values, *printed), "studies/complexity.json" if measured else None))
    notes = [_complexity_note(measured) if measured else _not_run("complexity"), _increase_note(paper, measured)]
    times = ", ".join(f"{row.label} {row.values[2] * 1e3:.2f} ms an image" for row in paper.rows)
    notes.append(f"The paper's times: {times}. Its accuracy is that of Table 1's rows GB and +AB+RB.")
    return ReportTable(
        "complexity",
        f"{paper.title} ({paper.name}, {paper.source})",
        (*here, *there),
        tuple(rows),
        (*notes, *_paper_notes(paper)),
    )


def increase(small: float, large: float) -> tuple[float, float]:
    """``large`` minus ``small``, in percent of ``large`` (as in the paper's Sec. 4.5) and of ``small``."""
    return 100 * (large - small) / large, 100 * (large - small) / small


def _cell_results(study: Study, out: Path) -> dict[str, CellResult]:
    """The finished cells of the study's plan, by row label; empty for a study never run."""
    plan = out / "studies" / f"{study.name}.json"
    if not plan.exists():
        return {}
    cells = {row["label"]: out / "cells" / Path(row["cell"]).name / "cell.json" for row in _json(plan)["rows"]}
    return {label: read_cell(path) for label, path in cells.items() if path.exists()}


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a file of a study ({error}); remove it and run the study again.") from error


def _tests(results: Iterable[CellResult]) -> list[tuple[str, str]]:
    """Every test set and protocol, under which a cell was measured."""
    return list(dict.fromkeys(_test(score) for result in results for score in result.scores))


def _test(score: Score) -> tuple[str, str]:
    return score.test_set, str(score.record["protocol"]).replace("_", " ")


def _score(result: CellResult | None, column: Column) -> Score | None:
    test = (column.test_set, column.protocol)
    return next((score for score in result.scores if _test(score) == test), None) if result else None


def _measured(result: CellResult | None, column: Column) -> str:
    score = _score(result, column)
    if score is None:
        return ABSENT
    text = _number(metric(score.mean, column.metric))
    if score.deviation is not None:
        text += f" ± {_number(metric(score.deviation, column.metric))}"
    ends = _interval(score, column.metric)
    return text if ends is None else f"{text}\n{ends[0]:.1f} to {ends[1]:.1f}"


def _interval(score: Score, name: str) -> tuple[float, float] | None:
    """The 95 % interval in percent; None where the file does not have what it is drawn from."""
    if score.sums is None:
        return None
    estimate = estimates_of_sums(score.sums)[name.replace("Rank", "rank")]
    return 100 * estimate.low, 100 * estimate.high


def _finding(paper: PaperTable, results: dict[str, CellResult]) -> str:
    """What the study says of the paper's order, on each test set under each protocol."""
    sentences = []
    for test in _tests(results.values()):
        scored = {
            label: score.sums
            for label, result in results.items()
            for score in result.scores
            if _test(score) == test and score.sums is not None
        }
        sentences.append(order_sentence(paper, scored, f"On {test[0]} ({test[1]})"))
    return " ".join(filter(None, sentences))


def metric(metrics: Metrics, name: str) -> float:
    """Rank-k or mAP in percent, by the paper's name."""
    return 100 * (metrics.mAP if name == "mAP" else metrics.rank(int(name.removeprefix("Rank-"))))


def _number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.2f}"


def _not_run(name: str) -> str:
    return f"Not measured here yet; run `ssrnet study {name}`."


def _protocol_notes(study: Study, results: dict[str, CellResult]) -> list[str]:
    """How the measured columns were measured; the same for all rows of a study but for the checkpoint."""
    if not results:
        return [_not_run(f"{study.name} --data DIR")]
    notes = []
    rows = len(study.rows) + len(study.readings)
    if len(results) < rows:
        notes.append(f"Not measured yet: {rows - len(results)} of {rows} rows; run the same command to resume.")
    result = next(iter(results.values()))
    scores = {_test(score): score for result in results.values() for score in result.scores}
    notes += [_test_note(score) for score in scores.values()]
    settings, trained_on = result.training, result.training_set
    start = Path(str(settings["start_from"] or settings["backbone_weights"])).name.replace("none", "random")
    held = f", {trained_on['held_back']} of them held back" if trained_on["held_back"] else ""
    notes.append(
        f"Every row here: trained on {trained_on['images']:,} images of {trained_on['vehicles']:,} vehicles{held} "
        f"({trained_on['name']}, content {trained_on['hash']}), recipe {settings['recipe']}, "
        f"{settings['model']['backbone']} from {start} weights, "
        f"{result.image_size} px, epochs: {result.epochs}, steps: {result.steps:,}, seed {settings['seed']}"
        f"{', bfloat16 on a CPU' if settings.get('cpu_bfloat16') else ''}; "
        f"metric losses: the {settings['loss']['reduction']} over the batch, unless the row says otherwise."
    )
    return notes


def _test_note(score: Score) -> str:
    record = score.record
    galleries = f", mean ± deviation over {len(score.seeds)} random galleries" if len(score.seeds) > 1 else ""
    features = record["features"]
    return (
        f"Here, {score.test_set} (content {record['dataset_hash']}): {record['protocol']}{galleries}; "
        f"{score.mean.queries:,} queries with a match, {score.mean.excluded:,} without are excluded; "
        f"gallery of {record['gallery']:,}; junk: {record['junk_rule']}; AP {record['average_precision']}; "
        f"{record['distance']} distance, re-ranking {record['re_ranking']}, "
        f"flip test {'on' if features['flip_test'] else 'off'}; ssrnet {record['version']}."
    )


def _curve(results: dict[str, CellResult]) -> tuple[CurvePoint, ...]:
    points = [
        CurvePoint(
            ", ".join(_test(score)),
            result.training["model"]["crop_ratio"],
            metric(score.mean, "Rank-1"),
            metric(score.mean, "mAP"),
            None if score.sums is None else (_interval(score, "Rank-1"), _interval(score, "mAP")),
        )
        for result in results.values()
        for score in result.scores
    ]
    return tuple(sorted(points, key=lambda point: (point.test_set, point.ratio)))


def _equal_regions(results: Mapping[str, CellResult]) -> list[str]:
    """Which crop ratios cut the same regions of the map, since Eq. 2 rounds down: their rows are one network, trained twice."""
    rows: dict[tuple[int, int, int, tuple[Box, ...]], list[str]] = {}
    sides: dict[int, tuple[int, int]] = {}
    for label, result in results.items():
        model, size = ModelSettings(**result.training["model"]), result.image_size
        if size not in sides:
            with torch.device("meta"):  # shapes only: nothing is computed
                sides[size] = tuple(SSRNet(model).eval().feature_map(torch.zeros(1, 3, size, size)).F_G.shape[2:])
        rows.setdefault((size, *sides[size], region_boxes(*sides[size], model.crop_ratio)), []).append(label)
    return [
        f"{' and '.join(labels)} cut the same regions of the {height}×{width} map at {size} px (Eq. 2 rounds down): they "
        "are one network, trained twice."
        for (size, height, width, _), labels in rows.items()
        if len(labels) > 1
    ]


def _cost(measured: dict[str, Any], label: str) -> list[str]:
    cost = next(cost for cost in measured["costs"] if cost["label"] == label)
    time = "1.00" if label == "GB" else f"{measured['ratio']:.2f}"
    return [f"{cost['parameters'] / 1e6:.2f} M", f"{cost['multiply_adds'] / 1e9:.2f} G", time]


def _complexity_note(measured: dict[str, Any]) -> str:
    record = measured["record"]
    low, high = measured["ratio_quartiles"]
    seconds = ", ".join(f"{cost['label']} {cost['seconds'] * 1e3:.3g} ms an image" for cost in measured["costs"])
    return (
        f"Here: {record['backbone']}, {record['image_size']} px, batches of {record['batch_size']}, "
        f"{record['precision']}, {record['input']}; {record['rounds']} rounds in turn on {record['device']}, "
        f"{record['threads']} threads, load {record['load_average']}, PyTorch {record['torch']}, "
        f"ssrnet {record['version']}. Time is the median ratio within a round (quartiles {low:.2f} and {high:.2f}); "
        f"medians by themselves: {seconds}."
    )


def _increase_note(paper: PaperTable, measured: dict[str, Any] | None) -> str:
    def text(pairs: list[tuple[float, float]]) -> str:
        (p_large, p_small), (m_large, m_small) = (increase(*pair) for pair in pairs)
        return (
            f"+{p_large:.2f} % of SSR-Net's parameters and +{m_large:.2f} % of its multiply-adds "
            f"(+{p_small:.1f} % and +{m_small:.1f} % over GB)"
        )

    counts = ("Parameters", "Multiply-adds")
    printed = [tuple(paper.value(label, "", count) for label in ("GB", "SSR-Net")) for count in counts]
    note = f"The two branches add, in the paper: {text(printed)}"
    if measured:
        counted = [tuple(cost[name] for cost in measured["costs"]) for name in ("parameters", "multiply_adds")]
        note += f"; here: {text(counted)}"
    return note + "."

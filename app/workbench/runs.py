"""Training runs and studies in the folders that the app offers, and the metrics that their checkpoints hold."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from app.workbench import places
from app.workbench.cache import cached
from ssrnet.errors import DataError
from ssrnet.retrieval.feature_files import Record
from ssrnet.studies.tables import CurvePoint, ReportTable, protocol_records, report_tables
from ssrnet.training import runs
from ssrnet.training.checkpoint import StoredCheckpoint
from ssrnet.training.runs import StoredMetrics, find_runs, find_studies

STUDY = "crop-ratio"


class StudyCurve(NamedTuple):
    """Fig. 4 as a ``crop-ratio`` study measured it: points, the notes below its table, and its protocol records."""

    points: tuple[CurvePoint, ...]
    notes: tuple[str, ...]
    records: tuple[Record, ...]


def run_folders() -> list[str]:
    """Training runs in ``runs/`` and ``checkpoints/`` of the working folder and the project's."""
    names = {
        str(folder.relative_to(base))
        for base in (places.ROOT, Path.cwd())
        for folder in find_runs([base / "runs", base / "checkpoints"])
    }
    return sorted(names)


def run_folder(name: str) -> Path:
    """Where a run that is offered, or was typed in, lies."""
    return places.readable_path(name)


def runs_of(checkpoint: StoredCheckpoint) -> list[str]:
    """The offered runs that made a checkpoint: its folder, or those of its name beside it, as in ``checkpoints/``."""
    path = checkpoint.path.resolve()
    folders = {path.parent, path.with_suffix(""), path.with_name(f"{path.stem}-start")}
    return [name for name in run_folders() if run_folder(name).resolve() in folders]


def study_folders() -> list[str]:
    """Folders of ``ssrnet study``: the bundled one, then those in ``runs/`` of the working folder."""
    return [str(folder) for folder in find_studies([places.ROOT / "assets", Path("runs")])]


def study_curves() -> dict[str, StudyCurve]:
    """Every folder with a measured ``crop-ratio`` study, by its path; one that cannot be read is left out."""
    curves = {}
    for folder in study_folders():
        if not (Path(folder) / "studies" / f"{STUDY}.json").is_file():
            continue
        with suppress(DataError):
            for table in study_tables(Path(folder)):
                if table.name == STUDY and table.curve:
                    records = [record for row in table.rows for record in protocol_records(Path(folder), row)]
                    curves[folder] = StudyCurve(table.curve, table.notes, tuple(records))
    return curves


def study_tables(folder: Path) -> list[ReportTable]:
    """:func:`report_tables`, made again when a file of the study changes.

    Raises :class:`DataError` for a file in ``folder`` that is not what a study writes.
    """
    files = (*sorted(folder.glob("studies/*.json")), *sorted(folder.glob("cells/*/cell.json")))
    return cached("study tables", (str(folder), files), lambda: report_tables(folder), 4)


def stored_metrics(path: Path) -> list[StoredMetrics]:
    """The metrics that a checkpoint holds; read again when the file changes."""
    return cached("stored metrics", path, lambda: runs.stored_metrics(path))

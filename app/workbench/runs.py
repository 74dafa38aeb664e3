"""Training runs and studies that lie where the app looks, and what their checkpoints say that they scored."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from app import workbench as base
from ssrnet.errors import DataError
from ssrnet.retrieval.feature_files import Record
from ssrnet.studies.tables import CurvePoint, measured_tables, protocol_records
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
    found = {
        str(folder.relative_to(place))
        for place in (base.ROOT, Path.cwd())
        for folder in find_runs([place / "runs", place / "checkpoints"])
    }
    return sorted(found)


def run_folder(name: str) -> Path:
    """Where a run that is offered, or was typed in, lies."""
    return base._locate(name)


def runs_of(checkpoint: StoredCheckpoint) -> list[str]:
    """The offered runs that made a checkpoint: its folder, or those of its name beside it, as in ``checkpoints/``."""
    path = checkpoint.path.resolve()
    own = {path.parent, path.with_suffix(""), path.with_name(f"{path.stem}-start")}
    return [name for name in run_folders() if run_folder(name).resolve() in own]


def study_folders() -> list[str]:
    """Folders of ``ssrnet study``: the bundled one, then those in ``runs/`` of the working folder."""
    return [str(folder) for folder in find_studies([base.ROOT / "assets", Path("runs")])]


def study_curves() -> dict[str, StudyCurve]:
    """Every folder with a measured ``crop-ratio`` study, by its path; one that cannot be read is left out."""
    curves = {}
    for folder in study_folders():
        if not (Path(folder) / "studies" / f"{STUDY}.json").is_file():
            continue
        with suppress(DataError):
            for table in measured_tables(Path(folder)):
                if table.name == STUDY and table.curve:
                    records = [record for row in table.rows for record in protocol_records(Path(folder), row)]
                    curves[folder] = StudyCurve(table.curve, table.notes, tuple(records))
    return curves


def stored_metrics(path: Path) -> list[StoredMetrics]:
    """What a checkpoint says that it scored; read anew when the file changes."""
    return _stored_metrics(str(path), base._stamp(path))


@st.cache_data(max_entries=64, show_spinner=False)
def _stored_metrics(path: str, stamp: tuple) -> list[StoredMetrics]:
    return runs.stored_metrics(Path(path))

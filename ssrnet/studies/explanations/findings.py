"""What the study found, and the JSON file that keeps it while it runs and afterwards."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ssrnet.errors import DataError
from ssrnet.files import read_json
from ssrnet.studies.cell_results import write_json

FORMAT = "ssrnet explanations 1"
PARTS = ("photographs", "pairs", "randomised")

Row = dict[str, Any]


@dataclass
class ModelFindings:
    """One network's rows by part, see :mod:`ssrnet.studies.explanations.measure`; a part is there once it is done.

    ``key`` stands for everything that shapes the rows. ``no_M_s`` and ``no_F_attn`` are the sentences on why there is
    no such map.
    """

    title: str
    made_by: dict[str, Any]
    key: str
    no_M_s: str | None
    parts: dict[str, list[Row]] = field(default_factory=dict)
    no_F_attn: str | None = None


@dataclass
class Findings:
    """``record`` says what was looked at and how; ``left_out`` which parts the data do not serve, and why."""

    record: dict[str, Any]
    left_out: dict[str, str]
    models: list[ModelFindings]

    def write(self, path: Path, summary: list[dict[str, Any]] | None = None) -> None:
        """JSON, atomically; ``summary`` are the numbers of the report. Raises :class:`ResourceError`."""
        write_json(path, {"format": FORMAT, **asdict(self), "summary": summary or []})


def read_findings(path: Path) -> Findings:
    """What :meth:`Findings.write` wrote; raises :class:`DataError` where the file is something else."""
    try:
        values = read_json(path)
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}, not {FORMAT!r}")
        models = [ModelFindings(**model) for model in values["models"]]
        return Findings(values["record"], values["left_out"], models)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} holds no findings of `ssrnet study explanations` ({error}); move it away and run the study again."
        ) from error

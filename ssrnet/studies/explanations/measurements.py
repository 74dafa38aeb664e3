"""The study's measurements, and the JSON file that holds them while it runs and afterwards."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ssrnet.errors import DataError
from ssrnet.files import read_json
from ssrnet.studies.cell_results import write_json

FORMAT = "ssrnet explanations 1"

Row = dict[str, Any]


@dataclass
class ModelMeasurements:
    """One network's rows by measurement ("photographs", "pairs", "randomised"), once they are complete.

    The rows are described in :mod:`ssrnet.studies.explanations.measure`. ``key`` is a hash of everything that
    determines them. ``no_M_s`` and ``no_F_attn`` are the sentences on why there is no such map.
    """

    title: str
    made_by: dict[str, Any]
    key: str
    no_M_s: str | None
    rows: dict[str, list[Row]] = field(default_factory=dict)
    no_F_attn: str | None = None


@dataclass
class Measurements:
    """``record``: data, photographs and settings; ``left_out``: reasons by measurement that the data do not allow."""

    record: dict[str, Any]
    left_out: dict[str, str]
    models: list[ModelMeasurements]

    def write(self, path: Path, summary: list[dict[str, Any]] | None = None) -> None:
        """JSON, atomically, with the numbers of the report as ``summary``. Raises :class:`ResourceError`."""
        models = [asdict(model) for model in self.models]
        for model in models:
            model["parts"] = model.pop("rows")  # the key in files of every version
        record = {"format": FORMAT, "record": self.record, "left_out": self.left_out}
        write_json(path, {**record, "models": models, "summary": summary or []})


def read_measurements(path: Path) -> Measurements:
    """Measurements from :meth:`Measurements.write`; raises :class:`DataError` where the file is something else."""
    try:
        values = read_json(path)
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}, not {FORMAT!r}")
        models = [dict(model) for model in values["models"]]
        models = [ModelMeasurements(rows=model.pop("parts"), **model) for model in models]
        return Measurements(values["record"], values["left_out"], models)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} holds no measurements of `ssrnet study explanations` ({error}); move it away and run the study "
            "again."
        ) from error

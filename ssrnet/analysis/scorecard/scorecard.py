"""What `ssrnet compare` finds out, and the JSON file that keeps it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ssrnet.errors import DataError
from ssrnet.files import read_json, write_atomically
from ssrnet.retrieval.metric_intervals import CONFIDENCE, REPLICATES, SEED, Estimate

FORMAT = "ssrnet comparison 1"


@dataclass(frozen=True)
class ComparedModel:
    """A column of the question, a row of the answer. ``features`` is the record's part that names file and hash."""

    title: str
    features: dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A model's scores by metric, of all its branches where ``branches`` is empty; ``record`` is the first seed's."""

    model: str
    branches: tuple[str, ...]
    metrics: dict[str, Estimate]
    record: dict[str, Any]


@dataclass(frozen=True)
class Slice:
    """All rows on some queries of a protocol, and the second model minus the first.

    ``title`` says which queries ("all", "with sibling_group"), ``asked_as`` is the --slices value that they
    came from. ``queries`` with a match and ``excluded`` without, one number a seed.
    """

    title: str
    asked_as: str
    queries: tuple[int, ...]
    excluded: tuple[int, ...]
    vehicles: int
    rows: tuple[Row, ...]
    difference: dict[str, Estimate]


@dataclass(frozen=True)
class ProtocolResult:
    """``seeds`` of the random galleries, empty where nothing is drawn; the first slice has all queries."""

    protocol: str
    seeds: tuple[int, ...]
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class LeftOut:
    """A protocol, or a slice of its queries, that was asked for and could not be measured."""

    protocol: str
    queries: str
    reason: str


@dataclass(frozen=True)
class ModelComparison:
    """``difference`` names the titles: the second minus the first. ``images``: "all", or the cut by --only."""

    dataset: str
    dataset_hash: str
    images: str
    models: tuple[ComparedModel, ...]
    difference: tuple[str, str]
    protocols: tuple[ProtocolResult, ...]
    left_out: tuple[LeftOut, ...]
    version: str
    confidence: float = CONFIDENCE
    replicates: int = REPLICATES
    bootstrap_seed: int = SEED
    format: str = FORMAT

    def write(self, path: Path) -> None:
        """JSON, atomically; raises :class:`ResourceError` where that fails."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"
        write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_comparison(path: Path) -> ModelComparison:
    """What :meth:`ModelComparison.write` wrote; raises :class:`DataError` where the file is something else."""
    try:
        values = read_json(path)
        if values["format"] != FORMAT:
            raise DataError(f"{path} is of the format {values['format']!r}, not {FORMAT!r}; compare the models again.")
        return ModelComparison(
            **{
                **values,
                "models": tuple(ComparedModel(**model) for model in values["models"]),
                "difference": tuple(values["difference"]),
                "protocols": tuple(map(_protocol, values["protocols"])),
                "left_out": tuple(LeftOut(**left) for left in values["left_out"]),
            }
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no comparison of models ({error}); write one with `ssrnet compare`.") from error


def _protocol(values: dict[str, Any]) -> ProtocolResult:
    return ProtocolResult(values["protocol"], tuple(values["seeds"]), tuple(map(_slice, values["slices"])))


def _slice(values: dict[str, Any]) -> Slice:
    rows = tuple(
        Row(row["model"], tuple(row["branches"]), _estimates(row["metrics"]), row["record"]) for row in values["rows"]
    )
    counts = {name: tuple(values[name]) for name in ("queries", "excluded")}
    return Slice(**{**values, **counts, "rows": rows, "difference": _estimates(values["difference"])})


def _estimates(values: dict[str, dict[str, Any]]) -> dict[str, Estimate]:
    return {metric: Estimate(**estimate) for metric, estimate in values.items()}

"""The results of `ssrnet compare`, and their JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ssrnet.errors import DataError
from ssrnet.files import read_json, write_atomically
from ssrnet.retrieval.metric_intervals import CONFIDENCE, REPLICATES, SEED, Estimate

FORMAT = "ssrnet comparison 2"


@dataclass(frozen=True)
class ScoredModel:
    """A model's title, and the part of its protocol record that names checkpoint, hash and extraction settings."""

    title: str
    features: dict[str, Any]


@dataclass(frozen=True)
class ModelScores:
    """A model's scores by metric. ``branches``: those used, () for all. ``record``: that of the first seed."""

    model: str
    branches: tuple[str, ...]
    metrics: dict[str, Estimate]
    record: dict[str, Any]


@dataclass(frozen=True)
class SliceScores:
    """All models' scores on some queries of a protocol, and the scorecard's ``differences`` in its order.

    ``title`` names the queries ("all", "with sibling_group"), ``asked_as`` is the --slices value they come from.
    ``queries`` (with a match) and ``excluded`` (without): one number per seed. ``vehicles``: query vehicles.
    """

    title: str
    asked_as: str
    queries: tuple[int, ...]
    excluded: tuple[int, ...]
    vehicles: int
    rows: tuple[ModelScores, ...]
    differences: tuple[dict[str, Estimate], ...]


@dataclass(frozen=True)
class ProtocolScores:
    """Scores under one protocol: the first slice has all queries. ``seeds`` of random galleries, () without any."""

    protocol: str
    seeds: tuple[int, ...]
    slices: tuple[SliceScores, ...]


@dataclass(frozen=True)
class LeftOut:
    """A requested protocol, or slice of its queries, that could not be scored."""

    protocol: str
    queries: str
    reason: str


@dataclass(frozen=True)
class Scorecard:
    """Models under several protocols. ``differences``: pairs of titles, the second minus the first.

    ``images``: "all", or the value of --only.
    """

    dataset: str
    dataset_hash: str
    images: str
    models: tuple[ScoredModel, ...]
    differences: tuple[tuple[str, str], ...]
    protocols: tuple[ProtocolScores, ...]
    left_out: tuple[LeftOut, ...]
    version: str
    confidence: float = CONFIDENCE
    replicates: int = REPLICATES
    bootstrap_seed: int = SEED
    format: str = FORMAT

    def write(self, path: Path) -> None:
        """Writes JSON, atomically; raises :class:`ResourceError` where that fails."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"
        write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_scorecard(path: Path) -> Scorecard:
    """Reads a file of :meth:`Scorecard.write`; raises :class:`DataError` for any other file."""
    try:
        values = read_json(path)
        if values["format"] != FORMAT:
            raise DataError(f"{path} is of the format {values['format']!r}, not {FORMAT!r}; compare the models again.")
        return Scorecard(
            **{
                **values,
                "models": tuple(ScoredModel(**model) for model in values["models"]),
                "differences": tuple(map(tuple, values["differences"])),
                "protocols": tuple(map(_protocol, values["protocols"])),
                "left_out": tuple(LeftOut(**left) for left in values["left_out"]),
            }
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not a comparison of models ({error}); write one with `ssrnet compare`.") from error


def _protocol(values: dict[str, Any]) -> ProtocolScores:
    return ProtocolScores(values["protocol"], tuple(values["seeds"]), tuple(map(_slice, values["slices"])))


def _slice(values: dict[str, Any]) -> SliceScores:
    rows = tuple(
        ModelScores(row["model"], tuple(row["branches"]), _estimates(row["metrics"]), row["record"])
        for row in values["rows"]
    )
    counts = {name: tuple(values[name]) for name in ("queries", "excluded")}
    differences = tuple(map(_estimates, values["differences"]))
    return SliceScores(**{**values, **counts, "rows": rows, "differences": differences})


def _estimates(values: dict[str, dict[str, Any]]) -> dict[str, Estimate]:
    return {metric: Estimate(**estimate) for metric, estimate in values.items()}

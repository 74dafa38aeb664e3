"""Verdicts of `ssrnet study explanations` on each map, as a small JSON file that the app reads.

Verdicts belong to a checkpoint hash, so that one network's verdicts are never shown for another.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ssrnet.errors import DataError
from ssrnet.explain.cam import map_title
from ssrnet.files import read_json
from ssrnet.studies.cell_results import write_json

FORMAT = "ssrnet explanation verdicts 1"


@dataclass(frozen=True)
class MapVerdict:
    """The verdict on one map; ``name`` as in ``--methods``, for example "grad-cam" or "F_attn".

    gain: area under insertion minus that under deletion, mean over ``photographs``, with its 95 % interval ``low`` to
    ``high``; None where it was not measured. on_vehicle: share of the map's mass on the vehicle, which is not a test.
    passes: by the name of the test, None where it was not possible. trusted: passed every test that was possible, the
    curves among them; never a control.
    """

    name: str
    gain: float | None
    low: float | None
    high: float | None
    photographs: int
    on_vehicle: float | None
    passes: dict[str, bool | None]
    trusted: bool


@dataclass(frozen=True)
class ModelVerdicts:
    """The verdicts on one checkpoint's maps, in the order measured, the controls "random" and "centre" last."""

    title: str
    checkpoint_hash: str
    maps: tuple[MapVerdict, ...]

    @property
    def trusted(self) -> list[MapVerdict]:
        """The maps that pass the study's tests, the largest gain first; the share on the vehicle does not count."""
        return sorted((one for one in self.maps if one.trusted), key=lambda one: -(one.gain or 0.0))

    def of(self, name: str) -> MapVerdict | None:
        return next((one for one in self.maps if one.name == name), None)

    def caution(self, name: str) -> str:
        """That a map says little about a match, and which one says more; "" where it passed, or was not tested."""
        one = self.of(name)
        if one is None or one.trusted or False not in one.passes.values():
            return ""
        failed = " and ".join(test for test, passed in one.passes.items() if passed is False)
        instead = f"{map_title(self.trusted[0].name)} says most" if self.trusted else "no other map passes"
        return f"It says little about a match (the explanations study's test {failed!r} fails); {instead}."


@dataclass(frozen=True)
class ExplanationVerdicts:
    """All verdicts of a run; ``record`` has its data, photographs and settings."""

    record: dict[str, Any]
    models: tuple[ModelVerdicts, ...]

    def of(self, checkpoint_hash: str) -> ModelVerdicts | None:
        """The verdicts on a checkpoint; None if the study did not measure it."""
        return next((one for one in self.models if one.checkpoint_hash == checkpoint_hash), None)


def write_verdicts(path: Path, verdicts: ExplanationVerdicts) -> None:
    """JSON, atomically. Raises :class:`ResourceError` where the folder cannot be written."""
    write_json(path, {"format": FORMAT, **asdict(verdicts)})


def read_verdicts(path: Path) -> ExplanationVerdicts:
    """Verdicts from :func:`write_verdicts`; raises :class:`DataError` where the file is something else."""
    try:
        values = read_json(path)
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}, not {FORMAT!r}")
        models = [{**one, "maps": tuple(_verdict(each) for each in one["maps"])} for one in values["models"]]
        return ExplanationVerdicts(dict(values["record"]), tuple(ModelVerdicts(**one) for one in models))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} holds no verdicts of `ssrnet study explanations` ({error}); run it with --publish again."
        ) from error


def _verdict(values: dict[str, Any]) -> MapVerdict:
    verdict = MapVerdict(**values)
    numbers = (verdict.gain, verdict.low, verdict.high, verdict.on_vehicle)
    if not isinstance(verdict.name, str) or not all(n is None or isinstance(n, int | float) for n in numbers):
        raise ValueError("a map's name is not text, or its gain not a number")
    if verdict.trusted and None in numbers[:3]:
        raise ValueError(f"{verdict.name} is trusted and has no gain")
    return verdict

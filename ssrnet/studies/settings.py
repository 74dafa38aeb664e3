"""What ``ssrnet study`` can be told."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ssrnet.errors import SettingsError
from ssrnet.studies.definitions import StudyName
from ssrnet.training.settings import NetworkName, TrainSettings

DEFAULT_OUT = Path("runs/studies")


@dataclass(frozen=True)
class LatencySettings:
    """How the study `complexity` measures; the paper's images are 256 px."""

    image_size: int = 256
    """Side of the square input in pixels, whatever --sizes says."""
    batch_size: int = 8
    """Images a forward pass."""
    rounds: int = 10
    """Timed passes of each network, in turn."""

    def __post_init__(self) -> None:
        for name, least in (("image_size", 32), ("batch_size", 1), ("rounds", 1)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least {least}.")


@dataclass(frozen=True, kw_only=True)
class StudySettings(TrainSettings):
    """Run a table or figure of the paper, cell by cell; the same command again goes on where it stopped.

    components: Table 1. attention: Table 2. parts: Table 3. depth: Table 4. crop-ratio: Fig. 4. beta:
    Table 5. losses: Table 6. complexity: Table 7, needs no data. all: these eight.
    `ssrnet study report` then renders them beside the paper's numbers.

    Every option of `ssrnet train` holds for all cells alike, except for what the rows themselves change.
    A variant that stands in several tables is trained once.
    """

    study: Annotated[StudyName | Literal["all"], tyro.conf.Positional]
    """Which study."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = DEFAULT_OUT
    """Folder for all studies' cells, plans and reports."""
    test_data: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Data folder whose test images are ranked; by default those of --data."""
    more_data: Annotated[tuple[Path, ...], tyro.conf.Suppress] = ()
    network: Annotated[NetworkName, tyro.conf.Suppress] = "ssrnet"
    resume: Annotated[bool, tyro.conf.Suppress] = False
    train_identities: int | None = None
    """Train on so many vehicles, drawn by the seed, in place of all: to try the studies out."""
    galleries: int = 10
    """Random galleries of a single-gallery-shot test set; mean and spread are reported."""
    latency: LatencySettings = field(default_factory=LatencySettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train_identities is not None and self.train_identities < 2:
            raise SettingsError(
                f"train_identities is {self.train_identities}; telling vehicles apart needs at least 2."
            )
        if self.test_data is not None and self.subset is not None:
            raise SettingsError(
                f"subset is {self.subset}, a part of --data's test images, and --test-data names others; "
                "leave one of them out (every subset of --test-data is tested)."
            )
        if self.galleries < 1:
            raise SettingsError(f"galleries is {self.galleries}; at least one random gallery is needed.")

    @property
    def training(self) -> TrainSettings:
        """The part that all cells share; model and loss are changed row by row."""
        return TrainSettings(**{entry.name: getattr(self, entry.name) for entry in fields(TrainSettings)})


@dataclass(frozen=True)
class ReportSettings:
    """Render the studies in --out beside the paper's numbers, as report.md and report.html."""

    study: Annotated[Literal["report"], tyro.conf.Positional]
    """The word `report`."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = DEFAULT_OUT
    """Folder that `ssrnet study` wrote; the reports are written there too."""


def study_defaults(training: TrainSettings, study: str | None) -> StudySettings:
    """``training``'s values as a study's defaults; data must be given unless nothing is trained."""
    shared = {entry.name: getattr(training, entry.name) for entry in fields(TrainSettings)}
    data = Path() if study == "complexity" else tyro.MISSING
    return StudySettings(**{**shared, "study": tyro.MISSING, "data": data, "out": DEFAULT_OUT})

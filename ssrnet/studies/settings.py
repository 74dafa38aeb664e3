"""Settings of ``ssrnet study``, ``study report``, ``study explanations``, ``study alignment`` and ``study learning``."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ssrnet.data.protocols import ProtocolName
from ssrnet.errors import SettingsError
from ssrnet.explain.cam import map_names
from ssrnet.resources import DeviceName
from ssrnet.studies.definitions import StudyName
from ssrnet.training.settings import NetworkName, TrainSettings

DEFAULT_OUT = Path("runs/studies")


@dataclass(frozen=True)
class LatencySettings:
    """How the study `complexity` measures latency; the paper's images are 256 px."""

    image_size: int = 256
    """Side of the square input in pixels, independent of --sizes."""
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
    """Run a table or figure of the paper, cell by cell; the same command resumes an interrupted run.

    components: Table 1. attention: Table 2. parts: Table 3. depth: Table 4. crop-ratio: Fig. 4. beta:
    Table 5. losses: Table 6. complexity: Table 7, needs no data. all: these eight.
    `ssrnet study report` then renders them beside the paper's numbers. `ssrnet study explanations` and
    `ssrnet study alignment` are not in the paper: they measure two checkpoints, and have other options, as has
    `ssrnet study learning`, which records a short run.

    The options of `ssrnet train` below apply to all cells, except for what a row changes.
    A variant in several tables is trained once.
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
    """Train on this many vehicles, drawn by the seed, instead of all: to try out the studies."""
    protocol: tuple[ProtocolName, ...] = ()
    """How a trained network is tested; by default the data's own protocol (VeRi-776: cross_camera) and the paper's,
    single_gallery_shot (Sec. 4.7). A trained cell is tested again, not trained again, for another."""
    galleries: int = 10
    """Random galleries of a shot protocol; mean and spread are reported."""
    publish: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Copy each cell's numbers there as soon as it ends, as `ssrnet study report --publish`; what is there counts as done."""
    dry_run: bool = False
    """List the cells, and which are done, and train nothing."""
    latency: LatencySettings = field(default_factory=LatencySettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train_identities is not None and self.train_identities < 2:
            raise SettingsError(f"train_identities is {self.train_identities}; training needs at least 2 vehicles.")
        if self.test_data is not None and self.subset is not None:
            raise SettingsError(
                f"subset is {self.subset}, a part of --data's test images, but --test-data names others; "
                "leave out one of them (every subset of --test-data is tested)."
            )
        if self.galleries < 1:
            raise SettingsError(f"galleries is {self.galleries}; at least one random gallery is needed.")

    @property
    def training(self) -> TrainSettings:
        """The settings that all cells share; rows change model and loss."""
        return TrainSettings(**{entry.name: getattr(self, entry.name) for entry in fields(TrainSettings)})


@dataclass(frozen=True)
class ReportSettings:
    """Render the studies in --out beside the paper's numbers, as report.md and report.html."""

    study: Annotated[Literal["report"], tyro.conf.Positional]
    """The word `report`."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = DEFAULT_OUT
    """Folder of `ssrnet study`, to which the reports are written too."""
    publish: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Also copy the numbers there, without weights and without this machine's directories: to commit, or to show
    in the app, which looks in assets/ and runs/."""


@dataclass(frozen=True)
class ExplanationSettings:
    """Measure which explanations of a similarity are faithful, for a baseline and an SSR-Net.

    Deletion and insertion curves against random and centred maps, the share of each map on the parts of a vehicle
    and on the marks that tell siblings apart, pairs of photographs that differ in one mark, and randomised weights.
    Writes explanations.json and explanations.md; the same command resumes a run that stopped. The defaults take
    some 10,000 forward passes in all, a quarter of an hour or a little more for ResNet-50 at 256 pixels on two free
    cores. Measurements that need masks or probes are left out where the data have none, and the report names
    them (assets/city has both).
    """

    study: Annotated[Literal["explanations"], tyro.conf.Positional]
    """The word `explanations`."""
    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder, or the path of a CSV manifest; its test images are explained."""
    baseline: Path
    """Checkpoint of the baseline, or any other."""
    ssrnet: Path
    """Checkpoint of SSR-Net, or any other."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/explanations")
    """Folder for the numbers and the report."""
    publish: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Also write the report there, and the verdicts without the rows per photograph as a small explanations.json: to
    commit, or for the app, which looks in assets/."""
    methods: Annotated[tuple[str, ...], tyro.conf.arg(metavar=f"{{{','.join(map_names())}}} ...")] = field(
        default_factory=map_names
    )
    """Maps to measure. M_s is the spatial attention map; F_attn and F_G are the lengths of their channels at each cell;
    a network without M_s or F_attn skips it. grad-cam-cosine explains the cosine, the other CAMs the projection on the
    reference."""
    images: int = 120
    """Photographs with a part mask, each with a reference of the same vehicle: shares of parts, pointing game."""
    curves: int = 12
    """Of these, those with deletion and insertion curves and Score-CAM, which are a hundred times slower."""
    steps: int = 8
    """Points of a curve after the first."""
    pairs: int = 100
    """Photographs with and without one mark (the city has 67)."""
    score_pairs: int = 8
    """Of these, pairs explained by Score-CAM."""
    randomised: int = 10
    """Photographs explained with randomised weights; Score-CAM: half of them, with the last stage only."""
    score_channels: int = 32
    """Channels used by Score-CAM, one forward pass each."""
    seed: int = 0
    """Seed of photographs, references, random maps and random weights."""
    image_size: int | None = None
    """Side of the square input in pixels; by default the size a checkpoint was trained at."""
    subset: int | None = None
    """Test subset of VehicleID or VERI-Wild."""
    layout: str | None = None
    """Read the folder as this layout, as `Folders` or `unlabelled`, whatever it is recognised as."""
    device: DeviceName = "auto"
    """Where to run."""

    def __post_init__(self) -> None:
        least = {
            "images": 1,
            "curves": 0,
            "steps": 2,
            "pairs": 0,
            "score_pairs": 0,
            "randomised": 0,
            "score_channels": 1,
            "seed": 0,
            "image_size": 32,
        }
        for name, value in least.items():
            given = getattr(self, name)
            if given is not None and given < value:
                raise SettingsError(f"{name} is {given}; it must be at least {value}.")
        if not self.methods:
            raise SettingsError(f"--methods names no map; choose among {', '.join(map_names())}.")
        for name in self.methods:
            if name not in map_names():
                raise SettingsError(f"--methods names {name!r}; choose among {', '.join(map_names())}.")
        if self.publish is not None and self.publish.resolve() == self.out.resolve():
            raise SettingsError("--publish and --out are the same folder; both would write explanations.json there.")


@dataclass(frozen=True)
class AlignmentStudySettings:
    """Choose camera alignment's settings on one town of new cameras, and measure them on another.

    Renders both towns (some 1,200 images; needs `pip install -e .[synth]`), embeds them with two checkpoints, draws
    data sets from the first over images a camera, vehicles and mixes, and compares raw with aligned on the second. Writes
    alignment.json, alignment.md and town-report.json; some 20 minutes on two free cores, and the same command uses
    again what is there.
    """

    study: Annotated[Literal["alignment"], tyro.conf.Positional]
    """The word `alignment`."""
    baseline: Path
    """Checkpoint of the baseline, or any other."""
    ssrnet: Path
    """Checkpoint of SSR-Net, or any other."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/alignment")
    """Folder for the towns, the numbers and the report."""
    publish: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Also write alignment.json and alignment.md there: to commit."""
    seeds: int = 6
    """Draws of each kind."""
    workers: int = 2
    """Processes that render, and that read images."""
    device: DeviceName = "auto"
    """Where to run."""

    def __post_init__(self) -> None:
        for name in ("seeds", "workers"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1.")


@dataclass(frozen=True)
class LearningStudySettings:
    """Record a short training run, for the page How it learns; no number of it says how well a network retrieves.

    Trains ResNet-18 from random weights on a few vehicles, with the paper's batch, loss and schedule, and keeps of one
    batch, before training and after every epoch, distances, logits, cosines, and some images' maps and graphs. Writes
    learning/run.safetensors and learning/batch.jpg; minutes on two free cores.
    """

    study: Annotated[Literal["learning"], tyro.conf.Positional]
    """The word `learning`."""
    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder with training images; those of the batch are published, so take images that may be."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/learning")
    """Folder for the run and the record."""
    publish: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Also write the record there: to commit, and for the app, which looks in assets/."""
    vehicles: int = 16
    """Training vehicles, drawn by the seed."""
    epochs: int = 24
    """The rate rises over the first 5 and falls from epoch 15, as in the paper."""
    image_size: int = 96
    """Side of the square input in pixels."""
    seed: int = 0
    """Of vehicles, weights and batches."""
    layout: str | None = None
    """Read the folder as this layout, as `Folders` or `unlabelled`, whatever it is recognised as."""

    def __post_init__(self) -> None:
        for name, least in {"vehicles": 8, "epochs": 1, "image_size": 32, "seed": 0}.items():
            if getattr(self, name) < least:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least {least}.")


def study_defaults(training: TrainSettings, study: str | None) -> StudySettings:
    """``training``'s values as a study's defaults; data must be given unless nothing is trained."""
    shared = {entry.name: getattr(training, entry.name) for entry in fields(TrainSettings)}
    data = Path() if study == "complexity" else tyro.MISSING
    return StudySettings(**{**shared, "study": tyro.MISSING, "data": data, "out": DEFAULT_OUT})

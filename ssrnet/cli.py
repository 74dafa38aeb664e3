"""The command line, generated from the settings dataclasses."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, get_args

import torch
import tyro

from ssrnet.commands.benchmark import BenchmarkSettings, benchmark
from ssrnet.commands.compare import CompareSettings, compare_checkpoints
from ssrnet.commands.doctor import DoctorSettings, doctor
from ssrnet.commands.evaluate import EvaluateSettings, evaluate_model
from ssrnet.commands.export import ExportSettings, export_checkpoint
from ssrnet.commands.extract import FeatureFileSettings, write_feature_file
from ssrnet.commands.import_features import ImportSettings, import_features
from ssrnet.commands.index import IndexSettings, index_command
from ssrnet.commands.publish import PublishSettings, publish_checkpoint
from ssrnet.commands.split import SplitSettings, split_dataset
from ssrnet.commands.study import run_study
from ssrnet.commands.study_alignment import study_alignment
from ssrnet.commands.study_learning import study_learning
from ssrnet.commands.study_report import write_report
from ssrnet.studies.explanations.run import explain_checkpoints
from ssrnet.studies.readings import help_lines
from ssrnet.studies.settings import (
    AlignmentStudySettings,
    ExplanationSettings,
    LearningStudySettings,
    ReportSettings,
    StudySettings,
    study_defaults,
)
from ssrnet.synth.generate import console_progress, generate
from ssrnet.synth.settings import CityName, SynthSettings, city_recipe
from ssrnet.train import train
from ssrnet.training.settings import NetworkName, RecipeName, TrainSettings, recipe

DESCRIPTION = """Train, evaluate and explain SSR-Net, a vehicle re-identification network.

A first tour, with your data in DIR:

  ssrnet doctor --data DIR
  ssrnet train --data DIR --out runs/baseline --network baseline
  ssrnet train --data DIR --out runs/ssrnet
  ssrnet evaluate --data DIR --checkpoint runs/ssrnet/last.safetensors
  ssrnet compare --data DIR --baseline runs/baseline/last.safetensors --ssrnet runs/ssrnet/last.safetensors \\
    --out comparison.json
  streamlit run app/main.py

Each command has its own --help.
"""

OTHER_STUDIES: dict[str | None, type] = {
    "report": ReportSettings,
    "explanations": ExplanationSettings,
    "alignment": AlignmentStudySettings,
    "learning": LearningStudySettings,
}
HANDLERS: dict[type, Callable[[Any], object]] = {
    TrainSettings: train,
    EvaluateSettings: evaluate_model,
    CompareSettings: compare_checkpoints,
    FeatureFileSettings: write_feature_file,
    ImportSettings: import_features,
    IndexSettings: index_command,
    ExportSettings: export_checkpoint,
    PublishSettings: publish_checkpoint,
    SplitSettings: split_dataset,
    StudySettings: run_study,
    ReportSettings: write_report,
    ExplanationSettings: explain_checkpoints,
    AlignmentStudySettings: study_alignment,
    LearningStudySettings: study_learning,
    SynthSettings: lambda settings: print(generate(settings, console_progress())),
    BenchmarkSettings: benchmark,
    DoctorSettings: doctor,
}


def run(arguments: Sequence[str]) -> None:
    """Parses ``arguments`` and runs their command; tyro prints help and usage errors."""
    arguments = list(arguments)
    settings = tyro.cli(
        _commands(arguments), prog="ssrnet", description=DESCRIPTION, args=arguments, compact_help=False
    )
    HANDLERS[type(settings)](settings)


def _commands(arguments: Sequence[str]) -> Any:
    """The union of all commands; --recipe and --network select the defaults of `train`, `study` and `synth`."""
    training = replace(_train_defaults(arguments), data=tyro.MISSING, out=tyro.MISSING)
    about = _train_description() if arguments[:1] == ["train"] else None
    study = _study_command(arguments)
    city = replace(_city_defaults(arguments), out=tyro.MISSING)
    return (
        Annotated[TrainSettings, tyro.conf.subcommand("train", default=training, description=about)]
        | Annotated[EvaluateSettings, tyro.conf.subcommand("evaluate")]
        | Annotated[CompareSettings, tyro.conf.subcommand("compare")]
        | Annotated[FeatureFileSettings, tyro.conf.subcommand("extract")]
        | Annotated[ImportSettings, tyro.conf.subcommand("import")]
        | Annotated[IndexSettings, tyro.conf.subcommand("index")]
        | Annotated[ExportSettings, tyro.conf.subcommand("export")]
        | Annotated[PublishSettings, tyro.conf.subcommand("publish")]
        | Annotated[SplitSettings, tyro.conf.subcommand("split")]
        | study
        | Annotated[SynthSettings, tyro.conf.subcommand("synth", default=city)]
        | Annotated[BenchmarkSettings, tyro.conf.subcommand("benchmark")]
        | Annotated[DoctorSettings, tyro.conf.subcommand("doctor")]
    )


def _train_description() -> str:
    """What `ssrnet train --help` says first: the settings' docstring, and the options in which we read the paper."""
    return (
        f"{inspect.cleandoc(TrainSettings.__doc__)}\n\nWhere the paper is silent or ambiguous, these options are our "
        f"reading of it (its words and our reasons: ssrnet/README.md):\n{help_lines()}"
    )


def _train_defaults(arguments: Sequence[str]) -> TrainSettings:
    early = argparse.ArgumentParser(prog="ssrnet train", add_help=False, allow_abbrev=False)
    usual = "paper" if torch.cuda.is_available() else "quick"
    early.add_argument("--recipe", choices=get_args(RecipeName), default=usual)
    early.add_argument("--network", choices=get_args(NetworkName), default="ssrnet")
    chosen, _ = early.parse_known_args(arguments if arguments[:1] in (["train"], ["study"]) else [])
    return recipe(chosen.recipe, chosen.network)


def _study_command(arguments: Sequence[str]) -> Any:
    """`study NAME` has all options of `train`; those of :data:`OTHER_STUDIES` have none of them."""
    name = arguments[1] if arguments[:1] == ["study"] and len(arguments) > 1 else None
    if name in OTHER_STUDIES:
        return Annotated[OTHER_STUDIES[name], tyro.conf.subcommand("study")]
    default = study_defaults(_train_defaults(arguments), name)
    return Annotated[StudySettings, tyro.conf.subcommand("study", default=default)]


def _city_defaults(arguments: Sequence[str]) -> SynthSettings:
    early = argparse.ArgumentParser(prog="ssrnet synth", add_help=False, allow_abbrev=False)
    early.add_argument("--recipe", choices=get_args(CityName), default="own")
    chosen, _ = early.parse_known_args(arguments if arguments[:1] == ["synth"] else [])
    return city_recipe(chosen.recipe)

"""``ssrnet benchmark training | extraction | ranking | cost | index | edits | opening``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from ssrnet.benchmarks.cost import CostBenchmarkSettings, benchmark_cost
from ssrnet.benchmarks.edits import EditsBenchmarkSettings, benchmark_edits
from ssrnet.benchmarks.extraction import ExtractionBenchmarkSettings, benchmark_extraction
from ssrnet.benchmarks.indexes import IndexBenchmarkSettings, benchmark_index
from ssrnet.benchmarks.opening import OpeningBenchmarkSettings, benchmark_opening
from ssrnet.benchmarks.ranking import RankingBenchmarkSettings, benchmark_ranking
from ssrnet.benchmarks.training import TrainingBenchmarkSettings, benchmark_training


@dataclass(frozen=True)
class BenchmarkSettings:
    """Measure speed or memory of a part of ssrnet against alternatives, as ratios in one run."""

    what: Annotated[
        Annotated[TrainingBenchmarkSettings, tyro.conf.subcommand("training")]
        | Annotated[ExtractionBenchmarkSettings, tyro.conf.subcommand("extraction")]
        | Annotated[RankingBenchmarkSettings, tyro.conf.subcommand("ranking")]
        | Annotated[CostBenchmarkSettings, tyro.conf.subcommand("cost")]
        | Annotated[IndexBenchmarkSettings, tyro.conf.subcommand("index")]
        | Annotated[EditsBenchmarkSettings, tyro.conf.subcommand("edits")]
        | Annotated[OpeningBenchmarkSettings, tyro.conf.subcommand("opening")],
        tyro.conf.arg(name=""),
    ]


def benchmark(settings: BenchmarkSettings) -> None:
    """Runs the chosen benchmark."""
    commands: dict[type, Callable[[Any], object]] = {
        TrainingBenchmarkSettings: benchmark_training,
        ExtractionBenchmarkSettings: benchmark_extraction,
        RankingBenchmarkSettings: benchmark_ranking,
        CostBenchmarkSettings: benchmark_cost,
        IndexBenchmarkSettings: benchmark_index,
        EditsBenchmarkSettings: benchmark_edits,
        OpeningBenchmarkSettings: benchmark_opening,
    }
    commands[type(settings.what)](settings.what)

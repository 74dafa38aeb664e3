"""Results of ``ssrnet benchmark cost`` as tables and as a plot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Cost:
    """Searches for one query: seconds of the first one after opening, which reads the labels, and of a later one.

    ``memory``: growth of the process at its peak in bytes, without the pages of the mapped file, which the system can
    drop; None where it is unknown. ``floor``: seconds to read the features once at the measured memory bandwidth.
    """

    gallery: int
    first: float
    later: float
    memory: int | None
    floor: float


@dataclass(frozen=True)
class Batch:
    """Seconds a query, searched ``queries`` at a time. ``recall``: share of the exact neighbours in the result, in [0, 1]."""

    way: str
    queries: int
    seconds: float
    floor: float
    recall: float


@dataclass(frozen=True)
class Costs:
    """All results; ``bandwidth`` in bytes a second, ``load`` of the machine at the end."""

    bandwidth: float
    growth: list[Cost]
    batches: list[Batch]
    load: float


def report(costs: Costs, dimension: int, k: int) -> str:
    """Both tables as text."""
    lines = [
        f"exact top-{k} of features of {dimension:,} numbers, float16; {torch.get_num_threads()} threads, "
        f"memory read at {costs.bandwidth / 1e9:.1f} GB/s, load {costs.load:.1f}",
        f"{'gallery':>10}{'first search':>15}{'later':>12}{'floor':>12}{'memory':>12}",
    ]
    for cost in costs.growth:
        memory = "not known" if cost.memory is None else f"{cost.memory / 1e6:,.0f} MB"
        times = "".join(f"{1e3 * seconds:9,.1f} ms" for seconds in (cost.later, cost.floor))
        lines.append(f"{cost.gallery:10,}{1e3 * cost.first:12,.1f} ms{times}{memory:>12}")
    lines.append(f"{costs.growth[-1].gallery:,} images, a query:")
    lines.append(f"{'':42}{'batch':>6}{'time':>12}{'floor':>12}{'recall':>9}")
    for batch in costs.batches:
        times = "".join(f"{1e3 * seconds:9,.1f} ms" for seconds in (batch.seconds, batch.floor))
        lines.append(f"{batch.way:42}{batch.queries:6}{times}{batch.recall:9.2%}")
    return "\n".join(lines)


def plot(costs: Costs, path: Path) -> None:
    """Time and memory against the gallery's size, as SVG."""
    import matplotlib
    from matplotlib.figure import Figure  # imported here, since it takes a second

    sizes = [cost.gallery for cost in costs.growth]
    with matplotlib.rc_context({"svg.hashsalt": "ssrnet", "font.size": 9}):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        seconds, memory = figure.subplots(1, 2)
        for name, label in (
            ("first", "first search after opening"),
            ("later", "a later search"),
            ("floor", "one read"),
        ):
            seconds.plot(sizes, [1e3 * getattr(cost, name) for cost in costs.growth], marker="o", label=label)
        seconds.set(xlabel="gallery images", ylabel="ms a query", xscale="log", yscale="log")
        seconds.legend(frameon=False)
        known = [(cost.gallery, cost.memory / 1e6) for cost in costs.growth if cost.memory]
        memory.plot(*zip(*known, strict=True) if known else ((), ()), marker="o")
        memory.set(xlabel="gallery images", ylabel="MB beyond the mapped file", xscale="log")
        figure.savefig(path, format="svg", metadata={"Date": None})

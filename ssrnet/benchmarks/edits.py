"""``ssrnet benchmark edits``: time of an edit of the relation graph, beside a forward pass in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import SettingsError
from ssrnet.explain.gallery_graphs import GalleryGraphs, distinct_ratios
from ssrnet.explain.graph import GraphEdit, edit_trace, rank_edited_query
from ssrnet.explain.shares import BranchFeatures
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.retrieval.extraction import FeatureSet

EDIT = GraphEdit(nodes_off=("ul",))


@dataclass(frozen=True)
class EditsBenchmarkSettings:
    """Time a switch of the relation graph over a gallery, on the query alone and on both sides.

    Weights and features are random: times do not depend on them.
    """

    images: int = 12_000
    """Images of the gallery; VeRi-776's test set has 11,579."""
    image_size: int = 256
    """Side of the square input in pixels."""
    rounds: int = 10
    """Repetitions of each measurement, in turn; the median is reported."""
    model: ModelSettings = field(default_factory=ModelSettings)
    """The network; its graph's depth decides most of the time."""

    def __post_init__(self) -> None:
        for name, least in (("images", 2), ("image_size", 32), ("rounds", 1)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least {least}.")


@dataclass(frozen=True)
class EditTimes:
    """Medians in seconds: an edit with the ranking that follows it, and one image's forward pass."""

    query: float
    both: float
    forward: float


def benchmark_edits(settings: EditsBenchmarkSettings) -> EditTimes:
    """Runs the command and prints its results."""
    times = measure(settings)
    title, depth = settings.model.title, settings.model.gcn_depth
    print(f"{title}, depth {depth}, {settings.images:,} images, CPU, {torch.get_num_threads()} threads")
    for words, seconds in (("switch on the query alone, ranked", times.query), ("switch on both sides", times.both)):
        print(f"  {words:34} {1000 * seconds:8.1f} ms, {seconds / times.forward:6.2f} forward passes")
    print(f"  {f'one image of {settings.image_size} pixels':34} {1000 * times.forward:8.1f} ms")
    return times


def measure(settings: EditsBenchmarkSettings) -> EditTimes:
    """Times all in turn, so that a slower machine slows all of them.

    Raises :class:`SettingsError` for a network without a graph.
    """
    generator = torch.Generator().manual_seed(0)
    model = SSRNet(settings.model).eval().requires_grad_(False).to(memory_format=torch.channels_last)
    pixels = torch.randn(1, 3, settings.image_size, settings.image_size, generator=generator)
    with torch.no_grad():
        trace = model.trace(pixels)
    edit_trace(model, trace, EDIT)  # raises where the network has no graph
    images = tuple(VehicleImage(Path(f"{i}.jpg"), f"{i}.jpg", str(i // 4), f"c{i % 4}") for i in range(settings.images))
    dims = model.branch_dims
    vectors = torch.randn(len(images), sum(dims.values()), generator=generator)
    names = tuple(image.name for image in images)
    features = BranchFeatures.of(FeatureSet(vectors, names, dims), Split(images[:1], images, same_camera_is_junk=True))
    graphs = _graphs(model, names, tuple(trace.F_attn.shape[2:]), generator)

    def on_query() -> None:
        rank_edited_query(edit_trace(model, trace, EDIT), features, 0)

    def on_both() -> None:
        graphs.edit(features, EDIT).rank(0)

    @torch.no_grad()
    def forward() -> None:
        model.trace(pixels)

    ways = (on_query, on_both, forward)
    for way in ways:
        way()
    seconds = [[_timed(way) for way in ways] for _ in range(settings.rounds)]
    return EditTimes(*(statistics.median(each) for each in zip(*seconds, strict=True)))


def _graphs(model: SSRNet, names: tuple[str, ...], size: tuple[int, int], generator: torch.Generator) -> GalleryGraphs:
    """Random graphs of the size that a gallery of these images has."""
    graph, ratios = model.graph, distinct_ratios(*size)
    nodes = len([node for node in graph.nodes if node != "token"])
    products = torch.empty(nodes, len(names), graph.weights[0].out_features, dtype=torch.float16)
    by_ratio = torch.empty(len(ratios), len(names), graph.weights[-1].out_features, dtype=torch.float16)
    for whole in (*products, *by_ratio):  # one at a time, since each is drawn in float32
        whole.copy_(torch.randn(whole.shape, generator=generator))
    return GalleryGraphs(model, names, products, ratios, by_ratio, size)


def _timed(way: Callable[[], None]) -> float:
    start = time.perf_counter()
    way()
    return time.perf_counter() - start

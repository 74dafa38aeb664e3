"""Measures one network: a row of plain values, ready for JSON, for each photograph, each pair, and each photograph
under randomised weights.

Photographs, references and random maps are the same for every network. Each part says beforehand what it costs, and
tells ``tick`` of what is done, in forward passes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from torch.nn import functional as F

from ssrnet.data.parts import AS_IT_IS, REMOVED
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.explain.faithfulness import (
    centre_map,
    deletion_insertion,
    in_image,
    part_shares,
    pointing_game,
    random_map,
    region_share,
)
from ssrnet.explain.sanity import cascade, rank_correlation, stages
from ssrnet.studies.explanations.network import BRANCHES_BY, CAM_COST, Network, Seen
from ssrnet.studies.explanations.sample import Pair, View, marks_region, mask_of, size_of

RANDOM, CENTRE = CONTROLS = ("random", "centre")

Row = dict[str, Any]
Tick = Callable[[float], object]


def photographs(
    network: Network, views: Sequence[View], dataset: ReIDDataset, names: tuple[str, ...] | None, tick: Tick
) -> Iterator[Row]:
    """Shares of parts and the pointing game of each view, and curves of the first ones."""
    for number, view in enumerate(views):
        slow = number < network.settings.curves
        methods = network.methods(with_slow=slow)
        seen, reference = network.look(view.image), network.look(view.reference)
        cells = network.maps(seen, reference, methods)
        controls = _controls(view.image, seen)
        row: Row = {
            "image": view.image.name,
            "reference": view.reference.name,
            "vehicle": view.image.vehicle_id,
            "similarity": _cosine(seen, reference),
            "sibling": view.is_sibling,
            "area": None,
            "marks": None,
            "chance": None,
            "maps": {},
            "curves": None,
        }
        theta = seen.feature_map.theta
        if slow:
            sized = {name: in_image(own, network.size, theta) for name, own in cells.items()}
            sized |= {name: in_image(own, network.size) for name, own in controls.items()}
            curves = deletion_insertion(
                network.embed, seen.pixels[0], sized, reference.embedding[0], sized[RANDOM], network.settings.steps
            )
            row["curves"] = {
                name: {"deletion": _rounded(own.deletion.scores), "insertion": _rounded(own.insertion.scores)}
                for name, own in curves.items()
            }
        if names is not None and view.mask is not None:
            mask = mask_of(view, dataset, names)
            branches = network.branch_maps(seen, reference) if BRANCHES_BY in methods else {}
            marks = marks_region(mask, names)
            for name, own in (cells | branches | controls).items():
                heatmap = in_image(own, mask.shape, None if name in CONTROLS else theta)
                shares = part_shares(heatmap, mask, len(names))
                row["area"] = _present(shares.area, shares.area, names)
                row["maps"][name] = {"mass": _present(shares.mass, shares.area, names)}
                if marks is not None:
                    pointing = pointing_game(heatmap, marks)
                    row |= {"marks": round(float(marks.mean()), 6), "chance": round(pointing.chance, 6)}
                    row["maps"][name] |= {"hit": pointing.hit, "marks": round(region_share(heatmap, marks), 6)}
        tick(_photograph_cost(network, view, number))
        yield row


def pairs(network: Network, drawn: Sequence[Pair], names: tuple[str, ...], tick: Tick) -> Iterator[Row]:
    """What each mark does to the similarity to a photograph of the same vehicle, and where each map says so."""
    for number, pair in enumerate(drawn):
        methods = network.methods(with_slow=number < network.settings.score_pairs)
        photographs = pair.probe.photographs
        seen = {change: network.look(image) for change, image in photographs.items()}
        reference = network.look(pair.reference)
        before, after = (network.maps(seen[change], reference, methods) for change in (AS_IT_IS, REMOVED))
        image = photographs[AS_IT_IS]
        size = size_of(image)
        region = pair.probe.region(AS_IT_IS, size, names)
        thetas = seen[AS_IT_IS].feature_map.theta, seen[REMOVED].feature_map.theta
        row: Row = {
            "image": image.name,
            "reference": pair.reference.name,
            "vehicle": pair.vehicle,
            "mark": pair.probe.mark,
            "kind": pair.probe.kind,
            "area": round(float(region.mean()), 6),
            "similarity": {change: _cosine(own, reference) for change, own in seen.items()},
            "maps": {},
        }
        for name in before:
            here, gone = in_image(before[name], size, thetas[0]), in_image(after[name], size, thetas[1])
            row["maps"][name] = _shares(here, here - gone, region)
        for name, own in _controls(image, seen[AS_IT_IS]).items():
            here = in_image(own, size)
            row["maps"][name] = _shares(here, np.zeros(size), region)  # it does not look, so a mark changes nothing
        tick(_pair_cost(network, pair, number))
        yield row


def randomised(network: Network, views: Sequence[View], tick: Tick) -> Iterator[Row]:
    """Rank correlation of each map with the one by weights randomised stage by stage, and with another image's."""
    trained = []
    for number, view in enumerate(views):
        slow = _is_slow(views, number)
        trained.append(network.maps(network.look(view.image), network.look(view.reference), network.methods(slow)))
        tick(_stage_cost(network, slow))
    rows: list[Row] = [
        {
            "image": view.image.name,
            "reference": view.reference.name,
            "vehicle": view.image.vehicle_id,
            "stages": {},
            "other": _other(trained, number),
        }
        for number, view in enumerate(views)
    ]
    last = list(stages(network.model))[-1]
    for stage, shaken in cascade(network.model, network.settings.seed):
        for number, view in enumerate(views):
            slow = _is_slow(views, number) and stage == last
            seen, reference = network.look(view.image, shaken), network.look(view.reference, shaken)
            maps = network.maps(seen, reference, network.methods(slow), shaken)
            rows[number]["stages"][stage] = {
                name: round(rank_correlation(own, trained[number][name]), 6) for name, own in maps.items()
            }
            tick(_stage_cost(network, slow))
    yield from rows


def photographs_cost(network: Network, views: Sequence[View]) -> float:
    """Forward passes of :func:`photographs`."""
    return sum(_photograph_cost(network, view, number) for number, view in enumerate(views))


def pairs_cost(network: Network, drawn: Sequence[Pair]) -> float:
    """Forward passes of :func:`pairs`."""
    return sum(_pair_cost(network, pair, number) for number, pair in enumerate(drawn))


def randomised_cost(network: Network, views: Sequence[View]) -> float:
    """Forward passes of :func:`randomised`."""
    last = list(stages(network.model))[-1]
    rounds = (None, *stages(network.model))
    return sum(
        _stage_cost(network, _is_slow(views, number) and stage in (None, last))
        for stage in rounds
        for number in range(len(views))
    )


def _photograph_cost(network: Network, view: View, number: int) -> float:
    slow = number < network.settings.curves
    methods = network.methods(slow)
    cost = 2 + network.maps_cost(methods)
    if view.mask is not None and BRANCHES_BY in methods:
        cost += len(network.branches) * CAM_COST
    if slow:
        cost += 3 + 2 * (network.settings.steps - 1) * (len(methods) + len(CONTROLS))
    return cost


def _pair_cost(network: Network, pair: Pair, number: int) -> float:
    methods = network.methods(number < network.settings.score_pairs)
    return len(pair.probe.photographs) + 1 + 2 * network.maps_cost(methods)


def _stage_cost(network: Network, with_slow: bool) -> float:
    return 2 + network.maps_cost(network.methods(with_slow))


def _is_slow(views: Sequence[View], number: int) -> bool:
    """Of the first half of the photographs."""
    return 2 * number < len(views)


def _controls(image: VehicleImage, seen: Seen) -> dict[str, np.ndarray]:
    shape = tuple(seen.feature_map.F_G.shape[2:])
    # By the photograph's name, so that both networks and a resumed run get the same map.
    generator = np.random.default_rng(zlib.crc32(image.name.encode(errors="surrogateescape")))
    return {RANDOM: random_map(generator, shape), CENTRE: centre_map(shape)}


def _shares(heatmap: np.ndarray, change: np.ndarray, region: np.ndarray) -> dict[str, float]:
    return {"share": round(region_share(heatmap, region), 6), "change": round(region_share(np.abs(change), region), 6)}


def _other(trained: list[dict[str, np.ndarray]], number: int) -> dict[str, float]:
    """How alike the maps of different photographs are: what a map owes to the camera's aim alone."""
    following = trained[(number + 1) % len(trained)]
    own = trained[number]
    shared = [name for name in own if name in following] if len(trained) > 1 else []
    return {name: round(rank_correlation(own[name], following[name]), 6) for name in shared}


def _cosine(a: Seen, b: Seen) -> float:
    return round(F.cosine_similarity(a.embedding, b.embedding).item(), 6)


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 5) for value in values]


def _present(values: np.ndarray, area: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value, own in zip(names, values, area, strict=True) if own > 0}

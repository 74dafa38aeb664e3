"""Measures one network: a row of plain values, ready for JSON, for each photograph, each pair, and each photograph
under randomised weights.

Photographs, references and random maps are the same for every network. Costs are in forward passes: ``..._cost`` gives
the total beforehand, and ``advance`` is called with the passes just done.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from torch.nn import functional as F

from ssrnet.data.probes import AS_IT_IS, REMOVED
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.explain.attention import in_image
from ssrnet.explain.faithfulness import (
    centre_map,
    deletion_insertion,
    part_shares,
    pointing_game,
    random_map,
    region_share,
)
from ssrnet.explain.sanity import cascade, rank_correlation, stages
from ssrnet.studies.explanations.network import BRANCHES_BY, CAM_COST, Encoded, Network
from ssrnet.studies.explanations.sample import Pair, Photograph, marks_region, mask_of, size_of

RANDOM, CENTRE = CONTROLS = ("random", "centre")

Row = dict[str, Any]
Advance = Callable[[float], object]


def photographs(
    network: Network, drawn: Sequence[Photograph], dataset: ReIDDataset, names: tuple[str, ...] | None, advance: Advance
) -> Iterator[Row]:
    """Shares of vehicle parts and the pointing game for each photograph, and curves for the first ones."""
    for number, photograph in enumerate(drawn):
        slow = number < network.settings.curves
        methods = network.methods(with_slow=slow)
        encoded, reference = network.encode(photograph.image), network.encode(photograph.reference)
        cells = network.maps(encoded, reference, methods)
        controls = _controls(photograph.image, encoded)
        row: Row = {
            "image": photograph.image.name,
            "reference": photograph.reference.name,
            "vehicle": photograph.image.vehicle_id,
            "similarity": _cosine(encoded, reference),
            "sibling": photograph.is_sibling,
            "area": None,
            "marks": None,
            "chance": None,
            "maps": {},
            "curves": None,
        }
        theta = encoded.feature_map.theta
        if slow:
            sized = {name: in_image(one, network.size, theta) for name, one in cells.items()}
            sized |= {name: in_image(one, network.size) for name, one in controls.items()}
            curves = deletion_insertion(
                network.embed, encoded.pixels[0], sized, reference.embedding[0], sized[RANDOM], network.settings.steps
            )
            row["curves"] = {
                name: {"deletion": _rounded(both.deletion.scores), "insertion": _rounded(both.insertion.scores)}
                for name, both in curves.items()
            }
        if names is not None and photograph.mask is not None:
            mask = mask_of(photograph, dataset, names)
            branches = network.branch_maps(encoded, reference) if BRANCHES_BY in methods else {}
            marks = marks_region(mask, names)
            for name, one in (cells | branches | controls).items():
                heatmap = in_image(one, mask.shape, None if name in CONTROLS else theta)
                shares = part_shares(heatmap, mask, len(names))
                row["area"] = _present(shares.area, shares.area, names)
                row["maps"][name] = {"mass": _present(shares.mass, shares.area, names)}
                if marks is not None:
                    pointing = pointing_game(heatmap, marks)
                    row |= {"marks": round(float(marks.mean()), 6), "chance": round(pointing.chance, 6)}
                    row["maps"][name] |= {"hit": pointing.hit, "marks": round(region_share(heatmap, marks), 6)}
        advance(_photograph_cost(network, photograph, number))
        yield row


def pairs(network: Network, drawn: Sequence[Pair], names: tuple[str, ...], advance: Advance) -> Iterator[Row]:
    """The change of the similarity to a reference that each mark makes, and the share of each map on the mark."""
    for number, pair in enumerate(drawn):
        methods = network.methods(with_slow=number < network.settings.score_pairs)
        photographs = pair.probe.photographs
        encoded = {change: network.encode(image) for change, image in photographs.items()}
        reference = network.encode(pair.reference)
        before, after = (network.maps(encoded[change], reference, methods) for change in (AS_IT_IS, REMOVED))
        image = photographs[AS_IT_IS]
        size = size_of(image)
        region = pair.probe.region(AS_IT_IS, size, names)
        thetas = encoded[AS_IT_IS].feature_map.theta, encoded[REMOVED].feature_map.theta
        row: Row = {
            "image": image.name,
            "reference": pair.reference.name,
            "vehicle": pair.vehicle,
            "mark": pair.probe.mark,
            "kind": pair.probe.kind,
            "area": round(float(region.mean()), 6),
            "similarity": {change: _cosine(one, reference) for change, one in encoded.items()},
            "maps": {},
        }
        for name in before:
            here, gone = in_image(before[name], size, thetas[0]), in_image(after[name], size, thetas[1])
            row["maps"][name] = _shares(here, here - gone, region)
        for name, one in _controls(image, encoded[AS_IT_IS]).items():
            here = in_image(one, size)
            row["maps"][name] = _shares(
                here, np.zeros(size), region
            )  # independent of the pixels, so a mark changes nothing
        advance(_pair_cost(network, pair, number))
        yield row


def randomised(network: Network, drawn: Sequence[Photograph], advance: Advance) -> Iterator[Row]:
    """Rank correlation of each map with the map under weights randomised by stage, and with another photograph's."""
    trained = []
    for number, photograph in enumerate(drawn):
        slow = _is_slow(drawn, number)
        image, reference = network.encode(photograph.image), network.encode(photograph.reference)
        trained.append(network.maps(image, reference, network.methods(slow)))
        advance(_stage_cost(network, slow))
    rows: list[Row] = [
        {
            "image": photograph.image.name,
            "reference": photograph.reference.name,
            "vehicle": photograph.image.vehicle_id,
            "stages": {},
            "other": _other(trained, number),
        }
        for number, photograph in enumerate(drawn)
    ]
    last = list(stages(network.model))[-1]
    for stage, model in cascade(network.model, network.settings.seed):
        for number, photograph in enumerate(drawn):
            slow = _is_slow(drawn, number) and stage == last
            image, reference = network.encode(photograph.image, model), network.encode(photograph.reference, model)
            maps = network.maps(image, reference, network.methods(slow), model)
            rows[number]["stages"][stage] = {
                name: round(rank_correlation(one, trained[number][name]), 6) for name, one in maps.items()
            }
            advance(_stage_cost(network, slow))
    yield from rows


def photographs_cost(network: Network, drawn: Sequence[Photograph]) -> float:
    """Forward passes of :func:`photographs`."""
    return sum(_photograph_cost(network, photograph, number) for number, photograph in enumerate(drawn))


def pairs_cost(network: Network, drawn: Sequence[Pair]) -> float:
    """Forward passes of :func:`pairs`."""
    return sum(_pair_cost(network, pair, number) for number, pair in enumerate(drawn))


def randomised_cost(network: Network, drawn: Sequence[Photograph]) -> float:
    """Forward passes of :func:`randomised`."""
    last = list(stages(network.model))[-1]
    rounds = (None, *stages(network.model))
    return sum(
        _stage_cost(network, _is_slow(drawn, number) and stage in (None, last))
        for stage in rounds
        for number in range(len(drawn))
    )


def _photograph_cost(network: Network, photograph: Photograph, number: int) -> float:
    slow = number < network.settings.curves
    methods = network.methods(slow)
    cost = 2 + network.maps_cost(methods)
    if photograph.mask is not None and BRANCHES_BY in methods:
        cost += len(network.branches) * CAM_COST
    if slow:
        cost += 3 + 2 * (network.settings.steps - 1) * (len(methods) + len(CONTROLS))
    return cost


def _pair_cost(network: Network, pair: Pair, number: int) -> float:
    methods = network.methods(number < network.settings.score_pairs)
    return len(pair.probe.photographs) + 1 + 2 * network.maps_cost(methods)


def _stage_cost(network: Network, with_slow: bool) -> float:
    return 2 + network.maps_cost(network.methods(with_slow))


def _is_slow(drawn: Sequence[Photograph], number: int) -> bool:
    """Whether slow maps explain this photograph under randomised weights: one of the first half."""
    return 2 * number < len(drawn)


def _controls(image: VehicleImage, encoded: Encoded) -> dict[str, np.ndarray]:
    shape = tuple(encoded.feature_map.F_G.shape[2:])
    # Seeded by the photograph's name, so that both networks and a resumed run get the same map.
    generator = np.random.default_rng(zlib.crc32(image.name.encode(errors="surrogateescape")))
    return {RANDOM: random_map(generator, shape), CENTRE: centre_map(shape)}


def _shares(heatmap: np.ndarray, change: np.ndarray, region: np.ndarray) -> dict[str, float]:
    return {"share": round(region_share(heatmap, region), 6), "change": round(region_share(np.abs(change), region), 6)}


def _other(trained: list[dict[str, np.ndarray]], number: int) -> dict[str, float]:
    """Rank correlation with the maps of the next photograph: the similarity that the camera's aim alone causes."""
    following = trained[(number + 1) % len(trained)]
    maps = trained[number]
    shared = [name for name in maps if name in following] if len(trained) > 1 else []
    return {name: round(rank_correlation(maps[name], following[name]), 6) for name in shared}


def _cosine(a: Encoded, b: Encoded) -> float:
    return round(F.cosine_similarity(a.embedding, b.embedding).item(), 6)


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 5) for value in values]


def _present(values: np.ndarray, area: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value, share in zip(names, values, area, strict=True) if share > 0}

"""A quiz: which of five gallery images shows the query's vehicle? Its rounds, the models' answers, and the score."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ssrnet.analysis.attributes import SIBLING
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError, SettingsError
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.ranking import BLOCK_ELEMENTS, check_features, distance_blocks

ROUNDS = 10
CHOICES = 5
HARD_QUERIES = 5 * ROUNDS
"""Where no vehicle has a sibling, rounds are drawn among at least so many of the hardest queries."""
MARKS = "marks"
"""The attribute that lists a vehicle's marks, parted by spaces."""


@dataclass(frozen=True)
class Round:
    """One query and five gallery images, of five vehicles and all by other cameras than the query's.

    query: its position in the split. choices: (5,) gallery indices in the order in which they are shown. right: the
    place among them, from 0 on, of the image that shows the query's vehicle. cosines: (M, 5) float32 of the query
    to the choices, a row a model.
    """

    query: int
    choices: tuple[int, ...]
    right: int
    cosines: np.ndarray

    @property
    def answers(self) -> tuple[int, ...]:
        """The place of the image that each of the M models finds most similar, of equal ones the first."""
        return tuple(self.cosines.argmax(1).tolist())


@dataclass(frozen=True)
class Score:
    """right: (1 + M, R) bool, who was right in which of R rounds: the person, then the models in order."""

    right: np.ndarray

    @property
    def counts(self) -> list[int]:
        """(1 + M) how many rounds each had right."""
        return self.right.sum(1).tolist()

    @property
    def person_alone(self) -> list[int]:
        """The rounds, from 1 on, that the person had right and no model."""
        return (np.flatnonzero(self.right[0] & ~self.right[1:].any(0)) + 1).tolist()

    @property
    def models_alone(self) -> list[int]:
        """The rounds, from 1 on, that some model had right and the person had not."""
        return (np.flatnonzero(~self.right[0] & self.right[1:].any(0)) + 1).tolist()


def score(rounds: Sequence[Round], given: Sequence[int]) -> Score:
    """Of the rounds that the person has answered, by the places ``given``, which may be fewer than the rounds."""
    answers = [(place, *one.answers) for one, place in zip(rounds, given)]
    right = [[place == one.right for place in places] for one, places in zip(rounds, answers)]
    models = len(rounds[0].cosines)
    return Score(np.array(right, dtype=bool).reshape(-1, 1 + models).T)


def draw_rounds(
    split: Split, features: Sequence[FeatureSet], seed: int, distractors: Collection[str] = ()
) -> tuple[Round, ...]:
    """Ten rounds, or as many as the split has queries for; the same ones for a seed, features and split.

    Queries whose vehicle has siblings in the gallery are drawn first, no sibling group a second time before each had
    its turn; then those that a model errs on among other cameras' images, filled up to :data:`HARD_QUERIES` with those
    whose nearest wrong image comes closest. The right image is the match that the models together rank
    first. The wrong ones show four vehicles, siblings first, then by the better of the models' ranks, each by its
    nearest image. Images by the query's camera are not among them: a person would know them by their background. Where
    cameras are not named, all images count.

    features: as they are compared, of each of the M models. distractors: vehicles that stand for no one vehicle, which
    are not shown. Raises :class:`DataError` where there is no round to be drawn.
    """
    if seed < 0:
        raise SettingsError(f"the seed is {seed}; use 0 or a positive whole number.")
    gallery = _Gallery(split, distractors)
    vehicles = len(set(gallery.vehicles[~gallery.hidden].tolist()))
    if vehicles < CHOICES:
        raise DataError(
            f"a round shows {CHOICES} vehicles and this gallery has {vehicles}; choose a larger data set, or another protocol."
        )
    distances = []
    for each in features:
        query, rows = each.rows(split.query), each.rows(split.gallery)
        check_features(query, rows, split)
        distances.append(distance_blocks(query, rows, "cosine"))
    generator = np.random.Generator(np.random.PCG64(seed))
    rounds: list[Round] = []
    for query in _candidates(gallery, distances, generator):
        drawn = _draw(gallery, distances, query, generator)
        rounds += [drawn] if drawn else []
        if len(rounds) == ROUNDS:
            break
    if not rounds:
        raise DataError(
            f"no query has a match and {CHOICES - 1} other vehicles by other cameras than its own; choose a larger data set, "
            "or another protocol."
        )
    return tuple(rounds)


def vehicle_attributes(images: Sequence[VehicleImage]) -> tuple[str, ...]:
    """The attributes that describe vehicles: of one value for all images of each vehicle; without the sibling group."""
    values: dict[str, dict[str, set[str | None]]] = defaultdict(lambda: defaultdict(set))
    names = dict.fromkeys(name for image in images for name in image.attributes if name != SIBLING)
    for image in images:
        for name in names:
            values[name][image.vehicle_id].add(image.attributes.get(name))
    if len({image.vehicle_id for image in images}) == len(images):  # nothing tells a vehicle's from an image's
        return ()
    return tuple(name for name in names if all(len(of_vehicle) == 1 for of_vehicle in values[name].values()))


def differences(
    query: VehicleImage, other: VehicleImage, attributes: Sequence[str]
) -> dict[str, tuple[str | None, str | None]]:
    """Where two vehicles differ: by attribute the query's value and the other's, None for none.

    Of :data:`MARKS` only those that the other lacks: marks of one name may still look different.
    """
    result: dict[str, tuple[str | None, str | None]] = {}
    for name in attributes:
        a, b = query.attributes.get(name), other.attributes.get(name)
        if name == MARKS:
            marks = [(value or "").split() for value in (a, b)]
            a, b = (" ".join(m for m in one if m not in rest) or None for one, rest in (marks, marks[::-1]))
        if a != b:
            result[name] = a, b
    return result


class _Gallery:
    """The split's gallery as arrays. hidden: (G,) bool, distractors."""

    def __init__(self, split: Split, distractors: Collection[str]) -> None:
        self.split = split
        self.vehicles = _objects([image.vehicle_id for image in split.gallery])
        self.cameras = _objects([image.camera_id for image in split.gallery])
        self.names = _objects([image.name for image in split.gallery])
        self.groups = _objects([image.attributes.get(SIBLING) for image in split.gallery])
        self.hidden = np.isin(self.vehicles.astype(str), list(distractors))

    def shown(self, query: int) -> np.ndarray:
        """(G,) bool: images that may stand beside this query; not those by its camera, nor the query itself."""
        image = self.split.query[query]
        shown = ~self.hidden & (self.names != image.name)
        return shown if image.camera_id is None else shown & (self.cameras != image.camera_id)


def _candidates(
    gallery: _Gallery, distances: Sequence[Callable[[slice], Tensor]], generator: np.random.Generator
) -> Iterator[int]:
    """Queries in the order in which rounds are tried."""
    queries, vehicles_of = gallery.split.query, defaultdict(set)
    for group, vehicle in zip(gallery.groups, gallery.vehicles):
        if group is not None:
            vehicles_of[group].add(vehicle)
    groups = [image.attributes.get(SIBLING) for image in queries]
    siblings = [q for q, group in enumerate(groups) if vehicles_of.get(group, set()) - {queries[q].vehicle_id}]
    units = [group or f"vehicle {image.vehicle_id}" for group, image in zip(groups, queries)]
    yield from _in_turn(siblings, units, generator)
    tried = set(siblings)
    hard = [q for q in _hard_queries(gallery, distances) if q not in tried]
    yield from _in_turn(hard, units, generator)


def _in_turn(queries: Sequence[int], units: Sequence[str], generator: np.random.Generator) -> list[int]:
    """Shuffled, one query of each unit before the second of any."""
    turn: Counter[str] = Counter()
    numbered = []
    for q in generator.permutation(np.array(queries, dtype=np.int64)).tolist():
        numbered.append((turn[units[q]], q))
        turn[units[q]] += 1
    return [q for _, q in sorted(numbered, key=lambda each: each[0])]


def _hard_queries(gallery: _Gallery, distances: Sequence[Callable[[slice], Tensor]]) -> list[int]:
    """Queries with a match that a model errs on, and more, the hardest first, up to :data:`HARD_QUERIES`."""
    queries = gallery.split.query
    margin = np.full(len(queries), np.inf)  # of the cosines: right minus wrong, of the model that finds it harder
    step = max(1, BLOCK_ELEMENTS // len(gallery.vehicles))
    for start in range(0, len(queries), step):
        rows = range(start, min(start + step, len(queries)))
        blocks = [distance(slice(start, rows.stop)).cpu().numpy() for distance in distances]
        for q in rows:
            shown, same = gallery.shown(q), gallery.vehicles == queries[q].vehicle_id
            right, wrong = shown & same, shown & ~same
            if right.any() and wrong.any():
                margin[q] = min(block[q - start][wrong].min() - block[q - start][right].min() for block in blocks)
    most = max(HARD_QUERIES, int((margin <= 0).sum()))
    order = margin.argsort(kind="stable")[:most]
    return order[np.isfinite(margin[order])].tolist()


def _draw(
    gallery: _Gallery, distances: Sequence[Callable[[slice], Tensor]], query: int, generator: np.random.Generator
) -> Round | None:
    """The round of one query; None where it has too few images to choose among."""
    image, shown = gallery.split.query[query], gallery.shown(query)
    same = gallery.vehicles == image.vehicle_id
    matches, wrong = np.flatnonzero(shown & same), np.flatnonzero(shown & ~same)
    if not len(matches) or len(set(gallery.vehicles[wrong].tolist())) < CHOICES - 1:
        return None
    distance = np.stack([block(slice(query, query + 1))[0].cpu().numpy() for block in distances])  # (M, G)
    ranks = np.where(shown, distance, np.inf).argsort(1, kind="stable").argsort(1)  # (M, G), from 0 on
    group = image.attributes.get(SIBLING)
    sibling = np.zeros(len(wrong), bool) if group is None else gallery.groups[wrong] == group
    by_vehicle: dict[str, int] = {}
    for g in wrong[np.lexsort((ranks[:, wrong].min(0), ~sibling))].tolist():
        by_vehicle.setdefault(gallery.vehicles[g], g)
        if len(by_vehicle) == CHOICES - 1:
            break
    right = int(matches[ranks[:, matches].sum(0).argmin()])
    choices = generator.permutation([right, *by_vehicle.values()])
    return Round(query, tuple(choices.tolist()), choices.tolist().index(right), 1 - distance[:, choices])


def _objects(values: Sequence[str | None]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)  # filled afterwards, since numpy would infer a string type
    array[:] = values
    return array

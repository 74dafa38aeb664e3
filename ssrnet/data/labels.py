"""Labelling images that have no vehicle yet: which of them show one vehicle, and which pairs do not.

The labels are a value: each answer makes a new one, so that undo keeps the earlier ones. :mod:`ssrnet.data.label_files`
keeps them as a manifest, which opens as a data set.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from ssrnet.errors import DataError, one_line

Pair = tuple[str, str]
"""Names of two images, in order."""
Relation = Literal["same", "other"]
NUMBERED = re.compile(r"v\d+")
"""The ids of vehicles that nobody has named."""
LONGEST_NAME = 60


class ContradictionError(DataError):
    """Answers that cannot all be true."""


@dataclass(frozen=True)
class Labels:
    """``same``: pairs confirmed as one vehicle; ``other``: pairs refused; ``named``: the first image of each vehicle
    that has a name, with that name.

    Confirmed pairs join: a with b and b with c make one vehicle of three. Raises :class:`ContradictionError` where a refused
    pair is confirmed through others, and where one vehicle has two names.
    """

    same: frozenset[Pair] = frozenset()
    other: frozenset[Pair] = frozenset()
    named: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for a, b in sorted(self.other):
            if self._root(a) == self._root(b):
                raise ContradictionError(
                    f"{a} and {b} are refused as one vehicle, and confirmed as one by {' = '.join(self.chain(a, b))}; "
                    "take one of these answers back."
                )
        first: dict[str, str] = {}
        for image, name in sorted(self.named.items()):
            before = first.setdefault(self._root(image), image)
            if self.named[before] != name:
                raise ContradictionError(
                    f"{before} shows {self.named[before]} and {image} shows {name}, and they are confirmed as one vehicle by "
                    f"{' = '.join(self.chain(before, image))}; take one of these answers back."
                )
        object.__setattr__(self, "named", {root: self.named[image] for root, image in first.items()})

    def confirm(self, a: str, b: str) -> Labels:
        """``a`` and ``b`` show one vehicle; the value itself where that is known."""
        return self if self.relation(a, b) == "same" else replace(self, same=self.same | {_pair(a, b)})

    def refuse(self, a: str, b: str) -> Labels:
        """``a`` and ``b`` show two vehicles; the value itself where that is known."""
        return self if self.relation(a, b) == "other" else replace(self, other=self.other | {_pair(a, b)})

    def name(self, images: Sequence[str], name: str) -> Labels:
        """``images`` show one vehicle of this name, which may have images already.

        Raises :class:`DataError` for a name that is empty, too long, or one of those that number vehicles.
        """
        name = name.strip()
        if not name or NUMBERED.fullmatch(name) or name != one_line(name, LONGEST_NAME):
            raise DataError(
                f"{name!r} is no name for a vehicle: use 1 to {LONGEST_NAME} characters in one line, and not v with a number."
            )
        images = [*(image for image, of_image in self.named.items() if of_image == name), *images]
        pairs = {_pair(a, b) for a, b in zip(images, images[1:]) if self.relation(a, b) != "same"}
        return Labels(self.same | pairs, self.other, {**self.named, images[-1]: name})

    def forget(self, image: str) -> Labels:
        """Without any answer about ``image``; the others of its vehicle keep its name."""
        same, other = (frozenset(pair for pair in pairs if image not in pair) for pairs in (self.same, self.other))
        named = {each: name for each, name in self.named.items() if each != image}
        vehicle = self.vehicle_of.get(image)
        others = [each for each in self.vehicles.get(vehicle, ()) if each != image]
        if image in self.named and others:
            named[others[0]] = vehicle
        return Labels(same, other, named)

    def relation(self, a: str, b: str) -> Relation | None:
        """What is known of two images: directly, or through others."""
        a, b = self._root(a), self._root(b)
        return "same" if a == b else "other" if _pair(a, b) in self._refused_vehicles else None

    def chain(self, a: str, b: str) -> list[str]:
        """The shortest way from ``a`` to ``b`` over confirmed pairs; empty where there is none."""
        before, waiting = {a: a}, deque([a])
        while waiting and b not in before:
            image = waiting.popleft()
            for near in sorted(self._confirmed_with[image]):
                if near not in before:
                    before[near] = image
                    waiting.append(near)
        if b not in before:
            return []
        way = [b]
        while way[-1] != a:
            way.append(before[way[-1]])
        return way[::-1]

    @cached_property
    def vehicles(self) -> dict[str, tuple[str, ...]]:
        """The images of each vehicle by its name, or by v1, v2, ... in the order of their first images."""
        groups: dict[str, list[str]] = defaultdict(list)
        for image in sorted({*self._roots, *self.named}):
            groups[self._root(image)].append(image)
        names = {self._root(image): name for image, name in self.named.items()}
        unnamed = [root for root in groups if root not in names]
        names |= {root: f"v{number}" for number, root in enumerate(unnamed, 1)}
        return {names[root]: tuple(images) for root, images in groups.items()}

    @cached_property
    def vehicle_of(self) -> dict[str, str]:
        """The vehicle of each image that has one."""
        return {image: vehicle for vehicle, images in self.vehicles.items() for image in images}

    @cached_property
    def _confirmed_with(self) -> defaultdict[str, set[str]]:
        near: defaultdict[str, set[str]] = defaultdict(set)
        for a, b in self.same:
            near[a].add(b)
            near[b].add(a)
        return near

    @cached_property
    def _roots(self) -> dict[str, str]:
        """The first image of its vehicle, for each image in a confirmed pair."""
        roots: dict[str, str] = {}
        for start in sorted(self._confirmed_with):
            waiting = [] if start in roots else [start]
            while waiting:
                image = waiting.pop()
                if image not in roots:
                    roots[image] = start
                    waiting += self._confirmed_with[image]
        return roots

    @cached_property
    def _refused_vehicles(self) -> set[Pair]:
        return {_pair(self._root(a), self._root(b)) for a, b in self.other}

    def _root(self, image: str) -> str:
        return self._roots.get(image, image)


def ordered(pairs: Iterable[Pair]) -> frozenset[Pair]:
    """``pairs`` with the names of each in order, as :class:`Labels` has them."""
    return frozenset(_pair(a, b) for a, b in pairs)


def _pair(a: str, b: str) -> Pair:
    return (a, b) if a <= b else (b, a)

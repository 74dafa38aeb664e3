"""Batches of P vehicles with K images each, for the batch-hard triplet loss (Hermans et al., 2017)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from ssrnet.errors import SettingsError


class PKSampler(Sampler[list[int]]):
    """A batch sampler: lists of P * K positions in ``vehicle_ids``, K neighbours to a vehicle.

    An epoch goes ``rounds`` times over the vehicles, each time in another random order, P at a time; a
    last group of fewer than P is dropped. A vehicle with K images or more gives K different ones; with
    fewer it gives each of them, then repeats at random. The draw depends on ``(seed, epoch)`` alone, so a resumed run
    repeats it.

    Raises :class:`SettingsError` for P, K or a seed out of range, and for fewer than P vehicles.
    """

    def __init__(self, vehicle_ids: Sequence[str], P: int, K: int, seed: int = 0, rounds: int = 1) -> None:
        if P < 1 or K < 1:
            raise SettingsError(f"P is {P} and K is {K}; a batch needs at least one vehicle and one image.")
        if seed < 0:
            raise SettingsError(f"the sampler's seed is {seed}; use 0 or a positive whole number.")
        groups: dict[str, list[int]] = defaultdict(list)
        for position, vehicle_id in enumerate(vehicle_ids):
            groups[vehicle_id].append(position)
        if len(groups) < P:
            raise SettingsError(
                f"P is {P} but the training split has {len(groups)} vehicles; choose a P that is no larger."
            )
        self.P, self.K, self.seed, self.rounds, self.epoch = P, K, seed, rounds, 0
        self._groups = [np.array(groups[vehicle_id]) for vehicle_id in sorted(groups)]

    def set_epoch(self, epoch: int) -> None:
        """Chooses the draw of the next iteration; ``epoch`` counts from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches an epoch."""
        return self.rounds * (len(self._groups) // self.P)

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.Generator(np.random.PCG64([self.seed, self.epoch]))
        for _ in range(self.rounds):
            order = generator.permutation(len(self._groups))
            for batch in order[: len(order) // self.P * self.P].reshape(-1, self.P):
                yield [position for group in batch for position in self._draw(self._groups[group], generator)]

    def _draw(self, group: np.ndarray, generator: np.random.Generator) -> list[int]:
        drawn = generator.permutation(group)[: self.K]
        repeats = generator.choice(group, size=self.K - len(drawn))
        return [*drawn.tolist(), *repeats.tolist()]

"""Independent random streams, one a subsystem.

A stream is named by what it decides ("paint", 17). Drawing more numbers in one subsystem, or
changing its parameters, therefore never reshuffles another.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """PCG64 keyed by ``seed`` and a path of names; the same on every machine and Python.

    Python's own ``hash`` is salted per process, so names are keyed by SHA-256.
    """
    digest = hashlib.sha256("/".join(str(name) for name in names).encode()).digest()
    key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=key)))


def choose(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """One key of ``weights``, drawn in proportion; the dict's order is part of the seed."""
    names = list(weights)
    shares = np.array([weights[name] for name in names], float)
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]

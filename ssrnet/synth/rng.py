"""Independent random streams, one per subsystem.

A stream's name says what it decides, as in ("paint", 17). Drawing more numbers in one subsystem, or
changing its parameters, therefore never reshuffles another. Names are part of the result: a renamed
stream draws another city.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """PCG64 keyed by ``seed`` and a path of names; the same on every machine and Python version.

    Names are hashed with SHA-256, since Python salts ``hash`` per process.
    """
    digest = hashlib.sha256("/".join(str(name) for name in names).encode()).digest()
    key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=key)))


def choose(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """One key of ``weights``, drawn in proportion to them. The order of keys decides which one a draw gives."""
    names = list(weights)
    shares = np.array([weights[name] for name in names], float)
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]

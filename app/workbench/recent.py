"""The last values that were asked for, kept in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class Recent(Generic[T]):
    """The ``most`` last used values. ``making``: one at a time, where making one uses all cores."""

    most: int
    entries: OrderedDict[tuple, T] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    making: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: tuple) -> T | None:
        with self.lock:
            if key in self.entries:
                self.entries.move_to_end(key)
            return self.entries.get(key)

    def add(self, key: tuple, value: T) -> T:
        with self.lock:
            self.entries[key] = value
            while len(self.entries) > self.most:
                self.entries.popitem(last=False)
        return value

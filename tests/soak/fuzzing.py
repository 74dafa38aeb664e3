"""What the fuzzers share: a target, and the one property of every reader."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hypothesis.strategies import SearchStrategy
from PIL import Image

from ssrnet.errors import LONGEST, SSRNetError

T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """``check`` is called with what ``inputs`` draws, and fails where a reader does."""

    part: str
    check: Callable[..., None]
    inputs: SearchStrategy


def opens_or_says_why_not(read: Callable[[], T], folder: str = "") -> T | None:
    """What ``read`` gives, or None where it ends in one sentence.

    Anything else that it raises goes on. ``folder`` has the same files afterwards.
    """
    before = _files(folder)
    try:
        found = read()
    except SSRNetError as error:
        said = str(error)
        assert said.isprintable() and said.endswith(".") and len(said) <= LONGEST, said
        found = None
    assert _files(folder) == before
    return found


def _files(folder: str) -> list[tuple[str, int]]:
    """Every file below ``folder`` with its size."""
    return sorted(
        (os.path.join(at, name), os.lstat(os.path.join(at, name)).st_size)
        for at, _, names in (os.walk(folder) if folder else ())
        for name in names
    )


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = _picture()

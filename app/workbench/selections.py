"""A selection of test images as a short text for the URL."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable

import numpy as np

LONGEST = 1500
"""Characters: a whole URL of some 2,000 is taken everywhere. Any selection among 8,800 images is shorter."""
OF_HASH = 6
"""Characters of the data set's hash, so that a link to other data selects nothing."""


def as_text(rows: Iterable[int], images: int, dataset_hash: str) -> str | None:
    """Positions among ``images`` images: the hash's beginning, then a compressed bit an image; None above :data:`LONGEST`."""
    bits = np.zeros(images, dtype=bool)
    bits[list(rows)] = True
    packed = zlib.compress(np.packbits(bits).tobytes(), 9)
    text = f"{dataset_hash[:OF_HASH]}.{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"
    return text if len(text) <= LONGEST else None


def as_rows(text: str, images: int, dataset_hash: str) -> list[int] | None:
    """The positions of :func:`as_text`; None for another data set's or a damaged text, which never takes more memory."""
    start, _, body = text.partition(".")
    if start != dataset_hash[:OF_HASH] or len(text) > LONGEST:
        return None
    size, reader = -(-images // 8), zlib.decompressobj()
    try:
        packed = reader.decompress(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), size + 1)
    except (binascii.Error, zlib.error, ValueError):
        return None
    if len(packed) != size or not reader.eof:
        return None
    bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8))
    return None if bits[images:].any() else np.flatnonzero(bits[:images]).tolist()

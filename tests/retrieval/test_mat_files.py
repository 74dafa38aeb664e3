"""Arrays from .mat files as ``scipy.io.loadmat`` reads them, and one error for damaged ones."""

import io
import random

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from ssrnet.retrieval.external.mat_files import arrays_in

VALUES = {
    "features": np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32),
    "doubles": np.random.default_rng(1).normal(size=(3, 4)),
    "labels": np.arange(-3, 40)[None],
    "one": np.array([[7]], dtype=np.uint8),
    "a_name_of_more_than_eight_bytes": np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    "empty": np.zeros((0, 3)),
}


def saved(values=VALUES, **options) -> bytes:
    stream = io.BytesIO()
    savemat(stream, values, **options)
    return stream.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_the_arrays_are_scipys(compressed):
    content = saved(VALUES | {"text": "none of ours", "cell": np.array([{}], dtype=object)}, do_compression=compressed)
    arrays, theirs = arrays_in(content), loadmat(io.BytesIO(content))
    assert arrays.keys() == VALUES.keys()
    for name, values in arrays.items():
        assert values.dtype == theirs[name].dtype and np.array_equal(values, theirs[name]), name


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_bytes_give_arrays_or_a_value_error(compressed):
    """On such a file scipy's reader has ended the process."""
    good, draw = saved(do_compression=compressed), random.Random(0)
    refused = 0
    for _ in range(600):
        damaged = bytearray(good)
        for _ in range(draw.choice((1, 2, 8))):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            arrays_in(bytes(damaged[: draw.randrange(100, len(damaged) * 3)]))
        except ValueError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    "content", [b"", b"text" * 100, b"MATLAB 7.3 MAT-file".ljust(126) + b"IM", b"\x89HDF\r\n" * 40]
)
def test_other_formats(content):
    with pytest.raises(ValueError, match="Level 5"):
        arrays_in(content)

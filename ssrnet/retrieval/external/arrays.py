"""Reads features of another program from numpy's .npz."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssrnet.errors import DataError
from ssrnet.files import open_regular


class Arrays(NamedTuple):
    """The arrays of an .npz: features (N, D) floating, N paths, N vehicle ids and cameras or None where absent."""

    features: np.ndarray
    paths: list[str]
    ids: list[object] | None
    cameras: list[object] | None


def read_arrays(path: Path) -> Arrays:
    """The arrays ``features``, ``paths`` and, where there are any, ``ids`` and ``cameras``; no code in the file is run.

    Raises :class:`DataError` for other files, for arrays of other shapes or types than :class:`Arrays` names, and for
    features that are NaN, infinite or a zero vector.
    """
    arrays = _load(path)
    for name in ("features", "paths"):
        if name not in arrays:
            raise DataError(
                f"{path} has no array {name} (it has {', '.join(arrays) or 'none'}); write features (N, D) and "
                "paths (N,) with numpy.savez."
            )
    features = arrays["features"]
    if features.ndim != 2 or features.dtype.kind != "f" or not features.shape[1]:
        raise DataError(
            f"{path}: features is {features.dtype} of shape {features.shape}; expected float16, float32 or float64 "
            "of shape (N, D), a row an image."
        )
    columns = {name: _column(path, name, arrays.get(name), len(features)) for name in ("paths", "ids", "cameras")}
    paths = columns["paths"]
    if not all(isinstance(text, str) for text in paths):
        raise DataError(
            f"{path}: paths holds {type(paths[0]).__name__}, not text; write numpy.array(paths) of a list of paths."
        )
    check_vectors(path, features, paths)
    return Arrays(features, paths, columns["ids"], columns["cameras"])


def check_vectors(path: Path, features: np.ndarray, paths: Sequence[str]) -> None:
    """Raises :class:`DataError` for rows (N, D) that are NaN, infinite or a zero vector; ``paths`` names their images."""
    for problem, bad in (
        ("NaN or infinity", ~np.isfinite(features).all(1)),
        ("only zeros, which have no direction", ~features.any(1)),
    ):
        if bad.any():
            raise DataError(
                f"{path}: {bad.sum():,} of {len(bad):,} features hold {problem} (the first is that of "
                f"{paths[int(bad.argmax())]}); compute these again."
            )


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with open_regular(path) as stream:
            file = np.load(stream, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise DataError(f"{path} holds one array without a name; write several with numpy.savez.")
            return dict(file)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}; check the path.") from error
    except DataError:
        raise
    except Exception as error:  # on damaged files numpy and zipfile raise anything from KeyError to zlib.error
        # numpy takes what is neither .npy nor .npz for a pickle, and arrays of objects are pickles
        reason = "Python objects instead of numbers and text" if "pickle" in str(error).lower() else str(error)
        raise DataError(
            f"{path} is no .npz that can be read safely ({reason}); write it with numpy.savez, texts as "
            "numpy.array(list of str)."
        ) from error


def _column(path: Path, name: str, column: np.ndarray | None, rows: int) -> list | None:
    """The values of an array of one number or text a row."""
    if column is None:
        return None
    if column.dtype.kind not in "iufbSU":
        raise DataError(f"{path}: {name} is {column.dtype}; expected texts or numbers, one an image.")
    if column.shape != (rows,):
        raise DataError(
            f"{path}: {name} has shape {column.shape} where features has {rows:,} rows; expected ({rows},), one an image."
        )
    return [value.decode(errors="surrogateescape") if isinstance(value, bytes) else value for value in column.tolist()]

"""Features of other programs that are not what they say, given to ``ssrnet import``."""

from __future__ import annotations

import contextlib
import io
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ssrnet.commands.import_features import ImportSettings, import_features
from tests.data import layouts
from tests.soak.hostile import Case, Make, Payload, special, written


def cases() -> list[Case]:
    return _features()


def _features() -> list[Case]:
    """What ``ssrnet import`` is given, for a data set of two images."""
    good = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    paths = np.array(layouts.VERI_TEST)

    def npz(packed: bool = False, **arrays) -> bytes:
        buffer = io.BytesIO()
        (np.savez_compressed if packed else np.savez)(buffer, **arrays)
        return buffer.getvalue()

    def spoiled(value: float) -> np.ndarray:
        return np.where(np.arange(40).reshape(5, 8) == 7, value, good).astype(np.float32)

    def npy(shape: str, kind: str = "<f4", data: bytes = b"", length: int | None = None) -> bytes:
        header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
        size = len(header) if length is None else length
        return b"\x93NUMPY\x02\0" + struct.pack("<I", size) + header + data

    def declared(member: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            archive.writestr("features.npy", member)
            archive.writestr("paths.npy", npy("(5,)", "<U30", bytes(600)))
        return buffer.getvalue()

    refused: dict[str, bytes | Callable[[random.Random], bytes]] = {
        "nothing": b"",
        "noise": lambda draw: draw.randbytes(3000),
        "one array": _npy_bytes(good),
        "no features": npz(paths=paths),
        "no paths": npz(features=good),
        "NaN": npz(features=spoiled(np.nan), paths=paths),
        "infinity": npz(features=spoiled(np.inf), paths=paths),
        "zeros": npz(features=good * 0, paths=paths),
        "integers": npz(features=good.astype(int), paths=paths),
        "complex": npz(features=good.astype(complex), paths=paths),
        "no rows": npz(features=good[:0], paths=paths[:0]),
        "no columns": npz(features=good[:, :0], paths=paths),
        "three dimensions": npz(features=good[:, :, None], paths=paths),
        "no dimension": npz(features=np.float32(1), paths=paths),
        "other images": npz(features=good, paths=np.array(["x.jpg"] * 5)),
        "fewer paths": npz(features=good, paths=paths[:3]),
        "numbers for paths": npz(features=good, paths=np.arange(5)),
        "paths of NUL": npz(features=good, paths=np.array(["\0"] * 5)),
        "paths of line breaks": npz(features=good, paths=np.array(["a\nb\x1b.jpg"] * 5)),
        "paths of many folders": npz(features=good, paths=np.array(["/" * 200_000 + "x"] * 5)),
        "objects": npz(features=good, paths=paths, ids=np.array([{}] * 5, dtype=object)),
        "records": npz(features=good, paths=paths, ids=np.zeros(5, dtype=[("a", "f4", (2,))])),
        "dates": npz(features=good, paths=paths, ids=np.zeros(5, dtype="M8[s]")),
        "raw bytes": npz(features=good, paths=paths, ids=np.zeros(5, "V8")),
        "10^15 rows": declared(npy("(1000000000000000, 2048)")),
        "10^9 rows": declared(npy("(1000000000, 64)")),
        "negative rows": declared(npy("(-1, 8)")),
        "a shape of texts": declared(npy("('a', 8)")),
        "a shape of code": declared(npy("(__import__('os').mkdir('executed'), 8)")),
        "a header of 4 GB": declared(npy("(5, 8)", length=2**32 - 1)),
        "a header of 4 GB, packed": lambda draw: declared(
            npy("(5, 8)", length=2**32 - 1, data=b" " * 100_000_000), zipfile.ZIP_DEFLATED
        ),
        "texts beyond Unicode": npz(features=good, paths=np.full(20 * 5, 0xFFFFFFFF, "<u4").view("<U20")),
        "an unknown kind": declared(npy("(5, 8)", "<q9")),
        "rows of no size": declared(npy("(1000000000000, 8)", "<U0")),
        "a bomb": lambda draw: declared(npy("(50000000, 8)", data=bytes(1_600_000_000 // 8)), zipfile.ZIP_DEFLATED),
        "cut short": npz(features=good, paths=paths)[:300],
        "LZMA": declared(npy("(5, 8)", data=bytes(160)), zipfile.ZIP_LZMA),
    }
    opened = {
        "float16": npz(features=good.astype(np.float16), paths=paths),
        "float64": npz(features=good.astype(float), paths=paths),
        "big-endian": npz(features=good.astype(">f4"), paths=paths),
        "in columns": npz(features=np.asfortranarray(good), paths=paths),
        "packed": npz(True, features=good, paths=paths),
        "bytes for paths": npz(features=good, paths=paths.astype("S")),
        "other folders": npz(features=good, paths=np.array([f"C:\\x\\{p}" for p in paths])),
        "tiny numbers": npz(features=(good * 1e-30).astype(np.float64), paths=paths),
        "huge numbers": npz(features=good.astype(float) * 1e300, paths=paths),
    }
    found = [Case(f"import: {name}", _import(data), _imported, says="features.npz") for name, data in refused.items()]
    found += [Case(f"import: {name}", _import(data), _imported, "opens") for name, data in opened.items()]
    found.append(
        Case("import: a pickle", lambda folder, draw: _import(pickle.dumps(Payload(folder)))(folder, draw), _imported)
    )
    for name, make in special("features.npz").items():
        found.append(
            Case(f"import: {name}", lambda folder, draw, make=make: _data(folder, make(folder, draw)), _imported)
        )
    return found


def _npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _data(folder: Path, path: Path) -> ImportSettings:
    layouts.veri(folder / "data")
    return ImportSettings(path, folder / "data", "other", folder / "imported")


def _import(data: bytes | Callable[[random.Random], bytes]) -> Make:
    return lambda folder, draw: _data(folder, written("features.npz", data)(folder, draw))


def _imported(settings: ImportSettings) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        import_features(settings)

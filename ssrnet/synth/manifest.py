"""The files of a run: atomic writes, one record per photograph, and the manifest made of the records."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections import defaultdict
from pathlib import Path

from ssrnet.errors import DataError
from ssrnet.files import write_atomically
from ssrnet.synth.vehicle.part_names import PART_NAMES

COLUMNS = (
    "image",
    "split",
    "vehicle_id",
    "camera_id",
    "track",
    "frame",
    "model",
    "sibling_group",
    "type",
    "colour",
    "azimuth",
    "elevation",
    "time",
    "weather",
    "light",
    "occlusion",
    "visible_marks",
    "marks",
    "width",
    "height",
    "mask",
)
RECORDS = ".records"  # of an unfinished run; the manifest replaces them
Rows = list[dict[str, object]]


def write_atomic(path: Path, content: bytes) -> None:
    """Write the whole file, or nothing if the process dies meanwhile."""
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_record(out: Path, name: str, rows: Rows) -> None:
    """One photograph's rows of the manifest. Written after its files, so a record means that it is complete."""
    write_atomic(out / RECORDS / f"{name}.json", json.dumps(rows).encode())


def complete_rows(out: Path) -> dict[str, Rows]:
    """Rows of manifest and records for each photograph whose files all exist, by name."""
    rows_of: dict[str, Rows] = defaultdict(list)
    if (out / "manifest.csv").exists():
        with (out / "manifest.csv").open(newline="") as table:
            for row in csv.DictReader(table):
                rows_of[str(row["image"]).split("/")[-1]].append(dict(row))
    for path in (out / RECORDS).glob("[!.]*.json"):
        rows_of[path.name.removesuffix(".json")] = json.loads(path.read_text())
    return {name: rows for name, rows in rows_of.items() if all((out / file).exists() for file in _files(rows))}


def _files(rows: Rows) -> set[str]:
    return {str(row["image"]) for row in rows} | {str(row["mask"]) for row in rows if row["mask"]}


def write_manifest(out: Path, names: list[str]) -> int:
    """Writes ``manifest.csv``, VeRi-776's name lists and checksums of the photographs ``names``.

    Returns the number of the manifest's rows; raises :class:`DataError` where a photograph is missing.
    """
    complete = complete_rows(out)
    lost = [name for name in names if name not in complete]
    if lost:
        raise DataError(
            f"{len(lost):,} photographs, {lost[0]} among them, vanished from {out} while it was written; "
            "run the same command again to take them anew."
        )
    rows = [row for name in sorted(names) for row in complete[name]]
    rows.sort(key=lambda row: (row["split"], row["image"]))
    write_atomic(out / "manifest.csv", csv_bytes(COLUMNS, rows))
    for split in ("train", "query", "test"):
        listed = [str(row["image"]).split("/")[-1] for row in rows if row["split"] == split]
        write_atomic(out / f"name_{split}.txt", "".join(f"{name}\n" for name in listed).encode())
    write_atomic(out / "parts.txt", "".join(f"{value} {name}\n" for value, name in enumerate(PART_NAMES)).encode())
    probes = {str(path.relative_to(out)) for path in (out / "probes").rglob("*.*g")}
    files = sorted(_files(rows) | probes)
    sums = (f"{hashlib.sha256((out / file).read_bytes()).hexdigest()}  {file}\n" for file in files)
    write_atomic(out / "checksums.sha256", "".join(sums).encode())
    shutil.rmtree(out / RECORDS, ignore_errors=True)
    return len(rows)


def csv_bytes(columns: tuple[str, ...], rows: Rows) -> bytes:
    """A table with a header line, as a file's content."""
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue().encode()

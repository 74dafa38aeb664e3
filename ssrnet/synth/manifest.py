"""The run's files: atomic writes, one record an image, the manifest made of them."""

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
RECORDS = ".records"  # of a run that is under way; the manifest takes their place
Rows = list[dict[str, object]]


def write_atomic(path: Path, content: bytes) -> None:
    """Either the whole file or none of it, whenever the process dies."""
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_record(out: Path, name: str, rows: Rows) -> None:
    """What the manifest will say about one photograph; written last, so it also says that it is done."""
    write_atomic(out / RECORDS / f"{name}.json", json.dumps(rows).encode())


def filed_rows(out: Path) -> dict[str, Rows]:
    """What manifest and records say about each photograph whose files are all there, by name."""
    found: dict[str, Rows] = defaultdict(list)
    if (out / "manifest.csv").exists():
        with (out / "manifest.csv").open(newline="") as table:
            for row in csv.DictReader(table):
                found[str(row["image"]).split("/")[-1]].append(dict(row))
    for path in (out / RECORDS).glob("[!.]*.json"):
        found[path.name.removesuffix(".json")] = json.loads(path.read_text())
    return {name: rows for name, rows in found.items() if all((out / file).exists() for file in _files(rows))}


def _files(rows: Rows) -> set[str]:
    return {str(row["image"]) for row in rows} | {str(row["mask"]) for row in rows if row["mask"]}


def write_manifest(out: Path, names: list[str]) -> int:
    """``manifest.csv``, the name lists of VeRi-776 and checksums, from what is filed of ``names``; rows written."""
    filed = filed_rows(out)
    lost = [name for name in names if name not in filed]
    if lost:
        raise DataError(
            f"{len(lost):,} photographs, {lost[0]} among them, vanished from {out} while it was written; "
            "run the same command again, it takes them anew."
        )
    rows = [row for name in sorted(names) for row in filed[name]]
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

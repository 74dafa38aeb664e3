"""The run's files: atomic writes, one record an image, the manifest made of them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

from ssrnet.files import write_atomically
from ssrnet.synth.parts import PART_NAMES

COLUMNS = (
    "image", "split", "vehicle_id", "camera_id", "track", "frame", "model", "sibling_group", "type", "colour", "azimuth",
    "elevation", "time", "weather", "light", "occlusion", "visible_marks", "marks", "width", "height", "mask",
)  # fmt: skip
RECORDS = ".records"


def write_atomic(path: Path, content: bytes) -> None:
    """Either the whole file or none of it, whenever the process dies."""
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_record(out: Path, name: str, rows: list[dict[str, object]]) -> None:
    """What the manifest will say about one photograph; written last, so it also says that it is done."""
    write_atomic(out / RECORDS / f"{name}.json", json.dumps(rows).encode())


def finished(out: Path) -> set[str]:
    """Names of the photographs whose record is there."""
    return {path.name.removesuffix(".json") for path in (out / RECORDS).glob("*.json") if not path.name.startswith(".")}


def remove_leftovers(out: Path) -> None:
    """Temporary files of a run that was killed in the middle of a write."""
    for path in out.rglob(".*.part"):
        path.unlink(missing_ok=True)


def write_manifest(out: Path, names: list[str]) -> int:
    """``manifest.csv``, the name lists of VeRi-776 and checksums, from the records of ``names``; rows written."""
    rows = [row for name in sorted(names) for row in json.loads((out / RECORDS / f"{name}.json").read_text())]
    rows.sort(key=lambda row: (row["split"], row["image"]))
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(out / "manifest.csv", table.getvalue().encode())
    for split in ("train", "query", "test"):
        listed = [str(row["image"]).split("/")[-1] for row in rows if row["split"] == split]
        write_atomic(out / f"name_{split}.txt", "".join(f"{name}\n" for name in listed).encode())
    write_atomic(out / "parts.txt", "".join(f"{value} {name}\n" for value, name in enumerate(PART_NAMES)).encode())
    files = sorted({str(row["image"]) for row in rows} | {str(row["mask"]) for row in rows if row["mask"]})
    sums = (f"{hashlib.sha256((out / file).read_bytes()).hexdigest()}  {file}\n" for file in files)
    write_atomic(out / "checksums.sha256", "".join(sums).encode())
    return len(rows)

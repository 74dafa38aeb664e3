"""Every query as one plain row: how both models did, who captured it, and what is known of it."""

from __future__ import annotations

from ssrnet.analysis.attributes import CAMERA, SIBLING, attribute_names
from ssrnet.analysis.comparison import compare
from ssrnet.analysis.confusions import Captures, captures
from ssrnet.analysis.csv_rows import Cell, Row, number
from ssrnet.analysis.inspection import Inspection
from ssrnet.analysis.query_slices import has_sibling


def table(a: Inspection, b: Inspection) -> list[Row]:
    """One row a query, in the split's order, for a sortable table or :func:`ssrnet.analysis.csv_rows.write_csv`.

    Columns: query, vehicle, camera; of each model ap (None without a match), first_hit (the rank of the first
    match, None without), captured_by (the vehicle at rank 1 if it is a wrong one), captured_image,
    images_before (how many of its images stand before the first match), and, where the data set names siblings,
    captured_by_sibling; delta_ap (b minus a), outcome, has_sibling (in the gallery); then every attribute of the
    query, under its own name, or as ``query_NAME`` where that name is taken.

    Raises :class:`ssrnet.errors.ProtocolError` where the two are of different protocols or data.
    """
    comparison = compare(a.evaluation, b.evaluation)
    split, outcomes, delta = comparison.split, comparison.outcomes, comparison.delta_ap
    names = [name for name in attribute_names(split.query) if name != CAMERA]
    siblings = has_sibling(split) if SIBLING in attribute_names((*split.query, *split.gallery)) else None
    sides = [(side, inspection, captures(inspection)) for side, inspection in (("a", a), ("b", b))]
    place = [dict(zip(own.query.tolist(), range(len(own.query)), strict=True)) for _, _, own in sides]
    rows: list[Row] = []
    for q, image in enumerate(split.query):
        row: dict[str, Cell] = {"query": image.name, "vehicle": image.vehicle_id, "camera": image.camera_id}
        row |= {"outcome": str(outcomes[q]), "delta_ap": number(delta[q])}
        for (side, inspection, own), at in zip(sides, place, strict=True):
            ranking = inspection.evaluation.ranking
            row |= {
                f"ap_{side}": number(ranking.average_precision[q]),
                f"first_hit_{side}": int(ranking.first_hit[q]) or None,
            } | _captured(own, at.get(q), side)
        if siblings is not None:
            row["has_sibling"] = bool(siblings[q])
        taken = set(row)
        row |= {f"query_{name}" if name in taken else name: image.attributes.get(name) for name in names}
        rows.append(row)
    return rows


def _captured(own: Captures, at: int | None, side: str) -> dict[str, Cell]:
    """The cells of capture number ``at``; empty ones where the query was not captured."""
    vehicle = image = before = sibling = None
    if at is not None:
        image = own.split.gallery[own.image[at]]
        vehicle, image, before = image.vehicle_id, image.name, int(own.before[at])
    cells: dict[str, Cell] = {
        f"captured_by_{side}": vehicle,
        f"captured_image_{side}": image,
        f"images_before_{side}": before,
    }
    if SIBLING in own.same:
        sibling = None if at is None else bool(own.same[SIBLING][at])
        cells[f"captured_by_sibling_{side}"] = sibling
    return cells

"""One row per query: its scores under both models, its confusions, and its attributes."""

from __future__ import annotations

from ssrnet.analysis.attributes import CAMERA, SIBLING, attribute_names
from ssrnet.analysis.causes import Causes, causes
from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.confusions import confusions
from ssrnet.analysis.csv_rows import Cell, Row, number
from ssrnet.analysis.inspection import Inspection
from ssrnet.analysis.query_slices import has_sibling


def query_rows(a: Inspection, b: Inspection) -> list[Row]:
    """One row per query, in the split's order, for a table or :func:`ssrnet.analysis.csv_rows.write_csv`.

    Columns: query, vehicle, camera, outcome, delta_ap (b minus a). For each model, with the suffix ``_a`` or ``_b``:
    ap (None without a match), first_hit (rank of the first match, None without), confused_with (the vehicle at rank 1
    if it is a wrong one), confused_image, images_before (how many images of that vehicle rank before the first match),
    causes (those of :mod:`ssrnet.analysis.causes` that the image shows) and, where the data set names siblings,
    confused_with_sibling. Then has_sibling (in the gallery) and every
    attribute of the query, as ``query_NAME`` where the name is taken.

    Raises :class:`ssrnet.errors.ProtocolError` where protocols or data differ.
    """
    comparison = Comparison(a.evaluation, b.evaluation)
    split, outcomes, delta = comparison.split, comparison.outcomes, comparison.delta_ap
    names = [name for name in attribute_names(split.query) if name != CAMERA]
    siblings = has_sibling(split) if SIBLING in attribute_names((*split.query, *split.gallery)) else None
    sides = [(side, one.evaluation.ranking, causes(confusions(one))) for side, one in (("a", a), ("b", b))]
    places = [{q: i for i, q in enumerate(found.confusions.query.tolist())} for _, _, found in sides]
    rows: list[Row] = []
    for q, image in enumerate(split.query):
        row: dict[str, Cell] = {"query": image.name, "vehicle": image.vehicle_id, "camera": image.camera_id}
        row |= {"outcome": str(outcomes[q]), "delta_ap": number(delta[q])}
        for (side, ranking, found), place in zip(sides, places, strict=True):
            row |= {
                f"ap_{side}": number(ranking.average_precision[q]),
                f"first_hit_{side}": int(ranking.first_hit[q]) or None,
            } | _confusion_cells(found, place.get(q), side)
        if siblings is not None:
            row["has_sibling"] = bool(siblings[q])
        columns = set(row)
        row |= {f"query_{name}" if name in columns else name: image.attributes.get(name) for name in names}
        rows.append(row)
    return rows


def _confusion_cells(found: Causes, i: int | None, side: str) -> dict[str, Cell]:
    """The cells of confusion ``i``; empty ones where the query is not confused."""
    confused = found.confusions
    vehicle = image = before = shown = sibling = None
    if i is not None:
        stored = confused.split.gallery[confused.first_image[i]]
        vehicle, image, before = stored.vehicle_id, stored.name, int(confused.images_before[i])
        shown = ", ".join(found.of(i))
    cells: dict[str, Cell] = {
        f"confused_with_{side}": vehicle,
        f"confused_image_{side}": image,
        f"images_before_{side}": before,
        f"causes_{side}": shown,
    }
    if confused.sibling is not None:
        sibling = None if i is None else bool(confused.sibling[i])
        cells[f"confused_with_sibling_{side}"] = sibling
    return cells

"""The caption of a figure of ranked queries: everything needed to judge it and to make it again."""

from __future__ import annotations

from collections.abc import Mapping

from ssrnet.analysis.figure_layout import FigureSettings
from ssrnet.data.protocols import JUNK_NONE
from ssrnet.retrieval.evaluation import Evaluation, ProtocolRecord

LABEL_WORDS = {"rank": "rank", "vehicle": "vehicle", "camera": "camera", "distance": "distance to the query"}


def caption(rows: Mapping[str, Evaluation], settings: FigureSettings, queries: int, chosen: str, like: str = "") -> str:
    """``chosen``: how the queries were; ``like``: the title of the paper's figure that this one follows, or ""."""
    records = [evaluation.record for evaluation in rows.values()]
    record = records[0]
    below = ", ".join(words for name, words in LABEL_WORDS.items() if name in settings.labels)
    opening = f"As the paper's {like}, on {record.dataset}: top" if like else f"{record.dataset}: top"
    parts = [
        f"{opening}-{settings.top_k} of {queries} {'query' if queries == 1 else 'queries'}, {_protocol(record)}, gallery "
        f"of {record.gallery:,} images.",
        f"{'Rows, from the top' if len(rows) > 1 else 'Model'}: {'; '.join(rows)}.",
        f"Blue: query; green ✓: the same vehicle; red ✗: another one{f'; below: {below}' if below else ''}.",
        f"Queries: {chosen}.",
        _ranking(rows),
        f"Models by their hashes {', '.join(map(_hash, records))}; data "
        f"{record.dataset_hash}; ssrnet {record.version}.",
    ]
    return " ".join(parts)


def _hash(record: ProtocolRecord) -> str:
    features = record.features
    return str(features.get("checkpoint_hash") or features.get("imported_hash", "unknown"))


def _protocol(record: ProtocolRecord) -> str:
    words = record.protocol.replace("_", "-")
    if record.seed is not None:
        words += f", seed {record.seed}"
    if record.protocol == "multi_gallery_shot":
        words += f", n = {record.shots}"
    return words if record.junk_rule == JUNK_NONE else f"{words}, junk left out"


def _ranking(rows: Mapping[str, Evaluation]) -> str:
    """Distance and ranking options in words; branches by row, since they may differ."""
    record = next(iter(rows.values())).record
    parts = [f"Distance: {record.distance}"]
    if all(each.record.camera_alignment != "none" for each in rows.values()):  # else the titles say which are
        parts.append("features aligned by camera")
    if any(each.record.features.get("flip_test") for each in rows.values()):
        parts.append("flip test")
    for title, each in rows.items():
        if each.record.features.get("branches"):
            parts.append(f"{title} only by the branches {', '.join(each.record.features['branches'])}")
    if record.query_expansion != "none":
        parts.append(f"query expansion ({record.query_expansion})")
    if record.re_ranking != "none":
        parts.append("k-reciprocal re-ranking")
    return "; ".join(parts) + "."

"""Compares VeRi-776's index files with the junk rule of this package.

``gt_index.txt`` and ``jk_index.txt`` have one line for each query, in the order of ``name_query.txt``: the matches
and the junk, as 1-based positions in ``name_test.txt``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from ssrnet.data.readers.text_files import read_text
from ssrnet.errors import DataError


def index_notes(root: Path, pattern: re.Pattern[str]) -> list[str]:
    """A sentence on how many queries' index lines agree with the junk rule; none where a file is missing.

    The rule: same vehicle and same camera is junk, same vehicle and another camera is a match.
    ``pattern`` matches a name without its suffix and has the groups ``vehicle`` and ``camera``.
    """
    paths = [root / name for name in ("name_query.txt", "name_test.txt", "gt_index.txt", "jk_index.txt")]
    if not all(path.is_file() for path in paths):
        return []
    try:
        return [_compare(*paths, pattern)]
    except DataError as error:
        return [f"The index files were not compared with the junk rule: {error}"]


def _compare(query_names: Path, test_names: Path, gt_index: Path, jk_index: Path, pattern: re.Pattern[str]) -> str:
    queries, tests = _labels(query_names, pattern), _labels(test_names, pattern)
    positions: dict[str, list[int]] = defaultdict(list)
    for position, (_, vehicle, _) in enumerate(tests, start=1):
        positions[vehicle].append(position)
    matches, junk = _indices(gt_index, len(queries)), _indices(jk_index, len(queries))
    by_rule: dict[tuple[str, str], tuple[set[int], set[int]]] = {}
    disagreeing = []
    for (name, vehicle, camera), listed_matches, listed_junk in zip(queries, matches, junk, strict=True):
        if (vehicle, camera) not in by_rule:
            same_camera = {i for i in positions[vehicle] if tests[i - 1][2] == camera}
            by_rule[vehicle, camera] = set(positions[vehicle]) - same_camera, same_camera
        if (listed_matches, listed_junk) != by_rule[vehicle, camera]:
            disagreeing.append(name)
    agreeing = f"{len(queries) - len(disagreeing):,} of {len(queries):,} queries"
    sentence = f"gt_index.txt and jk_index.txt agree with the junk rule for {agreeing}"
    if disagreeing:
        sentence += f" and disagree for {len(disagreeing):,} ({disagreeing[0]}); the rule is followed"
    return f"{sentence}."


def _labels(path: Path, pattern: re.Pattern[str]) -> list[tuple[str, str, str]]:
    """Name, vehicle and camera of each line."""
    labels = []
    for name in read_text(path).split():
        match = pattern.fullmatch(name.rsplit(".", 1)[0])
        if match is None:
            raise DataError(f"{path} names {name}, without vehicle and camera; restore the owners' file.")
        labels.append((name, match["vehicle"], match["camera"]))
    return labels


def _indices(path: Path, queries: int) -> list[set[int]]:
    # Blank lines count: a query may have no junk.
    lines = read_text(path).rstrip().split("\n")
    lines += [""] * (queries - len(lines))
    if len(lines) != queries:
        raise DataError(f"{path} has {len(lines):,} lines for {queries:,} queries; restore the owners' file.")
    try:
        return [{int(index) for index in line.split()} for line in lines]
    except ValueError as error:
        raise DataError(f"{path} holds more than numbers ({error}); restore the owners' file.") from error

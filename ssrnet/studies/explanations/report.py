"""The study as Markdown, for a reader who has not read the code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ssrnet.analysis.mean_intervals import Interval
from ssrnet.explain.cam import CAMS, map_title
from ssrnet.explain.faithfulness import TOLERANCE
from ssrnet.studies.explanations.findings import Findings, ModelFindings
from ssrnet.studies.explanations.measure import CENTRE, RANDOM
from ssrnet.studies.explanations.network import BRANCHES_BY
from ssrnet.studies.explanations.summary import FEWEST, MOST_LIKE_TRAINED, TESTS, MethodSummary, ModelSummary

MINUS = "−"
ABSENT = "–"
SLOW = ", ".join(cam.title for cam in CAMS.values() if cam.masks_images)
CONTROL_TITLES = {RANDOM: "random (control)", CENTRE: "centre (control)"}

READING = f"""\
In brackets: 95 % intervals from draws of the vehicles, with replacement; with fewer than about 20 vehicles they are
too narrow. *random* is a map drawn cell by cell, *centre* a Gaussian in the middle of the image: a map that is no
better than these two says nothing.

- **Faithful** (Petsiuk et al., RISE, BMVC 2018): pixels are taken away, or brought back, in the map's order; the score
  is the cosine to the reference. Insertion's area minus deletion's must exceed both controls', intervals above 0.
- **Finds the change**: of two renderings that differ in one mark, the difference of the two maps must lie on the mark
  more than its area explains, interval above 1. Most marks are smaller than a cell of F_G, so that even a perfect map
  has most of its mass beside them.
- **Depends on training** (Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018): with all weights random, the
  rank correlation with the trained network's map must stay under {MOST_LIKE_TRAINED:g}, interval included. The limit
  is our choice.
- **Trusted** is a map that passes every test that could be made, on this network and these photographs. A test on
  fewer than {FEWEST} vehicles is none.

Where a map lies says as much about the network as about the map: one that is faithful to a network which does not
look at stickers must not show them. So shares of parts and the pointing game (Zhang et al., IJCV 2018; the maximum
within {TOLERANCE:g} of the side from a mark) are findings, no tests, and so is the share of a map's mass on the
vehicle, which a blob in the middle would win. Shares of parts are mass over area: 1 is chance. M_s belongs to the image
alone, not to a pair, and is a weight that is nowhere 0: its shares stay near 1. |F_attn| and |F_G| are the lengths (L2
norms) of the channels of F_attn and F_G at each cell, of the image alone too."""


def markdown(findings: Findings, summaries: Sequence[ModelSummary]) -> str:
    """The verdict, then each network's tables, then how to read them and what was measured."""
    record = findings.record
    parts = [
        "# Which explanation of a similarity deserves trust",
        f"Measured on {record['dataset']}: {len(record['photographs']):,} photographs, "
        f"{len(record['pairs']):,} pairs with and without a mark.",
        "\n".join(f"- **{one.title}**: {_verdict(one)}" for one in summaries),
    ]
    for model, summary in zip(findings.models, summaries, strict=True):
        parts += [f"## {summary.title}", *_model(model, summary)]
    parts += ["## How to read this", READING, "## What was measured", _record(findings)]
    return "\n\n".join(parts) + "\n"


def _title(name: str) -> str:
    """Of a row: "HiResCAM, token branch" for "hires-cam, token branch"."""
    method, comma, branch = name.partition(",")
    return CONTROL_TITLES.get(name, map_title(method) + comma + branch)


def _verdict(summary: ModelSummary) -> str:
    if summary.trusted:
        best, *others = (_title(one.name) for one in summary.trusted)
        also = f" {' and '.join(others)} {'pass' if len(others) > 1 else 'passes'} as well." if others else ""
        return f"{best} deserves trust: of the maps that pass every test it gains most.{also}"
    judged = [one for one in summary.methods if not one.is_control and one.tests["faithful"] is not None]
    too_few = f"no map was tested: fewer than {FEWEST} vehicles have deletion and insertion curves."
    return "no map passes every test." if judged else too_few


def _model(model: ModelFindings, summary: ModelSummary) -> list[str]:
    parts = [sentence for sentence in (model.no_M_s, model.no_F_attn) if sentence]
    methods = summary.methods
    judged = [one for one in methods if one.gain or one.pair_change or one.randomised]
    if judged:
        parts.append(
            _by_map(
                judged,
                {
                    "faithful: gain": lambda one: _number(one.gain),
                    "more than random": lambda one: _signed(one.over_random),
                    "more than centre": lambda one: _signed(one.over_centre),
                    "finds the change": lambda one: _times(one.pair_change),
                    "random weights": lambda one: _number(one.untrained),
                    "trusted": _trusted,
                    "on the vehicle (no test)": lambda one: _percent(one.vehicle),
                },
            )
        )
    curves = [one for one in methods if one.gain]
    if curves:
        said = f"Areas under the curves, {_count(curves[0].gain)}. {SLOW} and the curves are of these alone."
        parts += [
            said,
            _by_map(
                curves,
                {
                    "insertion (high is good)": lambda one: _number(one.insertion),
                    "deletion (low is good)": lambda one: _number(one.deletion),
                },
            ),
        ]
    marks = [one for one in methods if one.hits]
    if marks:
        who = ", all with look-alikes" if summary.siblings_only else ""
        said = f"Marks in sight: {_count(max((one.hits for one in marks), key=lambda own: own.rows))}{who}. "
        parts += [
            f"{said}A random point hits one in {_percent(summary.chance)}.",
            _by_map(
                marks,
                {
                    "pointing game": lambda one: _percent(one.hits),
                    "mass on marks": lambda one: _times(one.marks),
                    "photographs": lambda one: f"{one.hits.rows:,}",
                },
            ),
        ]
    if any(one.parts for one in methods):
        parts += ["Mass over area of each part, over the photographs that show it.", _parts_table(summary)]
    if summary.removed:
        said = f"Removing a mark changes the similarity by {_signed(summary.removed, 4)} "
        said += f"({_count(summary.removed, 'pair')}; it falls in {_percent(summary.fell)})"
        said += f", moving it by {_signed(summary.moved, 4)}." if summary.moved else "."
        parts += [
            said,
            _by_map(
                [one for one in methods if one.pair_share],
                {
                    "mass on the mark": lambda one: _times(one.pair_share),
                    "change on the mark": lambda one: _times(one.pair_change),
                    "rank correlation of mass and effect": lambda one: _number(one.agreement),
                    "pairs": lambda one: f"{one.pair_share.rows:,}",
                },
            ),
        ]
    if any(one.randomised for one in methods):
        said = "Rank correlation with the trained network's map, as weights are randomised from the output on; "
        parts += [f"{said}last column: with the trained map of another photograph.", _stages_table(summary)]
    return parts


def _by_map(methods: Sequence[MethodSummary], columns: dict[str, Callable[[MethodSummary], str]]) -> str:
    lines = [[_title(one.name), *(say(one) for say in columns.values())] for one in methods]
    return _table(["", *columns], lines)


def _parts_table(summary: ModelSummary) -> str:
    shown = [one for one in summary.methods if one.parts]
    labels = dict.fromkeys(label for one in shown for label in one.parts)
    lines = [
        [label, *(f"{one.parts[label]:.2f}" if label in one.parts else ABSENT for one in shown)] for label in labels
    ]
    return _table(["mass / area", *(_title(one.name) for one in shown)], lines)


def _stages_table(summary: ModelSummary) -> str:
    shown = [one for one in summary.methods if one.randomised]
    stages = list(dict.fromkeys(stage for one in shown for stage in one.randomised))
    lines = [
        [_title(one.name), *(_number(one.randomised.get(stage)) for stage in stages), _number(one.other)]
        for one in shown
    ]
    return _table(["", *stages, "other photograph"], lines)


def _record(findings: Findings) -> str:
    record = findings.record
    settings = record["settings"]
    lines = [
        f"- {model.title}: `{model.made_by['checkpoint']}`, SHA-256 {model.made_by['checkpoint_hash']}…, "
        f"{model.made_by['image_size']} px."
        for model in findings.models
    ]
    lines += [
        f"- Data: {record['dataset']}, hash {record['dataset_hash']}, masks and probes {record['annotations_hash']}.",
        f"- Similarity: {record['similarity']}.",
        f"- Deletion to {record['deletion']}; insertion from {record['insertion']}; {settings['steps']} steps.",
        f"- {SLOW} by {settings['score_channels']} channels; branches by {map_title(BRANCHES_BY)}.",
        f"- Sample and random numbers: seed {settings['seed']}; ssrnet {record['version']}. "
        "The JSON file of the same run names every photograph.",
    ]
    lines += [f"- Left out: {part} ({reason})." for part, reason in findings.left_out.items()]
    return "\n".join(lines)


def _trusted(one: MethodSummary) -> str:
    if one.is_control:
        return ABSENT
    failed = [test for test in TESTS if one.tests[test] is False]
    unknown = [test for test in TESTS if one.tests[test] is None]
    if len(unknown) == len(TESTS):
        return "not tested"
    said = f"fails: {', '.join(failed)}" if failed else "yes"
    if not failed and one.tests["faithful"] is None:
        said = "unknown"
    return said + (f" (not tested: {', '.join(unknown)})" if unknown else "")


def _number(own: Interval | None) -> str:
    return ABSENT if own is None else f"{own.value:.2f} [{own.low:.2f}, {own.high:.2f}]".replace("-", MINUS)


def _signed(own: Interval | None, digits: int = 2) -> str:
    if own is None:
        return ABSENT
    value, low, high = (f"{number:+.{digits}f}".replace("-", MINUS) for number in (own.value, own.low, own.high))
    return f"{value} [{low}, {high}]"


def _times(own: Interval | None) -> str:
    return ABSENT if own is None else f"{own.value:.1f}x [{own.low:.1f}, {own.high:.1f}]"


def _percent(own: Interval | None) -> str:
    return ABSENT if own is None else f"{100 * own.value:.0f} % [{100 * own.low:.0f}, {100 * own.high:.0f}]"


def _count(own: Interval, what: str = "photograph") -> str:
    vehicles = "vehicle" if own.vehicles == 1 else "vehicles"
    return f"{own.rows:,} {what}{'s' if own.rows != 1 else ''} of {own.vehicles:,} {vehicles}"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in [head, rule, *lines])  # |F_attn| is one cell
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)

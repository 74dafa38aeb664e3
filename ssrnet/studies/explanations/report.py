"""The study's report in Markdown, for a reader who has not read the code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ssrnet.analysis.mean_intervals import Interval
from ssrnet.explain.cam import CAMS, map_title
from ssrnet.explain.faithfulness import TOLERANCE
from ssrnet.studies.explanations.measure import CENTRE, RANDOM
from ssrnet.studies.explanations.measurements import Measurements, ModelMeasurements
from ssrnet.studies.explanations.network import BRANCHES_BY
from ssrnet.studies.explanations.summary import FEWEST, MOST_LIKE_TRAINED, TESTS, MethodSummary, ModelSummary

MINUS = "−"
ABSENT = "–"
SLOW = ", ".join(cam.title for cam in CAMS.values() if cam.masks_images)
CONTROL_TITLES = {RANDOM: "random (control)", CENTRE: "centre (control)"}

READING = f"""\
Brackets hold 95 % bootstrap intervals over vehicles; with fewer than about 20 vehicles they are too narrow. *random* is
a map drawn cell by cell, *centre* a Gaussian in the middle of the image: a map that is no better than these two
controls explains nothing.

- **Faithful** (Petsiuk et al., RISE, BMVC 2018): pixels are deleted, or restored, in the map's order; the score is the
  cosine to the reference. Insertion's area minus deletion's must exceed both controls', intervals above 0.
- **Finds the change**: for two renderings that differ in one mark, the difference of the two maps must lie on the mark
  more than its area explains, interval above 1. Most marks are smaller than a cell of F_G, so that even a perfect map
  has most of its mass beside them.
- **Depends on training** (Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018): with all weights random, the
  rank correlation with the trained network's map must stay under {MOST_LIKE_TRAINED:g}, interval included. The limit
  is our choice.
- **Trusted** is a map that passes every test that was possible, on this network and these photographs. A test needs at
  least {FEWEST} vehicles.

The position of a map depends on the network as much as on the map: a faithful map of a network that ignores stickers
must not show them. So the shares of parts, the pointing game (Zhang et al., IJCV 2018; the maximum within {TOLERANCE:g}
of the side from a mark) and the share of a map's mass on the vehicle, where a blob in the middle would win, are no
tests. Shares of parts are mass over area: 1 is chance. M_s depends on the image alone, not on a pair, and is nowhere 0:
its shares stay near 1. |F_attn| and |F_G| are the lengths (L2 norms) of the channels of F_attn and F_G at each cell,
and depend on the image alone too."""


def markdown(measurements: Measurements, summaries: Sequence[ModelSummary]) -> str:
    """The verdicts, then each network's tables, then how to read them and what was measured."""
    record = measurements.record
    blocks = [
        "# Which explanation of a similarity deserves trust",
        f"Measured on {record['dataset']}: {len(record['photographs']):,} photographs, "
        f"{len(record['pairs']):,} pairs with and without a mark.",
        "\n".join(f"- **{one.title}**: {_verdict(one)}" for one in summaries),
    ]
    for model, summary in zip(measurements.models, summaries, strict=True):
        blocks += [f"## {summary.title}", *_model(model, summary)]
    blocks += ["## How to read this", READING, "## What was measured", _record(measurements)]
    return "\n\n".join(blocks) + "\n"


def _title(name: str) -> str:
    """Of a row: "HiResCAM, token branch" for "hires-cam, token branch"."""
    method, comma, branch = name.partition(",")
    return CONTROL_TITLES.get(name, map_title(method) + comma + branch)


def _verdict(summary: ModelSummary) -> str:
    if summary.trusted:
        best, *others = (_title(one.name) for one in summary.trusted)
        *first, last = others or [""]
        passing = f"{', '.join(first)} and {last} pass" if first else f"{last} passes"
        also = f" {passing} as well." if others else ""
        return f"{best} deserves trust: of the maps that pass every test it gains most.{also}"
    judged = [one for one in summary.methods if not one.is_control and one.tests["faithful"] is not None]
    too_few = f"no map was tested: fewer than {FEWEST} vehicles have deletion and insertion curves."
    return "no map passes every test." if judged else too_few


def _model(model: ModelMeasurements, summary: ModelSummary) -> list[str]:
    blocks = [sentence for sentence in (model.no_M_s, model.no_F_attn) if sentence]
    methods = summary.methods
    judged = [one for one in methods if one.gain or one.pair_change or one.randomised]
    if judged:
        blocks.append(
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
        blocks += [
            f"Areas under the curves, {_count(curves[0].gain)}. Only these have curves and {SLOW}.",
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
        only = ", all with look-alikes" if summary.siblings_only else ""
        blocks += [
            f"Marks in sight: {_count(max((one.hits for one in marks), key=lambda hits: hits.rows))}{only}. "
            f"A random point hits one in {_percent(summary.chance)}.",
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
        blocks += ["Mass over area of each part, over the photographs that show it.", _parts_table(summary)]
    if summary.removed:
        sentence = f"Removing a mark changes the similarity by {_signed(summary.removed, 4)} "
        sentence += f"({_count(summary.removed, 'pair')}; it falls in {_percent(summary.fell)})"
        sentence += f", moving it by {_signed(summary.moved, 4)}." if summary.moved else "."
        blocks += [
            sentence,
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
        blocks += [
            "Rank correlation with the trained network's map, as weights are randomised from the output on; "
            "last column: with the trained map of another photograph.",
            _stages_table(summary),
        ]
    return blocks


def _by_map(methods: Sequence[MethodSummary], columns: dict[str, Callable[[MethodSummary], str]]) -> str:
    lines = [[_title(one.name), *(cell(one) for cell in columns.values())] for one in methods]
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


def _record(measurements: Measurements) -> str:
    record = measurements.record
    settings = record["settings"]
    lines = [
        f"- {model.title}: `{model.made_by['checkpoint']}`, SHA-256 {model.made_by['checkpoint_hash']}…, "
        f"{model.made_by['image_size']} px."
        for model in measurements.models
    ]
    lines += [
        f"- Data: {record['dataset']}, hash {record['dataset_hash']}, masks and probes {record['annotations_hash']}.",
        f"- Similarity: {record['similarity']}.",
        f"- Deletion to {record['deletion']}; insertion from {record['insertion']}; {settings['steps']} steps.",
        f"- {SLOW} by {settings['score_channels']} channels; branches by {map_title(BRANCHES_BY)}.",
        f"- Sample and random numbers: seed {settings['seed']}; ssrnet {record['version']}. "
        "The JSON file of the same run names every photograph.",
    ]
    lines += [f"- Left out: {name} ({reason})." for name, reason in measurements.left_out.items()]
    return "\n".join(lines)


def _trusted(one: MethodSummary) -> str:
    if one.is_control:
        return ABSENT
    failed = [test for test in TESTS if one.tests[test] is False]
    unknown = [test for test in TESTS if one.tests[test] is None]
    if len(unknown) == len(TESTS):
        return "not tested"
    verdict = f"fails: {', '.join(failed)}" if failed else "yes"
    if not failed and one.tests["faithful"] is None:
        verdict = "unknown"
    return verdict + (f" (not tested: {', '.join(unknown)})" if unknown else "")


def _number(one: Interval | None) -> str:
    return ABSENT if one is None else f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]".replace("-", MINUS)


def _signed(one: Interval | None, digits: int = 2) -> str:
    if one is None:
        return ABSENT
    value, low, high = (f"{number:+.{digits}f}".replace("-", MINUS) for number in (one.value, one.low, one.high))
    return f"{value} [{low}, {high}]"


def _times(one: Interval | None) -> str:
    return ABSENT if one is None else f"{one.value:.1f}x [{one.low:.1f}, {one.high:.1f}]"


def _percent(one: Interval | None) -> str:
    return ABSENT if one is None else f"{100 * one.value:.0f} % [{100 * one.low:.0f}, {100 * one.high:.0f}]"


def _count(one: Interval, noun: str = "photograph") -> str:
    vehicles = "vehicle" if one.vehicles == 1 else "vehicles"
    return f"{one.rows:,} {noun}{'s' if one.rows != 1 else ''} of {one.vehicles:,} {vehicles}"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in [head, rule, *lines])  # |F_attn| is one cell
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)

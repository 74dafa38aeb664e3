"""The study's report in Markdown: what was chosen on the first town, and how the rule does on the second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssrnet.studies.alignment.choose import HARM, USEFUL, Choice, is_flagged, shares
from ssrnet.studies.alignment.draws import IMAGES, MIXES, VEHICLES
from ssrnet.studies.alignment.measure import ALIKE, FEWEST_QUERIES, PRIORS, DrawResult

ABSENT = "–"


def markdown(record: dict, first: Sequence[DrawResult], second: Sequence[DrawResult], choice: Choice) -> str:
    """``first``: draws from the town to choose on; ``second``: those from the town to report."""
    at = PRIORS.index(choice.prior)
    models = list(dict.fromkeys(one.model for one in first))
    blocks = [
        "# Camera alignment: which settings, and when to be careful",
        f"Chosen on {record['choose']['dataset']} ({record['choose']['images']:,} images of "
        f"{record['choose']['vehicles']:,} vehicles by {record['choose']['cameras']:,} cameras that no checkpoint was "
        f"trained on) and tried on {record['report']['dataset']}, another such town, which chose nothing. "
        f"Models: {' and '.join(models)}.",
        f"- **Prior: {choice.prior:g} images**, the one that harms the fewest draws.\n"
        f"- **At least {choice.min_images} images a camera**, the smallest number tried at which both models gain under "
        "every mix.\n"
        f"- **Caution below {choice.min_distinct:g} different pictures a camera** (median over the cameras; two pictures "
        f"are nearly the same from a cosine of {choice.alike:g} on).",
        "## The prior",
        "The whole set's statistics count as so many images in each camera's. Harmed: draws whose mAP falls by more "
        f"than {100 * HARM:g} points.",
        _table(
            ["", *(f"{prior:g}" for prior in PRIORS)],
            [
                ["harmed", *(f"{share:.1%}" for share in choice.harmed)],
                *(
                    [f"mean gain, {model}", *(_points(np.mean(column)) for column in zip(*_gains(first, model)))]
                    for model in models
                ),
            ],
        ),
    ]
    for model in models:
        blocks += [f"## {model}: gain of mAP with a prior of {choice.prior:g}", _grid(first, model, at)]
    blocks += ["## When to be careful", _rule(first, second, choice, at), "## What was drawn", _drawn(record)]
    return "\n\n".join(blocks) + "\n"


def _gains(results: Sequence[DrawResult], model: str) -> list[tuple[float, ...]]:
    return [one.gains for one in results if one.model == model]


def _grid(results: Sequence[DrawResult], model: str, at: int) -> str:
    """A row for each mix and number of vehicles, a column for each number of images a camera."""
    rows = []
    for mix, words in MIXES.items():
        for vehicles in VEHICLES:
            cells = []
            for images in IMAGES:
                kind = (model, mix, vehicles, images)
                gains = [
                    one.gains[at]
                    for one in results
                    if (one.model, one.draw.mix, one.draw.vehicles, one.draw.images) == kind
                ]
                cells.append(_points(np.mean(gains)) if gains else ABSENT)
            rows.append([words if vehicles == VEHICLES[0] else "", "all" if vehicles is None else vehicles, *cells])
    heading = ["mix", "vehicles", *("all images" if n is None else f"{n} images a camera" for n in IMAGES)]
    return _table(heading, rows)


def _rule(first: Sequence[DrawResult], second: Sequence[DrawResult], choice: Choice, at: int) -> str:
    rows = [
        [one.fact, f"{'above' if one.fact == 'mix' else 'below'} {one.value:g}", *(f"{s:.0%}" for s in one.flagged)]
        for one in choice.thresholds
    ]
    bad = np.array([one.gains[at] < -HARM for one in second])
    flagged = shares(np.array([is_flagged(one, choice) for one in second]), bad)
    unused = [one.fact for one in choice.thresholds if one.fact == "mix" and one.separation < USEFUL]
    mix = "Mixes that differ do not tell it well enough and are not part of the rule. " if unused else ""
    return (
        "What is known without vehicle labels, each with the threshold that tells harmed draws from the others best, on "
        "the first town:\n\n"
        + _table(["fact", "flagged", "of harmed draws", "of the others"], rows)
        + f"\n\n{mix}On the second town alignment harmed {bad.mean():.1%} of {len(bad):,} draws; the rule flagged "
        f"{flagged[0]:.0%} of these and {flagged[1]:.0%} of the others."
    )


def _drawn(record: dict) -> str:
    return (
        f"Every combination of the tables' rows and columns, {record['seeds']} draws each; cross-camera, cosine, "
        f"statistics and ranking from the drawn images alone. Draws with fewer than {FEWEST_QUERIES} queries are left "
        "out. The same command makes all of it again: `ssrnet study alignment --baseline checkpoints/baseline.safetensors "
        "--ssrnet checkpoints/ssrnet.safetensors`. Checkpoints: "
        + ", ".join(f"{one['checkpoint']} (SHA-256 {one['checkpoint_hash']}…)" for one in record["models"].values())
        + f"; towns: {record['choose']['dataset_hash']} and {record['report']['dataset_hash']}; ssrnet "
        f"{record['version']}. Cosines tried for nearly the same picture: {', '.join(f'{a:g}' for a in ALIKE)}."
    )


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def _table(heading: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)

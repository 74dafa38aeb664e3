"""Causes of wrong first images: the strongest finding, all of them against chance, and their pictures."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.widgets.components.image_rows import Figure, ImageRow
from app.widgets.controls import one_of
from app.widgets.export import chart, csv_button
from app.widgets.failure_charts import causes_chart
from app.widgets.failure_queries import query_at, query_in
from app.widgets.prints import Cell, Row, pictures_export
from app.widgets.query_panel import rows_of_queries
from app.widgets.rank_list import PRINTED, photograph_for_print
from app.workbench.failures import Failures, figure
from app.workbench.images import image_label, thumbnail
from ssrnet.analysis.causes import NOT_LOOKED, SIGNIFICANT, CauseCount, Causes
from ssrnet.analysis.paper_figures import BLUE, RED
from ssrnet.analysis.picture_cells import cell_ratio, on_ground

MOST_ROWS = 24
PAIRS_ACROSS = 4
"""Pairs of query and first image in one row on paper."""
NO_CAUSE = "none of these"
CHANCE_HELP = (
    "By chance: each wrong first image drawn uniformly from the gallery images of other vehicles (none is junk); in "
    "brackets the range of 95 % of such draws, exact (Poisson-binomial). Images of which it is unknown are left out. "
    "Strongest is the cause whose count has the smallest two-sided probability by chance. Several causes are looked at, so "
    f"that probability, times their number, must be below {SIGNIFICANT:g}. Queries of one vehicle often fail together, which "
    "the draws leave out: ranges are rather too narrow."
)


def findings(pair: Failures, causes: tuple[Causes, Causes]) -> None:
    """The strongest finding of each model, a line each."""
    lines = [f"**{title}**: {finding(of_model)}" for title, of_model in zip(pair.titles, causes, strict=True)]
    st.markdown("  \n".join(lines), help=CHANCE_HELP)


def finding(causes: Causes) -> str:
    """The cause that is least likely by chance, as a sentence."""
    wrong = len(causes.confusions.query)
    if not wrong:
        return "no wrong first image."
    strongest = causes.strongest()
    if strongest is None:
        return f"{_images(wrong)}; the data shows none of the causes that are looked for."
    count, looked_at, beyond = strongest
    if beyond:
        return f"{_against_chance(count)}, the strongest of {looked_at} causes looked at."
    return (
        f"of {looked_at} causes looked at, none is beyond chance among {_images(wrong)}. Least likely by chance: "
        f"{_against_chance(count)}."
    )


def causes_section(pair: Failures, causes: tuple[Causes, Causes]) -> None:
    """All causes against chance beside the chosen query, then a contact sheet of one cause."""
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if any(len(each.confusions.query) for each in causes):
            _against_chance_drawn(pair, causes)
        else:
            st.success("Both models list a right vehicle first for every query that has a match.")
    with right:
        query_at(pair, query_in(pair))
    _contact_sheet(pair, causes)


def _against_chance_drawn(pair: Failures, causes: tuple[Causes, Causes]) -> None:
    counts = [each.counts() for each in causes]
    if counts[0]:
        drawn = figure(pair, causes_chart, counts, key=len(counts[0]))
        chart(drawn, "causes", _alt(pair, counts), key="failures_causes")
        st.caption(
            "Upright lines: how often an image of another vehicle drawn at random would show it, with the range of "
            "95 % of draws. Of several causes looked at, one in twenty leaves its range by chance."
        )
        beyond = [f"{title}: {_beyond(each)}" for title, each in zip(pair.titles, causes, strict=True)]
        st.caption(f"Beyond chance with as many causes looked at, in brackets by chance. {'; '.join(beyond)}.")
    unknown = causes[1].unknown
    names: dict[str, list[str]] = {}
    for name, why in unknown.items():
        names.setdefault(why, []).append(name)
    if unknown:
        listed = "; ".join(f"{', '.join(of)} ({why})" for why, of in names.items())
        look = " Open *Labels and copies* to look." if NOT_LOOKED in names else ""
        st.caption(f"Unknown here: {listed}.{look}")


def confused_rows(causes: Causes, positions: Sequence[int]) -> list[ImageRow]:
    """Each query of the confusions at ``positions``, beside the image that took its first place."""
    confused, rows = causes.confusions, []
    for i in positions:
        query, image = confused.split.query[confused.query[i]], confused.split.gallery[confused.first_image[i]]
        before, named = int(confused.images_before[i]), causes.of(i)
        note = f"{before} image{'s' if before > 1 else ''} of {image.vehicle_id} before the first match"
        note += f"; {', '.join(named)}" if named else ""
        cost = Figure(thumbnail(query), f"query {query.name}", image_label(query), "query", query.name)
        wrong = Figure(thumbnail(image), f"first image {image.name}", f" {image_label(image)}", "error", mark="1 ✗")
        rows.append(ImageRow(query.name, note, (cost, wrong)))
    return rows


def printed_pairs(causes: Causes, positions: Sequence[int], heading: str) -> list[Row]:
    """The same pairs for paper, :data:`PAIRS_ACROSS` a row: the query, then the image that took its first place."""
    confused = causes.confusions
    pairs = [
        (confused.split.query[confused.query[i]], confused.split.gallery[confused.first_image[i]]) for i in positions
    ]
    shown = {image: photograph_for_print(image) for pair in pairs for image in pair}
    size = PRINTED, round(PRINTED / cell_ratio([picture.size for picture in shown.values()]))
    cells = []
    for i, (query, image) in zip(positions, pairs, strict=True):
        words = f"1 ✗ {image_label(image)}\n{', '.join(causes.of(i))}"
        cells += [Cell(on_ground(shown[query], size), f"Query\n{image_label(query)}", BLUE)]
        cells += [Cell(on_ground(shown[image], size), words, RED)]
    starts = range(0, len(cells), 2 * PAIRS_ACROSS)
    return [Row("" if start else heading, cells[start : start + 2 * PAIRS_ACROSS]) for start in starts]


def _contact_sheet(pair: Failures, causes: tuple[Causes, Causes]) -> None:
    """The pairs of query and first image of one model that show one cause, lowest AP first."""
    title = one_of("Wrong first images of", pair.titles, "failures_model", default=pair.titles[-1])
    shown = causes[pair.titles.index(title)]
    sheets = {cause.name: shown.showing(cause.name) for cause in shown.known} | {NO_CAUSE: shown.showing(None)}
    sheets = {name: positions for name, positions in sheets.items() if len(positions)}
    if not sheets:
        st.caption("This model lists a right vehicle first for every query that has a match.")
        return
    strongest = shown.strongest()
    first = strongest.count.name if strongest and strongest.count.name in sheets else next(iter(sheets))
    options = {name: f"{name} ({len(positions):,})" for name, positions in sheets.items()}
    name = one_of("That show", options, "failures_cause", default=first)
    positions = sheets[name]
    cut = (
        f"the {MOST_ROWS} of {len(positions):,} with the lowest AP" if len(positions) > MOST_ROWS else "lowest AP first"
    )
    st.markdown(f"**{title}, {name}** ({cut}). A click on a query opens it in Retrieval.")
    positions = positions[:MOST_ROWS]
    rows_of_queries(confused_rows(shown, positions), "failures_causes_images")
    with st.container(horizontal=True):
        heading = f"{title}, wrong first images: {name} ({cut})"
        file = f"wrong first images {title} {name}"
        pictures_export(file, lambda: printed_pairs(shown, positions, heading), key="failures_causes_export")
        csv_button(shown.rows, f"causes {title}")


def _against_chance(count: CauseCount) -> str:
    some = f"{count.count:,} show{'s' if count.count == 1 else ''}" if count.count else "none shows"
    return (
        f"of {_images(count.queries)} {some} {count.words}; by chance it would be "
        f"{count.expected:,.1f} ({count.low:,.0f} to {count.high:,.0f})"
    )


def _beyond(causes: Causes) -> str:
    """The causes beyond chance, the least likely first."""
    counts = causes.beyond_chance()
    return ", ".join(f"{count.name} {count.count:,} ({count.expected:,.1f})" for count in counts) or "none"


def _images(wrong: int) -> str:
    return f"{wrong:,} wrong first image{'s' if wrong > 1 else ''}"


def _alt(pair: Failures, counts: Sequence[Sequence[CauseCount]]) -> str:
    sides = [
        f"{title}: "
        + ", ".join(f"{each.name} {each.count} of {each.queries}, by chance {each.expected:.1f}" for each in of)
        for title, of in zip(pair.titles, counts, strict=True)
    ]
    return "Wrong first images by cause, against chance. " + ". ".join(sides)

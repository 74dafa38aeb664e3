"""Scoreboard: which model is better, by how much and where; curves, training runs side by side, and the paper's tables as measured."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.widgets.alignment_note import show_cautions
from app.widgets.controls import one_of
from app.widgets.evaluations import evaluations, metrics_table
from app.widgets.export import chart
from app.widgets.model_charts import bandwidths, cmc_figure, distribution_figure, roc_figure
from app.widgets.needs_labels import needs_labels
from app.widgets.page import explain
from app.widgets.problems import fragment, open_typed
from app.widgets.readings import readings_box
from app.widgets.source import show_seen_in_training
from app.widgets.study_table import study_table
from app.widgets.symbols import typeset
from app.widgets.training_runs import AXES, MOST_RUNS, training_runs
from app.widgets.verdict_details import verdict_details
from app.workbench import Workbench
from app.workbench import runs as run_files
from app.workbench.matches import verification
from app.workbench.verdicts import pairs_of
from ssrnet.analysis.slice_extremes import slice_extremes
from ssrnet.analysis.verdict import compare_evaluations
from ssrnet.errors import ProtocolError, SSRNetError
from ssrnet.retrieval.verification import smoothed
from ssrnet.studies.html_report import curve_figure
from ssrnet.studies.report import CAUTION
from ssrnet.studies.tables import ReportTable, protocol_records
from ssrnet.training.runs import Axis, TrainingRun, differing_settings, read_run, stored_metrics

NEEDS_SOURCE = False
"""Runs lie in their own folders, so that the page works without a data set and without two models."""
REFRESH, REST = 3.0, 20.0
"""Seconds between two looks at runs of which one is going on, and where none is: a stopped one may be resumed."""

GUIDE = """
#### Nothing chosen yet

A *run* is the folder that `ssrnet train` had as `--out`. Choose one or several above, or type a path; runs below
`runs/` and `checkpoints/` of the folder that the app was started in, and of the project, are offered. The curves grow while a run trains.

No run yet? This trains a network and holds out 20 vehicles, so that mAP and rank-1 have curves too:
"""

COMMAND = "ssrnet train --data DIR --out runs/ssrnet --holdout 20"

INTRO = r"""
Which model is better, by how much, and where; how they came to it in training; and the paper's tables as measured here.
The ranking of all queries in one number is ${\mathrm{mAP} = \frac{1}{Q} \sum_{q=1}^{Q} AP_q}$ (Eq. 9).
"""
LOOK_FOR = """
**The differences** are those of `ssrnet compare`, from the same draws of the query vehicles; hollow marks stand for fewer than 20
vehicles. **Slices** are picked after looking at all of them, so their ends are no findings yet: test one on other data.
*Fixed* and *broken* go by rank 1.

**CMC@k** is the share of queries with a match among the first k; junk takes no rank. **Cosines of pairs** and the **ROC** take
every pair of query and gallery image that is not junk: the further apart a model's two densities, the better a threshold parts them;
the ROC's false matches stand on a logarithmic axis, since of millions of pairs one in a hundred is many.
With *Align cameras* in the sidebar, curves of aligned features are dashed, and their cosines stand in a second row.

**Loss** and its terms, **training accuracy** (share of training images that the classifiers assign to the right vehicle,
averaged over the branches) and **images per second** are means over an epoch; **learning rate** is that of the epoch's
last step. Runs are told apart by colour, branches (G global, attn attention, token relation) by dash. The loss is the
sum over a network's branches: SSR-Net's three make it larger than the baseline's one, so compare term by term.

**Held-back mAP and rank-1** are measured every few epochs on training vehicles that the run does not train on
(`--holdout`); the test split is never looked at during training. Only runs that hold back the same vehicles of the same
data (equal data set, `holdout` and `seed`) can be compared by them.

A run counts as stopped when its log has not grown for five minutes, or for four of its epochs if that is longer.

**The paper's tables** come from `ssrnet study`; the bundled ones say below each table on what, how long and how large
they were trained.
"""


def render(bench: Workbench | None) -> None:
    """The chosen models' numbers; a choice of runs with their curves, redrawn while one is running; studies."""
    if bench is not None and bench.dataset.is_labelled:
        _models(bench)
    elif bench is not None:
        needs_labels("A score")
    fragment(_training)(bench)
    _studies()
    explain((), LOOK_FOR, (compare_evaluations, slice_extremes, smoothed, read_run, differing_settings, stored_metrics))
    readings_box("scoreboard", list(bench.networks.values()) if bench is not None else [])


def _training(bench: Workbench | None) -> None:
    """A choice of runs, and what they have recorded; folded where the page has models' numbers, unless a link names runs."""
    opened = bench is None or "runs" in st.query_params
    options = {"key": "runs_open", "icon": ":material/timeline:", "on_change": "rerun", "bind": "query-params"}
    folded = st.expander("Training runs", opened, **options)
    if folded.open:
        with folded:
            _runs(bench)


def _runs(bench: Workbench | None) -> None:
    folders, axis = _choose(bench)
    if not folders:
        st.markdown(GUIDE)
        st.code(COMMAND, language="bash")
        return
    runs_or_errors = _read(folders)
    training_runs(runs_or_errors, axis)
    going_on = any(isinstance(run, TrainingRun) and run.going_on for run in runs_or_errors)
    fragment(_watch, run_every=REFRESH if going_on else REST)(folders, runs_or_errors)


def _models(bench: Workbench) -> None:
    """Metrics, CMC, cosines of pairs and ROC of the models under the sidebar's protocol."""
    models = bench.with_raw
    scored = evaluations(models.values())
    metrics_table(scored, pairs_of(bench), lead=False)
    show_seen_in_training(bench.raw.networks.values())
    show_cautions(bench)
    verdict_details(bench)
    st.subheader("Curves", anchor=False)
    try:
        pairs = {title: verification(model) for title, model in models.items()}
    except ProtocolError as error:
        st.info(str(error))
        return
    left, right = st.columns(2, gap="medium")
    with left:
        chart(cmc_figure(scored), "cmc", f"CMC curves of {' and '.join(scored)}")
    with right:
        chart(roc_figure(pairs), "roc", "ROC of accepting a pair as one vehicle, false matches on a logarithmic axis")
    chart(distribution_figure(pairs), "cosines", "Densities of the cosines of pairs of one vehicle and of two")
    st.caption(bandwidths(pairs))


def _studies() -> None:
    """The paper's tables as measured here, where a study has been run."""
    folders = run_files.study_folders()
    if not folders:
        return
    st.subheader("The paper's tables, measured", anchor=False)
    folder = folders[0]
    if len(folders) > 1:
        folder = st.selectbox("Folder of `ssrnet study`", folders, key="studies", bind="query-params")
    try:
        _tables(Path(folder))
    except SSRNetError as error:
        st.warning(str(error), icon=":material/error:")


def _tables(out: Path) -> None:
    """Every table of which the folder holds measured rows, and folded below them the paper's others.

    Raises :class:`DataError` for a file in ``out`` that is not what a study writes.
    """
    title, explanation = CAUTION
    st.caption(f"**{title}** {explanation}")
    tables = run_files.study_tables(out)
    measured = [table for table in tables if table.is_measured]
    for table in measured:
        _table(out, table)
    others = [table for table in tables if not table.is_measured]
    if others:
        fragment(_others)(out, others)


def _others(out: Path, tables: list[ReportTable]) -> None:
    """The paper's tables with no measured row, drawn once they are opened."""
    folded = st.expander(
        "The paper's tables that are not measured here", icon=":material/table_chart:", key="others", on_change="rerun"
    )
    if folded.open:
        with folded:
            for table in tables:
                _table(out, table)


def _table(out: Path, table: ReportTable) -> None:
    """One table with its notes and protocol records."""
    heading, record = st.columns([4, 1], vertical_alignment="bottom")
    heading.markdown(f"**{table.title}**")
    records = [(row.label, values) for row in table.rows for values in protocol_records(out, row)]
    if records:
        with record.popover("Protocol records", icon=":material/receipt_long:"):
            for label, values in records:
                st.markdown(f"**{label}**")
                st.json(values, expanded=False)
    if table.finding:
        st.markdown(typeset(table.finding))
    study_table(table)
    if table.curve:
        chart(curve_figure(table), f"study_{table.name}_curve", f"{table.title} as curves", width="content")
    st.caption(typeset("\n".join(f"- {note}" for note in table.notes)))


def _choose(bench: Workbench | None) -> tuple[list[Path], Axis]:
    """The runs to draw, at the start those that made the loaded models; and what they are drawn over."""
    left, right = st.columns([3, 1])
    linked = st.query_params.get_all("runs")
    made_by = [name for one in bench.networks.values() for name in run_files.runs_of(one.source)] if bench else []
    kept = st.session_state.get("runs_kept", list(dict.fromkeys(made_by))[:MOST_RUNS])
    chosen = left.multiselect(
        "Training runs",
        list(dict.fromkeys([*run_files.run_folders(), *linked, *kept])),
        default=kept,
        key="runs",
        bind="query-params",
        accept_new_options=True,
        max_selections=MOST_RUNS,
        placeholder="choose runs, or type a folder's path",
        on_change=open_typed,
        args=("runs",),
    )
    st.session_state["runs_kept"] = chosen  # the choice is not drawn, and so forgotten, while it is folded
    axis = one_of("Horizontal axis", AXES, "axis", place=right)
    return [run_files.run_folder(folder) for folder in chosen], axis


def _read(folders: list[Path]) -> list[TrainingRun | str]:
    """Each folder's run, or what is wrong with it."""
    runs_or_errors: list[TrainingRun | str] = []
    for folder in folders:
        try:
            runs_or_errors.append(read_run(folder))
        except SSRNetError as error:
            runs_or_errors.append(str(error))
    return runs_or_errors


def _watch(folders: list[Path], shown: list[TrainingRun | str]) -> None:
    """Draws nothing itself, so that a page on which nothing has happened does not flicker."""
    if _read(folders) != shown:
        st.rerun()

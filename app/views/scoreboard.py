"""Scoreboard: the models' numbers and curves, training runs side by side, and the paper's tables as measured."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import streamlit as st

from app.widgets import curves
from app.widgets.controls import one_of
from app.widgets.curves import AXES, MOST_RUNS, legend
from app.widgets.evaluations import evaluations, metrics_table
from app.widgets.export import chart, table
from app.widgets.model_charts import cmc_figure, distribution_figure, roc_figure
from app.widgets.problems import fragment, open_typed
from app.widgets.study_tables import study_tables
from app.workbench import Workbench
from app.workbench import runs as run_files
from app.workbench.matches import verification
from ssrnet.errors import ProtocolError, SSRNetError
from ssrnet.training.runs import HELD_BACK, Axis, StoredMetrics, TrainingRun, differing_settings, panels, read_run

NEEDS_SOURCE = False
"""Runs lie in their own folders, so that the page works without a data set and without two models."""
REFRESH, REST = 3.0, 20.0
"""Seconds between two looks at runs of which one is going on, and where none is: a stopped one may be resumed."""
COLUMNS = 3
BEST_CHECKPOINTS = ("best.safetensors", "last.safetensors")

GUIDE = """
#### Nothing chosen yet

A *run* is the folder that `ssrnet train` had as `--out`. Choose one or several above, or type a path; runs below
`runs/` and `checkpoints/` of the folder that the app was started in, and of the project, are offered. The curves grow while a run trains.

No run yet? This trains a network and keeps 20 vehicles back, so that mAP and rank-1 have curves too:
"""

COMMAND = "ssrnet train --data DIR --out runs/ssrnet --holdout 20"

EXPLANATION = """
**CMC@k** is the share of queries with a match among the first k; junk takes no rank. **Cosines of pairs** and the **ROC** take
every pair of query and gallery image that is not junk: far apart the two densities of a model are what a threshold needs;
the ROC's false matches stand on a logarithmic axis, since of millions of pairs one in a hundred is many.

**Loss** and its terms, **training accuracy** (share of training images whose vehicle the classifiers name rightly,
averaged over the branches) and **images per second** are means over an epoch; **learning rate** is that of the epoch's
last step. Runs are told apart by colour, branches (G global, attn attention, token relation) by dash. The loss is the
sum over a network's branches: SSR-Net's three make it larger than the baseline's one, so compare term by term.

**Held-back mAP and rank-1** are measured every few epochs on training vehicles that the run does not train on
(`--holdout`); the test split is never looked at during training. Only runs that hold back the same vehicles of the same
data (equal data set, `holdout` and `seed`) can be compared by them.

A run counts as stopped when its log has not grown for five minutes, or for four of its epochs if that is longer.

**The paper's tables** come from `ssrnet study`; the bundled ones say below each table on what, how long and how large
they were trained.

Functions: `ssrnet.training.runs.read_run`, `ssrnet.training.runs.differing_settings`, `ssrnet.training.runs.stored_metrics`.
"""


def render(bench: Workbench | None) -> None:
    """The chosen models' numbers; a choice of runs with their curves, redrawn while one is running; studies."""
    if bench is not None:
        _models(bench)
    fragment(_training)(bench)
    _studies()
    with st.expander("Explain", icon=":material/help:"):
        st.markdown(EXPLANATION)


def _training(bench: Workbench | None) -> None:
    """A choice of runs, and what they have recorded."""
    st.subheader("Training runs", anchor=False)
    folders, axis = _choose(bench)
    if not folders:
        st.markdown(GUIDE)
        st.code(COMMAND, language="bash")
        return
    runs_or_errors = _read(folders)
    _board(runs_or_errors, axis)
    going_on = any(isinstance(run, TrainingRun) and run.going_on for run in runs_or_errors)
    fragment(_watch, run_every=REFRESH if going_on else REST)(folders, runs_or_errors)


def _models(bench: Workbench) -> None:
    """Metrics, CMC, cosines of pairs and ROC of the models under the sidebar's protocol."""
    scored = evaluations(bench.models.values())
    metrics_table(scored)
    try:
        pairs = {title: verification(model) for title, model in bench.models.items()}
    except ProtocolError as error:
        st.info(str(error))
        return
    left, middle, right = st.columns(3)
    with left:
        chart(cmc_figure(scored), "cmc", f"CMC curves of {' and '.join(scored)}")
    with middle:
        chart(distribution_figure(pairs), "cosines", "Densities of the cosines of pairs of one vehicle and of two")
    with right:
        chart(roc_figure(pairs), "roc", "ROC of accepting a pair as one vehicle, false matches on a logarithmic axis")


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
        study_tables(Path(folder))
    except SSRNetError as error:
        st.warning(str(error), icon=":material/error:")


def _choose(bench: Workbench | None) -> tuple[list[Path], Axis]:
    """The runs to draw, at the start those that made the loaded models; and what they are drawn over."""
    left, right = st.columns([3, 1])
    linked = st.query_params.get_all("runs")
    made_by = [name for one in bench.networks.values() for name in run_files.runs_of(one.source)] if bench else []
    chosen = left.multiselect(
        "Training runs",
        list(dict.fromkeys([*run_files.run_folders(), *linked])),
        default=list(dict.fromkeys(made_by))[:MOST_RUNS],
        key="runs",
        bind="query-params",
        accept_new_options=True,
        max_selections=MOST_RUNS,
        placeholder="choose runs, or type a folder's path",
        on_change=open_typed,
        args=("runs",),
    )
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


def _board(runs_or_errors: list[TrainingRun | str], axis: Axis) -> None:
    """Curves and tables of the runs; where a folder has none, a sentence instead."""
    for problem in runs_or_errors:
        if isinstance(problem, str):
            st.warning(problem, icon=":material/folder_off:")
    runs = [run for run in runs_or_errors if isinstance(run, TrainingRun)]
    if not runs:
        return
    labels = _labels(runs)
    legend(runs, labels, [_progress(run) for run in runs])
    drawn = panels(runs)
    for first in range(0, len(drawn), COLUMNS):
        for column, panel in zip(st.columns(COLUMNS), drawn[first : first + COLUMNS]):
            with column:
                curves.chart(panel, runs, labels, axis)
    if drawn:
        _last_epochs(runs, labels)
    else:
        st.info("The first epoch has not ended yet; curves appear here by themselves once it has.")
    _differences(runs, labels)
    _checkpoints(runs, labels)


def _last_epochs(runs: list[TrainingRun], labels: list[str]) -> None:
    st.subheader("Last epoch", anchor=False)
    percent = st.column_config.NumberColumn(format="%.2f %%")
    table(
        [{"Run": label, "Network": run.title or None, **_last_numbers(run)} for run, label in zip(runs, labels)],
        "runs_last_epoch",
        {
            "Loss": st.column_config.NumberColumn(format="%.4f"),
            "Learning rate": st.column_config.NumberColumn(format="%.3g"),
            "Images/s": st.column_config.NumberColumn(format="%.1f"),
            **dict.fromkeys(("Accuracy", "mAP", "Rank-1", "Best mAP"), percent),
        },
    )
    if any(run.series(f"{HELD_BACK}/mAP")[0] for run in runs):
        st.caption("mAP and rank-1: of the vehicles held back from training, at the epoch that measured them last.")


def _last_numbers(run: TrainingRun) -> dict[str, object]:
    """The newest epoch; held-back metrics are the newest measured, since not every epoch has them."""
    last = run.last
    numbers: dict[str, object] = {
        "Epoch": _number(last.get("epoch")),
        "Pixels": _number(last.get("image_size")),
        "Minutes": round(last["minutes"], 1) if last else None,
        "Loss": last.get("loss"),
        "Accuracy": _percent(last.get("accuracy")),
        "Learning rate": last.get("learning_rate"),
        "Images/s": last.get("images_per_second"),
    }
    epochs, mAPs = run.series(f"{HELD_BACK}/mAP")
    if mAPs:
        numbers |= {
            "mAP": _percent(mAPs[-1]),
            "Rank-1": _percent(next(reversed(run.series(f"{HELD_BACK}/rank-1")[1]), None)),
            "At epoch": _number(epochs[-1]),
            "Best mAP": _percent(max(mAPs)),
        }
    return numbers


def _differences(runs: list[TrainingRun], labels: list[str]) -> None:
    if len(runs) < 2:
        return
    st.subheader("Settings that differ", anchor=False)
    rows = differing_settings(runs)
    if rows:
        table([{"Setting": name, **dict(zip(labels, values))} for name, values in rows.items()], "runs_settings")
    else:
        st.caption("None: these runs were started with the same settings.")


def _checkpoints(runs: list[TrainingRun], labels: list[str]) -> None:
    """Metrics that the runs' checkpoints hold, each with its record one click away."""
    stored: list[tuple[str, StoredMetrics]] = []
    for run, label in zip(runs, labels):
        for path in (run.folder / name for name in BEST_CHECKPOINTS):
            try:
                if path.exists():
                    stored += [(f"{label}/{path.name}", each) for each in run_files.stored_metrics(path)]
            except SSRNetError as error:
                st.warning(str(error), icon=":material/error:")
    st.subheader("Metrics in the checkpoints", anchor=False)
    if not stored:
        st.caption(
            "None: a checkpoint holds metrics once a run with `--holdout` has been evaluated; `ssrnet evaluate` "
            "measures any checkpoint on a test split."
        )
        return
    shares = {"Rank-1": "rank-1", "Rank-5": "rank-5", "mAP": "mAP", "mINP": "mINP"}
    rows = [
        {
            "Checkpoint": name,
            "Network": each.model,
            "Epoch": each.epoch,
            "Measured on": each.on,
            **{title: _percent(each.values.get(key)) for title, key in shares.items()},
            "Queries": _number(each.values.get("queries")),
        }
        for name, each in stored
    ]
    left, right = st.columns([4, 1], vertical_alignment="center")
    with left:
        table(rows, "checkpoints", dict.fromkeys(shares, st.column_config.NumberColumn(format="%.2f %%")))
    with right.popover("Protocol records", icon=":material/receipt_long:"):
        for name, each in stored:
            st.markdown(f"**{name}**, {each.on}")
            st.json(dict(each.record))


def _labels(runs: list[TrainingRun]) -> list[str]:
    """Folder names, and whole paths where names repeat."""
    counts = Counter(run.folder.name for run in runs)
    return [run.folder.name if counts[run.folder.name] == 1 else str(run.folder) for run in runs]


def _progress(run: TrainingRun) -> str:
    total = run.settings.get("epochs")
    done = f"epoch {run.last.get('epoch', 0):.0f}" + (f" of {total}" if total else "")
    return {
        "starting": "in its first epoch",
        "training": f"training, {done}",
        "stopped": f"stopped after {done}; its command goes on with --resume",
        "finished": f"finished after {done}",
    }[run.state]


def _number(value: float | None) -> int | None:
    return None if value is None else int(value)


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value

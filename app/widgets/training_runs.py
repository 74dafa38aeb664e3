"""Training runs side by side: curves with one legend for all, the last epochs, settings that differ, metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
import streamlit as st

from app.widgets.components import stylesheet
from app.widgets.export import COLOURS, DASHES, chart, lay_out, table
from app.workbench import runs as run_files
from ssrnet.errors import SSRNetError
from ssrnet.training.run_panels import Panel, panels
from ssrnet.training.runs import HELD_BACK, Axis, StoredMetrics, TrainingRun, differing_settings

MOST_RUNS = len(COLOURS)
HEIGHT = 330
AXES: dict[Axis, str] = {"epoch": "Epoch", "step": "Step", "minutes": "Minutes"}

STYLE = stylesheet("training_runs")
COLUMNS = 2
GREY = "#94a3b8"
"""Of what is no single run's."""
BEST_CHECKPOINTS = ("best.safetensors", "last.safetensors")

LEGEND_INSIDE = {"x": 1, "xanchor": "right", "y": 1, "yanchor": "top", "bgcolor": "rgba(0,0,0,0)"}
"""Loss terms fall, so their upper right corner is free."""


def training_runs(runs_or_errors: list[TrainingRun | str], axis: Axis) -> None:
    """Curves and tables of the runs; where a folder has none, a sentence instead."""
    for problem in runs_or_errors:
        if isinstance(problem, str):
            st.warning(problem, icon=":material/folder_off:")
    runs = [run for run in runs_or_errors if isinstance(run, TrainingRun)]
    if not runs:
        return
    labels = _labels(runs)
    _legend(runs, labels, [_progress(run) for run in runs])
    drawn = panels(runs)
    for first in range(0, len(drawn), COLUMNS):
        for column, panel in zip(st.columns(COLUMNS), drawn[first : first + COLUMNS]):
            with column:
                _draw(panel, runs, labels, axis)
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


def _legend(runs: Sequence[TrainingRun], labels: Sequence[str], notes: Sequence[str]) -> None:
    """Each run's colour, name, and a note on how far it is."""
    items = [
        f'<div class="run" title="{escape(str(run.folder), quote=True)}"><i style="color: {colour}"></i>'
        f"<b>{escape(label)}</b><span>{escape(note)}</span></div>"
        for run, label, note, colour in zip(runs, labels, notes, COLOURS)
    ]
    st.html(f'{STYLE}<div class="runs">{"".join(items)}</div>')


def _draw(panel: Panel, runs: Sequence[TrainingRun], labels: Sequence[str], axis: Axis) -> None:
    """One panel with all runs; runs differ by colour, branches by dash."""
    figure = go.Figure()
    for run, label, colour in zip(runs, labels, COLOURS):
        for (name, branch), dash in zip(panel.curves.items(), DASHES * len(panel.curves)):
            x, y = run.series(name, axis)
            if not x:
                continue
            # A line of one point, as after the first epoch, would be invisible.
            mode = "lines+markers" if panel.sparse or len(x) == 1 else "lines"
            figure.add_scatter(
                x=x,
                y=y,
                mode=mode,
                name=f"{label}, {branch}" if branch else label,
                showlegend=False,
                line={"color": colour, "dash": dash, "width": 2},
                marker={"size": 7},
                hovertemplate="%{y:.2%}" if panel.share else "%{y:.4g}",
            )
    _mark_sizes(figure, runs, axis)
    if len(panel.curves) > 1:  # which dash is which branch, in grey, since colours belong to runs
        for branch, dash in zip(panel.curves.values(), DASHES * len(panel.curves)):
            line = {"color": GREY, "dash": dash, "width": 2}
            figure.add_scatter(x=[None], y=[None], mode="lines", name=branch, line=line)
    lay_out(
        figure,
        HEIGHT,
        36,
        panel.title,
        hovermode="x unified",
        hoverlabel={"namelength": -1},
        legend=LEGEND_INSIDE if panel.title.startswith("Loss") else {"orientation": "h", "y": -0.35},
        # Without it a chart that is redrawn loses the reader's zoom.
        uirevision=f"{panel.title} {axis}",
    )
    figure.update_xaxes(title=AXES[axis], rangemode="tozero")
    # Held-back metrics differ by little between runs, so their axis need not start at 0.
    figure.update_yaxes(
        rangemode="normal" if panel.sparse else "tozero",
        tickformat=".3~p" if panel.share else ".2~e" if panel.tiny else None,
    )
    alt = f"{panel.title} of {', '.join(labels)}"
    chart(figure, f"runs_{panel.title}", alt, key=f"panel {panel.title}")


def _mark_sizes(figure: go.Figure, runs: Sequence[TrainingRun], axis: Axis) -> None:
    """An upright line where a run's images changed their size, in the run's colour, or in grey where several did."""
    colours: dict[tuple[float, int], list[str]] = {}
    for run, colour in zip(runs, COLOURS):
        for change in run.resized(axis):
            colours.setdefault(change, []).append(colour)
    for (at, pixels), of_runs in colours.items():
        colour = of_runs[0] if len(of_runs) == 1 else GREY
        line = {"color": colour, "dash": "dot", "width": 1.5}
        label = {"annotation_text": f"{pixels} px", "annotation_font_color": colour, "annotation_font_size": 13}
        figure.add_vline(x=at, line=line, annotation_position="bottom right", **label)

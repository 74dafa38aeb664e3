"""The report as one self-contained HTML page: each table as a Plotly figure, Fig. 4 also as curves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ssrnet.studies.paper import citation
from ssrnet.studies.readings import as_note, readings_of
from ssrnet.studies.report import CAUTION, HEADING, best, emphasised, heading, is_measured, reference_list
from ssrnet.studies.tables import ReportTable

ROW_HEIGHT = 28
HEAD_LINE = 16
LABEL_WIDTH, NUMBER_WIDTH, SOURCE_WIDTH = 180, 104, 200

LABEL_COLOURS = ("#f1f3f5", "#ffffff")
MEASURED_COLOURS = ("#1b6e53", "#e8f4ef")
PAPER_COLOURS = ("#4a5568", "#f7f8fa")
"""Colours (head, cells) of labels, of our measurements, and of the paper's numbers."""
CURVE_COLOURS = ("#2563eb", "#c2410c", "#15803d", "#7c3aed")

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a202c; max-width: 1150px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem }
.caution { background: #fff6e0; border-left: 4px solid #d69e2e; padding: .7rem 1rem }
ul { color: #4a5568; font-size: 13px; padding-left: 1.2rem; margin-top: .4rem } li { overflow-wrap: anywhere }
.figure { overflow-x: auto }
"""


def html_page(tables: list[ReportTable]) -> str:
    """The whole page, with Plotly's script inline, once."""
    title, explanation = CAUTION
    parts = [
        f"<h1>{escape(HEADING)}</h1>",
        f'<p class="caution"><strong>{escape(title)}</strong> {escape(explanation)}</p>',
        f"<p>The paper: {escape(citation())}</p>",
    ]
    script: bool = True
    for table in tables:
        figures = [table_figure(table)] + ([curve_figure(table)] if table.curve else [])
        parts.append(f'<h2 id="{table.name}">{escape(table.title)}</h2>')
        if table.finding:
            parts.append(f"<p>{escape(table.finding)}</p>")
        for figure in figures:
            body = figure.to_html(full_html=False, include_plotlyjs=script, config={"displayModeBar": False})
            parts.append(f'<div class="figure">{body}</div>')
            script = False
        parts.append(_listed(table.notes))
    parts += ['<h2 id="readings">Where the paper is silent</h2>', _listed(map(as_note, readings_of()))]
    parts += ['<h2 id="references">References of the tables</h2>', _listed(reference_list())]
    head = f'<meta charset="utf-8"><title>{escape(HEADING)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _listed(lines: Iterable[str]) -> str:
    """``lines`` as a list, what stands in backticks as code."""
    items = (re.sub("`(.+?)`", r"<code>\1</code>", escape(line)) for line in lines)
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def table_figure(table: ReportTable) -> go.Figure:
    """One table: measured columns green, the paper's grey; each heading names the source of its numbers."""
    bold = best(table)
    colours = [LABEL_COLOURS] + [MEASURED_COLOURS if is_measured(column) else PAPER_COLOURS for column in table.columns]
    labels, columns = [], [[] for _ in table.columns]
    for r, row in enumerate(table.rows):
        if row.group:
            labels.append(f"<b>{escape(row.group)}</b>")
            for column in columns:
                column.append("")
        label = escape(row.label)
        labels.append(f'<a href="{row.record}">{label}</a>' if row.record else label)
        for c, value in enumerate(map(escape, row.values)):
            shown = emphasised(value, "<b>", "</b>") if (r, c) in bold else value
            columns[c].append(shown.replace("\n", "<br>"))
    head_height = 18 + HEAD_LINE * max((len(heading(column)) for column in table.columns), default=1)
    left = [column.metric == "Source" for column in table.columns]
    widths = [LABEL_WIDTH] + [SOURCE_WIDTH if is_left else NUMBER_WIDTH for is_left in left]
    figure = go.Figure(
        go.Table(
            columnwidth=widths,
            header=dict(
                values=["", *("<br>".join(map(escape, heading(column))) for column in table.columns)],
                fill_color=[head for head, _ in colours],
                font=dict(color="white", size=11),
                height=head_height,
            ),
            cells=dict(
                values=[labels, *columns],
                fill_color=[cells for _, cells in colours],
                height=ROW_HEIGHT,
                align=["left", *("left" if is_left else "right" for is_left in left)],
                font=dict(size=12, color="#1e293b"),
            ),
        )
    )
    # Rows with links are drawn a little taller than specified, and what does not fit is clipped.
    height = head_height + sum(2 + ROW_HEIGHT + HEAD_LINE * ("<br>" in "".join(row)) for row in zip(*columns)) + 6
    figure.update_layout(width=sum(widths), height=height, margin=dict(l=0, r=0, t=0, b=0))
    return figure


def curve_figure(table: ReportTable) -> go.Figure:
    """Fig. 4's two panels, Rank-1 and mAP, with the points measured here; the paper does not give its points as numbers."""
    figure = make_subplots(1, 2, subplot_titles=("(a) Rank-1 accuracy, here", "(b) mAP, here"), horizontal_spacing=0.09)
    for number, test_set in enumerate(dict.fromkeys(point.test_set for point in table.curve)):
        points = [point for point in table.curve if point.test_set == test_set]
        ratios = [point.ratio for point in points]
        for panel, values in enumerate(([p.rank_1 for p in points], [p.mAP for p in points])):
            bars = None
            if all(point.intervals for point in points):
                ends = [point.intervals[panel] for point in points]
                above = [high - value for value, (_, high) in zip(values, ends)]
                below = [value - low for value, (low, _) in zip(values, ends)]
                bars = dict(type="data", array=above, arrayminus=below, thickness=1, width=3)
            figure.add_scatter(
                x=ratios,
                y=values,
                error_y=bars,
                name=f"{test_set}, here",
                line_color=CURVE_COLOURS[number % len(CURVE_COLOURS)],
                legendgroup=test_set,
                showlegend=panel == 0,
                row=1,
                col=panel + 1,
            )
    figure.update_xaxes(title="crop ratio λ", range=[0, 1.05])
    figure.update_yaxes(title="percent", col=1)
    figure.update_layout(
        width=900,
        height=360,
        margin=dict(l=60, r=20, t=40, b=50),
        template="plotly_white",
        legend=dict(orientation="h", y=-0.25),
    )
    return figure

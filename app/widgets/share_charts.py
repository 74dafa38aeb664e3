"""Charts of shares of a cosine: of the branches, and of the graph's nodes within the relation branch."""

from __future__ import annotations

from collections.abc import Mapping

from app.widgets.components.node_graph import NODE_TITLES
from app.widgets.export import chart, lay_out
from app.widgets.ranking_options import branch_title
from app.workbench.matches import PairGraph

BRANCH_COLOURS = {"G": "#0f766e", "attn": "#7c3aed", "token": "#b45309"}


def share_chart(shares: Mapping[str, Mapping[str, float]], cosine: str) -> None:
    """Each model's branch shares, by title and branch, as a bar that is as long as its ``cosine``."""
    import plotly.graph_objects as go  # here, since a first rank list needs none of it

    figure = go.Figure()
    branches = list(dict.fromkeys(branch for each in shares.values() for branch in each))
    titles = list(shares)
    for branch in branches:
        values, name = [shares[title].get(branch) for title in titles], branch_title(branch)
        figure.add_bar(
            y=titles,
            x=values,
            orientation="h",
            name=name,
            marker={"color": BRANCH_COLOURS.get(branch)},
            text=["" if value is None else f"{name} {value:.3f}" for value in values],
            hovertemplate=f"{name}: %{{x:.4f}}<extra>%{{y}}</extra>",
        )
    inside = {"textposition": "inside", "insidetextanchor": "middle", "textangle": 0, "textfont": {"color": "white"}}
    figure.update_traces(**inside)
    lay_out(
        figure,
        140 + 45 * len(titles),
        36,
        f"Branch shares: they add up to the {cosine}",
        barmode="relative",
        uniformtext={"minsize": 9, "mode": "hide"},  # on a phone the legend says what is too small to be written
        legend={"orientation": "h", "y": -0.45, "traceorder": "normal"},
        showlegend=len(branches) > 1,
    )
    if len(titles) > 1:  # one bar leaves no place for it above the legend
        figure.update_xaxes(title=f"Share of the {cosine}")
    figure.update_yaxes(autorange="reversed", automargin=True)
    alt = "; ".join(
        f"{title}: " + ", ".join(f"{branch_title(branch)} {value:.3f}" for branch, value in each.items())
        for title, each in shares.items()
    )
    chart(figure, "branch_shares", f"Shares of the branches in the {cosine}. {alt}", key="match_shares")


def token_chart(title: str, graph: PairGraph, cosine: str) -> None:
    """Each node's share in the ``cosine`` by the model ``title``, within the query's token and within the other image's."""
    import plotly.graph_objects as go

    names = [NODE_TITLES.get(name, name) for name in graph.parts]
    figure = go.Figure()
    looks = (("query's token", "#0f766e", ""), ("this image's token", "#b45309", "/"))
    for (side, colour, pattern), shares in zip(looks, graph.tokens.T):
        marker = {"color": colour, "pattern": {"shape": pattern}}
        figure.add_bar(y=names, x=shares, orientation="h", name=side, marker=marker)
    total = float(graph.tokens[:, 0].sum())
    title_of_chart = f"Relation branch's {total:.3f} by node"
    lay_out(figure, 420, 36, title_of_chart, barmode="group", legend={"orientation": "h", "y": -0.2})
    figure.update_xaxes(title=f"Share of the {cosine}")
    figure.update_yaxes(autorange="reversed", automargin=True)
    strongest = names[int(graph.tokens[:, 0].argmax())]
    alt = f"Shares of the graph's nodes in the {cosine} through the token of {title}; the largest is {strongest}'s"
    chart(figure, "token_shares", alt, key=f"match_token_{title}")

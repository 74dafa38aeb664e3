"""The Story page's stages of vectors: the graph, the token, the embedding, the cosine, and the rank row."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app.widgets.components.image_rows import Figure, ImageRow, image_rows
from app.widgets.components.node_graph import NODE_TITLES, MessageStep, message_graph
from app.widgets.rank_list import RankRow, legend, rank_list, standing
from app.widgets.ranking_options import branch_title
from app.widgets.share_charts import share_chart
from app.widgets.story_frame import STYLE, Handed, Tile, shape_of, sides, strips, taken, tiles, words
from app.workbench import OpenedModel, Workbench
from app.workbench.images import image_label, thumbnail
from app.workbench.story import Nearest, Painted, Story
from ssrnet.explain.relations import node_cosines, smoothness
from ssrnet.explain.stages import Messages

TOP_K = 5
CONVOLUTION = (
    r"\begin{aligned} \tilde A &= A + I \quad (3) \\ H^{(l+1)} &= \sigma\big(\tilde D^{-1} \tilde A \\ "
    r"&\quad H^{(l)} W^{(l)}\big) \quad (4) \end{aligned}"
)
READOUT = r"f_{\mathrm{token}} = H^{(%d)}_{\mathrm{%s}}"
NECKS = (
    r"\begin{aligned} \hat f_b &= \gamma_b \otimes \frac{f_b - \mu_b}{\sqrt{\sigma_b^2 + \epsilon}} \\ "
    r"f &= [%s] \end{aligned}"
)
ALIGNED = r"\qquad z = \frac{f - m_{cam}}{s_{cam}}"
COSINE = r"\cos(a, b) = \sum_b \frac{a_b \cdot b_b}{\lVert a \rVert \, \lVert b \rVert}"
RANKS = r"\cos(f, g_1) \ge \cos(f, g_2) \ge \ldots"
SYMBOLS = {"G": "f_G", "attn": "f_attn", "token": "f_token"}


def graph(story: Story, takes: Handed, gives: Handed) -> None:
    """What the nodes send to f_token, layer by layer, on the edges."""
    network, trace = story.model.network, story.trace
    steps = message_steps(story.messages(), trace.nodes[network.graph.readout])
    left, right = sides()
    with left:
        message_graph("story_graph", network.graph, trace, story.picture, steps)
    means = [f"{mean:.2f} in H({layer})" for layer, mean in enumerate(smoothness(trace).nodes[:, 0].tolist())]
    with right:
        words(takes, CONVOLUTION, gives, [f"The mean cosine between two nodes is {', '.join(means)}."])


def message_steps(sent: Messages, readout: str) -> list[MessageStep]:
    """A step for each layer, with what its widths mean and its largest in words."""
    steps = []
    for layer, effects in enumerate(sent.effects.tolist()):
        by_node = dict(zip(sent.nodes, effects, strict=True))
        most = max(by_node, key=by_node.get)
        note = (
            f"Width: by how much of its length f_token moves when the sender's row of H({layer}) is zero; most by "
            f"{NODE_TITLES[most]}, {_percent(by_node[most])}. These do not add up."
        )
        labels = {node: _percent(value) for node, value in by_node.items()}
        steps.append(MessageStep(f"H({layer}) → H({layer + 1})", note, by_node, labels))
    shares = dict(zip(sent.nodes, sent.shares.tolist(), strict=True))
    most, last = max(shares, key=shares.get), len(steps)
    note = (
        f"Width: the sender's exact share in f_token; they add up to {_percent(sum(shares.values()))}, the largest is "
        f"{NODE_TITLES[most]}'s, {_percent(shares[most])}. Dotted edges lead to rows that are not read out."
    )
    labels = {node: _percent(value) for node, value in shares.items()}
    return [*steps, MessageStep(f"H({last}) → H({last + 1})", note, shares, labels, readout)]


def token(story: Story, takes: Handed, gives: Handed) -> None:
    """The rows of the last layer, and the one that is read out."""
    trace, readout = story.trace, story.model.network.graph.readout
    last, name = len(trace.H) - 1, trace.nodes[readout]
    f_token = trace.f_token[0]
    active, size = int((f_token > 0).sum()), len(f_token)
    left, right = sides()
    with left:
        rows = [
            Tile(
                story.strip(f"row {node} of H({last})", row, trace.H[-1][0]),
                f"{NODE_TITLES[node]}'s row of H({last})",
                f"{NODE_TITLES[node]}{' = f_token' if node == name else ''}",
            )
            for node, row in zip(trace.nodes, trace.H[-1][0])
        ]
        strips([*(row for at, row in enumerate(rows) if at != readout), rows[readout]], "story_rows")
    cosines = node_cosines(trace)[-1, 0, readout]
    others = [value for at, value in enumerate(cosines.tolist()) if at != readout]
    sentence = (
        f"{active:,} of the {size:,} numbers of f_token are above 0, the largest is {float(f_token.max()):.2f}. Its cosine to the other rows of "
        f"H({last}) lies between {min(others):.3f} and {max(others):.3f}."
    )
    with right:
        words(takes, READOUT % (last, name), gives, [sentence])


def embedding(story: Story, takes: Handed, gives: Handed) -> None:
    """Each branch's feature after its neck, and all of them side by side."""
    trace = story.trace
    left, right = sides()
    with left:
        rows = [
            Tile(
                story.strip(f"{branch} after its neck", feature, trace.after.values()),
                f"{branch_title(branch)} branch after its neck",
                f"{branch_title(branch)} branch: {shape_of(trace.before[branch])} → neck → {shape_of(feature)}",
            )
            for branch, feature in trace.after.items()
        ]
        together = f"side by side: {gives.shape}"
        strips([*rows, *([Tile(gives.picture, "The embedding", together)] if len(rows) > 1 else [])], "story_necks")
    shares = [f"{100 * share:.0f} % {branch_title(branch).lower()}" for branch, share in story.length_shares().items()]
    names = ", ".join(SYMBOLS.get(branch, branch) for branch in trace.before)
    takes = replace(takes, name=names, shape=", ".join(map(shape_of, trace.before.values())))
    features = ", ".join(rf"\hat f_{{\mathrm{{{branch}}}}}" for branch in trace.after)
    how = "aligned by its camera" if story.model.is_aligned else "as it is"
    if story.model.is_aligned and story.query is None:
        how = "aligned by the whole set"
    sentence = f"Of the squared length of the embedding, {how}: {', '.join(shares)}."
    with right:
        words(takes, NECKS % features + ALIGNED * story.model.is_aligned, gives, [sentence])


def cosine(story: Story, takes: Handed, nearest: Nearest) -> None:
    """The query, the image that the network ranks first, and the branches' shares in their cosine."""
    image = story.model.split.gallery[nearest.gallery]
    name = "aligned cosine" if story.model.is_aligned else "cosine"
    left, right = sides()
    with left:
        pair = [
            Tile(Painted(thumbnail(story.picture)), f"Query {story.name}", "the query"),
            Tile(Painted(thumbnail(image)), f"Ranked first: {image.name}", f"ranked first: {image_label(image)}"),
        ]
        tiles(pair, 2)
        share_chart({story.model.title: nearest.shares}, name)
    parts = ", ".join(f"{branch_title(branch).lower()} {share:.3f}" for branch, share in nearest.shares.items())
    gives = Handed(f"the {name}", "one number", Painted(thumbnail(image)))
    with right:
        words(takes, COSINE, gives, [f"Shares of the {name}: {parts}; together {nearest.cosine:.3f}."])


def ranks(story: Story, bench: Workbench) -> None:
    """The first images of both networks; an upload has no hits and no errors."""
    first, second, third = st.columns([3, 4, 4], gap="small", vertical_alignment="center")
    nearest = story.nearest()
    if nearest is not None:
        picture = Painted(thumbnail(bench.split.gallery[nearest.gallery]))
        cosines = Handed("a cosine an image", f"1 × {len(bench.split.gallery):,}", picture)
        first.html(f"{STYLE}{taken(cosines)}")
    second.latex(RANKS)
    third.markdown(_first_in_words(story, bench))
    if story.query is not None:
        models = bench.networks.values()
        rows = [_row(model, story.query) for model in models]
        rank_list(story.picture, rows, bench.split.gallery, layout="ranks close")
        legend(is_labelled=bench.split.is_labelled)
        return
    rows = []
    for title, model in bench.networks.items():
        figures = [Figure(thumbnail(story.picture), "the query", "\n", "query", mark="Query")]
        for place, index, value in story.of(model).ranked(TOP_K):
            image = bench.split.gallery[index]
            caption = f" · {1 - value:.3f}\n{image_label(image)}"
            figures.append(Figure(thumbnail(image), f"rank {place}: {image.name}", caption, mark=str(place)))
        rows.append(ImageRow(title, f"of {len(bench.split.gallery):,}", figures))
    image_rows(rows, "ranks close")
    st.caption(
        "Nothing says which vehicle an uploaded picture shows, so no image counts as a hit. Numbers: rank and distance."
    )


def _first_in_words(story: Story, bench: Workbench) -> str:
    """What each network ranks first; without labels, whether that is the same image."""
    if story.query is not None and not bench.split.is_labelled:
        rankings = [model.ranking(story.query).top(0, 1) for model in bench.networks.values()]
        return _same_first({hits[0].index for hits in rankings if hits})
    if story.query is None:
        return _same_first({story.of(model).ranked(1)[0].index for model in bench.networks.values()})
    first = {title: int(model.evaluation().ranking.first_hit[story.query]) for title, model in bench.networks.items()}
    if not any(first.values()):  # the protocol leaves the same matches to all
        return "No image of the gallery counts as a match for this query."
    places = [f"at rank {hit:,} with {title}" for title, hit in first.items()]
    return f"The query's vehicle comes {', '.join(places)}."


def _same_first(first: set[int]) -> str:
    return "The networks rank the same image first." if len(first) == 1 else "The networks differ on who is first."


def _row(model: OpenedModel, query: int) -> RankRow:
    ranking = model.ranking(query)
    return RankRow(model.title, ranking.top(0, TOP_K), standing(ranking, 0))


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %"

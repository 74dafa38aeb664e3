"""*Why this match?*: one query and one gallery image, explained by the models side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import streamlit as st

from app.widgets.components.node_graph import NODE_TITLES
from app.widgets.components.open_panel import open_panel
from app.widgets.controls import one_of
from app.widgets.map_colours import MapColours, choose_map_colours, map_figure, show_maps
from app.widgets.match_cells import match_cells, rival_title
from app.widgets.match_lead import say_lead
from app.widgets.matrices import Matrix, matrices
from app.widgets.prints import Cell, Row, from_uri, pictures_export
from app.widgets.ranking_options import branch_title, say
from app.widgets.share_charts import share_chart, token_chart
from app.widgets.symbols import typeset
from app.workbench import OpenedModel, RankingOptions, Workbench
from app.workbench.matches import (
    PairGraph,
    PairPictures,
    PairShares,
    find_rival,
    pair_graph,
    pair_lead,
    pair_pictures,
    pair_shares,
)
from app.workbench.queries import Query, query_image, rankers
from ssrnet.data.records import VehicleImage
from ssrnet.explain.cam import CAMS, map_title
from ssrnet.explain.overlay import COLOUR_MAPS, Scale


def why_this_match(
    bench: Workbench, options: RankingOptions, query: Query, gallery: int, on_close: Callable[[], None]
) -> None:
    """The panel for ``query`` and ``gallery``, by its position in the split."""
    split = bench.split
    images = query_image(split, query), split.gallery[gallery]
    with st.container(border=True, key="match_panel"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.subheader("Why this match?", anchor=False)
            st.button(
                "Close", icon=":material/close:", type="tertiary", on_click=on_close, key="match_close", help="Esc"
            )
        open_panel("match_panel", "match_close", f"{images[0].name} {images[1].name}")
        st.markdown(_describe(*images, split.same_camera_is_junk))
        shares = {model.raw.title: pair_shares(model, options, query, gallery) for model in rankers(bench, query)}
        cells, maps = st.container(), st.container()
        with maps:
            method, branch = _controls(bench)
            colours = choose_map_colours("both models' maps")
        explained = options if branch == "all" else replace(options, branches=(branch,))
        with st.spinner("Looking at the pair"):
            pictures = {
                title: pair_pictures(model, *images, method, explained) for title, model in bench.networks.items()
            }
        with cells:
            match_cells(bench, options, query, gallery, pictures, colours.name)
            cosine = "aligned cosine" if bench.is_aligned else "cosine"
            _leads(bench, options, query, gallery, shares, cosine)
        scales = pair_scales(list(pictures.values()), colours)
        columns = maps.columns(len(bench.networks), gap="medium")
        for column, (title, model), scale in zip(columns, bench.networks.items(), scales, strict=True):
            with column:
                _model(model, images, shares[model.raw.title], method, branch, pictures[title], scale, colours)
        if bench.third and bench.third.raw.title in shares:
            st.markdown(_standing(bench.third.title, shares[bench.third.raw.title]))
            st.caption("An imported model has no network to look into, so it has no maps, branch shares or graph.")
        _caution(options, bench.is_aligned, colours)
        for model in bench.networks.values():
            _graph(model.title, pair_graph(model, *images, options), cosine)


def _leads(
    bench: Workbench, options: RankingOptions, query: Query, gallery: int, shares: Mapping[str, PairShares], cosine: str
) -> None:
    """By model, what set this image before or behind its rival, in words and as bars of branch shares."""
    bars, said = {}, []
    for model in rankers(bench, query):
        title, own = model.raw.title, shares[model.raw.title]
        if model.has_network:
            bars[title] = own.shares
        rival = find_rival(model, options, query, gallery)
        if rival:
            lead = pair_lead(model, options, query, gallery, rival)
            said.append(say_lead(model.title, own, rival, bench.split.gallery[rival.index], lead))
            if model.has_network:
                bars[f"{rival_title(rival)}, {title}"] = lead.rival.shares
    if said:
        st.markdown("\n".join(f"- {each}" for each in said))
    share_chart(bars, cosine)


def _controls(bench: Workbench) -> tuple[str, str]:
    """Method of the maps, and the branch that they explain ("all" or one)."""
    models = bench.networks.values()
    branches = ["all", "G"]
    branches += ["attn"] if any(model.settings.attention_branch for model in models) else []
    branches += ["token"] if any(model.has_graph for model in models) else []
    left, right = st.columns(2)
    # Quick maps of the projection: a map that masks the image takes minutes where others take a tenth of a second.
    methods = [name for name, cam in CAMS.items() if not cam.masks_images and cam.target == "projection"]
    if st.query_params.get("match_method") == "LayerCAM":  # its title in links of earlier versions
        st.session_state.setdefault("match_method", "layer-cam")
    method = left.selectbox(
        "Map of the similarity", methods, format_func=_map_label, key="match_method", bind="query-params"
    )
    titles = {branch: "All" if branch == "all" else branch_title(branch) for branch in branches}
    return method, one_of("Branch that it explains", titles, "match_branch", place=right)


def _map_label(name: str) -> str:
    return map_title(name) + (" (a control)" if CAMS[name].is_control else "")


def pair_scales(pictures: Sequence[PairPictures], colours: MapColours) -> list[Scale]:
    """The scale of each model's two maps, or one for all."""
    scales = [each.scale for each in pictures]
    return [Scale(0.0, max(scale.high for scale in scales))] * len(scales) if colours.same_scale else scales


def _model(
    model: OpenedModel,
    images: tuple[VehicleImage, VehicleImage],
    shares: PairShares,
    method: str,
    branch: str,
    pictures: PairPictures,
    scale: Scale,
    colours: MapColours,
) -> None:
    """One model's maps, and what its branches did."""
    title = model.title
    st.markdown(_standing(title, shares))
    branches = ["G"] + ["attn"] * model.settings.attention_branch + ["token"] * model.has_graph
    figures, cells, bar = [], [], colours.bar(scale)
    uris = pictures.painted(scale, colours.name)
    for name, uri, empty, image in zip(("Query", "This image"), uris, pictures.empty, images):
        alt = f"{_map_label(method)} of the similarity by {title} over {image.name}"
        figures.append(map_figure(uri, alt, f"{name}: {'no cell raises the similarity' if empty else image.name}", bar))
        cells.append(Cell(from_uri(uri), image.name, bar=bar))
    show_maps(figures)
    heading = f"{title}: {_map_label(method)} of the similarity, cosine {shares.cosine:.3f}"
    file = f"match_{images[0].name}_{images[1].name}"
    pictures_export(file, lambda: [Row(heading, cells)], key=f"match_maps_{title}")
    if branch not in ("all", *branches):
        st.caption(f"{model.raw.title} has no {branch_title(branch).lower()} branch; its maps explain all it has.")
    lines = [pulled(branch, ranks) for branch, ranks in shares.pulled_up.items()]
    if len(shares.shares) == 1:
        lines = [f"Its {branch_title(next(iter(shares.shares))).lower()} branch alone makes the whole cosine."]
    elif not shares.rank:
        lines = ["Junk has no rank that a branch could change."]
    st.markdown("\n".join(f"- {line}" for line in lines))


def _standing(title: str, shares: PairShares) -> str:
    place = f"rank {shares.rank}" if shares.rank else "junk, so without a rank"
    return f"**{title}**: {place}, cosine {shares.cosine:.3f}"


def pulled(branch: str, ranks: int) -> str:
    """What a branch did to a rank, in words."""
    name = f"The {branch_title(branch).lower()} branch"
    if ranks == 0:
        return f"{name} does not change its rank."
    places = f"{abs(ranks):,} rank{'s' * (abs(ranks) != 1)}"
    return f"{name} pulled this image **{'up' if ranks > 0 else 'down'} by {places}**."


def _describe(query: VehicleImage, other: VehicleImage, same_camera_is_junk: bool) -> str:
    if query.vehicle_id is None:
        return f"Query {_name(query)}, gallery image {_name(other)}. Nobody has said whether they show one vehicle."
    if other.vehicle_id != query.vehicle_id:
        verdict = ":red[✗ another vehicle]"
    elif same_camera_is_junk and other.camera_id == query.camera_id:
        verdict = ":grey[junk: the query's vehicle by the query's camera]"
    else:
        verdict = ":green[✓ the same vehicle]"
    return f"Query {_name(query)}, gallery image {_name(other)}: {verdict}."


def _name(image: VehicleImage) -> str:
    if image.vehicle_id is None:
        return f"`{image.name}`"
    camera = f", camera {image.camera_id}" if image.camera_id else ""
    return f"`{image.name}` (vehicle `{image.vehicle_id}`{camera})"


def _caution(options: RankingOptions, aligned: bool, colours: MapColours) -> None:
    maps = "All maps" if colours.same_scale else "Both maps of a model"
    text = (
        f"{maps} are on one scale, {COLOUR_MAPS[colours.name].low} for none. Branch ranks are those without the branch, "
        "compared with those of all that count; without re-ranking and query expansion."
    )
    if aligned:
        text += " Ranks, cosines, maps and shares are of features aligned by camera; the regions' cosines are not."
    if options.expansion or options.re_rank or options.flip_test:
        text += (
            f" The rows above were ranked with {say(options)}; maps and the graph look at the two images as they are."
        )
    st.caption(text)


def _graph(title: str, graph: PairGraph | None, cosine: str) -> None:
    """Node against node, and the shares of the graph's nodes within the token."""
    if graph is None:
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _pairs_of_nodes(title, graph)
    with right:
        if graph.parts:
            token_chart(title, graph, cosine)
        else:
            st.info(f"The relation branch of {title} does not count here, so the token has no share in the cosine.")


def _pairs_of_nodes(title: str, graph: PairGraph) -> None:
    help = typeset(
        "H(0) are the pooled regions, the global feature and the learned token; each layer mixes in a node's neighbours."
    )
    layers = {layer: f"H({layer})" for layer in range(len(graph.pairs))}
    layer = one_of("Layer of the graph", layers, "match_layer", help=help)
    cosine = graph.pairs[layer]
    names = [NODE_TITLES[name] for name in graph.names]
    best = divmod(int(cosine.argmax()), cosine.shape[1])
    alt = (
        f"Cosines between the nodes of the query and those of this image at H({layer}) of {title}, from "
        f"{cosine.min():.2f} to {cosine.max():.2f}; most alike: {names[best[0]]} and {names[best[1]]}"
    )
    panels = {f"Nodes of the two images, H({layer})": Matrix(cosine)}
    matrices(panels, graph.names, f"node_pairs_{title}", alt, axes=("query", "this image"))

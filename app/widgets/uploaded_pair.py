"""Two uploaded pictures side by side: both models' maps, and where the cosine lies among the loaded data's pairs."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.widgets.evaluations import evaluations, record_popover
from app.widgets.export import COLOURS, chart, table
from app.widgets.map_colours import choose_map_colours
from app.widgets.map_sheet import MapColumn, map_sheet
from app.widgets.model_charts import pair_figure
from app.widgets.needs_labels import needs_labels
from app.widgets.pair_marks import verdict
from app.widgets.source import PROTOCOL_TITLES
from app.workbench import OpenedModel, RankingOptions, Workbench
from app.workbench.images import SIDE, all_uploads, thumbnail
from app.workbench.matches import pair_pictures, verification
from app.workbench.pair_marks import marks, pair_of, threshold_of_marks
from ssrnet.analysis.marked_pairs import ASKED, LEAST
from ssrnet.data.uploads import UploadedImage
from ssrnet.explain.attention import NETWORK_MAPS
from ssrnet.explain.cam import map_title
from ssrnet.explain.image_maps import network_map

METHOD = "grad-cam"
SIMILARITY = f"{map_title(METHOD)} of the similarity to the other picture"
BY_OWN_CAMERAS = "this cosine is aligned by your pictures' own cameras, and those of the pairs that you mark are not"


def compare_uploads(
    bench: Workbench,
    first: UploadedImage,
    second: UploadedImage,
    cosines: Mapping[str, float],
    by_own_cameras: bool = False,
) -> None:
    """Both pictures beside their maps, and the pair's cosine among the data set's; ``cosines`` by the models' titles.

    The data set's threshold gives no verdict: its pairs are of other cameras and other crops. Without labels there are no
    pairs to set it among. Pairs that the viewer has marked give one, unless the cosine is aligned ``by_own_cameras``, which
    theirs are not.
    """
    st.subheader(f"Is {second.name} the same vehicle?", anchor=False)
    scored = evaluations(bench.networks.values()) if bench.dataset.is_labelled else {}
    uploaded = list(all_uploads().values()) if marks() else []
    is_marked = marks().get(pair_of(first, second), "not sure") != "not sure"
    why_none = (
        BY_OWN_CAMERAS
        if by_own_cameras
        else f"fewer than {ASKED} pairs of your pictures, or {LEAST} of a kind, are marked (*Calibrate*)"
    )
    columns, rows = st.columns(len(bench.networks), gap="medium"), []
    for column, (title, model) in zip(columns, bench.networks.items(), strict=True):
        threshold = None if by_own_cameras else threshold_of_marks(model, uploaded)
        column.markdown(f"**{title}**: cosine {cosines[title]:.3f}")
        column.markdown(verdict(threshold, cosines[title], is_marked) if threshold else f"No verdict: {why_none}.")
    _sheet(bench, first, second)
    columns = st.columns(len(bench.networks), gap="medium")
    for at, (title, model) in enumerate(bench.networks.items()):
        row = {"Model": title, "Cosine": cosines[title]}
        with columns[at]:
            row |= _among_pairs(bench.dataset.name, at, model, cosines[title]) if scored else {}
        rows.append(row)
    if not scored:
        needs_labels("Where a cosine lies among pairs")
        return
    share = st.column_config.NumberColumn(format="%.2f %%")
    columns_config = {"Cosine": st.column_config.NumberColumn(format="%.3f")} | dict.fromkeys(list(rows[0])[2:], share)
    table(rows, "verification", columns_config)
    st.caption(
        f"Shares are of all pairs of query and gallery of {bench.dataset.name} under "
        f"{PROTOCOL_TITLES[bench.protocol.name].lower()} (without junk, cosine, no flip test): how many pairs of two "
        "vehicles are at least as similar as these two pictures, how many of one vehicle less."
    )
    record_popover(scored)


def _sheet(bench: Workbench, first: UploadedImage, second: UploadedImage) -> None:
    """A row a picture: the photograph, the maps of the similarity to the other one, and what the attention weighs."""
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        colours = choose_map_colours("all maps of one kind, over both pictures and both models")
    opacity = right.slider("Opacity of the maps", 0.0, 1.0, 0.5, 0.05, key="opacity", bind="query-params")
    columns: list[MapColumn] = []
    for title, model in bench.networks.items():
        pair = pair_pictures(model, first, second, METHOD, RankingOptions())
        captions = ["nothing raises the similarity" if empty else "" for empty in pair.empty]
        columns.append(MapColumn(SIMILARITY, title, pair.maps, captions))
        traces = [view.trace for view in model.views([first, second])]
        present = [name for name in ("M_s", "F_attn") if NETWORK_MAPS[name].why_absent(model.settings) is None]
        for name in present or ["F_G"]:
            maps = [network_map(trace, name) for trace in traces]
            columns.append(MapColumn(map_title(name), model.raw.title, maps, ["", ""]))
    kinds = [SIMILARITY, *map(map_title, ("M_s", "F_G", "F_attn"))]
    photographs = {f"First · {first.name}": thumbnail(first, SIDE), f"Second · {second.name}": thumbnail(second, SIDE)}
    map_sheet("pair", photographs, sorted(columns, key=lambda column: kinds.index(column.kind)), opacity, colours)


def _among_pairs(dataset: str, at: int, model: OpenedModel, cosine: float) -> dict[str, float]:
    """The cosine among the data set's pairs, drawn and in words; its shares for the table."""
    pairs = verification(model)
    errors = pairs.rates(cosine)
    sentence = (
        f"Of {dataset}'s pairs, {errors.false_match:.2%} of two vehicles are at least as similar as "
        f"these two pictures, and {errors.false_non_match:.2%} of one vehicle less."
    )
    chart(
        pair_figure(pairs, cosine, COLOURS[at]),
        f"your pair among {dataset}'s, {model.title}",
        f"Densities of the cosines of {dataset}'s pairs of one vehicle and of two, by {model.title}; the "
        f"cosine of your pair, {cosine:.3f}, as a line. {sentence}",
        key=f"images_pair_chart_{at}",
    )
    st.caption(f"{sentence} That holds for {dataset}'s cameras and crops, not for others: no verdict follows.")
    return {
        "Two vehicles at least as similar": 100 * errors.false_match,
        "Same vehicle less similar": 100 * errors.false_non_match,
    }

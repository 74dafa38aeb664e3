"""Two uploaded pictures side by side: both models' maps, and where the cosine lies among the loaded data's pairs."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from PIL import Image

from app.widgets.evaluations import evaluations, record_popover
from app.widgets.export import COLOURS, chart, table
from app.widgets.map_colours import choose_map_colours, map_figure, show_maps
from app.widgets.match import pair_scales
from app.widgets.model_charts import pair_figure
from app.widgets.needs_labels import needs_labels
from app.widgets.pair_marks import verdict
from app.widgets.prints import Cell, Row, from_uri, pictures_export
from app.widgets.source import PROTOCOL_TITLES
from app.workbench import OpenedModel, Workbench
from app.workbench.images import all_uploads
from app.workbench.matches import uploaded_pair, verification
from app.workbench.pair_marks import marks, pair_of, threshold_of_marks
from ssrnet.analysis.marked_pairs import ASKED, LEAST

BY_OWN_CAMERAS = "this cosine is aligned by your pictures' own cameras, and those of the pairs that you mark are not"


def compare_uploads(
    bench: Workbench,
    first: Image.Image,
    second: Image.Image,
    name: str,
    cosines: Mapping[str, float],
    by_own_cameras: bool = False,
) -> None:
    """Maps in both directions, and the pair's cosine among the data set's; ``cosines`` by the models' titles.

    The data set's threshold gives no verdict: its pairs are of other cameras and other crops. Without labels there are no
    pairs to set it among. Pairs that the viewer has marked give one, unless the cosine is aligned ``by_own_cameras``, which
    theirs are not.
    """
    st.subheader(f"Is {name} the same vehicle?", anchor=False)
    scored = evaluations(bench.networks.values()) if bench.dataset.is_labelled else {}
    colours = choose_map_colours("both models' maps")
    pictures = [uploaded_pair(model, first, second, "grad-cam") for model in bench.networks.values()]
    uploaded = list(all_uploads().values()) if marks() else []
    is_marked = marks().get(pair_of(first, second), "not sure") != "not sure"
    why_none = (
        BY_OWN_CAMERAS
        if by_own_cameras
        else f"fewer than {ASKED} pairs of your pictures, or {LEAST} of a kind, are marked (*Calibrate*)"
    )
    columns, rows, printed = st.columns(len(bench.networks), gap="medium"), [], []
    for at, ((title, model), pair, scale) in enumerate(
        zip(bench.networks.items(), pictures, pair_scales(pictures, colours), strict=True)
    ):
        cosine = cosines[title]
        row = {"Model": title, "Cosine": cosine}
        with columns[at]:
            st.markdown(f"**{title}**: cosine {cosine:.3f}")
            threshold = None if by_own_cameras else threshold_of_marks(model, uploaded)
            st.markdown(verdict(threshold, cosine, is_marked) if threshold else f"No verdict: {why_none}.")
            captions = "what resembles the other in the first", "what resembles the first in the other"
            uris, bar = pair.painted(scale, colours.name), colours.bar(scale)
            show_maps([map_figure(uri, f"{caption}, by {title}", caption, bar) for uri, caption in zip(uris, captions)])
            cells = [Cell(from_uri(uri), caption, bar=bar) for uri, caption in zip(uris, captions)]
            printed.append(Row(f"{title}: cosine {cosine:.3f}", cells))
            if scored:
                row |= _among_pairs(bench.dataset.name, at, model, cosine)
        rows.append(row)

    pictures_export("comparison of your images", lambda: printed, key="images_pair_export")
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

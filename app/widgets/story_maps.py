"""The Story page's stages of maps: the photograph, F_G, M_c, M_s, and the five regions."""

from __future__ import annotations

import plotly.graph_objects as go

from app.widgets.components.region_boxes import chosen_ratio, crop_ratios, region_boxes_slider
from app.widgets.export import COLOURS, chart, lay_out
from app.widgets.story_frame import Handed, Tile, sides, tiles, words
from app.workbench import regions
from app.workbench.images import SIDE, thumbnail
from app.workbench.story import Painted, Story
from ssrnet.explain.attention import spatial_attention
from ssrnet.explain.stages import channel_weights, peak
from ssrnet.model.regions import region_boxes

CHANNELS = 6
"""Maps of F_G, and bars at either end of M_c."""
SLIDER = "story_slider"

INPUT = r"x = \frac{\mathrm{resize}(I) / 255 - \mu}{\sigma}"
BACKBONE = r"\begin{aligned} F_G &= \mathrm{backbone}(x) \\ f_G &= \mathrm{GAP}(F_G) \end{aligned}"
CBAM_CHANNELS = (
    r"\begin{aligned} M_c &= \sigma\big(\mathrm{MLP}(\mathrm{avg}\,F_G) \\ &\quad + \mathrm{MLP}(\mathrm{max}\,F_G)\big) \\ "
    r"F_c &= M_c \otimes F_G \quad (1) \end{aligned}"
)
SE_CHANNELS = r"\begin{aligned} M_c &= \sigma\big(\mathrm{MLP}(\mathrm{avg}\,F_G)\big) \\ F_{\mathrm{attn}} &= M_c \otimes F_G \end{aligned}"
SPATIAL = (
    r"\begin{aligned} p &= [\mathrm{avg}\,F_c; \mathrm{max}\,F_c] \\ M_s &= \sigma\big(\mathrm{BN}(\mathrm{conv}_{7 \times 7}\,p)\big) \\ "
    r"F_{\mathrm{attn}} &= M_s \otimes F_c \quad (1) \end{aligned}"
)
REGIONS = (
    r"\begin{aligned} H_L &= \lfloor \lambda H \rfloor \quad (2) \\ W_L &= \lfloor \lambda W \rfloor \\ "
    r"H^{(0)}_r &= \mathrm{GAP}(F_{\mathrm{attn}}[r]) \end{aligned}"
)


def photograph(story: Story, takes: None, gives: Handed) -> None:
    """The file's picture, and what the network sees of it."""
    (width, height), side = story.size, story.model.predictor.image_size
    file = Painted(thumbnail(story.picture, 320))
    left, right = sides()
    with left:
        shown = [
            Tile(file, f"Photograph {story.name}", f"the file, {width:,} × {height:,} pixels"),
            Tile(gives.picture, f"{story.name} stretched to a square", f"what the network sees, {side} × {side}"),
        ]
        tiles(shown, 2, "story_photograph")
    across, down = side / width, side / height
    seen = (
        f"Stretched to {side} × {side} pixels: by {across:.2f} across and by {down:.2f} down, so everything looks "
        f"{across / down:.2f} times as wide as in the file."
    )
    warped = ["A spatial transformer warps the square first; maps and boxes lie in the warped image."]
    with right:
        words(takes, INPUT, gives, [seen, *(warped if story.trace.theta is not None else [])])


def feature_map(story: Story, takes: Handed, gives: Handed) -> None:
    """The channels of F_G with the largest means."""
    found = story.largest_means(CHANNELS)
    left, right = sides()
    with left:
        shown = [
            Tile(
                story.over(f"channel {number} of F_G", cells, found.maps),
                f"Channel {number} of F_G over {story.name}",
                f"channel {number}, mean {mean:.2f}",
            )
            for number, mean, cells in zip(found.channels, found.means, found.maps, strict=True)
        ]
        tiles(shown, 3, "story_channels_of_F_G")
    C, H, W = story.trace.F_G.shape[1:]
    side = story.model.predictor.image_size
    sentence = (
        f"{C:,} channels of {H} × {W} cells, a cell for every {side // H} × {side // W} pixels. Shown are the {len(shown)} with the "
        f"largest means, {found.means[0]:.2f} to {found.means[-1]:.2f}; over all channels the mean is "
        f"{found.all_means.mean():.2f}, and {100 * found.zeros:.0f} % of all values are 0."
    )
    with right:
        words(takes, BACKBONE, gives, [sentence])


def channel_attention(story: Story, takes: Handed, gives: Handed) -> None:
    """The channels that M_c lets through most, and least."""
    weights, order = channel_weights(story.trace)
    strongest, weakest = order[:CHANNELS], order[-CHANNELS:]
    figure = go.Figure()
    for name, channels, colour in (("strongest", strongest, COLOURS[0]), ("weakest", weakest, COLOURS[1])):
        values = weights[channels]
        figure.add_bar(
            y=[f"channel {channel}" for channel in channels],
            x=values,
            orientation="h",
            name=name,
            marker_color=colour,
            text=[f"{value:.3f}" for value in values],
            textposition="outside",
            cliponaxis=False,
        )
    figure.add_vline(
        x=float(weights.mean()),
        line={"dash": "dot", "color": "#94a3b8"},
        annotation_text="mean of all",
        annotation_position="top",
    )
    lay_out(figure, 320, 24, legend={"orientation": "h", "y": -0.12})
    figure.update_xaxes(range=[0, 1.15])
    figure.update_yaxes(autorange="reversed", automargin=True)
    alt = (
        f"M_c of the strongest channels, {weights[strongest[0]]:.3f} to {weights[strongest[-1]]:.3f}, and of the weakest, "
        f"{weights[weakest[0]]:.3f} to {weights[weakest[-1]]:.3f}"
    )
    left, right = sides()
    with left:
        chart(figure, "story_channels", alt, key="story_channels")
    sentence = (
        f"Against the mean of all {len(weights):,} channels, {weights.mean():.3f}, channel {order[0]} rises most, to "
        f"{weights[order[0]]:.3f}, and channel {order[-1]} falls most, to {weights[order[-1]]:.3f}; "
        f"{100 * (weights > weights.mean()).mean():.0f} % of them rise."
    )
    with right:
        words(takes, SE_CHANNELS if story.trace.M_s is None else CBAM_CHANNELS, gives, [sentence])


def spatial(story: Story, takes: Handed, gives: Handed) -> None:
    """M_s over the picture."""
    (cells,) = spatial_attention(story.trace)
    found, (H, W) = peak(cells), cells.shape
    left, right = sides()
    with left:
        shown = [
            Tile(Painted(thumbnail(story.picture, SIDE)), f"Photograph {story.name}", "the photograph"),
            Tile(story.over("M_s", cells), f"M_s over {story.name}", "M_s over it"),
        ]
        tiles(shown, 2, "story_M_s")
    sentence = (
        f"M_s weighs all channels of a cell alike, here by {found.low:.2f} to {found.high:.2f}, {cells.mean():.2f} in the mean; it is "
        f"highest in row {found.row} from the top, column {found.column} from the left, of {H} × {W} cells."
    )
    with right:
        words(takes, SPATIAL, gives, [sentence])


def five_regions(story: Story, takes: Handed, gives: Handed) -> None:
    """The crops at the slider's lambda; what follows goes on at the trained one."""
    size, trained = tuple(story.trace.F_attn.shape[2:]), story.model.settings.crop_ratio
    listed = crop_ratios(*size, trained)
    ratio = chosen_ratio(SLIDER, listed, trained)
    left, right = sides()
    with left:
        region_boxes_slider(SLIDER, story.picture, size, listed, ratio, trained, compact=True)
    box = region_boxes(*size, ratio)[0]
    nodes = story.trace.nodes
    others = " and ".join(
        [
            *(["the global node, which is f_G,"] if "global" in nodes else []),
            *(["the learned token"] if "token" in nodes else []),
        ]
    )
    sentences = [
        f"At λ = {ratio:.3g} a region has {box.bottom - box.top} × {box.right - box.left} of the {size[0]} × {size[1]} cells; its mean is a row "
        f"of H(0){f', beside {others}' if others else ''}."
    ]
    if not regions.has_trained_boxes(story.model.network, size, ratio):
        sentences.append(f"The next stages go on at the trained λ = {trained:.3g}.")
    with right:
        words(takes, REGIONS, gives, sentences)

"""Story: one vehicle from photograph to rank row, a stage after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

from app.widgets import story_maps, story_vectors
from app.widgets.components.stages import stages
from app.widgets.controls import one_of
from app.widgets.evaluations import ensure_features
from app.widgets.map_colours import choose_map_colours
from app.widgets.page import explain
from app.widgets.problems import fragment
from app.widgets.query_picker import query_picker
from app.widgets.readings import readings_box
from app.widgets.story_frame import handed
from app.widgets.tours import opened_step
from app.widgets.uploader import uploader
from app.workbench import OpenedModel, Workbench
from app.workbench.cache import forget_pictures
from app.workbench.story import Story
from ssrnet.data.uploads import UploadedImage
from ssrnet.explain.attention import why_no_spatial_attention
from ssrnet.explain.graph import no_graph
from ssrnet.explain.shares import BranchProducts
from ssrnet.explain.stages import channel_weights, largest_means, length_shares, messages
from ssrnet.model import Trace

INTRO = (
    "One vehicle from photograph to rank row, stage by stage: $x \\to F_G \\to F_{\\mathrm{attn}} \\to H^{(0)} \\to f_{\\mathrm{token}} \\to f \\to \\text{ranks}$. "
    "Step with ← and →."
)


class Stage(NamedTuple):
    """key: of what it hands on; title: in the line of stages, and in full as its heading; draw: what stands on it."""

    key: str
    title: str
    heading: str
    draw: Callable


STAGES = (
    Stage("photograph", "Photo", "What the network sees", story_maps.photograph),
    Stage("F_G", "F_G", "The feature map $F_G$", story_maps.feature_map),
    Stage("M_c", "M_c", "Channel attention $M_c$", story_maps.channel_attention),
    Stage("M_s", "M_s", "Spatial attention $M_s$", story_maps.spatial),
    Stage("regions", "Regions", r"Five regions of $F_{\mathrm{attn}}$", story_maps.five_regions),
    Stage("graph", "Graph", "Messages along the graph", story_vectors.graph),
    Stage("token", "Token", r"The token's row $f_{\mathrm{token}}$", story_vectors.token),
    Stage("embedding", "Vector", "Necks and embedding", story_vectors.embedding),
    Stage("cosine", "Cosine", "The cosine, by branch", story_vectors.cosine),
    Stage("ranks", "Ranks", "The rank row", story_vectors.ranks),
)
KEYS = [stage.key for stage in STAGES]
LOOK_FOR = r"""
Every picture, number and shape belongs to the image in view, as the network computed it. *Takes* is what the stage before
handed on, *gives* what this one makes of it. The bar below each map, channel or strip says which colours are which values;
*Same scale for all maps* (at the foot) puts those that stand for the same thing on one range.

**Edges.** In the last layer an edge is as wide as the sender's exact share in $f_{\mathrm{token}}$. In the layers before no such sum
exists: there it is as wide as what happens to $f_{\mathrm{token}}$ when the sender's row is set to zero.
"""


def render(bench: Workbench) -> None:
    """The stages, and below them the choice of another image or network."""
    split = bench.split
    if not split.query:
        st.info("The protocol leaves no query to look at; choose another protocol or another data set.")
        return
    place = st.container(key="story_stage")
    with st.expander("Another image, another network, other colours", icon=":material/image_search:"):
        networks = list(bench.networks)
        title = one_of("Network", networks, "story_network", default=networks[-1]) if len(networks) > 1 else networks[0]
        image = query_picker(split.query)
        read = uploader("Or a picture of your own, cropped to the vehicle", "story_upload")
        uploaded = next(iter(read.pictures.values()), None)
        colours = choose_map_colours("channels, for lengths of maps, and for rows side by side")
    model = bench.networks[title]
    if isinstance(image, UploadedImage):
        uploaded = image.picture
    query = None if uploaded else split.query.index(image)
    story = Story(model, uploaded or image, query, colours.name, colours.same_scale)
    forget_pictures()
    with place:
        fragment(_stage)(bench, story)
    functions = (Trace, largest_means, channel_weights, messages, length_shares, BranchProducts.shares)
    explain((), LOOK_FOR, functions)
    readings_box("story", list(bench.networks.values()))


def _stage(bench: Workbench, story: Story) -> None:
    """The line of stages and the one that the URL names, redrawn by itself."""
    gives = handed(story)
    absent = [at for at, key in enumerate(KEYS[:-2], 1) if key not in gives]
    at = _line_of_stages(bench, story.model, absent)
    key, _, heading, draw = STAGES[at - 1]
    st.subheader(f"{at}. {heading}", anchor=False)
    takes = next((gives[each] for each in reversed(KEYS[: at - 1]) if each in gives), None)
    if key in gives:
        draw(story, takes, gives[key])
    elif key == "cosine":
        ensure_features([story.model])
        nearest = story.nearest()
        if nearest is None:
            st.info("Every gallery image for this query is junk; there is no match to explain.")
        else:
            draw(story, takes, nearest)
    elif key == "ranks":
        ensure_features(bench.networks.values())
        draw(story, bench)
    else:
        st.info("This network has no such stage; go on to the next with →.")


def _line_of_stages(bench: Workbench, model: OpenedModel, absent: list[int]) -> int:
    """The stage that is shown: a tour's, whose bar has the arrows and says where one is, else the line's."""
    opened = opened_step("story", bench)
    at = int(opened.step.params["stage"]) if opened else stages("stage", [stage.title for stage in STAGES], absent)
    if absent:
        st.caption(" ".join(_why_absent(model, {KEYS[each - 1] for each in absent})))
    return at


def _why_absent(model: OpenedModel, absent: set[str]) -> list[str]:
    """A sentence for the stages that this network does not have."""
    settings, title = model.settings, model.title
    sentences = []
    if "M_s" in absent:
        sentences.append(why_no_spatial_attention(settings).partition(". A CAM")[0] + ".")
    if "graph" in absent:
        sentences.append(no_graph(title, settings.has_stripes).partition(";")[0] + ".")
    skipped = [stage.title for stage in STAGES if stage.key in absent]
    return [*sentences, f"Skipped: {', '.join(skipped)}."]

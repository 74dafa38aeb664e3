"""The sidebar: data, the two models, an imported third one, the protocol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from html import escape
from pathlib import Path

import streamlit as st

from app.widgets.components.image_picker import chosen_image
from app.widgets.lecture import lecture_switch
from app.widgets.page import QUERY_MINE, SHARED, as_page
from app.widgets.problems import GO_TO, choose_path, open_typed, show_reading
from app.widgets.selection import selected
from app.widgets.uploads_open import offer_uploads, uploads_caption
from app.workbench import OpenedDataset, OpenedModel, Workbench, places, roots
from app.workbench.images import thumbnail
from app.workbench.opening import (
    checkpoint_files,
    imported_models,
    is_demo_data,
    open_checkpoint,
    open_data,
    telling_query,
)
from app.workbench.uploaded_data import close_uploads, is_uploaded, uploads_beside
from ssrnet.data.datasets import LAYOUTS
from ssrnet.data.protocols import Protocol, available_protocols
from ssrnet.data.records import UNLABELLED

PROTOCOL_TITLES = {
    "cross_camera": "Cross-camera",
    "single_gallery_shot": "Single-gallery-shot",
    "multi_gallery_shot": "Multi-gallery-shot",
}

GUIDE = """
#### Three things are needed to start

1. **A data folder**: any folder of vehicle pictures, or a zip file of them. With labels (VeRi-776, VehicleID, VERI-Wild, a
   Market-style folder, one folder a vehicle, or a CSV manifest with the columns `image`, `vehicle_id`, `split`, and `camera_id`
   where cameras are known) there are scores too.
2. **A baseline checkpoint** and
3. **an SSR-Net checkpoint**. Both are trained with the same command and recipe:
"""

COMMANDS = """\
ssrnet train --data DIR --out runs/baseline --network baseline
ssrnet train --data DIR --out runs/ssrnet --network ssrnet"""

DEMO_CAPTION = (
    "The bundled demo: a synthetic city, with no real photograph in it; its data card is "
    "`assets/README.md`. Name another folder to look at your own vehicles."
)
UNLABELLED_CAPTION = "No labels: every image is a query for all the others, and nothing counts as right or wrong, so there are no scores."
UNLABELLED_HELP = (
    "To give labels: mark them on the page *Label*, give each vehicle a folder of its own, or add a `manifest.csv` with the "
    "columns `image`, `vehicle_id`, `split`, and `camera_id` where cameras are known."
)
LAYOUT_HELP = (
    "What the folder is taken for. *Folders* are those of a vehicle each; *unlabelled* are images in any folders, of which "
    "nobody has said which vehicles they show."
)
ALIGN_HELP = (
    "Each feature minus its camera's mean, over its camera's standard deviation, before features are compared. For cameras "
    "that the models were not trained on. Needs the cameras' names and no vehicle labels; the statistics are those of the "
    "test images (transductive). Raw and aligned stand side by side in Retrieval, Failures, Gallery map and Scoreboard; "
    "Regions, Graph and Your images compare aligned features, Attention and Probes raw ones."
)


def choose_source() -> Workbench | None:
    """Draws the sidebar; None until data and both checkpoints are named.

    Fields start with the bundled demo, where it is there; what the URL says goes before.
    Raises :class:`SSRNetError` for what is named but cannot be used.
    """
    if GO_TO in st.session_state:
        st.switch_page(as_page(st.session_state.pop(GO_TO)), query_params={})  # those of the sidebar stay
    demo = places.demo()
    with st.sidebar:
        lecture_switch()
        st.header("Data and models", anchor=False)
        data = st.text_input(
            "Data folder",
            demo.get("data", ""),
            key="data",
            bind="query-params",
            placeholder="path of a data set",
            on_change=_data_typed,
        )
        layout = None
        if is_demo_data(data):
            st.caption(DEMO_CAPTION)
        elif is_uploaded(data):
            uploads_caption()
        elif data:
            layout = st.selectbox(
                "Read as",
                LAYOUTS,
                index=None,
                key="layout",
                bind="query-params",
                placeholder="as recognised",
                help=LAYOUT_HELP,
            )
        offer_uploads("sidebar_open_uploads")
        files = checkpoint_files()
        baseline = choose_path("Baseline checkpoint", files, "baseline", demo.get("baseline"))
        ssrnet = choose_path("SSR-Net checkpoint", files, "ssrnet", demo.get("ssrnet"))
    if not (data and baseline and ssrnet):
        return None
    opened = open_data(data, layout)
    if not opened.is_uploaded:
        close_uploads()
    show_reading(opened.dataset)
    selected(opened)
    checkpoints = [open_checkpoint(path) for path in (baseline, ssrnet)]
    with st.sidebar:
        imported = imported_models(opened)
        third = _choose_third(list(imported))
        protocol = _choose_protocol(opened)
        dataset = opened.dataset
        aligned = dataset.is_labelled and st.toggle("Align cameras", key="align", bind="query-params", help=ALIGN_HELP)
        counts = (
            f"{len(dataset.query):,} query, {len(dataset.gallery):,} gallery and {len(dataset.train):,} training images"
            if dataset.is_labelled
            else f"{len(dataset.gallery):,} images, no labels"
        )
        st.caption(
            f"**{Path(dataset.root).name}**: {counts}",
            help=replace(dataset, warnings=()).summary().replace("\n", "  \n"),
        )
        for warning in dataset.warnings:
            st.warning(warning, icon=":material/warning:")
        usual = protocol or Protocol()  # whether training images are among the test images does not depend on it
        both = Workbench.of(opened, *checkpoints, usual)
        show_likeness(both.baseline, both.ssrnet)
        show_seen_in_training(both.networks.values())
        if dataset.test:  # the image that the pages are about, which any of them may have chosen
            image = chosen_image("query", dataset.test, lambda: telling_query(both) if protocol else None)
            mine = st.session_state.get(QUERY_MINE) and uploads_beside()
            words = escape(f"{'Query of the data set' if mine else 'Query'}: {image.name}", quote=True)
            st.html(
                f'<figure class="query-photo"><img src="{thumbnail(image)}" alt="{words}">'
                f"<figcaption>{words}</figcaption></figure>"
            )
    st.session_state["source_url"] = {key: st.query_params[key] for key in SHARED if key in st.query_params}
    if third is not None and third not in imported:
        make = f", or make it with `ssrnet import --data {dataset.root} --name NAME --features FILE.npz`"
        st.warning(
            f"`{third}` is no imported model of this data set, so it is left out: clear *Third model* in the "
            f"sidebar{'' if opened.is_uploaded else make}.",
            icon=":material/error:",
        )
    if protocol is None:
        st.info("This data set has no test images that a protocol could use; the sidebar says why for each.")
        return None
    bench = Workbench.of(opened, *checkpoints, protocol, imported.get(third))
    return bench.aligned if aligned else bench


def _data_typed() -> None:
    """Another folder is read as it is recognised, whatever the one before was read as."""
    open_typed("data")
    st.session_state["layout"] = None


def _choose_third(imported: list[str]) -> str | None:
    """The name of an import for this data set, or what the URL says; nothing is drawn where there is none to offer."""
    linked = st.query_params.get("third")
    options = imported if linked is None or linked in imported else [*imported, linked]
    if not options:
        return None
    return st.selectbox(
        "Third model",
        options,
        index=None,
        key="third",
        bind="query-params",
        placeholder="none",
        help="Features made by `ssrnet import`; in Retrieval, Failures, Gallery map and Scoreboard.",
    )


def _choose_protocol(opened: OpenedDataset) -> Protocol | None:
    """The protocols that the data set serves; the others stand below, disabled, each with its reason."""
    if not opened.dataset.is_labelled:
        st.caption(UNLABELLED_CAPTION, help=UNLABELLED_HELP)
        return Protocol(UNLABELLED)
    reasons = available_protocols(opened.dataset)
    usable = [name for name, reason in reasons.items() if reason is None]
    unusable = [name for name in reasons if name not in usable]
    name = None
    if usable:
        usual = opened.dataset.protocol
        name = st.radio(
            "Protocol",
            usable,
            index=usable.index(usual) if usual in usable else 0,
            format_func=PROTOCOL_TITLES.__getitem__,
            key="protocol",
            bind="query-params",
        )
    if unusable:
        st.radio(
            "Not with this data" if usable else "Protocol",
            unusable,
            index=None,
            format_func=PROTOCOL_TITLES.__getitem__,
            captions=[f"{reasons[each]}." for each in unusable],
            disabled=True,
            key="unusable_protocols",
        )
    if name is None:
        return None
    seed, n = 0, Protocol.n
    if name != "cross_camera":
        seed = st.number_input("Seed of the random gallery", 0, 10_000, 0, key="seed", bind="query-params")
    if name == "multi_gallery_shot":
        n = st.number_input("Gallery images a vehicle (n)", 1, 50, n, key="n", bind="query-params")
    return Protocol(name, seed=int(seed), n=int(n))


def show_likeness(baseline: OpenedModel, ssrnet: OpenedModel) -> None:
    """A warning where the two checkpoints are not a baseline and an SSR-Net, which the fields' names promise."""
    kinds = [model.settings.title for model in (baseline, ssrnet)]
    if baseline.hash == ssrnet.hash:
        text = f"Both fields name the same {kinds[0]} file, so no page shows a difference"
    elif kinds[0] == kinds[1]:
        text = f"Both checkpoints are {kinds[0]} networks, so what differs is their training"
    elif not ssrnet.has_graph and baseline.has_graph:
        text = f"The fields are swapped: {kinds[0]} stands as the baseline, and {kinds[1]} in SSR-Net's place"
    else:
        return
    st.warning(f"{text}; choose another file above if that is not meant.", icon=":material/warning:")


def show_seen_in_training(models: Iterable[OpenedModel]) -> None:
    """A warning where test vehicles were, or may have been, trained on, and a caption for what else is known.

    Models of which the same is true share a sentence. Nothing is drawn where neither data nor checkpoints say.
    """
    models = list(models)
    warnings: dict[str, list[str]] = {}
    notes: dict[str, list[str]] = {}
    for model in models:
        seen = model.seen_in_training
        if seen and seen.warning:
            warnings.setdefault(seen.warning, []).append(model.title)
        if seen and seen.note:
            notes.setdefault(seen.note, []).append(model.title)
    for text, titles in warnings.items():
        st.warning(f"**{' and '.join(titles)}**: {text}", icon=":material/warning:")
    for text, titles in notes.items():
        st.caption(f"**{' and '.join(titles)}**: {text}")


def show_reach() -> None:
    """Who can open this page, and what of the disk it reads."""
    readable = "\n".join(f"- `{root}`" for root in dict.fromkeys((*places.default_roots(), *roots.further_roots())))
    if roots.is_local():
        reach = ":material/lock: Only this computer reaches this page"
    else:
        reach = f":material/public: Others may reach this page: the server listens on {roots.listens_on()}"
    more = (
        "A path typed above adds its folder."
        if roots.may_open()
        else f"More are named in `{roots.NAMED}` when it is started."
    )
    st.sidebar.caption(reach, help=f"It reads these folders and no others:\n{readable}\n\n{more}")


def with_raw_features(bench: Workbench) -> Workbench:
    """The workbench for a page that compares raw features; a caption says so where the sidebar aligns them."""
    if bench.is_aligned:
        st.caption(":material/info: Cosines and maps on this page are of raw features, without camera alignment.")
    return bench.raw


def guide() -> None:
    """What is needed to start, and what of it is still missing."""
    missing = {"a data folder": "data", "a baseline checkpoint": "baseline", "an SSR-Net checkpoint": "ssrnet"}
    missing = [words for words, key in missing.items() if not st.session_state.get(key)]
    if not missing:
        return  # all is named, and its problem is shown
    st.markdown(GUIDE)
    st.code(COMMANDS, language="bash")
    st.markdown(
        "Then name all three in the sidebar. `ssrnet doctor --data DIR` says whether a folder is understood. After "
        "`make app` activate the environment first: `source .venv/bin/activate`."
    )
    st.info("Still missing: " + ", ".join(missing) + ".")

"""Your images: rank an uploaded gallery for an uploaded query, or compare two pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.widgets.controls import one_of
from app.widgets.evaluations import ensure_features
from app.widgets.index_search import index_search
from app.widgets.page import explain
from app.widgets.pair_marks import mark_uploads
from app.widgets.problems import fragment
from app.widgets.progress import run_with_progress
from app.widgets.rank_list import RAW_AND_ALIGNED, RankRow, legend, rank_list, ranks_export
from app.widgets.uploaded_pair import compare_uploads
from app.widgets.uploader import uploader
from app.widgets.uploads_open import offer_uploads
from app.workbench import Workbench
from app.workbench.cache import forget_pictures
from app.workbench.images import all_uploads
from ssrnet.analysis.marked_pairs import marked_threshold
from ssrnet.data.uploads import UploadedImage, Uploads
from ssrnet.retrieval.alignment import CameraStatistics
from ssrnet.retrieval.ranking import Hit, RankedImage
from ssrnet.retrieval.verification import verify

RANK, COMPARE, SEARCH, CALIBRATE = "Rank a gallery", "Compare two images", "Search an index", "Calibrate"
KNOWN_HELP = "Mark pairs of these pictures as one vehicle or two, to get a threshold for pictures like these."
GALLERY_HELP = (
    "To name cameras for *Align cameras* in the sidebar, put the pictures of each camera into a folder of its own in the "
    "zip file (`cam1/0001.jpg`), or add a CSV file with the columns `image` and `camera`, beside the zip file or in it; "
    "then folders do not count."
)
TOP_K = 10
PICKED = "images_picked"
"""The session state's key for the name of the gallery picture that is compared with the query."""
INTRO = r"""
Compare pictures of your own: a query with a gallery, or two pictures with each other, and calibrate on pairs that you mark, by
${s(a, b) = \cos\big(f(a), f(b)\big)}$.
"""
EQUATIONS = (
    r"s(a, b) = \frac{f(a) \cdot f(b)}{\lVert f(a) \rVert \, \lVert f(b) \rVert}, \qquad "
    r"\text{same vehicle} \iff s \ge \tau \text{ of pairs like these}",
    r"\mathrm{FMR}(\tau) = P(s \ge \tau \mid \text{two vehicles}), \qquad "
    r"\mathrm{FNMR}(\tau) = P(s < \tau \mid \text{one vehicle})",
)
LOOK_FOR = """
Both models embed the pictures as they do the data set's; nothing is written to the disk, and the pictures are gone once this
browser tab is closed or reloaded. The chart shows where their cosine lies among those of the sidebar's data set, under its protocol, not what
it means: on pictures of other cameras and other crops both curves lie elsewhere, so no threshold of theirs gives a verdict here.
**Calibrate** has you mark pairs of your own pictures, and gives a threshold with its interval and error rates; only then is there
a verdict. Crop to the vehicle, as a detector would: both models have seen nothing but crops.

**Align cameras** in the sidebar aligns these pictures too. A camera that the gallery's folders or its CSV file name gets
statistics of its own, measured on its pictures here, once there are enough of them; the data set's whole statistics count
as a few pictures more, and align every other picture. A camera here is never taken for the data set's of the same name.
Name the query's camera as well where you know it: aligned by other statistics than its camera's, it keeps what that
camera adds.

Look for: whether both maps light the same part of the vehicle; a high cosine that comes from the background.
"""


def render(bench: Workbench) -> None:
    """Four things to do, each with its uploads; below, the models' results."""
    mode = one_of("What to do", (RANK, COMPARE, SEARCH, CALIBRATE), "images_mode")
    if mode == CALIBRATE:
        _calibrate(bench)
    else:
        left, right = st.columns(2)
        if mode == COMPARE:
            one = uploader("First picture: cropped to the vehicle", "images_first", place=left)
            many = uploader("Second picture: cropped to the vehicle", "images_second", place=right)
        else:
            one = uploader("Query: one picture, cropped to the vehicle", "images_query", place=left)
            many = Uploads({}, ())
        if mode == RANK:
            many = uploader("Gallery: pictures, or a zip file of them", "images_gallery", GALLERY_HELP, right)
        offer_uploads("images_open_uploads", leads_to="retrieval")
        query = next(iter(_images(one)), None)
        if mode == SEARCH:
            if query:
                fragment(index_search)(bench, "images", query.read)
            else:
                st.info("Upload a query to search for.")
        elif query and many.pictures:
            camera = _query_camera(left, many.cameras) if bench.is_aligned and many.cameras else None
            ranked, by_own_cameras = _rank(bench, query, camera, many)
            index = _ranks(bench, query, many, ranked) if mode == RANK else 0
            cosines = {
                title: next(each.cosine for each in found if each.index == index) for title, found in ranked.items()
            }
            compare_uploads(bench, query, _images(many)[index], cosines, by_own_cameras)
        else:
            st.info("Upload both to see what the two models make of them.")
    forget_pictures()
    explain(EQUATIONS, LOOK_FOR, [verify, marked_threshold])


def _images(uploads: Uploads) -> list[UploadedImage]:
    return [UploadedImage.of(name, picture, uploads.digests[name]) for name, picture in uploads.pictures.items()]


def _calibrate(bench: Workbench) -> None:
    """Pairs of all uploads to mark."""
    uploader("Photographs of your vehicles, most of them twice or more; or a zip file", "images_known", KNOWN_HELP)
    offer_uploads("images_open_uploads", leads_to="retrieval")
    pictures = all_uploads()
    if len(pictures) < 2:
        st.info("Upload photographs of which you know which ones show the same vehicle.")
    else:
        st.caption(f"Pairs of {len(pictures):,} pictures: all that you have uploaded, here and elsewhere, each once.")
        mark_uploads(bench, pictures)


def _query_camera(place: DeltaGenerator, cameras: Mapping[str, str]) -> str | None:
    """One of the gallery's cameras, or None where it is unknown."""
    counts = Counter(cameras.values())

    def title(camera: str | None) -> str:
        return f"{camera} ({counts[camera]:,} in the gallery)" if camera else "unknown"

    return place.selectbox("Camera of the query", [None, *sorted(counts)], format_func=title, key="images_query_camera")


def _rank(
    bench: Workbench, query: UploadedImage, camera: str | None, gallery: Uploads
) -> tuple[dict[str, Sequence[RankedImage]], bool]:
    """The whole gallery as each network ranks it, by row title; where features are aligned, raw before aligned.

    Then whether cameras that are named here have statistics of their own.
    """
    ranked, cameras = {}, [gallery.cameras.get(name) for name in gallery.pictures]
    if bench.is_aligned:
        ensure_features(bench.networks.values())
    for at, model in enumerate(bench.networks.values()):
        embed = partial(model.embed_uploads, [query, *_images(gallery)])
        embeddings = run_with_progress(f"Embedding with {model.raw.title}", f"images_embed_{at}", embed)
        ranked |= {each.title: each.rank(embeddings, [camera, *cameras]) for each in (model.raw, model)}
        statistics = model.upload_statistics(embeddings[1:], cameras)
    if statistics is not None:
        st.caption(_how_aligned(bench, statistics, camera))
    return ranked, statistics is not None and bool(statistics.cameras)


def _how_aligned(bench: Workbench, of_uploads: CameraStatistics, camera: str | None) -> str:
    """By which statistics the query, by ``camera``, and the gallery were aligned."""
    whole = f"the statistics of {bench.dataset.name}'s {bench.baseline.statistics().images:,} test images"
    least, cameras, others = of_uploads.settings.min_images, len(of_uploads.cameras), of_uploads.by_whole_set
    if not cameras:
        return f"Aligned by {whole}, since no camera is named here with at least {least} pictures."
    parts = [
        f"Aligned by camera: {of_uploads.images - others:,} of the gallery's {of_uploads.images:,} pictures by statistics "
        f"measured on these pictures, for {cameras:,} camera{'s' if cameras > 1 else ''} with at least {least} of them"
    ]
    if camera in of_uploads.cameras:
        parts.append("the query by its camera's")
        parts += [f"the other {others:,} by {whole}"] if others else []
    else:
        parts.append(f"{f'the other {others:,} and ' if others else ''}the query by {whole}")
    return "; ".join(parts) + "."


def _ranks(
    bench: Workbench, query: UploadedImage, uploads: Uploads, ranked: Mapping[str, Sequence[RankedImage]]
) -> int:
    """A row for each model, as on Retrieval; the position of the gallery picture to look at more closely."""
    gallery = _images(uploads)
    if bench.is_aligned:
        gallery = [replace(image, camera_id=uploads.cameras.get(image.name)) for image in gallery]
    rows = []
    for title, found in ranked.items():
        hits = [Hit(index, max(0.0, 1 - cosine), None, rank) for rank, index, cosine in found[:TOP_K]]
        joined = bench.is_aligned and title in bench.networks
        rows.append(RankRow(title, hits, f"of {len(gallery):,} pictures", joined))
    names, before = list(uploads.pictures), st.session_state.get(PICKED)
    chosen = before if before in names else names[ranked[bench.baseline.title][0].index]
    rank_list(query, rows, gallery, chosen, lambda name: st.session_state.update({PICKED: name}))
    how = "A distance is one minus the cosine. A click compares a picture with the query, below."
    legend(f"{how} {RAW_AND_ALIGNED * bench.is_aligned}", query=query)
    ranks_export("ranks_of_your_images", query, rows, gallery)
    return names.index(chosen)

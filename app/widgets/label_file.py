"""How far labelling is, where its labels are kept, and how they open as a data set."""

from __future__ import annotations

import shlex
from pathlib import Path

import streamlit as st

from app.widgets.export import download
from app.workbench import roots
from app.workbench.labels import Labelling, beside
from ssrnet.errors import SSRNetError, one_line


def progress_line(now: Labelling) -> None:
    """Images labelled, vehicles, refused pairs; why the last answer was not taken or not saved."""
    labels, images = now.labels, now.images.dataset.test
    labelled = sum(image.name in labels.vehicle_of for image in images)
    vehicles = len(labels.vehicles)
    st.markdown(
        f"**{labelled:,} of {len(images):,} images labelled** · {vehicles:,} vehicle{'s' * (vehicles != 1)} · "
        f"{len(labels.other):,} refused pair{'s' * (len(labels.other) != 1)}"
    )
    if now.problem:
        st.error(now.problem, icon=":material/error:")


def label_file(now: Labelling) -> None:
    """The place of the file or, where nothing is written, an upload; a download, and the command that reads it."""
    st.subheader("The labels", anchor=False)
    if now.path:
        st.caption(f":material/save: Saved after every answer in `{now.path}`; the images are not touched.")
    elif now.images.is_uploaded:
        st.caption(
            ":material/download: Nothing of uploads is written on the server: download the labels before you close this tab, and put "
            "the file into the folder that you packed."
        )
    elif not roots.may_open():
        st.caption(
            ":material/download: Others can reach this page, so nothing is written on the server: download the labels before you "
            "close it."
        )
    else:
        st.caption(":material/warning: Not saved: choose a place below, or download the labels.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        download("Download the labels", now.text, now.place.name, "label_download", icon=":material/download:")
        if now.path and now.problem:
            st.button(
                "Take the labels of the file", key="label_take", on_click=_take, args=(now,), icon=":material/sync:"
            )
    if not now.may_be_saved:
        st.file_uploader(
            "Go on with labels that you downloaded before",
            type="csv",
            key="label_upload",
            on_change=_take_upload,
            args=(now,),
            help="They take the place of the labels above; *Undo* brings those back.",
        )
    else:
        st.text_input(
            "Save in",
            value=str(now.path or beside(now.folder)),
            key=f"label_place_{now.folder}",
            on_change=_keep_at,
            args=(now,),
            help="A CSV file. One that labelling has not written is never overwritten; labels that are there are taken.",
        )
    pairs = sum(len(images) > 1 for images in now.labels.vehicles.values())
    if pairs and now.path:
        st.markdown(
            "These labels open as a data set, in the sidebar's *Data folder* and on the command line. A score on them flatters "
            "the model whose ranks were labelled: it found the matches."
        )
        st.code(f"ssrnet evaluate --data {shlex.quote(str(now.path))} --checkpoint CHECKPOINT", language="bash")


def _keep_at(now: Labelling) -> None:
    typed = st.session_state[f"label_place_{now.folder}"].strip()
    path = Path(typed).expanduser().absolute()
    if path.suffix.lower() != ".csv":
        now.problem = f"{typed or 'Nothing'} is no place for labels; give the path of a file that ends in .csv."
        return
    try:
        now.keep_at(path)
    except SSRNetError as error:
        now.problem = str(error)


def _take_upload(now: Labelling) -> None:
    uploaded = st.session_state["label_upload"]
    if uploaded:
        now.take_upload(one_line(uploaded.name, 60), uploaded.getvalue())


def _take(now: Labelling) -> None:
    try:
        now.take_file()
    except SSRNetError as error:
        now.problem = str(error)

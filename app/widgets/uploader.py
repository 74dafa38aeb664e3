"""A file uploader whose pictures stay for the session, and what it still holds from before."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.workbench.images import remove_uploads, uploads
from ssrnet.data.images import IMAGE_SUFFIXES
from ssrnet.data.uploads import Uploads

TYPES = sorted(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES)
NAMED = 3
"""Names of pictures from before that are listed."""


def uploader(label: str, key: str, several: str | None = None, place: Any = st) -> Uploads:
    """The pictures of one uploader, each refused file as a sentence below it; ``several``: help where it takes many.

    Streamlit empties an uploader when its page is left. Its pictures stay until others take their place or they are removed.
    """

    def changed() -> None:
        if not st.session_state[key]:
            remove_uploads(key)

    types = [*TYPES, "zip", "csv"] if several else TYPES
    files = place.file_uploader(
        label, type=types, accept_multiple_files=bool(several), key=key, help=several, on_change=changed
    )
    files = files if isinstance(files, list) else [files] if files else []
    read = uploads(key, files)
    for sentence in read.refused:
        place.warning(sentence, icon=":material/block:")
    if read.pictures and not files:
        with place.container(horizontal=True, vertical_alignment="center"):
            names = list(read.pictures)
            more = f" and {len(names) - NAMED:,} more" * (len(names) > NAMED)
            st.caption(f"From before: {', '.join(f'`{name}`' for name in names[:NAMED])}{more}.", width="stretch")
            remove = {"on_click": remove_uploads, "args": (key,), "type": "tertiary"}
            st.button("Remove", key=f"{key}_remove", icon=":material/delete:", **remove)
    return read

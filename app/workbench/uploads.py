"""Pictures that a viewer uploads, held in that viewer's session alone and never written to the disk."""

from __future__ import annotations

from collections.abc import Sequence

from app.workbench.cache import session_cached
from ssrnet.data.uploads import Uploads, read_uploads


def uploads(files: Sequence) -> Uploads:
    """The images in Streamlit's uploaded files, read again only when the files change."""
    key = ("uploads", *(file.file_id for file in files))
    return session_cached(key, lambda: read_uploads((file.name, file.getvalue()) for file in files))

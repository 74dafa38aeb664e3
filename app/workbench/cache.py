"""The one cache of the pages: what they compute, in memory, by what it was computed from.

Streamlit's own caches replay what is drawn inside a cached function, so cached work could not report its progress.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st
from PIL import Image
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.workbench.places import file_stamp
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import PictureInMemory, Uploads, picture_digest

T = TypeVar("T")
SESSION = "session_cache"
"""The session state's key for what is computed from a viewer's uploads; it goes when the page is closed."""
OPENED_UPLOADS = ("uploads as a data set",)
"""The key among them of the uploads that are open as a data set."""


@dataclass
class _Entry:
    value: Any = None
    made: bool = False
    making: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class _Store:
    """The ``most`` last used values of one kind."""

    most: int
    entries: OrderedDict[Hashable, _Entry] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def entry(self, key: Hashable) -> _Entry:
        with self.lock:
            entry = self.entries.setdefault(key, _Entry())
            self.entries.move_to_end(key)
            # One that is being made stays, or the next caller would make it again at the same time.
            made = [key for key, entry in self.entries.items() if entry.made]
            for oldest in made[: max(0, len(self.entries) - self.most)]:
                del self.entries[oldest]
        return entry


def cached(kind: str, key: object, make: Callable[[], T], most: int = 64, spinner: str | None = None) -> T:
    """The value of this ``kind`` and ``key``, computed by the first caller, then shared by all sessions.

    key: anything that :func:`content_key` takes. most: values of the kind to hold, as the first call says. What ``make`` raises is raised
    here, and the next call tries again. Callers must not change what they get: all sessions share it. What is computed from an
    uploaded picture stays in the viewer's session.
    """
    if digests := _uploaded(key):
        return _in_session(kind, key, digests, make, most)
    entry = _store(kind, most).entry(content_key(key))
    if entry.made:  # without waiting for a lock
        return entry.value
    with entry.making:
        if not entry.made:
            on_page = get_script_run_ctx(suppress_warning=True) is not None
            with st.spinner(spinner) if spinner and on_page else nullcontext():
                entry.value = make()
            entry.made = True
    return entry.value


def cached_value(kind: str, key: object) -> Any:
    """The value if it has been made, else None."""
    if digests := _uploaded(key):
        return session_values().get((kind, content_key(key), *digests))
    store = _stores().get(kind)
    entry = store.entries.get(content_key(key)) if store else None
    return entry.value if entry and entry.made else None


def stored(kind: str, key: object, load: Callable[[], T | None], most: int = 64) -> T | None:
    """The value from memory, else what ``load`` reads from the disk, which is then cached; None where neither has it."""
    value = cached_value(kind, key)
    if value is None:
        value = load()
        if value is not None:
            return cached(kind, key, lambda: value, most)
    return value


def session_cached(key: tuple, make: Callable[[], T]) -> T:
    """As :func:`cached`, in this viewer's session alone, and never on the disk."""
    values, key = session_values(), content_key(key)
    if key not in values:
        values[key] = make()
    return values[key]


def _in_session(kind: str, key: object, digests: tuple[str, ...], make: Callable[[], T], most: int) -> T:
    """The ``most`` last made values of the kind; a view of a picture holds megabytes."""
    values, key = session_values(), (kind, content_key(key), *digests)
    if key not in values:
        values[key] = make()
        for oldest in [each for each in values if each[0] == kind][:-most]:
            del values[oldest]
    return values[key]


def _uploaded(key: object) -> tuple[str, ...]:
    """The digests of the uploaded pictures, and of data sets of them, in a key."""
    if isinstance(key, PictureInMemory):
        return (key.digest,)
    if digest := getattr(key, "uploaded_digest", ""):
        return (digest,)
    if isinstance(key, tuple | list):
        return tuple(digest for each in key for digest in _uploaded(each))
    return ()


def session_values() -> dict[Hashable, Any]:
    """All that :func:`session_cached` has made, by content key."""
    return st.session_state.setdefault(SESSION, {})


def held_uploads() -> list[Uploads]:
    """What this session's uploaders hold."""
    return [value[1] for key, value in session_values().items() if key[0] == "uploads"]


def forget_pictures() -> None:
    """Drops what this session has computed of pictures that no uploader holds any more, and no data set that is open."""
    values, digests = session_values(), {digest for one in held_uploads() for digest in one.digests.values()}
    if opened := values.get(OPENED_UPLOADS):
        digests |= {opened.uploaded_digest, *(image.digest for image in opened.dataset.gallery)}
    for key in [
        key for key in list(values) if key[0] != "uploads" and key != OPENED_UPLOADS and not digests & set(key)
    ]:
        del values[key]


def content_key(thing: object) -> Hashable:
    """A hashable key that changes when the content of ``thing`` does: hashes of models and data, stamps of files."""
    if isinstance(thing, PictureInMemory):
        return thing.digest
    if isinstance(thing, VehicleImage | Path):
        path = thing.path if isinstance(thing, VehicleImage) else thing
        return str(path), file_stamp(path)
    if isinstance(thing, Image.Image):
        return picture_digest(thing)
    if isinstance(thing, tuple | list):
        return tuple(content_key(each) for each in thing)
    if isinstance(thing, Mapping):
        return tuple((name, content_key(value)) for name, value in thing.items())
    return getattr(thing, "content_key", thing)


def _store(kind: str, most: int) -> _Store:
    stores = _stores()
    if kind not in stores:
        stores.setdefault(kind, _Store(most))
    return stores[kind]


@st.cache_resource(show_spinner=False)
def _stores() -> dict[str, _Store]:
    """One for all sessions; in Streamlit's cache, so that its menu's *Clear cache* empties it."""
    return {}

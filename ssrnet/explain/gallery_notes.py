"""What a reader notes on a gallery map: tags of images and named views, as one JSON file."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from ssrnet.errors import DataError
from ssrnet.files import parse_json

FORMAT, VERSION = "ssrnet gallery map", 1


@dataclass(frozen=True)
class View:
    """How the map was looked at: the projection, the branch (None: the whole embedding), what gives the colour."""

    method: str
    branch: str | None
    colouring: str
    query: str
    selected: tuple[str, ...] = ()
    """Names of images."""


@dataclass(frozen=True)
class GalleryNotes:
    """Tags and views of one data set by name; tags are names of images. Never changed: every step makes new notes."""

    dataset: str
    dataset_hash: str
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)

    def with_tag(self, tag: str, names: Iterable[str]) -> GalleryNotes:
        """``names`` bear ``tag`` as well, which may be new."""
        own = dict.fromkeys((*self.tags.get(tag, ()), *names))
        return replace(self, tags={**self.tags, tag: tuple(own)})

    def without_tag(self, tag: str) -> GalleryNotes:
        return replace(self, tags={name: names for name, names in self.tags.items() if name != tag})

    def with_view(self, name: str, view: View) -> GalleryNotes:
        """``view`` under ``name``, in place of an earlier one of that name."""
        return replace(self, views={**self.views, name: view})

    def joined(self, other: GalleryNotes) -> GalleryNotes:
        """Both: tags of one name have the images of both, of two views of one name ``other`` has its own."""
        both = replace(self, views={**self.views, **other.views})
        for tag, names in other.tags.items():
            both = both.with_tag(tag, names)
        return both

    def by_image(self) -> dict[str, tuple[str, ...]]:
        """The tags that each image bears, of those that bear one."""
        found: dict[str, tuple[str, ...]] = {}
        for tag, names in self.tags.items():
            for name in names:
                found[name] = (*found.get(name, ()), tag)
        return found

    def json(self) -> str:
        about = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps(about, indent=2, ensure_ascii=False)


def read_notes(text: str | bytes, source: str, dataset: str, dataset_hash: str, names: Collection[str]) -> GalleryNotes:
    """Notes as :meth:`GalleryNotes.json` wrote them, for the data set whose images are ``names``.

    ``source`` is what messages call the file. Raises :class:`DataError` for what is no such file, for one of another
    data set, and for images that this data set does not have.
    """
    try:
        found = parse_json(text)
    except ValueError as error:
        raise DataError(f"{source} is no JSON ({error}); choose a file that this page has saved.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise DataError(f"{source} holds no tags of a gallery map; choose a file that this page has saved.")
    if found.get("version") != VERSION:
        raise DataError(f"{source} is of version {found.get('version')!r}, and this page reads version {VERSION}.")
    if found.get("dataset_hash") != dataset_hash:
        raise DataError(
            f"{source} belongs to the data set {found.get('dataset')} ({found.get('dataset_hash')}), and this page "
            f"shows {dataset} ({dataset_hash}); open that data set in the sidebar, or choose another file."
        )
    try:
        tags = {_text(tag): _texts(own) for tag, own in found["tags"].items()}
        views = {_text(name): _view(view) for name, view in found["views"].items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"{source} is damaged: its tags or views are not as this page writes them ({error}); save them again."
        ) from error
    known = set(names)
    used = [name for own in tags.values() for name in own]
    used += [name for view in views.values() for name in (view.query, *view.selected)]
    unknown = [name for name in used if name not in known]
    if unknown:
        raise DataError(f"{source} names the image {unknown[0]}, which {dataset} does not have; choose another file.")
    return GalleryNotes(dataset, dataset_hash, tags, views)


def _view(found: dict) -> View:
    branch = found["branch"]
    return View(
        _text(found["method"]),
        None if branch is None else _text(branch),
        _text(found["colouring"]),
        _text(found["query"]),
        _texts(found["selected"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"found {value!r} in place of a text")
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError(f"found {values!r} in place of a list")
    return tuple(_text(value) for value in values)

"""A viewer's notes on a gallery map: tags of images and named views, as one JSON file."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from ssrnet.errors import DataError
from ssrnet.files import parse_json

FORMAT, VERSION = "ssrnet gallery map", 1


@dataclass(frozen=True)
class View:
    """One state of the map page: projection, branch (None: the whole embedding), colouring, query and selection."""

    method: str
    branch: str | None
    colouring: str
    query: str
    selected: tuple[str, ...] = ()
    """Names of images."""


@dataclass(frozen=True)
class GalleryNotes:
    """Tags and views of one data set by name; tags are names of images. Immutable: every method returns new notes."""

    dataset: str
    dataset_hash: str
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)

    def with_tag(self, tag: str, names: Iterable[str]) -> GalleryNotes:
        """``names`` get ``tag`` in addition; the tag may be new."""
        tagged = dict.fromkeys((*self.tags.get(tag, ()), *names))
        return replace(self, tags={**self.tags, tag: tuple(tagged)})

    def without_tag(self, tag: str) -> GalleryNotes:
        return replace(self, tags={name: names for name, names in self.tags.items() if name != tag})

    def with_view(self, name: str, view: View) -> GalleryNotes:
        """``view`` under ``name``, in place of an earlier one of that name."""
        return replace(self, views={**self.views, name: view})

    def joined(self, other: GalleryNotes) -> GalleryNotes:
        """Both: a tag of both has the images of both; of two views of one name, ``other``'s stays."""
        both = replace(self, views={**self.views, **other.views})
        for tag, names in other.tags.items():
            both = both.with_tag(tag, names)
        return both

    def by_image(self) -> dict[str, tuple[str, ...]]:
        """The tags of each image that has any."""
        tags: dict[str, tuple[str, ...]] = {}
        for tag, names in self.tags.items():
            for name in names:
                tags[name] = (*tags.get(name, ()), tag)
        return tags

    def json(self) -> str:
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=2, ensure_ascii=False)


def read_notes(text: str | bytes, source: str, dataset: str, dataset_hash: str, names: Collection[str]) -> GalleryNotes:
    """Notes as :meth:`GalleryNotes.json` wrote them, for the data set whose images are ``names``.

    ``source`` is the file's name in messages. Raises :class:`DataError` for a file of another kind or of another data
    set, and for images that this data set does not have.
    """
    try:
        notes = parse_json(text)
    except ValueError as error:
        raise DataError(f"{source} is not JSON ({error}); choose a file that this page has saved.") from error
    if not isinstance(notes, dict) or notes.get("format") != FORMAT:
        raise DataError(f"{source} holds no tags of a gallery map; choose a file that this page has saved.")
    if notes.get("version") != VERSION:
        raise DataError(
            f"{source} has version {notes.get('version')!r}, and this page reads version {VERSION}; choose another."
        )
    if notes.get("dataset_hash") != dataset_hash:
        raise DataError(
            f"{source} belongs to the data set {notes.get('dataset')} ({notes.get('dataset_hash')}), and this page "
            f"shows {dataset} ({dataset_hash}); open that data set in the sidebar, or choose another file."
        )
    try:
        tags = {_text(tag): _texts(tagged) for tag, tagged in notes["tags"].items()}
        views = {_text(name): _view(view) for name, view in notes["views"].items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"{source} is damaged: its tags or views are not as this page writes them ({error}); save the notes again."
        ) from error
    known = set(names)
    used = [name for tagged in tags.values() for name in tagged]
    used += [name for view in views.values() for name in (view.query, *view.selected)]
    unknown = [name for name in used if name not in known]
    if unknown:
        raise DataError(f"{source} names the image {unknown[0]}, which {dataset} does not have; choose another file.")
    return GalleryNotes(dataset, dataset_hash, tags, views)


def _view(view: dict) -> View:
    branch = view["branch"]
    return View(
        _text(view["method"]),
        None if branch is None else _text(branch),
        _text(view["colouring"]),
        _text(view["query"]),
        _texts(view["selected"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is not a list")
    return tuple(_text(value) for value in values)

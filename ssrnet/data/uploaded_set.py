"""Uploaded pictures as a data set without labels, in memory alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from ssrnet.data.records import UNLABELLED, ReIDDataset
from ssrnet.data.uploads import MAX_NAME, PictureInMemory, Uploads, distinct_name
from ssrnet.errors import one_line

NAME = "uploaded pictures"


def uploaded_set(uploads: Iterable[Uploads]) -> ReIDDataset:
    """The pictures as :mod:`ssrnet.data.readers.folder` would read the folder that was packed: by name, without vehicles.

    A picture's name is its path in the zip file, from the folder in which all lie where there is one. Only a table names
    cameras, since folders may be anything; they are the attribute ``folder``. A picture that an earlier one of
    ``uploads`` has is left out.
    """
    taken: dict[str, tuple[Uploads, str]] = {}
    for one in uploads:
        before = {other.digests[name] for other, name in taken.values()}
        for name, path in _paths(one).items():
            if one.digests[name] not in before:
                taken[distinct_name(path, taken)] = one, name
    nested = any("/" in path for path in taken)
    images = []
    for path, (one, name) in sorted(taken.items()):
        camera = one.cameras.get(name) if one.by_table else None
        folder = {"folder": path.rpartition("/")[0] or "."} if nested else {}
        picture, digest = one.pictures[name], one.digests[name]
        images.append(PictureInMemory(Path(), path, None, camera, folder, picture, digest))
    return ReIDDataset(NAME, Path(NAME), UNLABELLED, "you uploaded them", [], [], images, UNLABELLED)


def _paths(uploads: Uploads) -> Mapping[str, str]:
    """Each picture's path by its name; of one that leads out of the zip file the name alone."""
    paths = {name: uploads.paths.get(name, PurePosixPath(name)) for name in uploads.pictures}
    plain = {
        name: PurePosixPath(path.name) if path.is_absolute() or ".." in path.parts else path
        for name, path in paths.items()
    }
    folders = {path.parts[:-1][:1] for path in plain.values()}
    if len(folders) == 1 and folders != {()}:
        plain = {name: PurePosixPath(*path.parts[1:]) for name, path in plain.items()}
    return {name: one_line(str(path), MAX_NAME) for name, path in plain.items()}

"""Which folders the app reads: no link, data set or index leads out of them.

The project's folder and the one that the server was started in are always among them. ``SSRNET_ROOTS`` names further
ones, and then these are all. Where it is not set, whoever sits at the computer that serves the page opens others by
typing a path, or with a click where a link names one; on a server that other computers reach, nobody does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

import streamlit as st

from ssrnet.data.records import VehicleImage
from ssrnet.errors import DataError

NAMED = "SSRNET_ROOTS"
"""The environment variable: folders, separated as in PATH."""


class OutsideError(DataError):
    """A path outside of all that may be read; ``folder`` is what would have to be opened for it."""

    def __init__(self, path: Path) -> None:
        self.folder = _folder(path)
        advice = (
            "if it was you who chose it, open it with the button below"
            if may_open()
            else f"whoever runs the server can add it with the environment variable {NAMED}"
        )
        super().__init__(f"{path} is outside the folders that this page may read; {advice}.")


def check(path: Path, open_roots: Iterable[Path]) -> Path:
    """``path``, where it lies in one of ``open_roots``, or a further root, with all links followed.

    Raises :class:`OutsideError` else, whether or not anything is there.
    """
    real = _real(path)
    if not any(real.is_relative_to(_real(root)) for root in (*open_roots, *further_roots())):
        raise OutsideError(path)
    return path


def check_images(images: Iterable[VehicleImage], open_roots: Iterable[Path]) -> None:
    """Raises :class:`OutsideError` for an image, or a folder of images, that is a link out of all roots."""
    open_roots = tuple(open_roots)
    images = list(images)
    for folder in dict.fromkeys(image.path.parent for image in images):
        check(folder, open_roots)
    for image in images:
        if image.path.is_symlink():
            check(image.path, open_roots)


def further_roots() -> list[Path]:
    """What is named in the environment, or was opened since the server started."""
    named = os.environ.get(NAMED)
    return [Path(each).expanduser() for each in named.split(os.pathsep) if each] if named else sorted(_opened())


def open_root(path: str | Path) -> None:
    """Makes the folder of ``path`` one that may be read, where the viewer sits at this computer."""
    if may_open():
        _opened().add(_folder(Path(path).expanduser()))


def may_open() -> bool:
    """Whether a viewer may open further folders."""
    return is_local() and not os.environ.get(NAMED)


def is_local() -> bool:
    """Whether the server listens to this computer alone."""
    address = listens_on()
    try:
        return address == "localhost" or ip_address(address).is_loopback
    except ValueError:
        return False


def listens_on() -> str:
    """The server's address; without one, Streamlit listens on all that the computer has."""
    return st.get_option("server.address") or "0.0.0.0"


@st.cache_resource(show_spinner=False)
def _opened() -> set[Path]:
    return set()


def _folder(path: Path) -> Path:
    real = _real(path)
    return real.parent if os.path.isfile(real) else real


def _real(path: Path) -> Path:
    try:
        return Path(os.path.realpath(path))
    except ValueError:  # a NUL, which no file has in its name
        return Path(os.path.abspath(path))

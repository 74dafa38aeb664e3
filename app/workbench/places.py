"""Where the app finds what it opens: the project's folder, the bundled demo, paths that may be read."""

from __future__ import annotations

import os.path
from pathlib import Path

from app.workbench.roots import check
from ssrnet.retrieval import feature_files

ROOT = Path(__file__).resolve().parent.parent.parent
"""The project's folder, where the bundled demo lies; the app may be started from anywhere."""
DEMO = {
    "data": "assets/city",
    "baseline": "checkpoints/baseline.safetensors",
    "ssrnet": "checkpoints/ssrnet.safetensors",
}
"""The bundled demo, by the sidebar's keys."""


def demo() -> dict[str, str]:
    """The bundled demo by the sidebar's keys; empty where a part of it is missing."""
    return DEMO if all((ROOT / path).exists() for path in DEMO.values()) else {}


def feature_folders() -> list[Path]:
    """Where features may be stored already: by the app, or by commands in the folder that it was started from."""
    return feature_files.feature_folders(*default_roots())


def default_roots() -> tuple[Path, Path]:
    """The folders that may be read without anyone's having opened them."""
    return ROOT, Path.cwd()


def readable_path(path: str) -> Path:
    """``path`` from the working folder, or from the project's where it exists only there.

    Raises :class:`app.workbench.roots.OutsideError` where it leads out of all folders that may be read.
    """
    expanded = os.path.expanduser(path)  # these two never raise, whatever was typed in
    in_project = not os.path.exists(expanded) and os.path.exists(ROOT / expanded)
    return check(ROOT / expanded if in_project else Path(expanded), default_roots())


def file_stamp(path: Path) -> tuple[int, ...]:
    """Changes when the file does; zeros where there is none. Its second number is the size.

    Time of change and size alone would not tell apart a file and its copy with the time kept (cp -p, rsync -t), nor
    what a clock that was set back dates alike; the inode and its own time do, and cost at most a needless reading.
    """
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns

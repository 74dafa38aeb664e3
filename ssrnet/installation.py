"""Checks, before anything heavy is imported, that the installed libraries fit together."""

from __future__ import annotations

from importlib import import_module, metadata

from ssrnet.errors import InstallationError

MINIMUM_TORCH = (2, 11)


def check_torch() -> None:
    """Raises :class:`InstallationError` where PyTorch is absent or too old; imports nothing."""
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        raise InstallationError("PyTorch is not installed; run `pip install -r requirements.txt`.") from None
    if tuple(int(part) for part in version.split("+")[0].split(".")[:2]) < MINIMUM_TORCH:
        raise InstallationError(
            f"PyTorch {version} is too old, 2.11 or newer is needed; run `pip install -r requirements.txt`."
        )


def check_installation() -> None:
    """Raises :class:`InstallationError`, saying what to install, where PyTorch, torchvision or OpenCV cannot work."""
    check_torch()
    try:
        import_module("torchvision")
    except (RuntimeError, ImportError, OSError) as error:
        # A CPU-only torch beside PyPI's torchvision: "operator torchvision::nms does not exist".
        raise InstallationError(
            f"torch {_version('torch')} and torchvision {_version('torchvision')} are not from the same build "
            f"({error}); install both from one index: `pip install --force-reinstall -r requirements.txt`."
        ) from error
    try:
        import_module("cv2")
    except ImportError as error:
        raise InstallationError(
            f"OpenCV cannot be loaded ({error}); the desktop build needs libGL, so run "
            "`pip uninstall opencv-python` and `pip install --force-reinstall opencv-python-headless`."
        ) from error


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(absent)"

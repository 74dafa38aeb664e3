from importlib import metadata

import pytest

from ssrnet import installation
from ssrnet.errors import InstallationError
from ssrnet.installation import check_installation, check_torch


def importing(monkeypatch, name: str, error: Exception) -> None:
    """Importing ``name`` raises ``error``."""

    def import_module(wanted):
        if wanted == name:
            raise error

    monkeypatch.setattr(installation, "import_module", import_module)


def torch_is(monkeypatch, version: str | None) -> None:
    def look_up(package):
        if version is None or package != "torch":
            raise metadata.PackageNotFoundError(package)
        return version

    monkeypatch.setattr(installation.metadata, "version", look_up)


def test_what_the_tests_run_with_fits_together():
    check_installation()


def test_torch_and_torchvision_of_two_builds(monkeypatch):
    importing(monkeypatch, "torchvision", RuntimeError("operator torchvision::nms does not exist"))
    with pytest.raises(InstallationError) as caught:
        check_installation()
    message = str(caught.value)
    assert f"torch {metadata.version('torch')} and torchvision {metadata.version('torchvision')}" in message
    assert "not from the same build (operator torchvision::nms does not exist)" in message
    assert "`pip install --force-reinstall -r requirements.txt`" in message


def test_a_library_that_torchvision_cannot_load(monkeypatch):
    importing(monkeypatch, "torchvision", OSError("libcudart.so.13: cannot open shared object file"))
    with pytest.raises(InstallationError, match="libcudart"):
        check_installation()


def test_no_torchvision(monkeypatch):
    importing(monkeypatch, "torchvision", ModuleNotFoundError("No module named 'torchvision'"))
    torch_is(monkeypatch, "2.15.0+cpu")
    with pytest.raises(InstallationError, match=r"torch 2.15.0\+cpu and torchvision \(absent\)"):
        check_installation()


@pytest.mark.parametrize("version", ["2.10.1", "1.13.0+cpu", "2.9.0a0+git123"])
def test_a_torch_that_is_too_old(monkeypatch, version):
    torch_is(monkeypatch, version)
    with pytest.raises(InstallationError) as caught:
        check_installation()
    assert f"PyTorch {version} is too old, 2.11 or newer is needed; run `pip install" in str(caught.value)


def test_torch_alone_can_be_checked_without_importing_anything(monkeypatch):
    importing(monkeypatch, "torchvision", AssertionError("imported"))
    check_torch()
    torch_is(monkeypatch, "2.10.1")
    with pytest.raises(InstallationError, match="PyTorch 2.10.1 is too old"):
        check_torch()


@pytest.mark.parametrize("version", ["2.11.0", "2.11.0+cpu", "2.15.0a0+git1", "3.0"])
def test_a_torch_that_is_new_enough(monkeypatch, version):
    torch_is(monkeypatch, version)
    check_installation()


def test_no_torch(monkeypatch):
    torch_is(monkeypatch, None)
    with pytest.raises(InstallationError, match="PyTorch is not installed; run `pip install -r requirements.txt`"):
        check_installation()


def test_the_desktop_build_of_opencv(monkeypatch):
    importing(monkeypatch, "cv2", ImportError("libGL.so.1: cannot open shared object file: No such file or directory"))
    with pytest.raises(InstallationError) as caught:
        check_installation()
    message = str(caught.value)
    assert "libGL.so.1" in message and "`pip uninstall opencv-python`" in message
    assert "opencv-python-headless" in message

"""The locks that `make app` and `make test` install from: every pin is in them, every file in them has its hash.

Red after a pin has changed: run `make lock`.
"""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-test.lock")
TEST_EXTRAS = ("test", "synth", "export", "index")  # those that the tests install
ENTRY = re.compile(r"^(?P<pin>[a-z0-9][^#\\\n]*?) \\\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M)
PLATFORMS = ("linux", "darwin", "win32")


def entries(lock: str) -> list[tuple[Requirement, int]]:
    """What ``lock`` names, each with the number of its hashes."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return [(Requirement(match["pin"]), match["hashes"].count("sha256")) for match in ENTRY.finditer(text)]


def versions(lock: str) -> dict[str, set[str]]:
    """Package -> the versions that ``lock`` pins it to; more than one where a marker decides."""
    found: dict[str, set[str]] = {}
    for requirement, _ in entries(lock):
        found.setdefault(canonicalize_name(requirement.name), set()).add(version(requirement))
    return found


def version(requirement: Requirement) -> str:
    (pin,) = requirement.specifier
    assert pin.operator == "==" and "*" not in pin.version, f"{requirement} is no pin"
    return pin.version


def pins() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def extras() -> list[Requirement]:
    return [Requirement(text) for extra in TEST_EXTRAS for text in project()["optional-dependencies"][extra]]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_a_pin_with_hashes_and_names_no_place(lock):
    """Else pip installs nothing of it with ``--require-hashes``, or files of one machine alone."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    rest = [line for line in ENTRY.sub("", text).splitlines() if not line.lstrip().startswith("#")]
    assert rest == [] and len(entries(lock)) >= 80
    assert "://" not in text and " @ " not in text and "--find-links" not in text and "index-url" not in text
    for requirement, _ in entries(lock):
        version(requirement)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_of_requirements_is_locked_at_its_version(lock):
    locked = versions(lock)
    assert len(pins()) >= 15
    for pin in pins():
        assert locked.get(canonicalize_name(pin.name)) == {version(pin)}, pin.name


def test_every_pin_of_the_extras_is_locked_at_its_version():
    locked = versions("requirements-test.lock")
    for pin in extras():
        assert locked.get(canonicalize_name(pin.name)) == {version(pin)}, pin.name


def test_the_app_does_not_install_what_only_tests_need():
    assert not {canonicalize_name(pin.name) for pin in extras()} & versions("requirements.lock").keys()


def test_the_tests_run_with_the_files_of_the_app():
    app, tests = ({str(requirement): count for requirement, count in entries(lock)} for lock in LOCKS)
    assert app.items() <= tests.items()


def test_the_pins_are_in_the_ranges_that_the_package_declares():
    pinned = {canonicalize_name(pin.name): version(pin) for pin in pins()}
    for text in project()["dependencies"]:
        declared = Requirement(text)
        assert pinned[canonicalize_name(declared.name)] in declared.specifier, text


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_gets_one_torch_and_its_own_packages(platform):
    applying = [
        canonicalize_name(requirement.name)
        for requirement, _ in entries("requirements.lock")
        if requirement.marker is None
        or requirement.marker.evaluate({"sys_platform": platform, "platform_machine": "x86_64"})
    ]
    assert len(applying) == len(set(applying)), "two versions of one package for the same machine"
    assert {"torch", "torchvision", "streamlit"} <= set(applying)
    assert ("colorama" in applying) == (platform == "win32") and ("triton" in applying) == (platform == "linux")


def test_compiled_packages_have_the_hashes_of_several_platforms():
    """A lock made from one machine's own wheels has one hash each."""
    counts = {requirement.name: count for requirement, count in entries("requirements.lock")}
    for name in ("torch", "torchvision", "numpy", "pillow", "opencv-python-headless"):
        assert counts[name] >= 4, name


def test_the_lock_brings_the_setuptools_that_builds_the_package():
    """`make app` builds without isolation, so that nothing without a hash comes in."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (needed,) = map(Requirement, tomllib.loads(text)["build-system"]["requires"])
    (locked,) = versions("requirements.lock")[canonicalize_name(needed.name)]
    assert locked in needed.specifier

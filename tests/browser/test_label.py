"""From a flat folder over twelve labelled images to a manifest that `ssrnet evaluate` reads, in a real Chromium."""

import os
import shutil
import zipfile
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

from ssrnet.commands.evaluate import EvaluateSettings, evaluate_model
from ssrnet.data.label_files import read_labels
from tests import tiny
from tests.browser.serving import stand_still, started

PROGRESS = "{} of 14 images labelled"


@pytest.fixture(scope="module")
def at_home(tmp_path_factory, checkpoints):
    """The app for someone at this computer alone, with checkpoints in its folder."""
    project = tmp_path_factory.mktemp("home")
    shutil.copytree(Path(checkpoints["ssrnet"]).parent, project / "checkpoints", copy_function=os.link)
    with started(project, roots=False) as (address, _):
        yield address, project


def flat_folder(folder: Path) -> Path:
    """Fourteen images of five colours, named by their number alone; the last two have a colour of their own."""
    generator = np.random.default_rng(0)
    folder.mkdir()
    for number in range(14):
        colour = tiny.COLOURS[number % 3 if number < 12 else number - 6]
        pixels = np.clip(np.array(colour) + generator.normal(0, 30, (40, 48, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.jpg")
    return folder


def pack(folder: Path, path: Path) -> list[str]:
    """The folder's images in a zip file, seven in a folder of each name; what an image is called there, in order."""
    images = sorted(folder.iterdir())
    names = [f"{'7' if at < 7 else '8'}/{image.name}" for at, image in enumerate(images)]
    with zipfile.ZipFile(path, "w") as archive:
        for image, name in zip(images, names):
            archive.write(image, f"phone/{name}")
            archive.writestr(f"__MACOSX/phone/._{image.name}", b"no image")
    return names


def address_of(at_home, data: str, **url: str) -> str:
    models = {role: f"checkpoints/{role}.safetensors" for role in ("baseline", "ssrnet")}
    return f"{at_home[0]}/label?{urlencode({'data': data, **models, **url})}"


def open_label(page, at_home, data: str, **url: str) -> None:
    page.goto(address_of(at_home, data, **url))
    page.get_by_text("images labelled").wait_for()
    stand_still(page)


def focused(page, but: str = "") -> str:
    """The name of the image that has the focus, once one has it other than ``but``."""
    script = (
        "(but) => [document.activeElement.shadowRoot?.activeElement?.dataset.name].find(name => name && name !== but)"
    )
    return page.wait_for_function(script, arg=but).json_value()


def scores(manifest: Path, checkpoints, monkeypatch, capsys) -> str:
    """What `ssrnet evaluate` prints."""
    monkeypatch.chdir(manifest.parent)
    evaluate_model(EvaluateSettings(manifest, Path(checkpoints["baseline"]), device="cpu", workers=0))
    return capsys.readouterr().out


def test_twelve_images_by_mouse(page, at_home, checkpoints, monkeypatch, capsys):
    folder = flat_folder(at_home[1] / "mouse")
    open_label(page, at_home, "mouse")
    for query in range(3):
        for step, other in enumerate(range(query + 3, 12, 3)):
            page.locator(f"[data-name='{other:02d}.jpg'] [data-answer=s]").first.click()
            page.get_by_text(PROGRESS.format(4 * query + 2 + step)).wait_for()
            stand_still(page)
        if query == 0:
            page.locator("[data-name='01.jpg'] [data-answer=o]").first.click()
            page.get_by_text("1 refused pair").wait_for()
        stand_still(page)
        page.get_by_role("button", name="Next query").click()
        page.locator(f".query img[alt='query: {[1, 2, 12][query]:02d}.jpg']").first.wait_for()
        stand_still(page)
    kept = read_labels(at_home[1] / "mouse.csv").labels
    assert sorted(kept.vehicles.values()) == [tuple(f"{n:02d}.jpg" for n in range(v, 12, 3)) for v in range(3)]
    assert kept.relation("03.jpg", "04.jpg") == "other" and len(list(folder.iterdir())) == 14
    printed = scores(at_home[1] / "mouse.csv", checkpoints, monkeypatch, capsys)
    assert "2 skipped: not labelled yet" in printed and "single_gallery_shot" in printed and "(9 queries)" in printed


def test_twelve_images_without_a_mouse(page, at_home, checkpoints, monkeypatch, capsys):
    """A zip file as a Mac packs it, of folders that are taken for vehicles."""
    names = pack(flat_folder(at_home[1] / "phone"), at_home[1] / "keys.zip")
    page.goto(address_of(at_home, "keys.zip", label_length="20"))
    page.get_by_text("Read as one folder a vehicle: 2 vehicles (7, 8).").wait_for()
    stand_still(page)
    page.get_by_role("button", name="Read as images without labels").press("Enter")
    page.get_by_text(PROGRESS.format(0)).wait_for()
    for query in range(3):
        page.locator(f".query img[alt='query: {names[query]}']").first.wait_for()
        stand_still(page)
        found, answered = 0, ""
        while found < 3:
            name = focused(page, answered)
            if names.index(name) < 12 and names.index(name) % 3 == query:
                found, answered = found + 1, name
                page.keyboard.press("s")
                page.get_by_text(PROGRESS.format(4 * query + 1 + found)).wait_for()
                stand_still(page)
            else:
                page.keyboard.press("ArrowRight")
        if query == 0:  # the last answer is taken back, and given once more
            page.keyboard.press("u")
            page.get_by_text(PROGRESS.format(3)).wait_for()
            stand_still(page)
            page.wait_for_function(
                "name => document.activeElement.shadowRoot?.activeElement?.dataset.name === name", arg=name
            )
            page.keyboard.press("s")
            page.get_by_text(PROGRESS.format(4)).wait_for()
            stand_still(page)
        page.keyboard.press("n")
    page.locator(f".query img[alt='query: {names[12]}']").first.wait_for()
    stand_still(page)
    focused(page)
    page.keyboard.press("o")
    page.keyboard.press("o")  # before the first answer is drawn: it is for the next image that has none
    page.get_by_text("2 refused pairs").wait_for()
    kept = read_labels(at_home[1] / "keys.csv").labels
    assert sorted(kept.vehicles.values()) == [tuple(names[v:12:3]) for v in range(3)]
    assert "(9 queries)" in scores(at_home[1] / "keys.csv", checkpoints, monkeypatch, capsys)

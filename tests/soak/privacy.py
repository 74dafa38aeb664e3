"""Attempts to make the app read or write outside its folders: through links, uploads and plain HTTP.

The app serves a folder with a small demo. Outside of it lies another data set with a checkpoint, a run and an index, all of
which contain a word that must never reach a viewer.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

from PIL import Image

from app.workbench.images import data_uri
from ssrnet.commands.index_build import BuildSettings, build_index
from ssrnet.data.images import read_image
from ssrnet.training.checkpoint import load_checkpoint, save_checkpoint
from tests import tiny
from tests.browser.serving import started
from tests.soak.report import Row, lost
from tests.soak.viewer import Viewer

WORD = "unspoken"
"""Part of every name and record of the folder outside."""
KEYS = {
    "data": "retrieval",
    "baseline": "start",
    "ssrnet": "start",
    "index": "retrieval",
    "runs": "scoreboard",
    "studies": "scoreboard",
    "third": "map",
    "query": "attention",
    "match": "retrieval",
    "sheet": "retrieval",
    "graph_off": "graph",
    "regions_with": "regions",
    "probes_vehicle": "probes",
    "images_mode": "images",
}
"""Every parameter of a link that could be taken for a path, with a page that reads it."""
UPLOADS = (
    "../../up.png",
    "/etc/up.png",
    "..\\..\\up.png",
    "C:\\up.png",
    "\x1b[31mup.png",
    "a\nb.png",
    "~/up.png",
    "%2e%2e%2fup.png",
    "<img src=x>.png",
    "‮gnp.up.png",
    "." * 100 + ".png",
    "-rf.png",
    "$(touch up).png",
    "x" * 300 + ".png",
)


def make(folder: Path) -> tuple[Path, Path]:
    """The folder that is served and the one outside, both new in ``folder``."""
    served, outside = folder / "served", folder / "outside"
    data = tiny.city(served / "assets/city")
    for role, changes in (("baseline", tiny.BASELINE), ("ssrnet", {})):
        model = tiny.network(**changes)
        (served / "checkpoints").mkdir(exist_ok=True)
        save_checkpoint(served / f"checkpoints/{role}.safetensors", model, tiny.info(model))
    secret = outside / "city"
    secret.mkdir(parents=True)
    lines = ["image,vehicle_id,split,camera_id"]
    for path in sorted((data / "image_test").iterdir()):
        name = f"{WORD}-{path.name}"
        Image.open(path).point(lambda value: 255 - value).save(secret / name)
        _, camera, number, _ = path.stem.split("_")
        lines.append(f"{name},{WORD}-{path.stem[:4]},{'query' if number == '00000000' else 'gallery'},{camera}")
    (secret / "manifest.csv").write_text("\n".join(lines) + "\n")
    model = tiny.network(seed=1)
    save_checkpoint(outside / "ssrnet.safetensors", model, tiny.info(model, dataset=WORD))
    run = outside / "run"
    run.mkdir()
    settings = {"recipe": WORD, "epochs": 2, "max_steps": None, "out": WORD, "model": {}}
    (run / "settings.json").write_text(json.dumps(settings))
    (run / "log.jsonl").write_text(json.dumps({"epoch": 1, "step": 9, "loss": 1.5, "note": WORD}) + "\n")
    network = served / "checkpoints/ssrnet.safetensors"
    for where in (outside / "index", served / "runs/index"):  # the second is inside, its pictures are not
        build_index(BuildSettings(secret, network, where, features=(), workers=0, device="cpu"))
    (served / "link").symlink_to(outside)
    assert load_checkpoint(outside / "ssrnet.safetensors").info.dataset == WORD
    return served, outside


def spellings(served: Path, path: Path) -> Iterator[str]:
    """``path``, which lies outside, in all the ways in which a link may name it."""
    inner, outside = path.relative_to(path.parents[0]), str(path)
    below = path.relative_to(served.parent / "outside")
    yield outside
    yield from (f"{outside}/", f"/{outside}", f"{outside}/.", f"/./{outside}", f"{path.parent}/x/../{inner}")
    yield from (f"../outside/{below}", f"./../outside/{below}", f"assets/../../outside/{below}", f"link/{below}")
    yield from (f"./link/./{below}", f"assets/city/../../link/{below}", f"{served}/../outside/{below}")
    yield from (f"/proc/self/root{outside}", f"/proc/self/cwd/../outside/{below}", f"file://{outside}")
    yield from (f"{outside}\0.jpg", f"{outside}\n", f" {outside}", f"~root/../..{outside}", quote(outside, safe=""))
    yield from (outside.replace("/", "\\"), outside.replace("/", "//"), f"//localhost{outside}", "x/" * 3000 + outside)


def soak(folder: Path, seed: int) -> list[Row]:
    return attempts(*make(folder), step=1)


def attempts(served: Path, outside: Path, step: int) -> list[Row]:
    """One in ``step`` links of all parameters, targets and spellings; every request and upload."""
    targets = [outside / name for name in ("city", "city/manifest.csv", "ssrnet.safetensors", "run", "index")]
    links = [
        (view, key, spelled)
        for key, view in KEYS.items()
        for target in targets
        for spelled in spellings(served, target)
    ][::step]
    before = tiny.files(outside)
    with started(served, roots=False) as (address, _):
        seen = Leaks({thumbnail(path) for path in (outside / "city").glob("*.jpg")})
        asyncio.run(follow(address, links, seen))
        rows = [Row("a link that names what lies outside the folders that were chosen", len(links), lost(seen.leaks))]
        seen.leaks = []
        asyncio.run(follow(address, [("retrieval", "index", "runs/index")], seen, words=False))
        rows.append(Row("an index inside that names pictures outside", 1, lost(seen.leaks)))
        paths = list(requests(served, outside))
        leaks = [path for path in paths if WORD.encode() in answer(address, path)]
        rows.append(Row("plain HTTP requests for files", len(paths), lost(leaks)))
        there = set(tiny.files(served))
        seen = Leaks(set())
        asyncio.run(upload_all(address, seen))
        made = [f"it wrote {path}" for path in sorted(set(tiny.files(served)) - there) if "up" in Path(path).name]
        rows.append(Row("uploads with names that lead elsewhere", len(UPLOADS), lost(seen.leaks + made)))
    changed = ["the folder outside was changed"] * (tiny.files(outside) != before)
    return [*rows, Row("files of the folder outside, afterwards byte by byte as before", len(before), lost(changed))]


class Leaks:
    """Collects what a viewer was sent of the folder outside: its word, or one of its ``pictures``."""

    def __init__(self, pictures: set[bytes]) -> None:
        self.pictures, self.leaks = pictures, []

    def look(self, viewer: Viewer, link: str, words: bool = True) -> None:
        received = b"".join(viewer.received)
        viewer.forget()
        if (words and WORD.encode() in received) or any(picture in received for picture in self.pictures):
            self.leaks.append(f"{link!r} shows what lies outside")
        self.leaks += [f"{link!r}: {problem.splitlines()[0]}" for problem in viewer.texts("exception")]


async def follow(address: str, links: list[tuple[str, str, str]], seen: Leaks, words: bool = True) -> None:
    async with Viewer(address) as viewer:
        for view, key, value in links:
            try:
                await viewer.open(view, **{key: value})
            except AssertionError as error:
                seen.leaks.append(f"{key}={value!r}: {error}")
            seen.look(viewer, f"{key}={value}", words)


async def upload_all(address: str, seen: Leaks) -> None:
    """Uploads a picture under every name; each is shown, or refused in a sentence."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(buffer, "PNG")
    async with Viewer(address) as viewer:
        for name in UPLOADS:
            await viewer.open("images")
            await viewer.upload("Query", name, buffer.getvalue())
            seen.look(viewer, name)


def requests(served: Path, outside: Path) -> Iterator[str]:
    """Request paths that climb out of the folders that the server serves files from."""
    file = outside / "run/settings.json"
    for start in (
        "",
        "/app/static",
        "/static",
        "/media",
        "/component/x",
        "/_stcore/bidi-components/x",
        "/_stcore/upload_file/a",
    ):
        for up in ("../", "..%2f", "%2e%2e/", "....//", "..\\", "..%5c", "%252e%252e%252f"):
            yield f"{start}/{up * 12}{str(file).lstrip('/')}"
        yield f"{start}/{file}"
        yield f"{start}/{quote(str(file), safe='')}"


def answer(address: str, path: str) -> bytes:
    """The body of the answer to GET ``path``, sent as it is."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.putrequest("GET", path, skip_host=False)
    connection.endheaders()
    body = connection.getresponse().read()
    connection.close()
    return body


def thumbnail(path: Path) -> bytes:
    """The base64 text of the data URI with which a page shows the picture."""
    picture = read_image(path)
    picture.thumbnail((320, 160))
    uri = data_uri(picture)
    return uri.partition(",")[2].encode()

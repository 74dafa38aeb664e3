"""Pages load nothing from other servers and run no markup in names; uploads stay in memory; links need a click."""

import csv
import shutil
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from app.widgets.page import HOME, VIEWS
from tests import tiny
from tests.browser.look import rest
from tests.browser.serving import stand_still, started, type_into

MARKUP = '"><script>window.ran = 1</script><img src={0}/pixel.png onerror="window.ran = 1">'
MARKDOWN = "![x]({0}/picture.png) [y](javascript:window.ran=1) $x$ :material/home: <b>z</b>"
"""Names in a hostile data set; {0} is another server."""


class Elsewhere(ThreadingHTTPServer):
    """A server that no page of the app should contact, with the paths requested from it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.requested: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}"


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.requested.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere():
    with Elsewhere() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def hostile(folder: Path, elsewhere: str) -> Path:
    """The tiny city as a manifest with hostile names of images, vehicles, cameras and attributes."""
    made = tiny.city(folder / "made")
    (folder / "data").mkdir()
    rows = []
    for split in ("train", "query", "test"):
        for path in sorted((made / f"image_{split}").iterdir()):
            vehicle, camera = path.stem.split("_")[:2]
            # A name may hold an address, whose slashes make folders.
            name = f"![x]({elsewhere}/{split}-{path.stem}.png) <img src=x onerror='window.ran=1'>.jpg"
            (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / "data" / name)
            bad = MARKUP.format(elsewhere) if int(vehicle) % 2 else MARKDOWN.format(elsewhere)
            rows.append([name, f"{vehicle} {bad}", split, f"{camera} {MARKDOWN.format(elsewhere)}", bad])
    with open(folder / "data/manifest.csv", "w", newline="") as file:
        csv.writer(file).writerows([["image", "vehicle_id", "split", "camera_id", MARKDOWN.format(elsewhere)], *rows])
    return folder / "data"


def test_no_page_asks_another_server_or_runs_what_a_name_says(page, server, checkpoints, tmp_path, elsewhere):
    data = hostile(tmp_path, elsewhere.address)
    answered: list[str] = []
    page.on("response", lambda response: answered.append(response.url))
    with suppress(HTTPError):
        urlopen(f"{elsewhere.address}/probe").close()
    assert elsewhere.requested.pop() == "/probe"
    for view in VIEWS:
        page.goto(f"{server}/{'' if view == HOME else view}?{urlencode({'data': str(data), **checkpoints})}")
        page.get_by_test_id("stSidebarUserContent").get_by_text("reach").wait_for()
        stands_still(page)
        assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0, view
        assert page.evaluate("window.ran") is None, f"{view} runs what a name says"
        others = [url for url in answered if url.startswith("http") and not url.startswith(server)]
        assert not others + elsewhere.requested, f"{view} asks others"


def test_it_listens_to_this_computer_alone_unless_told_otherwise(tmp_path):
    addresses = {}
    for name, options in {"usual": (), "told": ("--server.address", "0.0.0.0")}.items():
        (tmp_path / name).mkdir()
        with open(tmp_path / f"{name}.log", "w+") as log, started(tmp_path / name, *options, log=log) as (server, pid):
            addresses[name] = listening(pid, urlsplit(server).port)
        if name == "usual":
            assert "http://localhost:" in (tmp_path / "usual.log").read_text(), "the terminal does not say where"
    assert addresses["usual"] and addresses["usual"] <= {"127.0.0.1", "::1"}
    assert addresses["told"] == {"0.0.0.0"}


def listening(pid: int, port: int) -> set[str]:
    """Addresses on which the process listens at ``port``, from the kernel's tables."""
    addresses = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, own_port = local.split(":")
            if state == "0A" and int(own_port, 16) == port:
                words = np.frombuffer(bytes.fromhex(address), ">u4").astype(
                    "<u4"
                )  # each word is in the machine's order
                addresses.add(socket.inet_ntop(family, words.tobytes()))
    return addresses


def test_an_upload_stays_in_memory(page, served, city, checkpoints, tmp_path):
    picture = tmp_path / "large.bmp"
    pixels = np.random.default_rng(0).integers(0, 255, (2000, 2500, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(picture)  # 15 MB, far more than Starlette keeps in memory by default
    server, pid = served
    page.goto(f"{server}/images?{urlencode({'data': str(city), **checkpoints})}")
    page.locator("input[type=file]").nth(1).wait_for(state="attached")
    first, second = page.locator("input[type=file]").all()
    first.set_input_files(next((city / "image_query").iterdir()))
    page.wait_for_timeout(500)
    stand_still(page)
    second.set_input_files(next((city / "image_train").iterdir()))
    page.get_by_text("Is ").first.wait_for()  # the page has loaded and stored all that it needs
    stands_still(page)
    rest(pid)  # what other pages began in the background may store something too
    before = written(pid)
    second.set_input_files(picture)
    page.get_by_text("Is large.bmp the same vehicle?").wait_for()
    assert written(pid) - before < 1_000_000, "an upload was written to the disk"


def stands_still(page) -> None:
    """Waits until the script has ended and the browser has drawn the page."""
    page.wait_for_timeout(300)
    stand_still(page)
    page.wait_for_timeout(700)


def written(pid: int) -> int:
    """Bytes that the process has written to file systems on a disk."""
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["write_bytes"])


def test_a_link_needs_a_click_and_a_typed_path_none(page, city, checkpoints, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    shutil.copytree(Path(checkpoints["ssrnet"]).parent, project / "checkpoints")
    models = {role: f"checkpoints/{role}.safetensors" for role in checkpoints}
    typed = shutil.copytree(city, tmp_path / "typed")
    with started(project, roots=False) as (server, _):
        page.goto(f"{server}/retrieval?{urlencode({'data': str(city), **models})}")
        page.get_by_text("is outside the folders that this page may read").wait_for()
        assert page.locator(".ranks .row").count() == 0
        page.get_by_role("button", name="Open this folder").click()
        page.wait_for_selector(".ranks .row")
        expect(page.get_by_text("is outside the folders")).to_have_count(0)

        type_into(page, "Data folder", str(typed))
        page.get_by_test_id("stSidebarUserContent").get_by_text("typed").first.wait_for()
        page.wait_for_selector(".ranks .row")
        stand_still(page)
        assert page.get_by_text("is outside the folders").count() == 0

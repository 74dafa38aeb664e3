"""Twenty viewers of the demo at once, two in Chromium and eighteen over WebSockets, who never pause between gestures.

Each has queries and an upload that no other has; whatever the server tells a viewer is searched for the others'.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import statistics
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.async_api import Page, async_playwright

from app.widgets.page import VIEWS
from tests.browser.look import served
from tests.browser.test_app import CHROMIUM, REPOSITORY
from tests.soak.report import FOLDER, Row, lost
from tests.soak.viewer import Viewer

SOCKETS, CHROMIUMS = 18, 2
GESTURES = 500
"""Of each viewer in the long form."""
AT_ONE_PAGE = 12
GROWTH = 0.10
"""How much more memory than in the middle third of the time the last third may take on average."""
PATIENCE = 180_000

Gesture = Callable[["Visitor"], Coroutine[None, None, float]]


@dataclass
class Visitor:
    """A viewer over a WebSocket, what only he asks for, and what he was told that was not for him."""

    number: int
    viewer: Viewer
    queries: list[str]
    random: random.Random
    query: str = ""
    seconds: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        """In the names of his uploads and in what he searches for."""
        return f"viewer{self.number:02d}word"

    async def pick(self) -> float:
        self.query = self.random.choice(self.queries)
        return await self.viewer.trigger("query_grid", "picked", self.query)

    async def upload(self) -> float:
        """A picture of his own; the page that answers has to name it."""
        pixels = np.random.default_rng(self.random.randrange(2**32)).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        seconds = await self.viewer.upload("Query", f"{self.word}-a.png", buffer.getvalue())
        seconds += await self.viewer.upload("Gallery", f"{self.word}-b.png", buffer.getvalue())
        if not any(f"{self.word}-b" in text.body for text in self.headings()):
            self.problems.append("the page does not show the viewer's own upload")
        return seconds

    def headings(self) -> list:
        return [one.own for one in self.viewer.shown.values() if one.kind == "heading"]

    def look(self, others: re.Pattern[bytes]) -> None:
        """What is wrong with what was received since the last look."""
        said = b"".join(self.viewer.received)
        self.viewer.forget()
        self.problems += [f"viewer {self.number} saw: {problem[:300]}" for problem in self.viewer.problems]
        foreign = {found for found in others.findall(said) if found != self.word.encode()}
        if foreign:
            self.problems.append(f"viewer {self.number} was sent {foreign.pop().decode()}")
        captions = [one.own.imgs[0].caption for one in self.viewer.shown.values() if one.kind == "imgs"]
        queries = [caption.removeprefix("Query: ") for caption in captions if caption.startswith("Query: ")]
        if self.query and queries not in ([], [self.query]):
            self.problems.append(f"viewer {self.number} asked for {self.query} and is shown {queries[0]}")


def one_of(label: str, *values: object) -> Gesture:
    """Sets the widget to one of the values by chance."""

    async def gesture(visitor: Visitor) -> float:
        return await visitor.viewer.set(label, visitor.random.choice(values))

    return gesture


async def search(visitor: Visitor) -> float:
    """For what is there or is not, then for nothing in particular, so that there is something to choose from."""
    seconds = await visitor.viewer.set("Search", visitor.random.choice((visitor.word, "car")))
    return seconds + await visitor.viewer.set("Search", "")


async def ratio(visitor: Visitor) -> float:
    return await visitor.viewer.state(
        "regions_slider", ratio=visitor.random.choice((0.25, 0.5, 0.625, 2 / 3, 0.75, 1.0))
    )


async def switch(visitor: Visitor) -> float:
    off = visitor.random.sample(("ul", "ur", "mid", "ll", "lr"), visitor.random.randrange(3))
    return await visitor.viewer.trigger("graph_drawing", "switched", {"off": off, "cut": []})


PAGES: dict[str, tuple[Gesture, ...]] = {
    "retrieval": (
        Visitor.pick,
        Visitor.pick,
        search,
        one_of("Images listed", "5", "10", "20"),
        one_of("Large gallery", True, False),
    ),
    "attention": (Visitor.pick, search, one_of("Opacity of the maps", 0.25, 0.5, 0.75), one_of("Images", "1", "3")),
    "regions": (Visitor.pick, ratio, ratio),
    "graph": (Visitor.pick, switch, switch),
    "failures": (one_of("Show", "AP against AP", "Queries", "Slices", "Who took the first place"),),
    "map": (one_of("Colour", "vehicle", "camera"),),
    "images": (Visitor.upload,),
    "scoreboard": (one_of("Horizontal axis", "Epoch", "Step"),),
    "start": (),
    "probes": (one_of("What changes", "View", "Light"),),
}


async def visit(visitor: Visitor, gestures: int, others: re.Pattern[bytes]) -> None:
    """So many gestures, on one page after the other, each opened by a link."""
    try:
        while len(visitor.seconds) < gestures:
            view = visitor.random.choice(list(PAGES))
            visitor.query = visitor.random.choice(visitor.queries)
            visitor.seconds.append(await visitor.viewer.open(view, query=visitor.query))
            visitor.look(others)
            for _ in range(min(AT_ONE_PAGE, gestures - len(visitor.seconds)) if PAGES[view] else 0):
                visitor.seconds.append(await visitor.random.choice(PAGES[view])(visitor))
                visitor.look(others)
                if view == "images":
                    break  # the files of another upload would be the same gesture again, at ten times the cost
    except Exception as error:  # the others go on, and the report says why one did not
        visitor.problems.append(f"viewer {visitor.number} gave up: {type(error).__name__} {str(error)[:300]}")


@dataclass
class Surfer:
    """A viewer in Chromium, who clicks on pictures and goes from page to page by the menu."""

    number: int
    page: Page
    random: random.Random
    seconds: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    async def settle(self) -> None:
        await self.page.wait_for_timeout(100)
        await self.page.wait_for_function(
            "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
        )

    async def click(self) -> None:
        """On a picture to choose from, where the page has some, else on another page's name."""
        pictures = self.page.locator(".grid [data-key]")
        count = await pictures.count()
        if count and self.random.random() < 0.7:
            picture = pictures.nth(self.random.randrange(count))
            name = await picture.get_attribute("data-key")
            await picture.click()
            await self.page.get_by_text(f"Query: {name}").first.wait_for()
        else:
            title = self.random.choice([view.title for view in VIEWS.values()])
            menu = self.page.get_by_test_id("stSidebarNav")
            await menu.get_by_role("link", name=title, exact=True).click()
            await self.page.locator("[data-testid=stMain] h2").get_by_text(title, exact=True).wait_for()
        await self.settle()

    async def look(self, others: re.Pattern[bytes]) -> None:
        wrong = self.page.locator("[data-testid=stException], [data-testid=stAlertContentError]")
        if await wrong.count():
            self.problems.append(f"Chromium {self.number} shows {(await wrong.first.inner_text())[:300]}")
        found = others.search((await self.page.content()).encode())
        if found:
            self.problems.append(f"Chromium {self.number} shows {found[0].decode()}")


async def surf(surfer: Surfer, address: str, gestures: int, others: re.Pattern[bytes]) -> None:
    try:
        await surfer.page.goto(address)
        await surfer.settle()
        while len(surfer.seconds) < gestures:
            started = time.perf_counter()
            await surfer.click()
            surfer.seconds.append(time.perf_counter() - started)
            await surfer.look(others)
    except Exception as error:
        surfer.problems.append(f"Chromium {surfer.number} gave up: {type(error).__name__} {str(error)[:300]}")


@dataclass(frozen=True)
class Load:
    """What came of it; ``memory``: (minutes, MB) of the server."""

    alone: list[float]
    sockets: list[float]
    chromiums: list[float]
    problems: list[str]
    memory: list[tuple[float, float]]

    @property
    def growth(self) -> float:
        """Average memory of the last third of the time over that of the middle one, minus 1."""
        end = self.memory[-1][0]
        thirds = [[mb for at, mb in self.memory if third <= 3 * at / end < third + 1] for third in (1, 2)]
        return statistics.mean(thirds[1]) / statistics.mean(thirds[0]) - 1


def crowd(address: str, pid: int, gestures: int, seed: int, sockets: int = SOCKETS, chromiums: int = CHROMIUMS) -> Load:
    """Lets them all in at once, after one alone has set the measure."""
    return asyncio.run(_crowd(address, pid, gestures, seed, sockets, chromiums))


async def _crowd(address: str, pid: int, gestures: int, seed: int, sockets: int, chromiums: int) -> Load:
    names = sorted(path.name for path in (REPOSITORY / "assets/city/image_query").glob("*.jpg"))
    others = re.compile(rb"viewer\d\dword")
    async with _visitors(address, names, seed, sockets) as visitors, _surfers(seed, chromiums) as surfers:
        await visit(visitors[0], min(40, gestures), others)
        alone, visitors[0].seconds = visitors[0].seconds, []
        memory: list[tuple[float, float]] = []
        everyone = (*visitors, *surfers)
        watching = asyncio.create_task(_watch(pid, memory, everyone))
        await asyncio.gather(
            *(visit(visitor, gestures, others) for visitor in visitors),
            *(surf(surfer, address, gestures, others) for surfer in surfers),
        )
        watching.cancel()
        return Load(
            alone,
            [each for one in visitors for each in one.seconds],
            [each for one in surfers for each in one.seconds],
            [problem for one in everyone for problem in one.problems],
            memory,
        )


@asynccontextmanager
async def _visitors(address: str, names: list[str], seed: int, count: int) -> AsyncIterator[list[Visitor]]:
    viewers = [Viewer(address) for _ in range(count)]
    for viewer in viewers:
        await viewer.__aenter__()
    # No two have a query in common.
    yield [Visitor(i, viewer, names[i::count], random.Random(f"{seed}/{i}")) for i, viewer in enumerate(viewers)]
    for viewer in viewers:
        await viewer.__aexit__(None, None, None)


@asynccontextmanager
async def _surfers(seed: int, count: int) -> AsyncIterator[list[Surfer]]:
    if not count:
        yield []
        return
    async with async_playwright() as driver:
        browsers = [await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) for _ in range(count)]
        pages = [await browser.new_page(viewport={"width": 1440, "height": 900}) for browser in browsers]
        for page in pages:
            page.set_default_timeout(PATIENCE)
        yield [Surfer(i, page, random.Random(f"{seed}/chromium/{i}")) for i, page in enumerate(pages)]
        for browser in browsers:
            await browser.close()


async def _watch(pid: int, memory: list[tuple[float, float]], everyone: Sequence[Visitor | Surfer]) -> None:
    """Takes the server's memory once a second, and says once a minute how far they are."""
    started = time.monotonic()
    while True:
        if len(memory) % 60 == 59:
            done, wrong = sum(len(one.seconds) for one in everyone), sum(len(one.problems) for one in everyone)
            print(f"  {done:,} gestures, {wrong} problems, {memory[-1][1]:,.0f} MB", flush=True)
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        memory.append(((time.monotonic() - started) / 60, pages * os.sysconf("SC_PAGESIZE") / 1e6))
        await asyncio.sleep(1)


def soak(folder: Path, seed: int, gestures: int = GESTURES) -> list[Row]:
    """The long form; the memory's course goes to ``viewers.svg`` beside the report."""
    os.environ["MALLOC_ARENA_MAX"] = "2"  # as `make app` has it
    with served() as (address, pid):
        load = crowd(address, pid, gestures, seed)
    plot(load, FOLDER / "viewers.svg")
    rows = [
        Row(
            f"gestures of {SOCKETS} viewers over WebSockets",
            len(load.sockets),
            lost(load.problems),
            _times(load.sockets),
        ),
        Row(f"gestures of {CHROMIUMS} viewers in Chromium", len(load.chromiums), measured=_times(load.chromiums)),
        Row("gestures of one viewer alone, before", len(load.alone), measured=_times(load.alone)),
    ]
    expected = gestures * (SOCKETS + CHROMIUMS)
    if len(load.sockets) + len(load.chromiums) < expected and not load.problems:
        rows.append(Row("all gestures", 1, f"only {len(load.sockets) + len(load.chromiums)} of {expected} were made"))
    grown = f"{load.growth:+.1%} from the middle to the last third of {load.memory[-1][0]:.0f} minutes"
    most = max(mb for _, mb in load.memory)
    more = [f"memory grew: {grown}"] * (load.growth > GROWTH)
    rows.append(
        Row("the server's memory, once a second", len(load.memory), lost(more), f"{grown}; {most:,.0f} MB at most")
    )
    return rows


def plot(load: Load, path: Path) -> None:
    """The server's memory over the time, without the viewer who was alone."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*load.memory, strict=True), color="#2563eb", linewidth=1)
    axes.set(
        xlabel="minutes",
        ylabel="MB",
        ylim=(0, None),
        title=f"Memory of the server, {SOCKETS + CHROMIUMS} viewers at once",
    )
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _times(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return ""
    percentiles = statistics.quantiles(seconds, n=20)
    return f"median {statistics.median(seconds):.2f} s, 95th percentile {percentiles[18]:.2f} s"

"""Viewers of the demo at once, some in Chromium and more over WebSockets, who never pause between gestures.

Each has queries and uploads that no other has; whatever the server sends a viewer is searched for the others'.
``VIEWER_GESTURES=500`` makes it an hour's load.
"""

import asyncio
import itertools
import os
import random
import re
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from playwright.async_api import Page, async_playwright
from streamlit.proto.Element_pb2 import Element

from app.widgets.page import VIEWS
from tests.browser.look import served
from tests.browser.serving import CHROMIUM, REPOSITORY
from tests.soak.viewer import Shown, Viewer

SOCKETS, CHROMIUMS = 6, 1
GESTURES = int(os.environ.get("VIEWER_GESTURES", 3))
AT_ONE_PAGE = 12
PATIENCE = 180_000
OTHERS = re.compile(rb"viewer\d\dword")
"""What only uploads and searches of one viewer contain."""

Gesture = Callable[["Visitor"], Coroutine[None, None, object]]


@dataclass
class Visitor:
    """A viewer over a WebSocket with queries and uploads that no other viewer has, and the problems met."""

    number: int
    viewer: Viewer
    queries: list[str]
    random: random.Random
    query: str = ""
    gestures: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        """Part of the names of the viewer's uploads and searches."""
        return f"viewer{self.number:02d}word"

    async def pick(self) -> None:
        self.query = self.random.choice(self.queries)
        await self.viewer.trigger("query_grid", "picked", self.query)

    async def upload(self) -> None:
        """A new picture, whose name the page must show."""
        pixels = np.random.default_rng(self.random.randrange(2**32)).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        await self.viewer.upload("Query", f"{self.word}-a.png", buffer.getvalue())
        await self.viewer.upload("Gallery", f"{self.word}-b.png", buffer.getvalue())
        if not any(f"{self.word}-b" in text.body for text in self.headings()):
            self.problems.append("the page does not show the viewer's own upload")

    def headings(self) -> list:
        return [one.message for one in self.viewer.shown.values() if one.kind == "heading"]

    def look(self) -> None:
        """Collects the problems in what was received since the last look."""
        received = b"".join(self.viewer.received)
        self.viewer.forget()
        self.problems += [f"viewer {self.number} saw: {problem[:300]}" for problem in self.viewer.problems]
        foreign = set(OTHERS.findall(received)) - {self.word.encode()}
        if foreign:
            self.problems.append(f"viewer {self.number} was sent {foreign.pop().decode()}")
        captions = [one.message.imgs[0].caption for one in self.viewer.shown.values() if one.kind == "imgs"]
        queries = [caption.removeprefix("Query: ") for caption in captions if caption.startswith("Query: ")]
        if self.query and queries not in ([], [self.query]):
            self.problems.append(f"viewer {self.number} chose {self.query} and is shown {queries[0]}")


def one_of(label: str, *values: object) -> Gesture:
    """Sets the widget to a random one of the values."""

    async def gesture(visitor: Visitor) -> None:
        await visitor.viewer.set(label, visitor.random.choice(values))

    return gesture


async def search(visitor: Visitor) -> None:
    """For what may not be there, then for everything, so that there are queries to choose from."""
    await visitor.viewer.set("Search", visitor.random.choice((visitor.word, "car")))
    await visitor.viewer.set("Search", "")


async def ratio(visitor: Visitor) -> None:
    await visitor.viewer.state("regions_slider", ratio=visitor.random.choice((0.25, 0.5, 0.625, 2 / 3, 0.75, 1.0)))


async def switch(visitor: Visitor) -> None:
    off = visitor.random.sample(("ul", "ur", "mid", "ll", "lr"), visitor.random.randrange(3))
    await visitor.viewer.trigger("graph_drawing", "switched", {"off": off, "cut": []})


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
    "scoreboard": (),
    "start": (),
    "probes": (one_of("What changes", "View", "Light"),),
}


async def visit(visitor: Visitor) -> None:
    """``GESTURES`` gestures on one page after the other; every viewer begins with another page."""
    pages = list(PAGES)[visitor.number :] + list(PAGES)[: visitor.number]
    try:
        for view in itertools.cycle(pages):
            visitor.query = visitor.random.choice(visitor.queries)
            await visitor.viewer.open(view, query=visitor.query)
            visitor.gestures += 1
            visitor.look()
            # Further uploads would be the same gesture at ten times the cost.
            more = {"images": 1}.get(view, AT_ONE_PAGE) if PAGES[view] else 0
            for _ in range(min(more, GESTURES - visitor.gestures)):
                await visitor.random.choice(PAGES[view])(visitor)
                visitor.gestures += 1
                visitor.look()
            if visitor.gestures == GESTURES:
                return
    except Exception as error:  # the others go on, and the assertion shows why one did not
        visitor.problems.append(f"viewer {visitor.number} gave up: {type(error).__name__} {str(error)[:300]}")


@dataclass
class Surfer:
    """A viewer in Chromium, who clicks on pictures and goes from page to page by the menu."""

    number: int
    page: Page
    random: random.Random
    gestures: int = 0
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

    async def look(self) -> None:
        wrong = self.page.locator("[data-testid=stException], [data-testid=stAlertContentError]")
        if await wrong.count():
            self.problems.append(f"Chromium {self.number} shows {(await wrong.first.inner_text())[:300]}")
        foreign = OTHERS.search((await self.page.content()).encode())
        if foreign:
            self.problems.append(f"Chromium {self.number} shows {foreign[0].decode()}")


async def surf(surfer: Surfer, address: str) -> None:
    try:
        await surfer.page.goto(address)
        await surfer.settle()
        while surfer.gestures < GESTURES:
            await surfer.click()
            surfer.gestures += 1
            await surfer.look()
    except Exception as error:
        surfer.problems.append(f"Chromium {surfer.number} gave up: {type(error).__name__} {str(error)[:300]}")


async def crowd(address: str) -> list[Visitor | Surfer]:
    """All viewers, after ``GESTURES`` gestures of each."""
    names = sorted(path.name for path in (REPOSITORY / "assets/city/image_query").glob("*.jpg"))
    visitors, surfers = [], []
    async with AsyncExitStack() as stack:
        for i in range(SOCKETS):  # no two have a query in common
            viewer = await stack.enter_async_context(Viewer(address))
            visitors.append(Visitor(i, viewer, names[i::SOCKETS], random.Random(f"0/{i}")))
        driver = await stack.enter_async_context(async_playwright())
        for i in range(CHROMIUMS):
            browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = await browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(PATIENCE)
            surfers.append(Surfer(i, page, random.Random(f"0/chromium/{i}")))
        await asyncio.gather(*map(visit, visitors), *(surf(surfer, address) for surfer in surfers))
    return [*visitors, *surfers]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: sh tests/browser/install_chromium.sh")
def test_viewers_at_once_see_no_error_and_nothing_of_each_other():
    with served() as (address, _):
        everyone = asyncio.run(crowd(address))
    assert [problem for one in everyone for problem in one.problems] == []
    assert [one.gestures for one in everyone] == [GESTURES] * (SOCKETS + CHROMIUMS)


@pytest.fixture
def visitor():
    return Visitor(3, Viewer("http://nowhere"), ["a.jpg"], random.Random(0), query="a.jpg")


def test_another_viewers_word_is_noticed(visitor):
    visitor.viewer.received.append(b"... viewer03word-a.png ...")
    visitor.look()
    assert not visitor.problems
    visitor.viewer.received.append(b"... viewer04word-a.png ...")
    visitor.look()
    assert visitor.problems == ["viewer 3 was sent viewer04word"]


def test_another_viewers_query_and_an_error_are_noticed(visitor):
    picture, alert = Element(), Element()
    picture.imgs.imgs.add().caption = "Query: b.jpg"
    alert.alert.body, alert.alert.format = "it is broken.", 1
    visitor.viewer.shown = {(0,): Shown(picture, ""), (1,): Shown(alert, "")}
    visitor.look()
    assert visitor.problems == ["viewer 3 saw: it is broken.", "viewer 3 chose a.jpg and is shown b.jpg"]

"""Screenshots of every page on the bundled demo, and the time of each page's main gesture, in Chromium.

python -m tests.browser.look pictures     # assets/figures/pages/<page>-light.jpg and -dark.jpg
python -m tests.browser.look times        # assets/figures/pages/times.md
python -m tests.browser.look memory       # assets/figures/pages/memory.md: the server's over hundreds of gestures
"""

from __future__ import annotations

import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from app.widgets.page import HOME, VIEWS
from tests.browser.serving import CHROMIUM, NOTHING_RUNS, PATIENCE, REPOSITORY, menu, started

OUT = REPOSITORY / "assets/figures/pages"
TIMES = 10
VISITS = 8
"""Visits of every page but Start, Your images and Label, with :data:`TIMES` gestures each."""
QUIET = 700
"""Milliseconds without a change after which a page counts as painted."""
REST = 0.5
"""Seconds in which a server that does nothing in the background takes less than a tenth of one core."""
SIZE = {"width": 1440, "height": 1000}
UNLABELLED = "unlabelled"
"""A folder beside the app with some of the demo's photographs, which nobody has labelled there."""
SHOWN = {"story": {"stage": "6"}, "label": {"data": UNLABELLED}, "map": {"map_method": "UMAP"}}
"""URL parameters of screenshots that do not show the page's default."""

WATCH = """() => {
  const changed = () => { window.lookLast = performance.now(); };
  if (!window.lookObserver) {
    const options = { subtree: true, childList: true, attributes: true, characterData: true };
    window.lookObserver = new MutationObserver((found) => {
      const own = found.filter((one) => !(one.target.closest && one.target.closest('[data-testid=stStatusWidget],'
        + '[data-testid=stToolbar],[data-testid=stSidebar],[data-testid=stTooltipHoverTarget]'))
        && one.target !== document.body && !one.target.matches?.('[data-testid=stApp]'));
      if (own.length) changed();
    });
    window.lookObserver.observe(document.body, options);
    document.addEventListener('load', changed, true);
    const seen = new WeakSet();
    const roots = () => { for (const each of document.querySelectorAll('*'))
      if (each.shadowRoot && !seen.has(each.shadowRoot)) {
        seen.add(each.shadowRoot);
        window.lookObserver.observe(each.shadowRoot, options);
        each.shadowRoot.addEventListener('load', changed, true);
      } };
    roots();
    setInterval(roots, 50);
  }
  window.lookStart = window.lookLast = performance.now();
}"""
IDLE = f"(quiet) => {NOTHING_RUNS} && performance.now() - window.lookLast > quiet"


def settle(page: Page, quiet: int = QUIET) -> float:
    """Waits until nothing runs and nothing has changed for ``quiet`` ms; milliseconds from WATCH to the last change."""
    page.wait_for_timeout(150)  # the request may not have reached the server yet
    page.wait_for_function(IDLE, arg=quiet, timeout=10 * PATIENCE)
    return page.evaluate("window.lookLast - window.lookStart")


def open_page(browser: Browser, server: str, view: str, theme: str = "light", **url: str) -> Page:
    page = browser.new_page(viewport=SIZE, color_scheme=theme)
    page.set_default_timeout(PATIENCE)
    query = "&".join(f"{name}={value.replace(' ', '+')}" for name, value in url.items())
    page.goto(f"{server}/{'' if view == HOME else view}?{query}")
    page.wait_for_selector("[data-testid=stHeading] h2:not([data-testid=stSidebar] h2)")
    page.evaluate(WATCH)
    settle(page)
    return page


def pictures(browser: Browser, server: str, pid: int) -> None:
    """One screenshot for each page and theme, of the first screen."""
    for view in VIEWS:
        for theme in ("light", "dark"):
            page = open_page(browser, server, view, theme, **SHOWN.get(view, {}))
            if view == "images":
                upload(page)
            page.screenshot(path=OUT / f"{view}-{theme}.jpg", type="jpeg", quality=85)
            page.close()
            print(view, theme, flush=True)


def upload(page: Page) -> None:
    page.locator("input[type=file]").first.set_input_files(_photographs("image_query")[0])
    settle(page)
    page.locator("input[type=file]").last.set_input_files(_photographs("image_test")[:12])
    settle(page)


@dataclass(frozen=True)
class Gesture:
    """A gesture on a page, ``do(page, turn)``; ``again`` restores the page, untimed."""

    words: str
    do: Callable[[Page, int], None]
    url: Mapping[str, str] = field(default_factory=dict)
    again: Callable[[Page], object] = lambda page: None


def one_of(*labels: str) -> Callable[[Page, int], None]:
    """Clicks the buttons of a segmented control in turn."""

    def click(page: Page, turn: int) -> None:
        page.get_by_test_id("stButtonGroup").get_by_text(labels[turn % len(labels)], exact=True).first.click()

    return click


def _pick(page: Page, turn: int) -> None:
    page.locator(".grid [data-key]").nth((turn + 1) % 9).click()


def _point(page: Page, turn: int) -> None:
    points = page.locator(".js-plotly-plot .scatterlayer .trace").first.locator(".points path")
    place = points.nth(turn % 4).bounding_box()
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)


def _arrow(page: Page, turn: int) -> None:
    page.get_by_label("Crop ratio λ").press("ArrowLeft" if turn % 2 else "ArrowRight")


def _second_picture(page: Page, turn: int) -> None:
    page.locator("input[type=file]").last.set_input_files(_photographs("image_test")[40 + turn])


def _next_round(page: Page) -> None:
    """Also from the score after the last round, into the next seed's first."""
    page.keyboard.press("Enter")
    settle(page)
    if page.get_by_role("heading", name="Score").count():
        page.keyboard.press("Enter")


GESTURES = {
    "start": Gesture(
        "a block of the diagram, until Retrieval stands",
        lambda page, turn: page.locator("svg.wide a[data-view=retrieval]").click(),
        again=lambda page: page.get_by_test_id("stSidebarNav").get_by_role("link", name="Start", exact=True).click(),
    ),
    "story": Gesture(
        "a stage on, or back", lambda page, turn: page.keyboard.press(f"Arrow{'Left' if turn % 2 else 'Right'}")
    ),
    "learning": Gesture("another anchor", lambda page, turn: page.locator(".batch figure").nth(turn + 1).click()),
    "attention": Gesture("another query", _pick),
    "regions": Gesture("λ by one step, with cosines and URL", _arrow),
    "graph": Gesture("a node off or on", lambda page, turn: page.locator("g.node circle").nth(turn % 6).click()),
    "retrieval": Gesture("another query", _pick),
    "failures": Gesture("another section", one_of("Slices", "AP against AP")),
    "probes": Gesture("another reference view", _point),
    "images": Gesture("another second picture", _second_picture, {"images_mode": "Compare two images"}),
    "label": Gesture(
        "an answer, until both rows follow",
        lambda page, turn: page.locator("[data-answer=o]").nth(turn).click(),
        {"data": UNLABELLED},
    ),
    "map": Gesture("one branch, then the whole embedding", one_of("G", "whole embedding")),
    "scoreboard": Gesture(
        "training runs unfolded, or folded",
        lambda page, turn: page.get_by_text("Training runs", exact=True).first.click(),
    ),
    "quiz": Gesture("an answer, until it is explained", lambda page, turn: page.keyboard.press("1"), again=_next_round),
}


def times(browser: Browser, server: str, pid: int) -> None:
    """A table of the first gesture after opening, and of the median and slowest of :data:`TIMES` after one warm-up.

    Each gesture finds a server that has done what pages begin in the background.
    """
    lines = ["| page | gesture | first, ms | median, ms | slowest, ms |", "|---|---|---|---|---|"]
    for view, gesture in GESTURES.items():
        page = open_page(browser, server, view, **gesture.url)
        if view == "images":
            page.locator("input[type=file]").first.set_input_files(_photographs("image_query")[0])
            settle(page)
        measured = []
        for turn in range(TIMES + 1):
            rest(pid)
            page.evaluate(WATCH)
            gesture.do(page, turn)
            measured.append(settle(page))
            gesture.again(page)
            settle(page)
        page.close()
        first, *warm = measured
        lines.append(
            f"| {VIEWS[view].title} | {gesture.words} | {first:.0f} | {statistics.median(warm):.0f} | {max(warm):.0f} |"
        )
        print(lines[-1], flush=True)
    (OUT / "times.md").write_text("\n".join(lines) + "\n")


def memory(browser: Browser, server: str, pid: int) -> None:
    """A table of the server's resident memory after every visit of all pages, with new queries in each."""
    lines = ["| gestures | resident memory, MB |", "|---|---|"]
    pages = [view for view in GESTURES if view not in ("start", "images", "label")]
    page, done = open_page(browser, server, HOME), 0
    for visit in range(VISITS):
        for view in pages:
            menu(page, VIEWS[view].title)
            page.get_by_test_id("stHeading").get_by_role("heading", name=VIEWS[view].title, exact=True).wait_for()
            page.evaluate(WATCH)
            settle(page)
            for turn in range(TIMES):
                page.evaluate(WATCH)
                later = page.get_by_label("Later images")
                if turn == 0 and later.count():
                    later.click()
                else:
                    GESTURES[view].do(page, turn + visit)
                settle(page, quiet=100)
                done += 1
        assert page.get_by_test_id("stException").count() == 0
        lines.append(f"| {done} | {_resident(pid)} |")
        print(lines[-1], flush=True)
    (OUT / "memory.md").write_text("\n".join(lines) + "\n")


def rest(pid: int) -> None:
    """Waits until the process does nothing."""
    before = -math.inf
    while (now := _processor_seconds(pid)) - before > REST / 10:
        before = now
        time.sleep(REST)


def _processor_seconds(pid: int) -> float:
    """What a process has taken of the cores since it began."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    """Resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.partition("VmRSS:")[2].split()[0]) / 1024)


def _photographs(folder: str) -> list[Path]:
    return sorted((REPOSITORY / "assets/city" / folder).glob("*.jpg"))


@contextmanager
def served() -> Iterator[tuple[str, int]]:
    """The app on the repository's demo: its address and process id."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for name in ("assets", "checkpoints"):
            (project / name).symlink_to(REPOSITORY / name)
        (project / UNLABELLED).mkdir()
        for photograph in _photographs("image_test")[::7][:60]:
            shutil.copy(photograph, project / UNLABELLED)
        with started(project) as server:
            yield server


WAYS = {"pictures": pictures, "times": times, "memory": memory}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in WAYS:
        sys.exit(f"usage: python -m tests.browser.look {'|'.join(WAYS)}")
    OUT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver, served() as (server, pid):
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        WAYS[sys.argv[1]](browser, server, pid)
        browser.close()

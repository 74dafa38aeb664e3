"""One Chromium and one served app for the tests of this folder; some start another server."""

import pytest

from tests.browser.serving import CHROMIUM, PATIENCE, started


@pytest.fixture(scope="package")
def served(tmp_path_factory):
    """The app without a demo: its address and process id. It may read what other fixtures made."""
    with started(tmp_path_factory.mktemp("project")) as (address, pid):
        yield address, pid


@pytest.fixture
def server(served):
    """The address of :func:`served`."""
    return served[0]


# Not of the session, since Playwright's event loop stands in the way of asyncio.run in other tests. `__init__.py` makes
# this folder a package, whose end closes Chromium.
@pytest.fixture(scope="package")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: pip install -e .[test]"
    )
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as driver:
        # Without an executable_path, where the system has no Chromium, Playwright takes its own build.
        # One context keeps Streamlit's scripts in its cache; each page of it is still a separate session. A persistent
        # one opens pages as tabs: half the cost of the window that each would be in another.
        launched = driver.chromium.launch_persistent_context(
            "",
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-background-networking"],
            viewport={"width": 1440, "height": 900},
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser):
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    page.close()

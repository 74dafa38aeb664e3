import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import services

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def project(tmp_path_factory, monkeypatch) -> Path:
    """An empty folder in the place of the project's own, which may hold the demo and is not written to by tests."""
    folder = tmp_path_factory.mktemp("project")
    monkeypatch.setattr(services, "ROOT", folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def open_page(project) -> Callable[..., AppTest]:
    """``open_page(view, **url)`` runs one page as the app does, with the URL's parameters."""

    def page(view: str) -> None:
        from app.widgets.page import run_view

        run_view(view, view.title())

    def run(view: str, **url: str) -> AppTest:
        test = AppTest.from_function(page, kwargs={"view": view}, default_timeout=120)
        for key, value in url.items():
            test.query_params[key] = value
        return test.run()

    return run


def html(test: AppTest) -> str:
    """All raw HTML on the page, that within clickable rows included."""
    clickable = [json.loads(element.proto.json or "{}") for element in test.get("bidi_component")]
    return "".join([element.proto.body for element in test.get("html")] + [each.get("html", "") for each in clickable])


def rows_of_pictures(test: AppTest) -> list[dict]:
    """What the page's rows of pictures were given to draw."""
    given = [json.loads(element.proto.json or "{}") for element in test.get("bidi_component")]
    return [row for each in given for row in each.get("rows", [])]

import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import services
from app.services import roots

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CELLS = re.compile(r"<td[^>]*>([^<]*)</td>")


@pytest.fixture
def project(tmp_path_factory, monkeypatch) -> Path:
    """An empty folder in the place of the project's own, which may hold the demo and is not written to by tests."""
    folder = tmp_path_factory.mktemp("project")
    monkeypatch.setattr(services, "ROOT", folder)
    monkeypatch.setenv(roots.NAMED, str(tmp_path_factory.getbasetemp()))
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


def matrices(test: AppTest) -> list[dict[str, np.ndarray]]:
    """Each group of small matrices on the page: the numbers in the cells, by the matrix's title."""
    groups = [element.proto.body for element in test.get("html") if 'class="matrices"' in element.proto.body]
    return [
        {
            title: np.array(
                [[float(Fraction(cell)) for cell in CELLS.findall(row)] for row in rows.split("</tr>")[1:-1]]
            )
            for title, rows in re.findall(r"<caption>(.*?)</caption>(.*?)</table>", group)
        }
        for group in groups
    ]


def rows_of_pictures(test: AppTest) -> list[dict]:
    """What the page's rows of pictures were given to draw."""
    given = [json.loads(element.proto.json or "{}") for element in test.get("bidi_component")]
    return [row for each in given for row in each.get("rows", [])]

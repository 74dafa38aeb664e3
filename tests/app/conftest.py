from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ssrnet.training.checkpoint import save_checkpoint
from tests import tiny

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> dict[str, str]:
    """A resnet18 baseline and SSR-Net on disk, by the sidebar's keys."""
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = {}
    for role, changes in (("baseline", tiny.BASELINE), ("ssrnet", {})):
        model = tiny.network(**changes)
        paths[role] = str(folder / f"{role}.safetensors")
        save_checkpoint(Path(paths[role]), model, tiny.info(model))
    return paths


@pytest.fixture
def open_page(monkeypatch) -> Callable[..., AppTest]:
    """``open_page(view, **url)`` runs one page as the app does, with the URL's parameters."""
    monkeypatch.chdir(REPOSITORY)

    def page(view: str) -> None:
        from app.widgets.page import run_view

        run_view(view, view.title())

    def run(view: str, **url: str) -> AppTest:
        test = AppTest.from_function(page, kwargs={"view": view}, default_timeout=60)
        for key, value in url.items():
            test.query_params[key] = value
        return test.run()

    return run


def html(test: AppTest) -> str:
    """All raw HTML on the page."""
    return "".join(element.proto.body for element in test.get("html"))

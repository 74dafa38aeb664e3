"""Folders and files that vanish while the app shows them, and come back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.widgets.page import VIEWS
from app.workbench import places, roots
from ssrnet.commands.index_build import BuildSettings, build_index
from ssrnet.train import train
from ssrnet.training.checkpoint import save_checkpoint
from tests import tiny
from tests.soak.kills import Outcome

QUERY = "0008_c001_00000000_0.jpg"
THINGS = ("data", "image", "ssrnet", "features", "runs", "index")


@contextmanager
def project(place: Path) -> Iterator[dict[str, Path]]:
    """A project folder with all that a page can show, by name; the app may read below ``place`` only."""
    folder = place / "project"
    folder.mkdir(parents=True)
    things = {"data": tiny.city(folder / "city"), "runs": folder / "runs/whole", "index": folder / "runs/index"}
    things |= {"image": things["data"] / "image_test" / QUERY, "features": folder / "runs/features"}
    for role, changes in (("baseline", tiny.BASELINE), ("ssrnet", {})):
        model, things[role] = tiny.network(**changes), folder / f"checkpoints/{role}.safetensors"
        save_checkpoint(things[role], model, tiny.info(model))
    train(tiny.training(things["data"], things["runs"], max_steps=2, holdout=2))
    build_index(BuildSettings(things["data"], things["ssrnet"], things["index"], features=(), workers=0, device="cpu"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "ROOT", folder)
        patch.setenv(roots.NAMED, str(place))
        patch.chdir(folder)
        yield things


def open_view(view: str, things: dict[str, Path]) -> AppTest:
    def page(view: str) -> None:
        from app.widgets.page import run_view

        run_view(view, view.title())

    test = AppTest.from_function(page, kwargs={"view": view}, default_timeout=120)
    url = {"data": things["data"], "baseline": things["baseline"], "ssrnet": things["ssrnet"], "query": QUERY}
    url |= {"runs": things["runs"]} if view == "scoreboard" else {}
    url |= {"index": things["index"]} if view == "retrieval" else {}
    for key, value in url.items():
        test.query_params[key] = str(value)
    return test.run()


def vanish(view: str, thing: str, things: dict[str, Path]) -> None:
    """Runs the page with, without and again with ``thing``; raises AssertionError where it shows something wrong."""
    path = things[thing]
    away = path.with_name(f"{path.name} that was here")
    test = open_view(view, things)
    _works(test, "before")
    os_move(path, away)
    try:
        test.run()
        assert not test.exception, f"without it: {test.exception[0].value}"
        for each in (*test.error, *test.warning):
            assert "\n" not in each.value and "Traceback" not in each.value, f"without it: {each.value}"
        if thing in ("data", "ssrnet") and view != "scoreboard":
            assert len(test.error) == 1, f"without it {len(test.error)} sentences: {[e.value for e in test.error]}"
            assert path.name in test.error[0].value, f"without it: {test.error[0].value}"
        if thing in ("index", "runs"):
            messages = [each.value for each in (*test.error, *test.warning)]
            assert len(messages) == 1 and path.name in messages[0], f"without it: {messages}"
    finally:
        if path.exists():  # the app has stored features again
            shutil.rmtree(path)
        os_move(away, path)
    _works(test.run(), "with it again")


def os_move(path: Path, to: Path) -> None:
    if path.exists():
        path.rename(to)


def _works(test: AppTest, when: str) -> None:
    assert not test.exception, f"{when}: {test.exception[0].value}"
    assert not test.error, f"{when}: {test.error[0].value}"


def vanish_often(place: Path, views: tuple[str, ...] = tuple(VIEWS)) -> Outcome:
    """Each thing that a page shows, on each of ``views``; ``kills`` counts the disappearances."""
    outcome = Outcome()
    with project(place) as things:
        for view in views:
            shown = {"scoreboard": ("runs", "data", "ssrnet"), "retrieval": THINGS[:4] + ("index",)}.get(
                view, THINGS[:4]
            )
            for thing in shown:
                outcome.kills += 1
                try:
                    vanish(view, thing, things)
                except Exception as error:  # whatever the page raises
                    outcome.failures.append(f"{thing} on the page {view}, {type(error).__name__} {error}")
    return outcome

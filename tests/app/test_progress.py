"""A bar goes when its work fails, and a page that waits for slow work answers at once."""

import threading
import time

import pytest
from streamlit.testing.v1 import AppTest

from app.workbench import background
from app.workbench.background import Abandoned, SharedJob, in_background


class Left(BaseException):
    """As Streamlit ends a page's run."""


@pytest.mark.parametrize("where", ["page", "fragment"])
@pytest.mark.parametrize("way", ["progress", "run_with_progress"])
def test_an_error_removes_the_bar_and_is_said(where, way):
    def page(where, way):
        import time

        import streamlit as st

        from app.widgets.problems import fragment, show_problem
        from app.widgets.progress import progress, run_with_progress
        from ssrnet.errors import DataError, SSRNetError

        def work(report):
            report(1, 4)
            time.sleep(0.4)
            raise DataError("a.jpg is gone; restore it.")

        def draw():
            if way == "run_with_progress":
                run_with_progress("Reading", "reading", work)
            else:
                with progress("Reading", "reading") as report:
                    work(report)

        try:
            (fragment(draw) if where == "fragment" else draw)()
        except SSRNetError as error:
            show_problem(error)
        st.text("the rest")

    test = AppTest.from_function(page, args=(where, way), default_timeout=120).run()
    assert [error.value for error in test.error] == ["a.jpg is gone; restore it."]
    assert not test.get("progress") and not test.button and not test.exception
    assert test.text[0].value == "the rest"


def test_cancel_in_a_fragment():
    """That a click ends work under way, tests/browser/test_progress.py shows: AppTest clicks between two runs."""

    def page():
        import streamlit as st

        from app.widgets.problems import fragment
        from app.widgets.progress import progress

        @fragment
        def part():
            st.button("Of the fragment")
            with progress("Reading", "reading") as report:
                report(1, 4)
                st.stop()

        part()

    test = AppTest.from_function(page, default_timeout=120).run()
    assert [each.label for each in test.button] == ["Of the fragment", "Cancel"]
    test.button[1].click().run()
    assert [each.value for each in test.warning] == ["Reading: cancelled."]
    assert [each.label for each in test.button] == ["Of the fragment", "Start again"]
    test.button[1].click().run()
    assert not test.warning and [each.label for each in test.button] == ["Of the fragment", "Cancel"]


def test_a_page_leaves_work_that_does_not_report(monkeypatch):
    monkeypatch.setattr(background, "TICK", 0.02)
    go, ended = threading.Event(), threading.Event()

    def work(report):
        go.wait(20)
        try:
            report(1, 2)
        except Abandoned:
            ended.set()
            raise

    def leave(done, total):
        assert (done, total) == (0, 1)
        raise Left

    began = time.monotonic()
    with pytest.raises(Left):
        in_background(work, leave)
    assert time.monotonic() - began < 10 and not ended.is_set()
    go.set()
    assert ended.wait(20), "the work ends at its next progress"


def test_results_errors_and_progress_come_back(monkeypatch):
    monkeypatch.setattr(background, "TICK", 0.02)
    heard, told = [], threading.Event()

    def work(report):
        report(2, 3)
        assert told.wait(20)
        return "done"

    def hear(*numbers):
        heard.append(numbers)
        if numbers == (2, 3):
            told.set()

    assert in_background(work, hear) == "done"
    assert set(heard) <= {(0, 1), (2, 3)}, "(0, 1) where the work has yet to report"
    with pytest.raises(ZeroDivisionError):
        in_background(lambda report: 1 // 0, lambda *numbers: None)


def test_shared_work_that_failed_is_begun_anew(monkeypatch):
    monkeypatch.setattr(background, "TICK", 0.02)
    shared, starts = SharedJob(), []

    def work(progress_callback):
        starts.append(None)
        return 1 // (len(starts) - 1)

    with pytest.raises(ZeroDivisionError):
        shared.result(work, lambda job: None)
    assert shared.result(work, lambda job: None) == 1
    assert shared.result(work, lambda job: None) == 1 and len(starts) == 2, "a result is kept"


def test_shared_work_that_ends_as_a_page_comes_is_begun_anew(monkeypatch):
    monkeypatch.setattr(background, "TICK", 0.02)
    shared, go, starts = SharedJob(), threading.Event(), []

    def work(progress_callback):
        starts.append(None)
        if len(starts) == 1:
            go.wait(20)
            raise Abandoned
        return "done"

    assert shared.result(work, lambda job: go.set()) == "done" and len(starts) == 2


def test_an_error_takes_the_place_of_its_part_alone():
    def page():
        import streamlit as st

        from app.widgets.problems import fragment
        from ssrnet.errors import DataError

        @fragment
        def part():
            if st.checkbox("Break"):
                raise DataError("the folder is gone; name another.")
            st.text("whole")

        part()
        st.text("the rest")

    test = AppTest.from_function(page, default_timeout=120).run()
    assert [text.value for text in test.text] == ["whole", "the rest"] and not test.error
    test.checkbox[0].check().run()
    assert [text.value for text in test.text] == ["the rest"]
    assert test.error[0].value == "the folder is gone; name another." and not test.exception

"""Work for the next gesture gives way to what a viewer asks for."""

import threading

import pytest

from app import ahead

WAIT = 20
"""Seconds, of which a passing test needs none."""


@pytest.fixture
def held():
    """A step that says when it has begun, ``held.begun``, and ends at ``held.go_on``."""

    def step():
        step.begun.set()
        assert step.go_on.wait(WAIT)

    step.begun, step.go_on = threading.Event(), threading.Event()
    yield step
    step.go_on.set()


def test_every_step_is_taken_in_order_whatever_fails():
    done = []
    ahead.begin([lambda: done.append(1), lambda: 1 / 0, lambda: done.append(2)]).join(WAIT)
    assert done == [1, 2]


@pytest.mark.parametrize("give_way", [ahead.stop, lambda: ahead.begin([])])
def test_work_ends_after_its_present_step_once_a_page_is_drawn_or_other_work_begins(held, give_way):
    done = []
    thread = ahead.begin([held, lambda: done.append("too late")])
    assert held.begun.wait(WAIT)
    give_way()
    held.go_on.set()
    thread.join(WAIT)
    assert not thread.is_alive() and not done

"""A clock that is set back: files of next year, and a command whose clock jumps back by a day in its middle."""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from pathlib import Path

from ssrnet.training.runs import read_run
from tests.soak.commands import Command, finish
from tests.soak.kills import Job, Killed, count, finished, undisturbed, wait_for_a_moment

YEAR = 365 * 86_400
TRIED = ("train", "extract", "index build")


def date_next_year(folder: Path) -> None:
    """Every file and folder in it, and itself."""
    moment = time.time() + YEAR
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (moment, moment))


def set_back_often(job: Job, place: Path, inputs: Path, times: int, seed: int) -> Killed:
    """Starts ``job``, kills it, dates all that it read and left to next year, and lets it end: as on a steady clock.

    In both starts the clock jumps back by a day. ``inputs`` is the folder of what it reads.
    """
    chance, outcome, place = random.Random(f"{seed} {job.name}"), Killed(), place / job.name.replace(" ", "-")
    log, reference = place / "said.txt", place / "reference"
    takes = undisturbed(job, place)
    for number in range(times):
        folder, haste = place / f"{number}", replace(job.haste, back=chance.uniform(0, takes))
        date_next_year(inputs)
        command = Command(job.arguments(folder), log, haste)
        wait_for_a_moment(command, folder, chance, takes, 0)
        command.kill()
        outcome.kills += 1
        if folder.exists():
            date_next_year(folder)
            if (folder / "settings.json").exists() and job.name == "train":
                count(outcome, f"{job.name}, its clock set back", check_state, folder)
        finished(job, finish(job.arguments(folder), log, haste), folder, reference, outcome)
    return outcome


def check_state(folder: Path) -> None:
    """A run of next year that nobody trains is not shown as going on; ``finished`` where it was."""
    run = read_run(folder)
    assert run.state == ("finished" if run.last.get("epoch", 0) >= run.settings["epochs"] else "stopped"), run.state

"""A clock that is set back: files dated next year, and a command whose clock jumps back by a day midway."""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from pathlib import Path

from ssrnet.training.runs import read_run
from tests.soak.commands import Command, finish
from tests.soak.kills import Job, Outcome, count, finished, undisturbed, wait_for_a_moment

YEAR = 365 * 86_400
TRIED = ("train", "extract", "index build")


def date_next_year(folder: Path) -> None:
    """Dates every file and folder in it, and the folder itself."""
    moment = time.time() + YEAR
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (moment, moment))


def set_back_often(job: Job, place: Path, inputs: Path, times: int, seed: int) -> Outcome:
    """Starts ``job``, kills it, dates its inputs and output to next year, and lets it end: as on a steady clock.

    The clock jumps back by a day in both runs. ``inputs`` is the folder that the job reads.
    """
    chance, outcome, place = random.Random(f"{seed} {job.name}"), Outcome(), place / job.name.replace(" ", "-")
    log, reference = place / "output.txt", place / "reference"
    takes = undisturbed(job, place)
    for number in range(times):
        folder, shortcuts = place / f"{number}", replace(job.shortcuts, back=chance.uniform(0, takes))
        date_next_year(inputs)
        command = Command(job.arguments(folder), log, shortcuts)
        wait_for_a_moment(command, folder, chance, takes, 0)
        command.kill()
        outcome.kills += 1
        if folder.exists():
            date_next_year(folder)
            if (folder / "settings.json").exists() and job.name == "train":
                count(outcome, f"{job.name}, its clock set back", check_state, folder)
        finished(job, finish(job.arguments(folder), log, shortcuts), folder, reference, outcome)
    return outcome


def check_state(folder: Path) -> None:
    """A run dated next year that no process trains is not shown as training."""
    run = read_run(folder)
    assert run.state == ("finished" if run.last.get("epoch", 0) >= run.settings["epochs"] else "stopped"), run.state

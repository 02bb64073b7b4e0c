"""Law 9: a timer that has fired is over, whatever time the worker is told with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.worker import UnsandboxedWorkflowRunner

from tests.activations.driver import Driver, word
from tests.activations.history import Recorded, take_apart
from tests.replay.record import HISTORIES
from tests.replay.test_replay import read
from workers.activations import OneByOneRunner
from workflows.analysis_run import AnalysisRun

ANALYSES = sorted(HISTORIES.glob("analysis-*.json"))


def ask(recorded: Recorded, *, late: bool) -> list[str]:
    """What the run asks for; with `late` its clock stands still while its timers fire."""
    driver = Driver(OneByOneRunner(UnsandboxedWorkflowRunner()), AnalysisRun, recorded.run_id)
    said: list[str] = []
    at = recorded.batches[0].at
    try:
        for batch in recorded.batches:
            jobs = [each.job for each in batch.events]
            fires = any(job.HasField("fire_timer") for job in jobs)
            at = at if late and fires else batch.at
            said += map(word, driver.task(jobs, at=at))
    finally:
        driver.close()
    return said


@pytest.mark.parametrize("file", ANALYSES, ids=lambda file: file.stem)
async def test_a_timer_that_fires_with_an_old_time_is_no_other_one(file: Path) -> None:
    recorded = take_apart(read(file))
    assert ask(recorded, late=True) == ask(recorded, late=False)

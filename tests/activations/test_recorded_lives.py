"""Law 9: what a release asks for does not depend on how its events were shared out among workflow tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob
from temporalio.worker import UnsandboxedWorkflowRunner

from tests.activations.driver import Driver, in_order, word
from tests.activations.history import Batch, Recorded, recorded_words, take_apart
from tests.replay.record import HISTORIES
from tests.replay.test_replay import read
from workers.activations import OneByOneRunner
from workflows import reconciler
from workflows.rollout import Rollout

# Answers to updates are messages, and ends are not compared here: the words of the two differ.
UNTOLD = ("update_response", "complete_workflow_execution", "fail_workflow_execution")
_BEGINNING = 300  # bytes of a history, with the type of its workflow: an Experiment object is recorded as well
RELEASES = sorted(
    file for file in HISTORIES.glob("release-*.json") if '"name": "Rollout"' in file.read_text("utf-8")[:_BEGINNING]
)
Jobs = list[WorkflowActivationJob]


def ask(recorded: Recorded, joined: int | None = None, *, apart: bool = False) -> list[str]:
    """What the release asks for; up to the task `joined` when that failed and its events came again with the next one.

    With `apart` the worker held the run and had taken them in before, each by itself.
    """
    driver = Driver(OneByOneRunner(UnsandboxedWorkflowRunner()), Rollout, recorded.run_id)
    said: list[str] = []
    try:
        for index, batch in enumerate(recorded.batches):
            jobs = [each.job for each in batch.events]
            if index == joined:
                later = recorded.batches[index + 1]
                together = in_order([*jobs, *independent(batch, later)])
                tries = [[each] for each in together] if apart else [together]
                said += map(word, driver.task(*tries, at=later.at))
                break
            said += map(word, driver.task(jobs, at=batch.at))
    finally:
        driver.close()
    return said


def independent(batch: Batch, following: Batch) -> Jobs:
    """The jobs of a task that could have come with the one before, as they answer nothing that it asked for."""
    jobs = [each.job for each in following.events]
    for index, event in enumerate(following.events):
        if event.task in batch.names or event.job.HasField("do_update"):
            return jobs[:index]
    return jobs


@pytest.mark.parametrize("file", RELEASES, ids=lambda file: file.stem)
async def test_the_driver_hears_what_was_recorded(file: Path) -> None:
    history = read(file)
    assert [each for each in ask(take_apart(history)) if not each.startswith(UNTOLD)] == list(recorded_words(history))


@pytest.mark.parametrize("file", RELEASES, ids=lambda file: file.stem)
async def test_the_reconciler_leaves_the_steps_turns_enough(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = take_apart(read(file))
    said = ask(recorded)
    monkeypatch.setattr(reconciler, "TURNS", 2 * reconciler.TURNS)
    assert ask(recorded) == said


@pytest.mark.parametrize("file", RELEASES, ids=lambda file: file.stem)
async def test_a_task_that_failed_brings_the_same(file: Path) -> None:
    recorded = take_apart(read(file))
    tried = 0
    for index in range(1, len(recorded.batches) - 1):
        batch, later = recorded.batches[index : index + 2]
        if batch.events and independent(batch, later):
            assert ask(recorded, index) == ask(recorded, index, apart=True), f"the task of event {batch.number}"
            tried += 1
    assert tried or file.stem == "release-first"  # in which nothing happens beside anything else

"""Law 9: everything at once is the same as one after the other, however it is shared out.

A release whose pass is under way, whose pause runs and whose background analysis goes on is told of several things in
the same moment. For every order and every sharing out among activations its commands are those that the same events
bring when each comes by itself.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.child_workflow import ChildWorkflowResult, Success
from temporalio.bridge.proto.workflow_activation import (
    DoUpdate,
    FireTimer,
    ResolveChildWorkflowExecution,
    SignalWorkflow,
    WorkflowActivationJob,
)
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner

from tests.activations.driver import Driver, in_order, word
from tests.activations.history import Recorded, take_apart
from tests.replay.record import HISTORIES
from tests.replay.test_replay import read
from workers.activations import OneByOneRunner
from workflows.rollout import Rollout

Jobs = Sequence[WorkflowActivationJob]
SEEDS = range(60)


class Moment:
    """A release at its first pause, and what may happen to it there."""

    def __init__(self) -> None:
        self.life: Recorded = take_apart(read(HISTORIES / "release-good.json"))
        passes = [
            (number, each.job)
            for number, batch in enumerate(self.life.batches)
            for each in batch.events
            if each.job.HasField("resolve_activity")
        ]
        self.before, the_pass = passes[2]  # it was observed, and given its first weight; the pause began
        newer = take_apart(read(HISTORIES / "release-superseded.json"))
        asked = next(job.do_update for job in _jobs(newer) if job.HasField("do_update"))
        verdict = next(
            job.resolve_child_workflow_execution.result.completed.result
            for job in _jobs(self.life)
            if job.HasField("resolve_child_workflow_execution")
        )
        self.events = {
            "pass": the_pass,
            "timer": WorkflowActivationJob(fire_timer=FireTimer(seq=1)),
            "good": _ended(verdict, "Successful"),
            "bad": _ended(verdict, "Failed"),
            "abort": _signal("abort"),
            "promote": _signal("promote"),
            "pause": _signal("pause"),
            "resume": _signal("resume"),
            "newer": WorkflowActivationJob(do_update=asked),
            "full": _update("promote", {"full": True}),
            "stop": _update("abort", {"by": "ana"}),
        }

    def orders(self, length: int) -> Iterator[tuple[str, ...]]:
        """Every order of so many different events; an analysis ends once."""
        for names in itertools.permutations(self.events, length):
            if not {"good", "bad"} <= set(names):
                yield names

    def ask(self, runner: WorkflowRunner, *activations: Jobs) -> list[str]:
        """What the release asks for when these events come in so many activations."""
        driver = Driver(runner, Rollout, self.life.run_id)
        try:
            for batch in self.life.batches[: self.before]:
                driver.task([each.job for each in batch.events], at=batch.at)
            at = self.life.batches[self.before].at + timedelta(seconds=1)
            return list(map(word, driver.task(*activations, at=at)))
        finally:
            driver.close()

    def assert_the_same(self, names: Sequence[str]) -> None:
        """However these events are shared out, they bring what each brings by itself."""
        jobs = [self.events[name] for name in names]
        apart: dict[tuple[int, ...], list[str]] = {}
        for shares in _shares(jobs):
            taken = [job for share in shares for job in in_order(share)]
            order = tuple(jobs.index(job) for job in taken)
            if order not in apart:
                apart[order] = self.ask(one_by_one(), *([job] for job in taken))
            assert self.ask(one_by_one(), *shares) == apart[order], f"{names} in shares of {list(map(len, shares))}"


def one_by_one() -> WorkflowRunner:
    return OneByOneRunner(UnsandboxedWorkflowRunner())


def _shares(jobs: Jobs) -> Iterator[list[Jobs]]:
    """Every way to cut the events into activations of one or more."""
    for cuts in itertools.product((False, True), repeat=len(jobs) - 1):
        ends = [index + 1 for index, cut in enumerate(cuts) if cut]
        yield [jobs[begin:end] for begin, end in itertools.pairwise((0, *ends, len(jobs)))]


def _jobs(life: Recorded) -> Iterator[WorkflowActivationJob]:
    return (each.job for batch in life.batches for each in batch.events)


def _payload(value: object) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())


def _signal(name: str) -> WorkflowActivationJob:
    job = SignalWorkflow(signal_name=name, input=[_payload({"by": "ana"})], originating_event_id=1)
    return WorkflowActivationJob(signal_workflow=job)


def _update(name: str, message: object) -> WorkflowActivationJob:
    job = DoUpdate(id=name, protocol_instance_id=name, name=name, input=[_payload(message)], run_validator=True)
    return WorkflowActivationJob(do_update=job)


def _ended(verdict: Payload, phase: str) -> WorkflowActivationJob:
    """The background analysis, the first child, ends with a verdict."""
    said = json.loads(verdict.data)
    said["status"]["phase"] = phase
    result = ChildWorkflowResult(completed=Success(result=_payload(said)))
    return WorkflowActivationJob(resolve_child_workflow_execution=ResolveChildWorkflowExecution(seq=1, result=result))


@pytest.fixture(scope="module")
def moment() -> Moment:
    return Moment()


async def test_two_events_in_every_order(moment: Moment) -> None:
    for names in moment.orders(2):
        moment.assert_the_same(names)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_storm_in_every_share(moment: Moment, seed: int) -> None:
    chosen = list(moment.orders(4))
    moment.assert_the_same(random.Random(seed).choice(chosen))


async def test_updates_come_after_the_events_of_their_task(moment: Moment) -> None:
    """As one that was joined with an earlier task, or taken apart from it, comes after that task's events as well."""
    for late, early in itertools.product(("newer", "full", "stop"), ("pass", "timer", "bad", "abort")):
        joined = moment.ask(one_by_one(), [moment.events[late], moment.events[early]])
        assert joined == moment.ask(one_by_one(), [moment.events[early]], [moment.events[late]]), (late, early)


async def test_the_sdk_alone_would_have_it_otherwise(moment: Moment) -> None:
    """Why the workers' runner takes the events apart: without it, this is a history that does not replay."""
    plain, events = UnsandboxedWorkflowRunner(), [moment.events[name] for name in ("pass", "timer", "good")]
    assert moment.ask(plain, events) != moment.ask(plain, *([each] for each in events))
    assert moment.ask(one_by_one(), events) == moment.ask(one_by_one(), *([each] for each in events))


def test_every_event_is_one(moment: Moment) -> None:
    assert all(isinstance(job, Message) and job.WhichOneof("variant") for job in moment.events.values())
    assert len(moment.events) == len({job.SerializeToString() for job in moment.events.values()})

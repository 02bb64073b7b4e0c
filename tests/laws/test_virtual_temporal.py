"""Temporal in this process: what workflows and activities rely on is as on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import (
    ActivityFailureError,
    Client,
    WithStartWorkflowOperation,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import RetryPolicy, WorkflowIDConflictPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, TimeoutError  # noqa: A004
from temporalio.service import RPCError
from temporalio.workflow import ActivityCancellationType, ParentClosePolicy

from tests.virtual.temporal.chances import Chances
from tests.virtual.temporal.loop import run_virtually, running
from tests.virtual.temporal.server import VirtualTemporal
from tests.virtual.temporal.service import client_of
from tidegate.client import data_converter

QUEUE = "queue"
UNSTABLE = {"calls": 0}


@workflow.defn
class Sleeper:
    @workflow.run
    async def run(self, seconds: float) -> float:
        begun = workflow.now()
        await asyncio.sleep(seconds)
        return (workflow.now() - begun).total_seconds()


@workflow.defn
class Caller:
    """Calls one activity as it is told, and says how that went."""

    def __init__(self) -> None:
        self._leave = False

    @workflow.run
    async def run(self, name: str, options: dict[str, Any]) -> str:
        kind = ActivityCancellationType[options.get("cancellation", "TRY_CANCEL")]
        handle = workflow.start_activity(
            name,
            start_to_close_timeout=timedelta(seconds=options.get("attempt", 10)),
            heartbeat_timeout=timedelta(seconds=options["heartbeat"]) if "heartbeat" in options else None,
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=options.get("times", 0)),
            cancellation_type=kind,
            result_type=str,
        )
        await workflow.wait_condition(lambda: handle.done() or self._leave)
        if self._leave:
            handle.cancel()
        try:
            return await handle
        except ActivityError as error:
            return type(error.cause).__name__

    @workflow.signal
    def leave(self) -> None:
        self._leave = True


@workflow.defn
class Parent:
    @workflow.run
    async def run(self, child: str, wait: bool) -> str:
        handle = await workflow.start_child_workflow(
            child, 30.0, id="child", parent_close_policy=ParentClosePolicy.REQUEST_CANCEL, result_type=float
        )
        if not wait:
            return "left"
        try:
            return str(await handle)
        except ChildWorkflowError as error:
            return type(error.cause).__name__


@workflow.defn
class Counter:
    """Counts what it is told, and goes on as a new run when it is asked to."""

    def __init__(self) -> None:
        self._count = 0
        self._done = False

    @workflow.run
    async def run(self, count: int) -> int:
        self._count += count
        await workflow.wait_condition(lambda: self._done or workflow.info().is_continue_as_new_suggested())
        if not self._done:
            workflow.continue_as_new(self._count)
        return self._count

    @workflow.signal
    def end(self) -> None:
        self._done = True

    @workflow.update
    async def add(self, number: int) -> int:
        self._count += number
        await asyncio.sleep(5)
        if number == 13:
            raise ApplicationError("unlucky")
        return self._count

    @add.validator
    def _check(self, number: int) -> None:
        if number < 0:
            raise ApplicationError("only more")

    @workflow.query
    def count(self) -> int:
        return self._count


@workflow.defn
class Fickle:
    """Does otherwise when it is carried out again, as no workflow may."""

    @workflow.run
    async def run(self) -> None:
        UNSTABLE["calls"] += 1
        await asyncio.sleep(UNSTABLE["calls"])
        await asyncio.sleep(1)


class Work:
    def __init__(self) -> None:
        self.begun: list[float] = []
        self.ended: list[str] = []

    @activity.defn
    async def fails_twice(self) -> str:
        self.begun.append(running().time())
        if len(self.begun) < 3:
            raise ApplicationError("not yet")
        return "done"

    @activity.defn
    async def too_slow(self) -> str:
        self.begun.append(running().time())
        await asyncio.sleep(60)
        return "never heard of"

    @activity.defn
    async def beats(self) -> str:
        try:
            for _ in range(100):
                activity.heartbeat()
                await asyncio.sleep(1)
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        return "done"

    def all(self) -> list[Callable[..., Any]]:
        return [self.fails_twice, self.too_slow, self.beats]


def in_virtual_time(
    test: Callable[[VirtualTemporal, Client, Work], Coroutine[Any, Any, None]], **rates: float
) -> VirtualTemporal:
    async def main() -> VirtualTemporal:
        named = {name.replace("_", " "): rate for name, rate in rates.items()}
        server = VirtualTemporal(Chances(7, named), data_converter(None), [Sleeper, Caller, Parent, Counter, Fickle])
        work = Work()
        server.register(QUEUE, work.all())
        try:
            await test(server, client_of(server), work)
        finally:
            await server.close()
        return server

    return run_virtually(main())


async def called(client: Client, name: str, **options: Any) -> Any:
    return await client.start_workflow(Caller.run, args=[name, options], id="caller", task_queue=QUEUE)


def test_a_client_asks_for_an_activity_without_a_workflow() -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        limits: dict[str, Any] = {"task_queue": QUEUE, "schedule_to_close_timeout": timedelta(seconds=20)}
        assert await client.execute_activity("fails_twice", id="a", result_type=str, **limits) == "done"
        once = RetryPolicy(maximum_attempts=1)
        with pytest.raises(ActivityFailureError) as slow:
            await client.execute_activity("too_slow", id="b", retry_policy=once, **limits)
        assert isinstance(slow.value.cause, TimeoutError)
        assert running().time() == pytest.approx(23, abs=1)
        work.begun.clear()
        with pytest.raises(ActivityFailureError) as failed:
            await client.execute_activity("fails_twice", id="c", retry_policy=once, **limits)
        assert str(failed.value.cause) == "not yet"

    in_virtual_time(test)


def test_an_hour_passes_in_a_moment_and_a_run_that_was_forgotten_goes_on() -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        assert await client.execute_workflow(Sleeper.run, 3600.0, id="s", task_queue=QUEUE) == pytest.approx(
            3600, abs=1
        )

    assert in_virtual_time(test, forgotten=1.0).replays == 1


def test_an_activity_is_tried_again_after_longer_and_longer() -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        assert await (await called(client, "fails_twice")).result() == "done"
        assert [later - before for before, later in zip(work.begun, work.begun[1:], strict=False)] == [
            pytest.approx(1, abs=0.1),
            pytest.approx(2, abs=0.1),
        ]

    in_virtual_time(test)


@pytest.mark.parametrize("options", [{"attempt": 5, "times": 2}, {"heartbeat": 3, "attempt": 50, "times": 2}])
def test_an_attempt_that_takes_too_long_is_given_up(options: dict[str, Any]) -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        assert await (await called(client, "too_slow", **options)).result() == TimeoutError.__name__
        assert len(work.begun) == 2

    in_virtual_time(test)


def test_what_a_worker_lost_is_done_by_the_next_one() -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        handle = await called(client, "beats", heartbeat=5, attempt=300)
        await asyncio.sleep(10)
        server.lose_workers()
        assert await handle.result() == "done"
        assert work.ended == ["cancelled"]

    in_virtual_time(test)


@pytest.mark.parametrize(
    ("cancellation", "at_once", "told"),
    [("TRY_CANCEL", True, True), ("WAIT_CANCELLATION_COMPLETED", False, True), ("ABANDON", True, False)],
)
def test_how_an_activity_is_left(cancellation: str, at_once: bool, told: bool) -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        handle = await called(client, "beats", heartbeat=5, attempt=300, cancellation=cancellation)
        await asyncio.sleep(10)
        await handle.signal(Caller.leave)
        left = running().time()
        assert await handle.result() == "CancelledError"
        assert (running().time() - left < 0.1) is at_once
        await asyncio.sleep(0.0 if cancellation == "ABANDON" else 3.0)
        assert bool(work.ended) is told

    in_virtual_time(test)


@pytest.mark.parametrize(("wait", "answer"), [(True, "30.0"), (False, "left")])
def test_a_child_is_waited_for_or_asked_to_end_with_its_parent(wait: bool, answer: str) -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        said = await client.execute_workflow(Parent.run, args=["Sleeper", wait], id="parent", task_queue=QUEUE)
        assert said[:4] == answer[:4]
        await asyncio.sleep(1)
        [child] = server.runs["child"]
        assert child.closed
        assert bool(child.result.data) is wait

    in_virtual_time(test)


def test_a_child_that_is_terminated_is_a_failure_to_its_parent() -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        handle = await client.start_workflow(Parent.run, args=["Sleeper", True], id="parent", task_queue=QUEUE)
        await asyncio.sleep(5)
        await client.get_workflow_handle("child").terminate()
        assert await handle.result() == "TerminatedError"
        assert await client.get_workflow_handle("child").describe()

    in_virtual_time(test)


def test_updates_count_once_are_refused_and_fail_and_start_what_they_are_for() -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        def starting() -> WithStartWorkflowOperation[Counter, int]:
            return WithStartWorkflowOperation(
                Counter.run, 1, id="c", task_queue=QUEUE, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING
            )

        for _ in range(2):
            started = starting()
            assert (
                await client.execute_update_with_start_workflow(
                    Counter.add, 2, id="once", start_workflow_operation=started
                )
                == 3
            )
        handle = client.get_workflow_handle_for(Counter.run, "c")
        with pytest.raises(WorkflowUpdateFailedError, match="Workflow update failed") as refused:
            await handle.execute_update(Counter.add, -1)
        assert str(refused.value.cause) == "only more"
        with pytest.raises(WorkflowUpdateFailedError) as failed:
            await handle.execute_update(Counter.add, 13)
        assert str(failed.value.cause) == "unlucky"
        assert await handle.query(Counter.count) == 16
        with pytest.raises(WorkflowQueryFailedError, match="not found"):
            await handle.query("nothing of that name")
        await handle.signal(Counter.end)
        assert await handle.result() == 16
        with pytest.raises(RPCError, match="already completed"):
            await handle.signal(Counter.end)

    for rate in (0.0, 0.5, 1.0):
        in_virtual_time(test, forgotten=rate)


def test_a_long_run_goes_on_as_a_new_one() -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        handle = await client.start_workflow(Counter.run, 1, id="c", task_queue=QUEUE)
        server.chances.rates["long history"] = 1.0
        with pytest.raises(WorkflowUpdateFailedError):
            await client.get_workflow_handle("c").execute_update("add", -1)
        await asyncio.sleep(1)
        server.chances.rates.clear()
        assert len(server.runs["c"]) > 1
        await client.get_workflow_handle("c").signal(Counter.end)
        assert await client.get_workflow_handle("c").result() == 1
        assert handle.first_execution_run_id == server.runs["c"][-1].first_run_id

    in_virtual_time(test)


def test_a_task_that_nobody_answered_is_given_to_another_worker() -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        server.chances.rates["workflow task lost"] = 1.0
        handle = await client.start_workflow(Sleeper.run, 1.0, id="s", task_queue=QUEUE)
        await asyncio.sleep(5)
        server.chances.rates.clear()
        await handle.result()
        assert 11 < running().time() < 12

    in_virtual_time(test)


def test_a_workflow_that_does_otherwise_in_a_replay_is_found_out() -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        await client.start_workflow(Fickle.run, id="f", task_queue=QUEUE)
        await asyncio.sleep(20)
        assert len(server.troubles) == 1
        assert "in a replay" in server.troubles[0]

    in_virtual_time(test, forgotten=1.0)


def test_a_call_that_gets_lost_is_an_error_and_one_without_answer_was_heard() -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        server.chances.rates["call lost"] = 1.0
        with pytest.raises(RPCError, match="refused"):
            await client.start_workflow(Sleeper.run, 1.0, id="lost", task_queue=QUEUE)
        server.chances.rates.clear()
        server.chances.rates["call's answer lost"] = 1.0
        with pytest.raises(RPCError, match="reset"):
            await client.start_workflow(Sleeper.run, 1.0, id="heard", task_queue=QUEUE)
        assert list(server.runs) == ["heard"]

    in_virtual_time(test)


def test_a_cancelled_run_fails_as_cancelled() -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        handle = await client.start_workflow(Sleeper.run, 100.0, id="s", task_queue=QUEUE)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        assert type(failed.value.cause).__name__ == "CancelledError"

    in_virtual_time(test)


def test_a_list_holds_the_runs_that_a_query_asks_for() -> None:
    async def test(server: VirtualTemporal, client: Client, work: Work) -> None:
        for name in ("one", "two", "other"):
            await client.start_workflow(Sleeper.run, 100.0, id=name, task_queue=QUEUE)
        await client.get_workflow_handle("one").terminate()
        await client.get_workflow_handle("two").cancel()
        await asyncio.sleep(1)

        async def listed(query: str) -> set[str]:
            return {each.id async for each in client.list_workflows(query)}

        stopped = 'ExecutionStatus IN ("Terminated", "TimedOut")'
        assert await listed(f'WorkflowType = "Sleeper" AND {stopped}') == {"one"}
        assert await listed(f'({stopped} OR ExecutionStatus = "Canceled") AND WorkflowId STARTS_WITH "t"') == {"two"}
        assert await listed(f'{stopped} OR ExecutionStatus = "Canceled" AND WorkflowId = "two"') == {"one", "two"}
        assert await listed('CloseTime > "2100-01-01T00:00:00+00:00"') == {"one", "two"}
        assert await listed("TidegateWeight > 0") == set()
        for unreadable in ('WorkflowId LIKE "t"', 'WorkflowId = "two" WorkflowType = "Sleeper"', "("):
            with pytest.raises(RPCError, match="invalid query"):
                await listed(unreadable)

    in_virtual_time(test)

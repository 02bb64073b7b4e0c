"""Waits without a slot, told of by task token: what a worker, Temporal and a release do meanwhile, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy

from activities.reconcile.pending_waits import BEATS_AT_A_TIME, ENDS_AT_A_TIME, PendingWaits
from sandbox.machine import patience
from tests.activities.standing import Standing
from tests.virtual.temporal.chances import Chances
from tests.virtual.temporal.loop import run_virtually, running
from tests.virtual.temporal.server import VirtualTemporal
from tests.virtual.temporal.service import VirtualService
from tidegate.client import data_converter
from tidegate.contract import Activity, AwaitChange

QUEUE = "cluster"
HEARTBEAT_SECONDS = 60.0


@workflow.defn(name="Waiting")
class Waiting:
    """Waits as a release waits."""

    @workflow.run
    async def run(self, request: AwaitChange) -> float:
        """Return when it was told, in seconds since 1970."""
        await workflow.execute_activity(
            Activity.AWAIT_CHANGE,
            request,
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=timedelta(seconds=HEARTBEAT_SECONDS),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), backoff_coefficient=1.0),
        )
        return workflow.now().timestamp()


class Counted(VirtualService):
    """Temporal's interface, which counts what workers tell of their waits."""

    def __init__(self, server: VirtualTemporal) -> None:
        super().__init__(server)
        self.calls: list[tuple[float, str]] = []
        self.most_at_a_time: Counter[str] = Counter()
        self._open: Counter[str] = Counter()

    async def _rpc_call(self, rpc: str, req: Any, resp_type: Any, **options: Any) -> Any:
        self.calls.append((running().time(), rpc))
        self._open[rpc] += 1
        self.most_at_a_time[rpc] = max(self.most_at_a_time[rpc], self._open[rpc])
        try:
            return await super()._rpc_call(rpc, req, resp_type, **options)
        finally:
            self._open[rpc] -= 1


class Stage:
    """Temporal, an API server with Rollouts, and a worker."""

    def __init__(self, *names: str) -> None:
        self.standing = Standing(*names)
        self.chances = Chances(7)
        self.temporal = VirtualTemporal(self.chances, data_converter(None), [Waiting])
        self.service = Counted(self.temporal)
        self.client = Client(self.service, data_converter=data_converter(None))
        self.worker = self.start_worker()

    def start_worker(self) -> PendingWaits:
        self.worker = PendingWaits(self.standing.waits, lambda: self.client, chance=self.chances.random.random)
        self.temporal.register(QUEUE, self.worker.activities())
        return self.worker

    def kill_worker(self) -> None:
        self.worker.forget()
        self.temporal.lose_workers()

    async def wait(self, name: str) -> WorkflowHandle[Any, float]:
        request = Standing.about(name, await self.standing.state_digest(name))
        return await self.client.start_workflow(Waiting.run, request, id=name, task_queue=QUEUE)

    def attempt(self, name: str) -> int:
        [run] = self.temporal.runs[name]
        [pending] = run.commands.activities.values()
        return pending.attempt

    def told(self, rpc: str) -> int:
        return sum(name == rpc for _, name in self.service.calls)

    async def close(self) -> None:
        self.worker.forget()
        await self.temporal.close()
        await self.standing.close()


def on_stage(play: Callable[[Stage], Coroutine[Any, Any, None]], *names: str) -> None:
    async def live() -> None:
        stage = Stage(*(names or ("shop",)))
        try:
            await play(stage)
        finally:
            await stage.close()
        assert not stage.temporal.troubles

    run_virtually(live())


async def late(waiting: WorkflowHandle[Any, float]) -> float:
    """How many seconds pass until a release hears of what happens now."""
    began = running().time()
    async with asyncio.timeout(patience(300)):
        await waiting.result()
    return running().time() - began


def test_a_change_completes_exactly_its_own_wait() -> None:
    async def play(stage: Stage) -> None:
        waits = {name: await stage.wait(name) for name in names}
        await asyncio.sleep(90)
        assert len(stage.worker) == len(names)
        stage.standing.shift("shop-3", 7)
        assert await late(waits["shop-3"]) < 1
        await asyncio.sleep(90)
        assert len(stage.worker) == len(names) - 1
        assert [name for name in names if stage.temporal.runs[name][0].closed] == ["shop-3"]

    names = [f"shop-{number}" for number in range(20)]
    on_stage(play, *names)


def test_a_wait_outlasts_its_attempts_and_costs_the_release_nothing() -> None:
    async def play(stage: Stage) -> None:
        waiting = await stage.wait("shop")
        await asyncio.sleep(5)
        [run] = stage.temporal.runs["shop"]
        length = len(run.turns)
        await asyncio.sleep(24 * 3600)
        assert len(run.turns) == length
        assert 24 < stage.attempt("shop") < 60
        stage.standing.shift("shop", 7)
        assert await late(waiting) < 2

    on_stage(play)


def test_a_worker_that_is_killed_costs_no_more_than_the_heartbeat_timeout() -> None:
    async def play(stage: Stage) -> None:
        waiting = await stage.wait("shop")
        await asyncio.sleep(100)
        stage.kill_worker()
        stage.start_worker()
        stage.standing.shift("shop", 7)
        assert 10 < await late(waiting) < HEARTBEAT_SECONDS + 1

    on_stage(play)


def test_a_worker_that_is_told_to_stop_lets_another_one_go_on_at_once() -> None:
    async def play(stage: Stage) -> None:
        waits = {name: await stage.wait(name) for name in names}
        await asyncio.sleep(100)
        gone = stage.worker
        stage.start_worker()
        await gone.close()
        assert len(gone) == 0
        await asyncio.sleep(1)
        assert len(stage.worker) == len(names)
        stage.standing.shift("shop-3", 7)
        assert await late(waits["shop-3"]) < 1

    names = [f"shop-{number}" for number in range(20)]
    on_stage(play, *names)


def test_a_worker_that_cannot_tell_anybody_goes_all_the_same() -> None:
    async def play(stage: Stage) -> None:
        waiting = await stage.wait("shop")
        await asyncio.sleep(30)
        gone, began = stage.worker, running().time()
        stage.start_worker()
        stage.chances.rates["call lost"] = 1.0
        await gone.close()
        assert running().time() - began < 15
        stage.chances.rates.clear()
        stage.standing.shift("shop", 7)
        assert await late(waiting) < HEARTBEAT_SECONDS + 1

    on_stage(play)


def test_what_changes_while_temporal_is_away_is_told_when_it_is_back() -> None:
    async def play(stage: Stage) -> None:
        waiting = await stage.wait("shop")
        await asyncio.sleep(100)
        stage.chances.rates["call lost"] = 1.0
        stage.standing.shift("shop", 7)
        await asyncio.sleep(30)
        stage.chances.rates.clear()
        assert stage.attempt("shop") == 1
        assert await late(waiting) < 2

    on_stage(play)


def test_an_end_that_was_heard_although_nobody_said_so_is_told_once_more_and_then_left() -> None:
    async def play(stage: Stage) -> None:
        waiting = await stage.wait("shop")
        await asyncio.sleep(5)
        stage.chances.rates["call's answer lost"] = 1.0
        stage.standing.shift("shop", 7)
        await asyncio.sleep(5)
        stage.chances.rates.clear()
        await asyncio.sleep(5)
        assert await late(waiting) < 1
        assert len(stage.worker) == 0

    on_stage(play)


def test_nobody_waits_for_a_release_that_has_ended() -> None:
    async def play(stage: Stage) -> None:
        waiting = await stage.wait("shop")
        await asyncio.sleep(5)
        assert len(stage.worker) == 1
        await waiting.terminate()
        await asyncio.sleep(HEARTBEAT_SECONDS / 3 + 1)
        assert len(stage.worker) == 0
        assert stage.told("respond_activity_task_completed") == stage.told("respond_activity_task_failed") == 0

    on_stage(play)


def test_a_wait_that_temporal_gave_out_a_second_time_stands_once() -> None:
    async def play(stage: Stage) -> None:
        waiting = await stage.wait("shop")
        await asyncio.sleep(5)
        stage.chances.rates["call lost"] = 1.0
        await asyncio.sleep(HEARTBEAT_SECONDS + 5)
        stage.chances.rates.clear()
        await asyncio.sleep(1)
        assert (stage.attempt("shop"), len(stage.worker)) == (2, 1)
        stage.standing.shift("shop", 7)
        assert await late(waiting) < 2

    on_stage(play)


def test_many_waits_cost_few_calls_spread_over_time() -> None:
    async def play(stage: Stage) -> None:
        for name in names:
            await stage.wait(name)
        await asyncio.sleep(60)
        since = running().time()
        await asyncio.sleep(300)
        beats = [at for at, rpc in stage.service.calls if rpc == "record_activity_task_heartbeat" and at > since]
        a_second = Counter(int(at) for at in beats)
        assert len(beats) <= 300 / (HEARTBEAT_SECONDS / 3) * len(names)
        assert max(a_second.values()) < 3 * len(beats) / 300
        for number, name in enumerate(names):
            stage.standing.shift(name, number % 40 + 1)
        await asyncio.sleep(30)
        assert len(stage.worker) == 0
        most = stage.service.most_at_a_time
        assert most["record_activity_task_heartbeat"] <= BEATS_AT_A_TIME
        assert most["respond_activity_task_completed"] <= ENDS_AT_A_TIME

    names = [f"shop-{number}" for number in range(200)]
    on_stage(play, *names)

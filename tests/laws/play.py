"""Plays schedules of events on whole releases, one after the other on one server, and judges them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from sandbox.kubernetes_api.kinds import PODS, ROLLOUTS, VIRTUAL_SERVICES
from sandbox.kubernetes_api.objects import Object, meta
from tests.laws.schedules import BAD, GIVEN, Event, Schedule
from tests.laws.witness import Witness, hash_of, tag_of
from tests.virtual.cluster import NAMESPACE
from tests.virtual.stage import Stage, Theatre, theatre
from tidegate.analysis.reading import Reading, Verdict
from tidegate.analysis.status import Phase
from tidegate.contract import Activity, ReleaseResult, ReleaseStatus, rollout_id

LONGEST_SECONDS = 60  # of real time, for one schedule
CACHED = 100
OVERDUE = timedelta(seconds=5)


class Player:
    """One server for many schedules, in a loop of its own. What follows on a failure begins on another server."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self._house: Theatre | None = None
        self._played = 0

    def close(self) -> None:
        """Stop everything."""
        self._runner.run(self._close())
        self._runner.close()

    def play(self, schedule: Schedule, *, forgetful: bool) -> None:
        """Play one schedule; raises AssertionError when a law was broken.

        A forgetful worker of the releases is as one that is restarted before each of its tasks.
        """
        self._runner.run(self._play(schedule, 0 if forgetful else CACHED))

    async def _play(self, schedule: Schedule, cached: int) -> None:
        if self._house is None:
            self._house = await self._open.enter_async_context(theatre())
        house, self._played = self._house, self._played + 1
        try:
            await house.keep(cached)
            await _play(house, schedule, f"c{self._played}")
        except BaseException:
            await self._close()
            raise

    async def _close(self) -> None:
        self._house = None
        await self._open.aclose()


async def _play(house: Theatre, schedule: Schedule, name: str) -> None:
    stages: list[Stage] = []

    def measure(run: str, metric: Mapping[str, Any], now: datetime) -> Reading:
        sets = stages[0].cluster.replica_sets()
        bad = any(hash_of(each) in run and tag_of(each) in BAD for each in sets)
        verdict = Verdict(phase=Phase.FAILED if bad else Phase.SUCCESSFUL, message="")
        return Reading(metric=str(metric["name"]), verdict=verdict, started_at=now, finished_at=now)

    house.provider.servicenow.incidents.clear()
    async with house.stage(GIVEN, measure, name) as stage, asyncio.timeout(LONGEST_SECONDS):
        stages.append(stage)
        play = Play(stage)
        await play.through(schedule)
        play.judge(await play.ended(), house)


class Play:
    """One schedule from the first deployment to a version that all agree on."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._cluster = stage.cluster
        self._witness = Witness(stage.cluster)
        self._releases = _Releases(stage.env.client, stage.name)
        self._tag = "v1"
        self._meddled = False

    async def through(self, schedule: Schedule) -> None:
        """Play it; raises AssertionError when something is broken on the way, or does not stand at the end."""
        await self._stage.simulation.play([], 20)
        for seconds, event in schedule:
            await self._pass(seconds)
            await self._do(event)
        self._heal_pods()
        await self._pass(30)
        await self._do(("unpause", True))
        await self._pass(5)
        await self._do(("promote", "full"))
        await self._pass(180)
        self._stands_as_wanted()

    async def ended(self) -> list[ReleaseStatus]:
        """What every release said at its end; each has one."""
        return await self._releases.ended()

    def judge(self, releases: list[ReleaseStatus], house: Theatre) -> None:
        """What can be told at the end only."""
        happened = [event for release in releases for event in release.events]
        attempts = [analysis.name for release in releases for analysis in release.analyses]
        self._witness.judge_effects(happened, attempts, house.provider.servicenow.incidents)
        self._nothing_is_broken()

    async def _do(self, event: Event) -> None:
        what, value = event
        if what == "pods fail":
            self._break_pods(value)
        elif what == "requests fail":
            (verb, plural), code, times = value
            self._cluster.fail(verb, plural, times, code)
        elif what == "somebody routes":
            self._route(value)
        elif what == "worker of the cluster goes":
            self._cluster.cut_off(value)
            self._witness.lost_answers += 1
        else:
            await self._act(what, value)
        await self._judge_waits()
        self._nothing_is_broken()

    async def _act(self, what: str, value: Any) -> None:
        if what == "set_image":
            self._tag = value
        if what == "promote":
            self._witness.promotes += 1
            self._witness.promoted_by_hand.add(self._tag)
        await self._stage.simulation.act(what, value)

    async def _pass(self, seconds: float) -> None:
        """Let time pass, and then until no pass is under way: the server cannot cancel what completes just then."""
        await self._stage.simulation.sleep_until(self._now() + timedelta(seconds=seconds))
        for _ in range(200):
            if not await self._releases.is_busy(Activity.RECONCILE):
                break
            await self._stage.simulation.sleep_until(self._now() + timedelta(seconds=0.5))
        else:
            raise AssertionError("a pass that never ends")
        await self._judge_waits()
        self._nothing_is_broken()

    def _now(self) -> datetime:
        return self._cluster.clock.now

    # ----------------------------------------------------------------------------------------------------- meddling

    def _route(self, weight: int) -> None:
        """Somebody else writes other weights."""

        def edit(rule: Object) -> Object:
            [route] = rule["spec"]["http"]
            rows = [row | {"weight": share} for row, share in zip(route["route"], (100 - weight, weight), strict=True)]
            return rule | {"spec": rule["spec"] | {"http": [route | {"route": rows}]}}

        self._meddled = True
        with self._witness.looking_elsewhere():
            self._cluster.change(VIRTUAL_SERVICES, "vs", edit)

    def _break_pods(self, tag: str) -> None:
        """The pods of a version are no longer ready, and new ones do not become so."""
        self._cluster.never_ready.add(f"img:{tag}")
        for pod in self._cluster.pods():
            if pod["spec"]["containers"][0]["image"] == f"img:{tag}" and pod.get("status"):
                self._cluster.change(PODS, meta(pod)["name"], _ready("False"), status=True)

    def _heal_pods(self) -> None:
        self._cluster.never_ready.clear()
        for pod in self._cluster.pods():
            if pod.get("status"):
                self._cluster.change(PODS, meta(pod)["name"], _ready("True"), status=True)

    # ----------------------------------------------------------------------------------------------------- judging

    def _nothing_is_broken(self) -> None:
        assert not self._witness.broken, self._witness.broken

    async def _judge_waits(self) -> None:
        """Law 5: whoever is not finished and does nothing says what for, since when, until when, and who ends it."""
        status = await self._releases.resting()
        if status is None or status.finished_at is not None:
            return
        waiting = status.waiting
        assert waiting is not None, f"law 5: waits for nothing: {status.phase} {status.message} {status.compensations}"
        assert waiting.what, f"law 5: {waiting}"
        assert waiting.who, f"law 5: {waiting}"
        assert waiting.since <= self._now() + OVERDUE, f"law 5: waits since {waiting.since}, now {self._now()}"
        if waiting.until is None:
            by_hand = any(word in waiting.who for word in ("a person", "tidegate ", "a newer version"))
            assert by_hand, f"law 5: neither a time nor a person: {waiting}"
        else:
            assert waiting.until + OVERDUE > self._now(), f"law 5: an end that has passed at {self._now()}: {waiting}"

    def _stands_as_wanted(self) -> None:
        rollout = self._cluster.find(ROLLOUTS, "demo") or {}
        status = rollout["status"]
        assert status["phase"] == "Healthy", status
        assert status["stableRS"] == status["currentPodHash"]
        wanted = {hash_of(each): each["spec"]["replicas"] for each in self._cluster.replica_sets()}
        pods = {hash_: count for hash_, count in wanted.items() if count}
        assert pods == {status["stableRS"]: rollout["spec"]["replicas"]}
        shares = {hash_: share for hash_, share in self._witness.shares().items() if share}
        assert shares == {status["stableRS"]: 100}
        rule = self._cluster.find(VIRTUAL_SERVICES, "vs") or {}
        if not self._meddled:  # nobody puts it right after the last release, and both Services are stable's
            assert [row["weight"] for row in rule["spec"]["http"][0]["route"]] == [100, 0]


class _Releases:
    """The releases of one Rollout, as Temporal knows them."""

    def __init__(self, client: Client, cluster: str) -> None:
        self._client = client
        self._id = rollout_id(cluster, NAMESPACE, "demo")
        self._runs: dict[str, None] = {}

    async def is_busy(self, name: Activity) -> bool:
        """Whether an activity of that name is under way."""
        return name in _pending(await self._newest())

    async def resting(self) -> ReleaseStatus | None:
        """What the release says of itself; None while it does something, and when none is under way."""
        newest = await self._newest()
        if newest.status is not WorkflowExecutionStatus.RUNNING or set(_pending(newest)) - {Activity.AWAIT_CHANGE}:
            return None
        if newest.raw_description.HasField("pending_workflow_task"):
            return None
        handle = self._client.get_workflow_handle(self._id, run_id=newest.run_id)
        status: ReleaseStatus = await handle.query("status", result_type=ReleaseStatus)
        return status

    async def ended(self) -> list[ReleaseStatus]:
        """The last words of each; raises AssertionError for one that has not ended."""
        newest = await self._newest()
        assert newest.status is not WorkflowExecutionStatus.RUNNING, f"law 5: still running, {_pending(newest)}"
        return [await self._last_words(run) for run in self._runs]

    async def _last_words(self, run: str) -> ReleaseStatus:
        handle = self._client.get_workflow_handle(self._id, run_id=run, result_type=ReleaseResult)
        try:
            result: ReleaseResult = await handle.result(follow_runs=False)
        except WorkflowFailureError as failure:
            if not isinstance(failure.cause, ApplicationError):
                raise
            result = ReleaseResult.model_validate(failure.cause.details[0])
        return result.status

    async def _newest(self) -> WorkflowExecutionDescription:
        newest = await self._client.get_workflow_handle(self._id).describe()
        self._runs[newest.run_id] = None
        return newest


def _pending(description: WorkflowExecutionDescription) -> list[str]:
    return [each.activity_type.name for each in description.raw_description.pending_activities]


def _ready(value: str) -> Callable[[Object], Object]:
    def edit(pod: Object) -> Object:
        conditions = [{**each, "status": value} for each in pod["status"].get("conditions") or []]
        return pod | {"status": pod["status"] | {"conditions": conditions}}

    return edit

"""Plays a schedule, one in virtual time, and judges it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from structlog.testing import capture_logs

from activities.kubernetes.replica_sets import hash_of
from sandbox.kubernetes_api.kinds import ROLLOUTS, SERVICES
from sandbox.kubernetes_api.objects import lookup, meta
from tests.laws.happenings import Happenings
from tests.laws.life import ScheduledLife
from tests.laws.schedules import Event, Schedule
from tests.virtual.cluster import tag_of
from tests.virtual.life import DEMO, Life
from tests.virtual.temporal.loop import StandstillError, run_virtually, running
from tidegate.contract import Activity, ReleaseStatus

BEGINNING_SECONDS = 20.0
LONGEST_SECONDS = 1800.0  # of virtual time, until all agree on the version that is wanted at the end
GLANCE_SECONDS = 5.0
SILENT_SECONDS = 10.0  # for which a release may say nothing of what it waits for: it is doing something
OVERDUE_SECONDS = 20.0
MISTAKES = ("error", "critical")  # of the product: what it did not foresee, it logs and survives
LOSSES = (
    "attempt lost",
    "answer lost",
    "no answer",
    "answer cut off",
    "request late",
    "request lost",
    "workflow task lost",
)


@dataclass
class Played:
    """What one schedule came to. `failure` is empty where no law was broken."""

    failure: str
    virtual_seconds: float
    runs: int
    replays: int
    happened: Counter[str]
    writes: tuple[tuple[float, str, str], ...] = ()  # when which object was written


def play(schedule: Schedule) -> Played:
    """Play one schedule in a loop of its own."""
    state = random.getstate()
    random.seed(schedule.seed)  # of the API server: uids and generated names
    try:
        with capture_logs() as logged:
            played = run_virtually(_play(schedule))
        mistakes = [f"logged as a mistake: {entry}" for entry in logged if entry["log_level"] in MISTAKES]
        return replace(played, failure="\n".join(filter(None, [*mistakes, played.failure])))
    except StandstillError:
        return Played("everybody waits, and for nothing that could ever happen", 0.0, 0, 0, Counter())
    finally:
        random.setstate(state)


async def _play(schedule: Schedule) -> Played:
    life, failure = ScheduledLife(schedule), ""
    writes: list[tuple[float, str, str]] = []
    life.cluster.api.store.subscribe(
        lambda change: writes.append((running().time(), change.kind.kind, meta(change.object)["name"]))
    )
    this = Play(life, schedule)
    try:
        await this.through()
    except AssertionError as error:
        failure = f"{error}" or repr(error)
    finally:
        await life.close()
    broken = [*life.temporal.troubles, *this.witness.broken]
    failure = "\n".join(filter(None, [*broken, failure]))
    runs = life.temporal.all_runs()
    return Played(failure, running().time(), len(runs), life.temporal.replays, life.chances.happened, tuple(writes))


class Play(Happenings):
    """One schedule from the first deployment to a version that all agree on."""

    def __init__(self, life: Life, schedule: Schedule) -> None:
        super().__init__(life, schedule)
        self._silent_since: float | None = None

    async def through(self) -> None:
        """Play it; raises AssertionError when something is broken on the way, or does not stand at the end."""
        self._cluster.apply(self._shape.rollout())
        await self._pass(BEGINNING_SECONDS)
        for seconds, event in self._schedule.events:
            await self._pass(seconds)
            await self._do(event)
        await self._calm_down()
        await self._ends_as_wanted()
        await self._judge_effects()

    # ------------------------------------------------------------------------------------------------------ the events

    async def _do(self, event: Event) -> None:
        what, value = event
        handler: Callable[[Any], Any] = getattr(self, "_" + what.replace(" ", "_"))
        handler(value)
        self._nothing_is_broken()

    # -------------------------------------------------------------------------------------------------------- judging

    async def _pass(self, seconds: float) -> None:
        """Let time pass, and look at what the release says meanwhile."""
        end = running().time() + seconds
        while (left := end - running().time()) > 1e-6:
            await asyncio.sleep(min(left, GLANCE_SECONDS))
            self._cluster.tick()
            await self._judge_waits()
            self._nothing_is_broken()

    def _nothing_is_broken(self) -> None:
        assert not self._life.temporal.troubles, "a workflow cannot go on"
        assert not self.witness.broken, "a law is broken"

    async def _judge_waits(self) -> None:
        """Law 5: whoever is not finished says what for, since when, until when, and who ends it."""
        run = self._life.release()
        if run is None or not run.is_resting:
            return
        status = await self._life.account(run)
        waiting, now = status.waiting, self._cluster.clock.now
        working = {each.name for each in run.commands.activities.values()} - {Activity.AWAIT_CHANGE}
        if status.finished_at is not None or waiting is not None or working:
            self._silent_since = None
        if status.finished_at is not None or (waiting is None and working):
            return
        if waiting is None:
            self._silent_since = self._silent_since if self._silent_since is not None else running().time()
            silent = running().time() - self._silent_since
            assert silent < SILENT_SECONDS, (
                f"law 5: waits for nothing: {status.phase} {status.message} {status.compensations}"
            )
            return
        assert waiting.what, f"law 5: {waiting}"
        assert waiting.who, f"law 5: {waiting}"
        assert (waiting.since - now).total_seconds() <= OVERDUE_SECONDS, (
            f"law 5: waits since {waiting.since}, now {now}"
        )
        if waiting.until is None:
            by_hand = any(word in waiting.who for word in ("an operator", "tidegate ", "a newer version", "worker"))
            assert by_hand, f"law 5: neither a time nor a person: {waiting}"
        elif self._schedule.is_undisturbed:
            late = (now - waiting.until).total_seconds()
            assert late < OVERDUE_SECONDS, f"law 5: an end that has passed at {now}: {waiting}"

    async def _calm_down(self) -> None:
        """Nothing goes wrong any more, and a person wants what the object asks for."""
        chances = self._life.chances
        self.witness.lost += sum(chances.happened[what] for what in LOSSES)
        self._storms = dict.fromkeys(self._storms, 0.0)
        chances.rates.clear()
        await self._pass(45)
        self._bring_back()
        self._pods_heal(True)
        await self._pass(30)
        self._unpause(True)
        await self._pass(5)
        self._promote("full")

    async def _ends_as_wanted(self) -> None:
        end, why = running().time() + LONGEST_SECONDS, ""
        promoted = {run.run_id} if (run := self._life.release()) is not None else set()
        while running().time() < end:
            await self._pass(GLANCE_SECONDS)
            why = self._not_as_wanted()
            run = self._life.release()
            if run is not None and run.run_id not in promoted and self._is_paused():
                promoted.add(run.run_id)  # it came after one that another door had asked for later on
                self._promote("full")
            if not why and run is None:
                await self._pass(2 * GLANCE_SECONDS)
                if not (why := self._not_as_wanted()):
                    return
        run = self._life.release()
        status = await self._life.account(run) if run is not None else None
        raise AssertionError(f"not as wanted: {why or 'a release that does not end'}: {_short(status)}")

    def _is_paused(self) -> bool:
        return lookup(self._cluster.find(ROLLOUTS, "demo") or {}, "status", "phase") == "Paused"

    def _not_as_wanted(self) -> str:
        rollout = self._cluster.find(ROLLOUTS, "demo") or {}
        status = rollout.get("status") or {}
        if status.get("phase") != "Healthy":
            said = {name: status.get(name) for name in ("phase", "message", "abort", "currentStepIndex")}
            return str(said)
        stable = status["stableRS"]
        if stable != status["currentPodHash"]:
            return "stable is not current"
        sets = self._cluster.replica_sets()
        tags = [tag_of(each) for each in sets if hash_of(each) == stable]
        if len(tags) != 1 or tags[0] not in {self._wanted_tag(), *self._crossing}:
            return f"{tags} is stable, wanted is {self._wanted_tag()}"
        pods = {hash_of(each): each["spec"]["replicas"] for each in sets if each["spec"]["replicas"]}
        if pods != {stable: rollout["spec"]["replicas"]}:
            return f"pods {pods}, stable is {stable}"
        shares = {hash_: share for hash_, share in self.witness.shares().items() if share}
        if self._shape.routing != "none" and shares != {stable: 100}:
            return f"traffic {shares}, stable is {stable}"
        if self._shape.routing != "subset":
            selectors = {
                self._cluster.selector(meta(each)["name"])
                for each in self._cluster.api.store.select(SERVICES, DEMO.namespace)
            }
            if selectors != {stable}:
                return f"Services select {selectors}, stable is {stable}"
        return ""

    async def _judge_effects(self) -> None:
        """What can be told at the end only."""
        releases = [await self._life.account(run) for run in self._life.releases() if run.turns]
        happened = [event for release in releases for event in release.events]
        attempts = [analysis.name for release in releases for analysis in release.analyses]
        self.witness.judge_effects(happened, attempts, self._life.servicenow.incidents, cut=self._cut)
        self._nothing_is_broken()


def _short(status: ReleaseStatus | None) -> str:
    if status is None:
        return "no release under way"
    waiting = status.waiting.what if status.waiting is not None else "nothing"
    return f"{status.phase} {status.message!r} step {status.step_index} waits for {waiting}"

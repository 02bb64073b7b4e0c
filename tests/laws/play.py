"""Plays a schedule, one in virtual time, and judges it."""

from __future__ import annotations

import asyncio
import copy
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.kubernetes_api.kinds import PODS, ROLLOUTS, SERVICES, VIRTUAL_SERVICES
from sandbox.kubernetes_api.objects import Object, lookup, meta
from tests.laws.life import DEMO, Life, hash_of, tag_of
from tests.laws.schedules import Event, Schedule
from tests.laws.shapes import BAD, STEPS
from tests.laws.witness import Witness
from tests.virtual.temporal.loop import StandstillError, VirtualLoop, running
from tidegate.contract import Activity, ReleaseRequest, ReleaseStatus

BEGINNING_SECONDS = 20.0
LONGEST_SECONDS = 1800.0  # of virtual time, until all agree on the version that is wanted at the end
GLANCE_SECONDS = 5.0
SILENT_SECONDS = 10.0  # for which a release may say nothing of what it waits for: it is doing something
OVERDUE_SECONDS = 20.0
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
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(_play(schedule))
    except StandstillError:
        return Played("everybody waits, and for nothing that could ever happen", 0.0, 0, 0, Counter())
    finally:
        random.setstate(state)


async def _play(schedule: Schedule) -> Played:
    life, failure = Life(schedule), ""
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


class Play:
    """One schedule from the first deployment to a version that all agree on."""

    def __init__(self, life: Life, schedule: Schedule) -> None:
        self._life = life
        self._cluster = life.cluster
        self._shape = schedule.shape
        self._schedule = schedule
        self.witness = Witness(life.cluster, schedule.shape)
        self._tag, self._steps = "v1", schedule.shape.steps
        self._spec: Object = {}
        self._meddled = self._cut = False
        self._silent_since: float | None = None
        self._storms: dict[str, float] = {}

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

    def _set_image(self, tag: str) -> None:
        self._wants(tag, self._steps)
        if self._shape.workload:
            self._cluster.apply(self._shape.deployment(tag))
        else:
            self._edit(lambda spec: _image_of(spec, tag))

    def _set_steps(self, name: str) -> None:
        self._wants(self._tag, name)
        self._edit(lambda spec: _with_steps(spec, copy.deepcopy(STEPS[name])))

    def _set_replicas(self, count: int) -> None:
        self._edit(lambda spec: spec | {"replicas": count})

    def _pause(self, _: Any) -> None:
        self._edit(lambda spec: spec | {"paused": True})

    def _unpause(self, _: Any) -> None:
        self._edit(lambda spec: spec | {"paused": False})

    def _abort(self, _: Any) -> None:
        self._status({"abort": True})

    def _retry(self, _: Any) -> None:
        self._status({"abort": False})

    def _promote(self, how: Any) -> None:
        """As the plugin: what is paused goes on; otherwise the step under way is skipped."""
        self._promotes()
        if how == "full":
            self._status({"promoteFull": True})
            return
        rollout = self._cluster.find(ROLLOUTS, "demo") or {}
        status = rollout.get("status") or {}
        if lookup(rollout, "spec", "paused"):
            self._edit(lambda spec: spec | {"paused": False})
        if status.get("pauseConditions"):
            self._status({"pauseConditions": None})
        elif status.get("currentStepIndex") is not None:
            steps = len(rollout["spec"]["strategy"]["canary"].get("steps") or [])
            self._status({"currentStepIndex": min(status["currentStepIndex"] + 1, steps)})

    def _say(self, what: str) -> None:
        client = self._life.client
        if what.startswith("promote"):
            self._promotes()
            self._life.let(client.promote(DEMO, full=what.endswith("full"), by="ana", reason="looks good"))
        else:
            speak = {"abort": client.abort, "pause": client.pause, "resume": client.resume}[what]
            self._life.let(speak(DEMO, by="ana", reason="so it is"))

    def _signal(self, what: str) -> None:
        run = self._life.release()
        if run is None:
            return
        if what == "promote":
            self._promotes()
        for name in ("abort", "abort") if what == "abort twice" else (what,):
            payloads = self._life.connection.data_converter.payload_converter.to_payloads([["not", "a", "mapping"]])
            self._life.temporal.signal(run.workflow_id, run.run_id, name, payloads)

    def _ci(self, tag: str, times: int = 1) -> None:
        """The pipeline applies a manifest, and waits for its release."""
        self._set_image(tag)
        live = self._cluster.find(ROLLOUTS, "demo")
        if live is None:
            return
        manifest = {key: live[key] for key in ("apiVersion", "kind", "spec")}
        manifest["metadata"] = {key: live["metadata"][key] for key in ("name", "namespace")}
        manifest["metadata"] |= {"annotations": self._shape.rollout()["metadata"].get("annotations") or {}}
        request = ReleaseRequest(namespace=DEMO.namespace, name=DEMO.name, rollout=copy.deepcopy(manifest), by="ci")
        for _ in range(times):
            self._life.let(self._life.client.start(request))

    def _ci_twice(self, tag: str) -> None:
        self._ci(tag, times=2)

    def _undo(self, _: Any) -> None:
        self._life.let(self._life.client.undo(DEMO, by="ana", reason="slow"))

    def _terminate(self, _: Any) -> None:
        if (run := self._life.release()) is not None:
            self._cut = True
            self.witness.lost += 1
            run.terminate()

    def _cancel(self, _: Any) -> None:
        if (run := self._life.release()) is not None:
            run.request_cancel("somebody cancelled it")

    def _delete(self, seconds: int) -> None:
        """Delete the Rollout, and bring it back after a while."""
        live = self._cluster.find(ROLLOUTS, "demo")
        if live is None:
            return
        self._spec, self._cut = copy.deepcopy(live["spec"]), True
        self.witness.lost += 1
        self.witness.was_deleted = True
        with self.witness.looking_elsewhere():
            self._cluster.delete(ROLLOUTS, "demo")
        running().call_later(seconds + 0.01, self._bring_back)

    def _bring_back(self) -> None:
        if self._cluster.find(ROLLOUTS, "demo") is None:
            self._cluster.apply(self._shape.rollout() | {"spec": copy.deepcopy(self._spec)})

    def _pods_fail(self, tag: str) -> None:
        """The pods of a version are no longer ready, and new ones do not become so."""
        self._cluster.never_ready.add(f"img:{tag}")
        for pod in self._cluster.pods():
            if pod["spec"]["containers"][0]["image"] == f"img:{tag}" and pod.get("status"):
                self._cluster.change(PODS, meta(pod)["name"], _ready("False"), status=True)

    def _pods_heal(self, _: Any) -> None:
        self._cluster.never_ready.clear()
        for pod in self._cluster.pods():
            if pod.get("status"):
                self._cluster.change(PODS, meta(pod)["name"], _ready("True"), status=True)

    def _requests_fail(self, value: tuple[str, str, int, int]) -> None:
        verb, plural, code, times = value
        self._cluster.fail(verb, plural, times, code)

    def _somebody_routes(self, weight: int) -> None:
        """Somebody else writes other weights."""

        def edit(rule: Object) -> Object:
            shares = iter((100 - weight, weight))
            http = [
                route | {"route": [row | {"weight": next(shares)} for row in route["route"]]}
                if not route.get("match")
                else route
                for route in rule["spec"]["http"]
            ]
            return rule | {"spec": rule["spec"] | {"http": http}}

        self._meddled = True
        with self.witness.looking_elsewhere():
            self._cluster.change(VIRTUAL_SERVICES, "vs", edit)

    def _cut_off(self, writes: int) -> None:
        self.witness.lost += 1
        self._cluster.cut_off(writes)

    def _workers_go(self, _: Any) -> None:
        self.witness.lost += 1
        self._life.restart_workers()

    def _watchers_go(self, seconds: int) -> None:
        self._life.let(self._replace_watchers(seconds))

    async def _replace_watchers(self, seconds: float) -> None:
        await self._life.stop_watching()
        await asyncio.sleep(seconds)
        self._life.watch()

    def _api_away(self, seconds: int) -> None:
        self._storm("connection refused", seconds)

    def _temporal_away(self, seconds: int) -> None:
        self._storm("call lost", seconds)

    def _storm(self, what: str, seconds: float) -> None:
        rates = self._life.chances.rates
        self._storms.setdefault(what, rates.get(what, 0.0))
        rates[what] = 1.0
        running().call_later(seconds, lambda: rates.update({what: self._storms[what]}))

    # ------------------------------------------------------------------------------------------------------- the wish

    def _wants(self, tag: str, steps: str) -> None:
        self._tag, self._steps = tag, steps
        if not self._shape.is_judged(steps):
            self.witness.exempt.add(tag)
        if steps == "compared" and tag not in BAD:
            # As in Argo, an experiment that has lasted for its time succeeds although a run of it goes on.
            self.witness.exempt.add(tag)

    def _promotes(self) -> None:
        """A person promotes what the object asks for, or what its release is about, which may be one behind."""
        self.witness.promotes += 1
        self.witness.exempt.add(self._tag)
        current = lookup(self._cluster.find(ROLLOUTS, "demo") or {}, "status", "currentPodHash")
        found = [tag_of(each) for each in self._cluster.replica_sets() if hash_of(each) == current]
        self.witness.exempt.update(found)

    def _edit(self, edit: Callable[[Object], Object]) -> None:
        if self._cluster.find(ROLLOUTS, "demo") is None:
            self._spec = edit(copy.deepcopy(self._spec))
        else:
            self._cluster.change(ROLLOUTS, "demo", lambda live: live | {"spec": edit(copy.deepcopy(live["spec"]))})

    def _status(self, fields: Object) -> None:
        def edit(found: Object) -> Object:
            merged = {**(found.get("status") or {}), **fields}
            return found | {"status": {key: value for key, value in merged.items() if value is not None}}

        if self._cluster.find(ROLLOUTS, "demo") is not None:
            self._cluster.change(ROLLOUTS, "demo", edit, status=True)

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
            by_hand = any(word in waiting.who for word in ("a person", "tidegate ", "a newer version", "worker"))
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
        while running().time() < end:
            await self._pass(GLANCE_SECONDS)
            why = self._not_as_wanted()
            if not why and self._life.release() is None:
                await self._pass(2 * GLANCE_SECONDS)
                if not (why := self._not_as_wanted()):
                    return
        run = self._life.release()
        status = await self._life.account(run) if run is not None else None
        raise AssertionError(f"not as wanted: {why or 'a release that does not end'}: {_short(status)}")

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
        if tags != [self._wanted_tag()]:
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

    def _wanted_tag(self) -> str:
        rollout = self._cluster.find(ROLLOUTS, "demo") or {}
        if self._shape.workload:
            return self._tag
        return str(rollout["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]

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


def _image_of(spec: Object, tag: str) -> Object:
    spec["template"]["spec"]["containers"][0]["image"] = f"img:{tag}"
    return spec


def _with_steps(spec: Object, steps: list[Object]) -> Object:
    spec["strategy"]["canary"]["steps"] = steps
    return spec


def _ready(value: str) -> Callable[[Object], Object]:
    def edit(pod: Object) -> Object:
        conditions = [{**each, "status": value} for each in pod["status"].get("conditions") or []]
        return pod | {"status": pod["status"] | {"conditions": conditions}}

    return edit

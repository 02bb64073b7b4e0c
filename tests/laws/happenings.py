"""What may happen to a Rollout while a schedule is played: one method for each kind of event."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Callable
from typing import Any

from activities.kubernetes.replica_sets import HASH_LABEL, hash_of
from sandbox.kubernetes_api.kinds import DEPLOYMENTS, PODS, ROLLOUTS, SERVICES, VIRTUAL_SERVICES
from sandbox.kubernetes_api.objects import Object, lookup, meta
from tests.laws.schedules import Schedule
from tests.laws.shapes import STEPS
from tests.laws.witness import Witness
from tests.virtual.cluster import tag_of
from tests.virtual.life import DEMO, Life
from tests.virtual.temporal.loop import running
from tidegate.contract import ReleaseRequest

LONGEST_CALL_SECONDS = 1.0  # in calm weather


class Happenings:
    """The hands of everybody around one Rollout; the witness is told what has to be known to judge."""

    def __init__(self, life: Life, schedule: Schedule) -> None:
        self._life = life
        self._cluster = life.cluster
        self._shape = schedule.shape
        self._schedule = schedule
        self.witness = Witness(life.cluster, schedule.shape)
        self._tag, self._steps = "v1", schedule.shape.steps
        self._asked: list[tuple[float, str]] = []  # what pipelines ask for, and when, while nobody has answered
        self._crossing: set[str] = set()
        self._promoting = 0
        self._spec: Object = {}
        self._cut = False
        self._storms: dict[str, float] = {}

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
            self._promoting += 1
            self._life.let(self._say_promote(full=what.endswith("full")))
        else:
            speak = {"abort": client.abort, "pause": client.pause, "resume": client.resume}[what]
            self._life.let(speak(DEMO, by="ana", reason="so it is"))

    async def _say_promote(self, *, full: bool) -> None:
        try:
            await self._life.client.promote(DEMO, full=full, by="ana", reason="looks good")
        finally:
            self._promoting -= 1

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
            asked = (running().time(), tag)
            self._asked.append(asked)
            self._life.let(self._ask_for(request, asked))

    async def _ask_for(self, request: ReleaseRequest, asked: tuple[float, str]) -> None:
        try:
            await self._life.client.start(request)
        finally:
            self._asked.remove(asked)

    def _ci_twice(self, tag: str) -> None:
        self._ci(tag, times=2)

    def _undo(self, _: Any) -> None:
        self._crossing |= self._on_its_way()
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
        self.witness.pods_fail(tag)
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

        with self.witness.looking_elsewhere():
            self._cluster.change(VIRTUAL_SERVICES, "vs", edit)

    def _somebody_takes_the_hash(self, service: str) -> None:
        """Somebody else lets a Service select pods of every version."""

        def edit(found: Object) -> Object:
            selector = {key: value for key, value in found["spec"]["selector"].items() if key != HASH_LABEL}
            return found | {"spec": found["spec"] | {"selector": selector}}

        with self.witness.looking_elsewhere():
            self._cluster.change(SERVICES, service, edit)

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
        """Somebody asks for that now. What is on its way meanwhile comes before it or after it, as it happens."""
        self._crossing = self._on_its_way()
        if self._promoting:
            self.witness.exempt.add(tag)
        self._tag, self._steps = tag, steps
        if not self._shape.is_judged(steps):
            self.witness.exempt.add(tag)

    def _on_its_way(self) -> set[str]:
        late = running().time() - (LONGEST_CALL_SECONDS if self._schedule.weather == "calm" else math.inf)
        return {other for since, other in self._asked if since > late}

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

    def _wanted_tag(self) -> str:
        where = (DEPLOYMENTS, "legacy") if self._shape.workload else (ROLLOUTS, "demo")
        asking = self._cluster.find(*where) or {}
        return str(asking["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]


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

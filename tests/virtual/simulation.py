"""A Rollout's life in virtual time, as the cases tell it: actions of the kubectl plugin, and the states that follow.

Everything is the real thing but time and the metric provider: workflows, cluster activities, the watcher's door and the
embedded API with its controllers.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from activities.replica_sets import HASH_LABEL, SCALE_DOWN_DEADLINE
from sandbox.kubernetes_api import Change
from sandbox.kubernetes_api.kinds import ROLLOUTS, SERVICES, VIRTUAL_SERVICES
from sandbox.kubernetes_api.objects import Object, lookup, meta
from tests.virtual.cluster import NAMESPACE, VirtualCluster
from tidegate.client import NoWorkerError
from tidegate.contract import Document
from workers.watch_door import Door, Sighting

APART = timedelta(seconds=0.5)  # of skipped time: what follows on one cause follows without any being skipped

PATCHES: dict[str, Document] = {
    "abort": {"abort": True},
    "retry": {"abort": False},
    "promote full": {"promoteFull": True},
}


class TimeStandsStillError(Exception):
    """The server skips no more time: it still counts an attempt of an activity whose workflow has closed meanwhile."""


class Trace:
    """The settled states of a Rollout, one for each time that something was written about it.

    Time is skipped only while everybody waits for it, so that a slow machine tells the same states as a fast one. `at`
    are seconds of virtual time since the beginning; `took` are those of them that the machine itself needed.
    """

    def __init__(self, cluster: VirtualCluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._began, self._begun_at = cluster.clock.now, time.monotonic()
        self._skipped = timedelta()
        self._after = ""
        self._answered = False
        self._since: datetime | None = None
        self._now: dict[str, Any] = {}
        self.states: list[dict[str, Any]] = []
        cluster.api.store.subscribe(self._note)

    def begin(self) -> None:
        """The cluster's clock is right, and everything counts from here."""
        self._began, self._begun_at = self._cluster.clock.now, time.monotonic()

    def act(self, what: str) -> None:
        """Somebody does something now: what follows belongs to it."""
        self.settle()
        self._after, self._since, self._now = what, self._cluster.clock.now, self._state()
        self._skipped = self._skipped_so_far(self._since)

    def acted(self) -> None:
        """What is written from here on answers to what was done."""
        self._answered = False

    def settle(self) -> None:
        """What stands now has settled."""
        if self._since is None:
            return
        told = {"after": self._after} if self._after else {}
        last = self.states[-1] if self.states else {}
        changed = self._now != {key: value for key, value in last.items() if key not in ("at", "took", "after")}
        if changed or (self._after and self._answered):
            at = int((self._since - self._began) / timedelta(seconds=1))
            self.states.append({"at": at, "took": self._took(), **told, **self._now})
            self._after = ""
        self._since = None

    def _note(self, _: Change) -> None:
        now = self._cluster.clock.now
        skipped = self._skipped_so_far(now)
        if self._since is not None and skipped - self._skipped > APART:
            self.settle()
        self._since, self._skipped, self._answered = self._since or now, skipped, True
        self._now = self._state()

    def _skipped_so_far(self, now: datetime) -> timedelta:
        return max(self._skipped, now - self._began - timedelta(seconds=self._took()))

    def _took(self) -> float:
        return time.monotonic() - self._begun_at

    def _state(self) -> dict[str, Any]:
        rollout = self._cluster.find(ROLLOUTS, self._name) or {}
        status = rollout.get("status") or {}
        sets = {_hash(found): found for found in self._cluster.replica_sets()}
        version = {hash_: _version(found) for hash_, found in sets.items()}
        state = {
            "step": status.get("currentStepIndex"),
            "phase": status.get("phase", ""),
            "message": status.get("message", ""),
            "stable": version.get(str(status.get("stableRS", "")), ""),
            "desired": version.get(str(status.get("currentPodHash", "")), ""),
            "abort": bool(status.get("abort")),
            "pause": [each["reason"] for each in status.get("pauseConditions") or []],
            "pods": {version[hash_]: _pods(found) for hash_, found in sets.items()},
            "services": self._services(version),
            "analysisruns": self._analyses(version),
        }
        return state | self._routes()

    def _services(self, version: Mapping[str, str]) -> dict[str, str]:
        found = self._cluster.api.store.select(SERVICES, NAMESPACE)
        return {meta(each)["name"]: version.get(self._cluster.selector(meta(each)["name"]), "") for each in found}

    def _routes(self) -> dict[str, Any]:
        rule = self._cluster.find(VIRTUAL_SERVICES, "vs")
        if rule is None:
            return {}
        routes = rule["spec"]["http"]
        weights = {row["destination"]["host"]: row.get("weight", 0) for row in routes[-1]["route"]}
        return {"vs_weights": weights, "vs_managed_routes": [row["name"] for row in routes if row.get("name")]}

    def _analyses(self, version: Mapping[str, str]) -> dict[str, str]:
        runs = self._cluster.analysis_runs()
        return {_named(meta(run)["name"], version): lookup(run, "status", "phase") or "" for run in runs}


class Simulation:
    """One Rollout, its cluster, and the door through which it is spoken to."""

    def __init__(self, env: WorkflowEnvironment, cluster: VirtualCluster, door: Door, rollout: Document) -> None:
        self._env = env
        self._cluster = cluster
        self._door = door
        self._name = str(rollout["metadata"]["name"])
        self._rollout = rollout
        self.trace = Trace(cluster, self._name)

    async def play(self, actions: list[dict[str, Any]], until: float) -> list[dict[str, Any]]:
        """Create the Rollout, act, and go on until so many seconds have passed; the settled states."""
        self._cluster.advance(await self._env.get_current_time())
        self.trace.begin()
        began = self._cluster.clock.now
        moments = [began + timedelta(seconds=action["at"]) for action in actions]
        # The other actions reach the release by the door. A look at the moment at which a release ends would stop the
        # time of this server for ever.
        unsaid = [moment for action, moment in zip(actions, moments, strict=True) if "set_replicas" in action]
        self._cluster.look_at([moment + timedelta(milliseconds=300) for moment in unsaid])
        self.trace.act("create")
        self._cluster.apply(self._rollout)
        await self.look()
        for action, moment in zip(actions, moments, strict=True):
            await self.sleep_until(moment)
            [(what, value)] = [(key, value) for key, value in action.items() if key != "at"]
            await self.act(what, value)
        await self.sleep_until(began + timedelta(seconds=until))
        self.trace.settle()
        return self.trace.states

    async def act(self, what: str, value: Any) -> None:
        """Do something now, and tell the door."""
        self.trace.act(_worded(what, value))
        self._do(what, value)
        self.trace.acted()
        await self.look()

    async def sleep_until(self, moment: datetime) -> None:
        """Let time pass. Raises TimeStandsStillError when it does not."""
        left = moment - await self._env.get_current_time()
        try:
            if left > timedelta(0):
                await self._env.sleep(left)
        except RPCError as error:
            if error.status is not RPCStatusCode.DEADLINE_EXCEEDED:
                raise
            raise TimeStandsStillError(f"{left} before {moment}") from error
        self._cluster.advance(await self._env.get_current_time())

    async def look(self) -> None:
        """What the watcher does when an object changed; again for as long as the door wants to look again."""
        while await self._look_again():
            await self._env.sleep(0.02)

    async def _look_again(self) -> bool:
        try:
            return await self._door.answer(NAMESPACE, self._name, Sighting(None))
        except NoWorkerError:  # it was stopped a moment ago
            return True

    def _do(self, what: str, value: Any) -> None:
        if what == "set_image":
            self._spec(lambda spec: _image_of(spec, str(value)))
        elif what == "set_replicas":
            self._spec(lambda spec: spec | {"replicas": value})
        elif what == "set_steps":
            self._spec(lambda spec: _with_steps(spec, value))
        elif what in ("pause", "unpause"):
            self._spec(lambda spec: spec | {"paused": what == "pause"})
        elif what == "promote" and value != "full":
            self._promote()
        else:
            self._status(PATCHES["promote full" if what == "promote" else what])

    def _promote(self) -> None:
        """As the plugin: what is paused goes on; otherwise the step under way is skipped."""
        rollout = self._cluster.find(ROLLOUTS, self._name) or {}
        status = rollout.get("status") or {}
        if rollout["spec"].get("paused"):
            self._spec(lambda spec: spec | {"paused": False})
        if status.get("pauseConditions"):
            self._status({"pauseConditions": None})
        elif status.get("currentStepIndex") is not None:
            steps = len(rollout["spec"]["strategy"]["canary"].get("steps") or [])
            self._status({"currentStepIndex": min(status["currentStepIndex"] + 1, steps)})

    def _spec(self, edit: Callable[[Document], Document]) -> None:
        self._cluster.change(ROLLOUTS, self._name, lambda found: found | {"spec": edit(copy.deepcopy(found["spec"]))})

    def _status(self, fields: Document) -> None:
        def edit(found: Object) -> Object:
            merged = {**(found.get("status") or {}), **fields}
            return found | {"status": {key: value for key, value in merged.items() if value is not None}}

        self._cluster.change(ROLLOUTS, self._name, edit, status=True)


def _image_of(spec: Document, tag: str) -> Document:
    spec["template"]["spec"]["containers"][0]["image"] = f"img:{tag}"
    return spec


def _with_steps(spec: Document, steps: list[Document]) -> Document:
    spec["strategy"]["canary"]["steps"] = steps
    return spec


def _worded(what: str, value: Any) -> str:
    if what in ("pause", "unpause", "abort", "retry"):
        return what
    return f"{what}={value if isinstance(value, str | int) else json.dumps(value)}"


def _hash(found: Object) -> str:
    return str((meta(found).get("labels") or {}).get(HASH_LABEL, ""))


def _version(found: Object) -> str:
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]


def _pods(found: Object) -> str:
    wanted, available = found["spec"]["replicas"], lookup(found, "status", "availableReplicas") or 0
    pending = (meta(found).get("annotations") or {}).get(SCALE_DOWN_DEADLINE) and wanted
    return f"{available}/{wanted}" + (" scale-down pending" if pending else "")


def _named(run: str, version: Mapping[str, str]) -> str:
    for hash_, name in version.items():
        run = run.replace(hash_, name)
    return run

"""A Rollout's life in virtual time, as the cases tell it: actions of the kubectl plugin, and the states that follow.

Everything is the real thing but Temporal's server, time and what providers answer: workflows, cluster activities, the
watcher, and the embedded API with its controllers.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from activities.kubernetes.replica_sets import HASH_LABEL, REVISION, SCALE_DOWN_DEADLINE, hash_of, template_of
from sandbox.kubernetes_api import Change
from sandbox.kubernetes_api.kinds import INGRESSES, ROLLOUTS, SERVICES, VIRTUAL_SERVICES
from sandbox.kubernetes_api.objects import Object, lookup, meta
from tests.virtual.cluster import NAMESPACE, VirtualCluster, tag_of
from tests.virtual.life import Life
from tests.virtual.objects import service
from tests.virtual.temporal.loop import running
from tidegate.contract import Document
from tidegate.rollouts.restarts import parse_timestamp

APART = timedelta(seconds=1.5)  # what follows on one cause follows sooner

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
PATCHES: dict[str, Document] = {
    "abort": {"abort": True},
    "retry": {"abort": False},
    "promote full": {"promoteFull": True},
}


class Trace:
    """The settled states of a Rollout, one for each time that something was written about it.

    `at` are seconds since the beginning.
    """

    def __init__(self, cluster: VirtualCluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._began = self._last = cluster.clock.now
        self._after = ""
        self._answered = False
        self._since: datetime | None = None
        self._now: dict[str, Any] = {}
        self.states: list[dict[str, Any]] = []
        cluster.api.store.subscribe(self._note)

    def act(self, what: str) -> None:
        """Somebody does something now: what follows belongs to it."""
        self.settle()
        self._after, self._now = what, self._state()
        self._since = self._last = self._cluster.clock.now

    def acted(self) -> None:
        """What is written from here on answers to what was done."""
        self._answered = False

    def answered(self) -> None:
        """What was done counts, whatever follows on it."""
        self._answered = True

    def settle(self) -> None:
        """What stands now has settled."""
        if self._since is None:
            return
        told = {"after": self._after} if self._after else {}
        last = self.states[-1] if self.states else {}
        changed = self._now != {key: value for key, value in last.items() if key not in ("at", "after")}
        if changed or (self._after and self._answered):
            at = int((self._since - self._began) / timedelta(seconds=1))
            self.states.append({"at": at, **told, **self._now})
            self._after = ""
        self._since = None

    def _note(self, _: Change) -> None:
        now = self._cluster.clock.now
        if self._since is not None and now - self._last > APART:
            self.settle()
        self._since, self._last, self._answered = self._since or now, now, True
        self._now = self._state()

    def _state(self) -> dict[str, Any]:
        rollout = self._cluster.find(ROLLOUTS, self._name) or {}
        status = rollout.get("status") or {}
        sets = {hash_of(found): found for found in self._cluster.replica_sets()}
        version = {hash_: tag_of(found) for hash_, found in sets.items()}
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
        return state | self._routes() | self._blue_green(status, sets, version)

    def _blue_green(
        self, status: Mapping[str, Any], sets: Mapping[str, Object], version: Mapping[str, str]
    ) -> dict[str, Any]:
        """What only a blue-green strategy shows; nothing for another one."""
        found = status.get("blueGreen")
        if not found:
            return {}
        named = {name: version.get(str(found.get(name, "")), "") for name in ("activeSelector", "previewSelector")}
        deadlines = {version[hash_]: _deadline(one) for hash_, one in sets.items()}
        counted = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "HPAReplicas")
        return {
            "blueGreen": named,
            "counts": {name: status.get(name, 0) for name in counted},
            "selector": status.get("selector", ""),
            "scale_down_at": {
                name: int((at - self._began) / timedelta(seconds=1)) for name, at in deadlines.items() if at is not None
            },
        }

    def _services(self, version: Mapping[str, str]) -> dict[str, str]:
        found = self._cluster.api.store.select(SERVICES, NAMESPACE)
        return {meta(each)["name"]: version.get(self._cluster.selector(meta(each)["name"]), "") for each in found}

    def _routes(self) -> dict[str, Any]:
        if canaries := [each for each in self._cluster.api.store.select(INGRESSES, NAMESPACE) if WEIGHT in notes(each)]:
            return {"canary_ingress_weights": {meta(each)["name"]: notes(each)[WEIGHT] for each in canaries}}
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
    """One Rollout in a world, and people who speak to it by its object."""

    def __init__(self, life: Life, rollout: Document) -> None:
        self._cluster = life.cluster
        self._name = str(rollout["metadata"]["name"])
        self._rollout = rollout
        self.trace = Trace(life.cluster, self._name)

    async def play(self, actions: list[dict[str, Any]], until: float) -> list[dict[str, Any]]:
        """Create the Rollout, act, and go on until so many seconds have passed; the settled states."""
        began = self._cluster.clock.now
        self.trace.act("create")
        self._cluster.apply(self._rollout)
        for action in actions:
            await self._sleep_until(began + timedelta(seconds=action["at"]))
            [(what, value)] = [(key, value) for key, value in action.items() if key != "at"]
            self.act(what, value)
        await self._sleep_until(began + timedelta(seconds=until))
        self.trace.settle()
        return self.trace.states

    def act(self, what: str, value: Any) -> None:
        """Do something now."""
        self._cluster.tick()
        self.trace.act(_worded(what, value))
        self._do(what, value)
        self.trace.acted()
        if what == "promote" and "blueGreen" in self._rollout["spec"]["strategy"]:
            self.trace.answered()  # the plugin sends its patch also where it changes nothing

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)
        self._cluster.tick()

    async def _sleep_until(self, moment: datetime) -> None:
        await self.sleep(max((moment - running().now()).total_seconds(), 0.0))

    def _do(self, what: str, value: Any) -> None:
        if what == "set_image":
            self._spec(lambda spec: _image_of(spec, str(value)))
        elif what == "set_replicas":
            self._spec(lambda spec: spec | {"replicas": value})
        elif what == "set_steps":
            self._spec(lambda spec: _with_steps(spec, value))
        elif what in ("set_bluegreen", "set_spec"):
            patch = value if what == "set_spec" else {"strategy": {"blueGreen": value}}
            self._spec(lambda spec: merged(spec, patch))
        elif what == "undo":
            self._undo(None if value is True else int(value))
        elif what == "lose_pods":
            self._cluster.lose_pods(f"img:{value['version']}", value["count"], timedelta(seconds=value["for"]))
        elif what == "create_service":
            self._cluster.apply(service(str(value), self._rollout))
        elif what == "point_service":
            self._point(value)
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

    def _undo(self, revision: int | None) -> None:
        """As the plugin: the template of a revision, by default that before the newest, without metadata of a role."""
        sets = self._cluster.replica_sets()
        numbered = {int(meta(each)["annotations"][REVISION]): each for each in sets}
        found = sets[-2] if revision is None else numbered[revision]
        self._spec(lambda spec: spec | {"template": template_of(found)})

    def _point(self, given: Mapping[str, str]) -> None:
        """Somebody edits what Services select."""
        hashes = {tag_of(each): hash_of(each) for each in self._cluster.replica_sets()}
        for name, tag in given.items():
            self._cluster.change(SERVICES, name, partial(_selecting, hash_=hashes.get(tag, "")))

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


def _selecting(found: Object, hash_: str) -> Object:
    selector = {key: value for key, value in found["spec"]["selector"].items() if key != HASH_LABEL}
    return found | {"spec": found["spec"] | {"selector": selector | ({HASH_LABEL: hash_} if hash_ else {})}}


def merged(target: Any, patch: Any) -> Any:
    """A document after a JSON merge patch."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


def _deadline(found: Object) -> datetime | None:
    text = (meta(found).get("annotations") or {}).get(SCALE_DOWN_DEADLINE)
    return parse_timestamp(text)


def notes(found: Object) -> dict[str, str]:
    """Annotations of an object."""
    return dict(meta(found).get("annotations") or {})


def _worded(what: str, value: Any) -> str:
    if what in ("pause", "unpause", "abort", "retry"):
        return what
    return f"{what}={value if isinstance(value, str | int) else json.dumps(value)}"


def _pods(found: Object) -> str:
    wanted, available = found["spec"]["replicas"], lookup(found, "status", "availableReplicas") or 0
    pending = _deadline(found) is not None
    return f"{available}/{wanted}" + (" scale-down pending" if pending else "")


def _named(run: str, version: Mapping[str, str]) -> str:
    for hash_, name in version.items():
        run = run.replace(hash_, name)
    return run

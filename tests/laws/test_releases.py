"""Laws of whole releases: random events on the embedded API in virtual time, every write of the API server judged.

The worker keeps no release between two tasks, as if it were restarted before each.

`TIDEGATE_SCHEDULES=300 pytest tests/laws/test_releases.py` plays so many schedules, a second or two each. A failure
prints the schedule, and `@reproduce_failure` or the printed seed plays it again.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.client import Client

from activities.replica_sets import HASH_LABEL
from sandbox.kubernetes_api import Change
from sandbox.kubernetes_api.kinds import PODS, REPLICA_SETS, ROLLOUTS, SERVICES, VIRTUAL_SERVICES
from sandbox.kubernetes_api.objects import Object, lookup, meta
from tests.virtual.cluster import NAMESPACE, VirtualCluster
from tests.virtual.simulation import Stage, opened
from tidegate.analysis.reading import Reading, Verdict
from tidegate.analysis.status import Phase
from tidegate.contract import Activity, rollout_id

SCHEDULES = int(os.environ.get("TIDEGATE_SCHEDULES", "300"))
LONGEST_SECONDS = 60  # of real time, for one schedule
BAD = frozenset({"v3", "v5"})  # their analyses fail
STEPS = [
    {"setWeight": 20},
    {"pause": {"duration": "10s"}},
    {"analysis": {"templates": [{"templateName": "gate"}]}},
    {"setWeight": 60},
    {"pause": {}},
]
ROLLOUT: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "demo"},
    "spec": {
        "replicas": 5,
        "selector": {"matchLabels": {"app": "x"}},
        "template": {
            "metadata": {"labels": {"app": "x"}},
            "spec": {"containers": [{"name": "c", "image": "img:v1"}]},
        },
        "strategy": {
            "canary": {
                "steps": STEPS,
                "canaryService": "canary",
                "stableService": "stable",
                "trafficRouting": {"istio": {"virtualService": {"name": "vs"}}},
            }
        },
    },
}
GATE = {
    "metadata": {"name": "gate"},
    "spec": {"metrics": [{"name": "m", "provider": {"web": {"url": "http://x"}}, "successCondition": "true"}]},
}

Event = tuple[str, Any]
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.tuples(st.just("set_image"), st.sampled_from(["v1", "v2", "v3", "v4", "v5"])),
    st.tuples(st.sampled_from(["abort", "retry", "pause", "unpause"]), st.just(True)),
    st.tuples(st.just("promote"), st.sampled_from([True, "full"])),
    st.tuples(st.just("set_replicas"), st.integers(min_value=1, max_value=8)),
    st.tuples(st.just("set_steps"), st.sampled_from([STEPS, STEPS[:3], STEPS[2:]])),
    st.tuples(st.just("pods fail"), st.sampled_from(["v1", "v2", "v4"])),
    st.tuples(st.just("conflicts"), st.integers(min_value=1, max_value=3)),
)
SCHEDULE = st.lists(st.tuples(st.integers(min_value=1, max_value=40), EVENTS), min_size=1, max_size=7)


class Witness:
    """Judges every write that the API server stored."""

    def __init__(self, cluster: VirtualCluster) -> None:
        self._cluster = cluster
        self._before: dict[str, int] = {}
        self._available: dict[str, int] = {}
        self._replicas = [5]
        self.promoted_by_hand: set[str] = set()
        self.broken: list[str] = []
        cluster.api.store.subscribe(self._judge)

    def _judge(self, change: Change) -> None:
        if change.kind is ROLLOUTS:
            self._replicas.append(change.object["spec"]["replicas"])
        if change.kind in (VIRTUAL_SERVICES, SERVICES):
            self._judge_traffic()
        if change.kind is REPLICA_SETS and change.previous is not None:
            self._judge_scale(change.object, change.previous)
        self._before = self._traffic()
        self._available = {_hash(each): _available(each) for each in self._cluster.replica_sets()}

    def _judge_traffic(self) -> None:
        rollout = self._cluster.find(ROLLOUTS, "demo") or {}
        status, after = rollout.get("status") or {}, self._traffic()
        for hash_, share in after.items():
            if not hash_ or share <= self._before.get(hash_, 0) or hash_ == self._cluster.stable_hash:
                continue
            needed = math.ceil(share * min(self._replicas[-2:]) / 100)
            if self._available.get(hash_, 0) < needed:
                self.broken.append(f"law 1: {share} % to {hash_} with {self._available.get(hash_, 0)} pods")
            told = status.get("observedGeneration") == str(meta(rollout).get("generation"))
            if told and status.get("abort") and status.get("currentPodHash") == hash_:
                self.broken.append(f"law 3: {share} % to {hash_} after its abort")
            if share == 100 and self._tag(hash_) in BAD - self.promoted_by_hand and self._cluster.stable_hash:
                self.broken.append(f"law 4: all of the traffic to {self._tag(hash_)}, whose analysis fails")

    def _judge_scale(self, new: Object, old: Object) -> None:
        wanted, before = new["spec"]["replicas"], old["spec"]["replicas"]
        share = self._traffic().get(_hash(new), 0)
        if wanted < before and wanted < math.floor(share * min(self._replicas[-2:]) / 100):
            self.broken.append(f"law 2: {_hash(new)} to {wanted} pods while {share} % go there")

    def _traffic(self) -> dict[str, int]:
        rule = self._cluster.find(VIRTUAL_SERVICES, "vs")
        shares: dict[str, int] = {}
        for row in rule["spec"]["http"][0]["route"] if rule else ():
            hash_ = self._cluster.selector(row["destination"]["host"])
            shares[hash_] = shares.get(hash_, 0) + int(row.get("weight", 0))
        return shares

    def _tag(self, hash_: str) -> str:
        found = [each for each in self._cluster.replica_sets() if _hash(each) == hash_]
        return str(found[0]["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2] if found else ""


class Play:
    """One schedule from the first deployment to a version that all agree on."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._cluster = stage.cluster
        self._witness = Witness(stage.cluster)
        self._tag = "v1"

    async def through(self, schedule: list[tuple[int, Event]]) -> None:
        await self._stage.simulation.play([], 20)
        for seconds, (what, value) in schedule:
            await self._pass(seconds)
            await self._do(what, value)
            assert not self._witness.broken, self._witness.broken
        self._heal_pods()
        await self._pass(30)
        await self._do("unpause", True)
        await self._pass(5)
        await self._do("promote", "full")
        await self._pass(180)
        assert not self._witness.broken, self._witness.broken
        self._stands_as_wanted()

    async def _do(self, what: str, value: Any) -> None:
        if what == "pods fail":
            self._break_pods(value)
        elif what == "conflicts":
            self._cluster.fail("patch", "replicasets", value)
        else:
            if what == "set_image":
                self._tag = value
            if what == "promote":
                self._witness.promoted_by_hand.add(self._tag)
            await self._stage.simulation.act(what, value)

    async def _pass(self, seconds: float) -> None:
        """Let time pass, and then until no pass is under way: the server cannot cancel what completes just then."""
        await self._stage.simulation.sleep_until(self._now() + timedelta(seconds=seconds))
        for _ in range(200):
            if not await _is_passing(self._stage.env.client):
                return
            await self._stage.simulation.sleep_until(self._now() + timedelta(seconds=0.5))
        raise AssertionError("a pass that never ends")

    def _now(self) -> datetime:
        return self._cluster.clock.now

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

    def _stands_as_wanted(self) -> None:
        rollout = self._cluster.find(ROLLOUTS, "demo") or {}
        status = rollout["status"]
        assert status["phase"] == "Healthy", status
        assert status["stableRS"] == status["currentPodHash"]
        wanted = {_hash(each): each["spec"]["replicas"] for each in self._cluster.replica_sets()}
        assert {hash_: pods for hash_, pods in wanted.items() if pods} == {
            status["stableRS"]: rollout["spec"]["replicas"]
        }
        rule = self._cluster.find(VIRTUAL_SERVICES, "vs") or {}
        assert [row["weight"] for row in rule["spec"]["http"][0]["route"]] == [100, 0]
        runs = self._cluster.analysis_runs()
        assert len({meta(run)["name"] for run in runs}) == len(runs)


played = settings(
    max_examples=SCHEDULES,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.skipif("TIDEGATE_SCHEDULES" not in os.environ, reason="TIDEGATE_SCHEDULES says how many to play")
@played
@given(SCHEDULE)
def test_no_schedule_of_events_breaks_a_law(schedule: list[tuple[int, Event]]) -> None:
    asyncio.run(_play(schedule))


async def _play(schedule: list[tuple[int, Event]]) -> None:
    given_ = {"rollout": ROLLOUT, "templates": [GATE], "ready_after": 3}
    cluster: list[VirtualCluster] = []

    def measure(run: str, metric: Mapping[str, Any], now: datetime) -> Reading:
        bad = any(_hash(each) in run and _image(each) in BAD for each in cluster[0].replica_sets())
        verdict = Verdict(phase=Phase.FAILED if bad else Phase.SUCCESSFUL, message="")
        return Reading(metric=str(metric["name"]), verdict=verdict, started_at=now, finished_at=now)

    async with opened(given_, measure) as stage:
        cluster.append(stage.cluster)
        async with asyncio.timeout(LONGEST_SECONDS):
            await Play(stage).through(schedule)


async def _is_passing(client: Client) -> bool:
    handle = client.get_workflow_handle(rollout_id("default", NAMESPACE, "demo"))
    pending = (await handle.describe()).raw_description.pending_activities
    return any(each.activity_type.name == Activity.RECONCILE for each in pending)


def _ready(value: str) -> Callable[[Object], Object]:
    def edit(pod: Object) -> Object:
        conditions = [{**each, "status": value} for each in pod["status"].get("conditions") or []]
        return pod | {"status": pod["status"] | {"conditions": conditions}}

    return edit


def _hash(found: Object) -> str:
    return str((meta(found).get("labels") or {}).get(HASH_LABEL, ""))


def _image(found: Object) -> str:
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]


def _available(found: Object) -> int:
    return int(lookup(found, "status", "availableReplicas") or 0)

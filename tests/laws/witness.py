"""Judges what the API server stored, write by write, and what it stored in all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from activities.kubernetes.client import FENCE_ANNOTATION
from activities.kubernetes.replica_sets import HASH_LABEL, PROMOTED_AT, hash_of
from activities.kubernetes.transport import REQUEST_TIMEOUT_SECONDS
from sandbox.kubernetes_api import Change
from sandbox.kubernetes_api.kinds import (
    HTTP_ROUTES,
    INGRESSES,
    KINDS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    VIRTUAL_SERVICES,
)
from sandbox.kubernetes_api.objects import Object, lookup, meta
from sandbox.kubernetes_api.store import ADDED, DELETED
from tests.laws.shapes import ROUTERS, UNPROVEN, Shape
from tests.virtual.cluster import VirtualCluster, tag_of
from tests.virtual.simulation import WEIGHT
from tidegate.contract import Event, IncidentRequest
from tidegate.report.kubernetes_events import BETWEEN
from workers.watch.dispatch import INVALID_SPEC, NOT_NOW

_Words = tuple[str, str]  # reason and message of an Event
# Of a pass, which tells of them itself.
DEEDS = (
    "Experiment",
    "NewReplicaSetCreated",
    "ScalingReplicaSet",
    "SwitchService",
    "TrafficWeightUpdated",
    "ManagedRoutesUpdated",
)
WISHES = ("RolloutAborted", "RolloutPromoted", "RolloutPaused", "RolloutResumed")
DESTINATION_RULES = next(kind for kind in KINDS if kind.kind == "DestinationRule")
TRAFFIC = (VIRTUAL_SERVICES, SERVICES, DESTINATION_RULES, HTTP_ROUTES, INGRESSES)
# A release may still act on a number of replicas that it read before somebody changed it.
STALE = timedelta(seconds=60)
# Pods may fail between the look of a pass and its write, which may be held up on its way.
DECIDED = timedelta(seconds=REQUEST_TIMEOUT_SECONDS)


class Witness:
    """Laws 1 to 4 at each write about traffic and pods, law 6 at the end.

    Attributes:
        exempt: tags whose promotion needs no evidence: a person promoted them, or nothing in their spec judges them.
        promotes: how often a person promoted.
        lost: how often something was lost that a pass had told of deeds, which its release then never hears of.
        was_deleted: whether somebody has deleted the Rollout, and with it all that it owns.
        broken: what was seen to be against a law.
    """

    def __init__(self, cluster: VirtualCluster, shape: Shape) -> None:
        self._cluster = cluster
        self._shape = shape
        self._before: dict[str, int] = {}
        self._available: dict[str, int] = {}
        self._failed: dict[str, tuple[datetime, int]] = {}
        self._replicas: list[tuple[datetime, int]] = []
        self._elsewhere = False
        self._aborted_at = cluster.clock.now
        self._runs: Counter[str] = Counter()
        self._told: Counter[_Words] = Counter()
        self._notices: Counter[str] = Counter()
        self.exempt: set[str] = set()
        self.promotes = 0
        self.lost = 0
        self.was_deleted = False
        self.broken: list[str] = []
        cluster.api.store.subscribe(self._judge)

    @contextmanager
    def looking_elsewhere(self) -> Iterator[None]:
        """Somebody who knows no laws writes now; what follows is judged by what stands then."""
        self._elsewhere = True
        try:
            yield
        finally:
            self._elsewhere = False

    def pods_fail(self, tag: str) -> None:
        """Those of a version fail now: what was decided a moment ago was decided on what stood then."""
        for found in self._cluster.replica_sets():
            if tag_of(found) == tag:
                self._failed[hash_of(found)] = (self._cluster.clock.now, _available(found))

    def shares(self) -> dict[str, int]:
        """Percent of the traffic by the hash of the pods that get it, as routes, Services and subsets stand."""
        if self._shape.routing == "active":
            return {self._cluster.selector("active"): 100}
        shares: dict[str, int] = {}
        if self._shape.routing in ROUTERS:
            for service, share in self._by_service().items():
                hash_ = self._cluster.selector(service)
                shares[hash_] = shares.get(hash_, 0) + share
            return shares
        rule = self._cluster.find(VIRTUAL_SERVICES, "vs")
        routes = [route for route in (rule["spec"]["http"] if rule else ()) if not route.get("match")]
        for row in routes[-1]["route"] if routes else ():
            hash_ = self._led_to(row["destination"])
            shares[hash_] = shares.get(hash_, 0) + int(row.get("weight", 100 if len(routes[-1]["route"]) == 1 else 0))
        return shares

    def _by_service(self) -> dict[str, int]:
        """Percent by Service, as a route or a canary Ingress says."""
        if self._shape.routing == "gateway":
            route = self._cluster.find(HTTP_ROUTES, "route")
            return {
                each["name"]: each["weight"] for each in (route["spec"]["rules"][0]["backendRefs"] if route else ())
            }
        canary = self._cluster.find(INGRESSES, "demo-web-canary") or {}
        weight = int((lookup(canary, "metadata", "annotations") or {}).get(WEIGHT, 0))
        return {"stable": 100 - weight, "canary": weight}

    def _led_to(self, destination: Object) -> str:
        if (subset := destination.get("subset")) is None:
            return self._cluster.selector(destination["host"])
        rule = self._cluster.find(DESTINATION_RULES, "dr") or {}
        labels = [each.get("labels") or {} for each in lookup(rule, "spec", "subsets") or [] if each["name"] == subset]
        return str(labels[0].get(HASH_LABEL, "")) if labels else ""

    def _judge(self, change: Change) -> None:
        if change.kind.kind == "Event" and change.object["involvedObject"]["kind"] == "Rollout":
            self._note_event(change)
        elif change.kind.kind == "AnalysisRun" and change.type == ADDED:
            self._runs[meta(change.object)["name"]] += 1
        if change.kind is ROLLOUTS:
            self._replicas.append((self._cluster.clock.now, change.object["spec"].get("replicas", 1)))
            if lookup(change.object, "status", "abort") and not lookup(change.previous or {}, "status", "abort"):
                self._aborted_at = self._cluster.clock.now
        if change.kind in TRAFFIC and not self._elsewhere:
            self._judge_traffic(change.object)
        if change.kind is REPLICA_SETS and change.previous is not None and change.type != DELETED:
            self._judge_scale(change.object, change.previous)
            self._judge_promotion(change.object, change.previous)
        if change.kind in (*TRAFFIC, REPLICA_SETS):
            self._before = self.shares()
            self._available = {hash_of(each): _available(each) for each in self._cluster.replica_sets()}

    def _known_available(self, hash_: str) -> int:
        failed_at, before = self._failed.get(hash_, (self._cluster.clock.now, 0))
        recent = before if failed_at >= self._cluster.clock.now - DECIDED else 0
        return max(self._available.get(hash_, 0), recent)

    def _fewest_replicas(self) -> int:
        recent = [count for at, count in self._replicas if at >= self._cluster.clock.now - STALE]
        return min([*recent, *(count for _, count in self._replicas[-2:])], default=1)

    # -------------------------------------------------------------------------------------------------- laws 1 to 4

    def _judge_traffic(self, written: Object) -> None:
        rollout = self._cluster.find(ROLLOUTS, "demo") or {}
        status, after = rollout.get("status") or {}, self.shares()
        for hash_, share in after.items():
            if not hash_ or share <= self._before.get(hash_, 0) or hash_ == self._cluster.stable_hash:
                continue
            if self.was_deleted and hash_ not in self._available:
                continue  # what it led to went with a Rollout that somebody deleted
            needed = 1 if self._shape.is_scaled else math.ceil(share * self._fewest_replicas() / 100)
            if (available := self._known_available(hash_)) < needed:
                self._breaks(f"law 1: {share} % to {hash_} with {available} pods")
            told = status.get("observedGeneration") == str(meta(rollout).get("generation"))
            # The phase is the release's own word: until it has heard of the abort, it goes on.
            aborted = (
                status.get("abort") and status.get("phase") == "Degraded" and status.get("currentPodHash") == hash_
            )
            back = bool(self._cluster.stable_hash)  # a first version has none to go back to
            if told and aborted and back and not self._is_of_a_newer_release(written):
                self._breaks(f"law 3: {share} % to {hash_} after its abort")
            if share == 100 and self._is_unproven(hash_):
                self._breaks(f"law 4: all of the traffic to {self._tag(hash_)}, whose analysis was not successful")

    def _is_of_a_newer_release(self, written: Object) -> bool:
        """Whether it was written by a release that began after the abort, because a person asked for it."""
        epoch = str((meta(written).get("annotations") or {}).get(FENCE_ANNOTATION, "0.0")).partition(".")[0]
        return int(epoch) > self._aborted_at.timestamp() * 1000

    def _judge_scale(self, new: Object, old: Object) -> None:
        wanted, before = new["spec"]["replicas"], old["spec"]["replicas"]
        share = self.shares().get(hash_of(new), 0)
        fewest = 1 if self._shape.is_scaled else self._fewest_replicas()
        if wanted < before and wanted < math.floor(share * fewest / 100):
            self._breaks(f"law 2: {hash_of(new)} to {wanted} pods while {share} % go there")

    def _judge_promotion(self, new: Object, old: Object) -> None:
        promoted, before = (str((meta(each).get("annotations") or {}).get(PROMOTED_AT, "")) for each in (new, old))
        others = [each for each in self._cluster.replica_sets() if hash_of(each) != hash_of(new)]
        had_stable = any((meta(each).get("annotations") or {}).get(PROMOTED_AT) for each in others)
        if promoted != before and not had_stable and "rollbackWindow" in self._shape.spec:
            self.exempt.add(tag_of(new))  # a first version proves nothing, and the way back to it is open all the same
        if promoted != before and had_stable and tag_of(new) in UNPROVEN - self.exempt:
            self._breaks(f"law 4: {tag_of(new)} is stable, whose analysis was not successful")

    def _is_unproven(self, hash_: str) -> bool:
        return bool(self._cluster.stable_hash) and self._tag(hash_) in UNPROVEN - self.exempt

    def _tag(self, hash_: str) -> str:
        found = [each for each in self._cluster.replica_sets() if hash_of(each) == hash_]
        return tag_of(found[0]) if found else ""

    def _breaks(self, law: str) -> None:
        self.broken.append(f"{law} (at {self._cluster.clock.now:%H:%M:%S.%f})")

    # -------------------------------------------------------------------------------------------------------- law 6

    def _note_event(self, change: Change) -> None:
        event, before = change.object, change.previous or {}
        times = int(event.get("count") or 1) - int(before.get("count") or 0)
        if event["reason"] in (INVALID_SPEC, NOT_NOW):  # of the door: one for what it is about, which is its name
            self._notices[meta(event)["name"]] += times
        else:
            for text in event["message"].split(BETWEEN) if event["type"] == "Normal" else [event["message"]]:
                self._told[event["reason"], text] += times

    def judge_effects(
        self, happened: Sequence[Event], attempts: Sequence[str], incidents: Sequence[IncidentRequest], *, cut: bool
    ) -> None:
        """One effect for one cause (law 6), all causes being those that the releases know of.

        Args:
            happened: the events of all releases.
            attempts: the names of all analysis runs that were begun.
            incidents: each request for one.
            cut: whether a release was stopped from outside, which may have decided what it no longer could have done.
        """
        causes = Counter((event.reason, event.message) for event in happened)
        notifications = [name for name, times in self._notices.items() if times > 1]
        more = self._told - causes
        # A pass that is under way when its version is given up, or makes way, tells of deeds that no release notes.
        turns = self.lost + sum(event.reason in ("RolloutUpdated", "RolloutAborted") for event in happened)
        unheard = Counter({words: min(turns, more[words]) for words in more if words[0] in DEEDS})
        if (notifications or more - unheard) and not self.was_deleted:  # a new object is told all of it again
            self._breaks(f"law 6: told more often than they happened: {more - unheard} {notifications}")
        promoted = sum(event.reason == "RolloutPromoted" for event in happened)
        if promoted > self.promotes:
            self._breaks(f"law 6: promoted {promoted} times, asked for {self.promotes} times")
        own = [event.message for event in happened if "by tidegate-worker" in event.message and event.reason in WISHES]
        if own:
            self._breaks(f"law 12: what the release wrote was taken for somebody's wish: {own}")
        # An object goes with its owner, and is made anew by a release that has not heard of it.
        again = any(times > 1 for times in self._runs.values()) and not self.was_deleted
        if again or len(set(attempts)) != len(attempts) or not set(self._runs) <= set(attempts):
            self._breaks(f"law 6: AnalysisRun objects {dict(self._runs)} of the attempts {attempts}")
        ids = {each.correlation_id for each in incidents}
        aborts = sum(event.reason == "RolloutAborted" for event in happened)
        if len(ids) > aborts or (len(ids) < aborts and not cut):
            self._breaks(f"law 6: incidents {sorted(ids)} of {aborts} aborts")


def _available(found: Any) -> int:
    return int(lookup(found, "status", "availableReplicas") or 0)

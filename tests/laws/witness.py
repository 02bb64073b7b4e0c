"""Judges what the API server stored, write by write, and what it stored in all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from activities.cluster import FENCE_ANNOTATION
from activities.replica_sets import HASH_LABEL
from sandbox.kubernetes_api import Change
from sandbox.kubernetes_api.kinds import REPLICA_SETS, ROLLOUTS, SERVICES, VIRTUAL_SERVICES
from sandbox.kubernetes_api.objects import Object, lookup, meta
from sandbox.kubernetes_api.store import ADDED
from tests.laws.schedules import BAD
from tests.virtual.cluster import VirtualCluster
from tidegate.contract import Event, IncidentRequest
from workers.watch_door import INVALID_SPEC, NOT_NOW

_Words = tuple[str, str]  # reason and message of an Event
# Of a pass, which tells of them itself.
DEEDS = ("NewReplicaSetCreated", "ScalingReplicaSet", "SwitchService", "TrafficWeightUpdated", "ManagedRoutesUpdated")


class Witness:
    """Laws 1 to 4 at each write about traffic and pods, law 6 at the end.

    Attributes:
        promoted_by_hand: tags that a person promoted; law 4 leaves them alone.
        promotes: how often a person promoted.
        lost_answers: how often a worker went in a pass, which told of deeds that its release never hears of.
        broken: what was seen to be against a law.
    """

    def __init__(self, cluster: VirtualCluster) -> None:
        self._cluster = cluster
        self._before: dict[str, int] = {}
        self._available: dict[str, int] = {}
        self._replicas = [5]
        self._elsewhere = False
        self._aborted_at = cluster.clock.now
        self._runs: Counter[str] = Counter()
        self._told: Counter[_Words] = Counter()
        self._notices: Counter[str] = Counter()
        self.promoted_by_hand: set[str] = set()
        self.promotes = 0
        self.lost_answers = 0
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

    def shares(self) -> dict[str, int]:
        """Percent of the traffic by the hash of the pods that get it, as routes and Services stand."""
        rule = self._cluster.find(VIRTUAL_SERVICES, "vs")
        shares: dict[str, int] = {}
        for row in rule["spec"]["http"][0]["route"] if rule else ():
            hash_ = self._cluster.selector(row["destination"]["host"])
            shares[hash_] = shares.get(hash_, 0) + int(row.get("weight", 0))
        return shares

    def _judge(self, change: Change) -> None:
        if change.kind.kind == "Event" and change.object["involvedObject"]["kind"] == "Rollout":
            self._note_event(change)
        elif change.kind.kind == "AnalysisRun" and change.type == ADDED:
            self._runs[meta(change.object)["name"]] += 1
        if change.kind is ROLLOUTS:
            self._replicas.append(change.object["spec"]["replicas"])
            if lookup(change.object, "status", "abort") and not lookup(change.previous or {}, "status", "abort"):
                self._aborted_at = self._cluster.clock.now
        if change.kind in (VIRTUAL_SERVICES, SERVICES) and not self._elsewhere:
            self._judge_traffic(change.object)
        if change.kind is REPLICA_SETS and change.previous is not None:
            self._judge_scale(change.object, change.previous)
        if change.kind in (VIRTUAL_SERVICES, SERVICES, REPLICA_SETS):
            self._before = self.shares()
            self._available = {hash_of(each): _available(each) for each in self._cluster.replica_sets()}

    # -------------------------------------------------------------------------------------------------- laws 1 to 4

    def _judge_traffic(self, written: Object) -> None:
        rollout = self._cluster.find(ROLLOUTS, "demo") or {}
        status, after = rollout.get("status") or {}, self.shares()
        for hash_, share in after.items():
            if not hash_ or share <= self._before.get(hash_, 0) or hash_ == self._cluster.stable_hash:
                continue
            needed = math.ceil(share * min(self._replicas[-2:]) / 100)
            if self._available.get(hash_, 0) < needed:
                self.broken.append(f"law 1: {share} % to {hash_} with {self._available.get(hash_, 0)} pods")
            told = status.get("observedGeneration") == str(meta(rollout).get("generation"))
            aborted = status.get("abort") and status.get("currentPodHash") == hash_
            if told and aborted and not self._is_of_a_newer_release(written):
                self.broken.append(f"law 3: {share} % to {hash_} after its abort")
            if share == 100 and self._tag(hash_) in BAD - self.promoted_by_hand and self._cluster.stable_hash:
                self.broken.append(f"law 4: all of the traffic to {self._tag(hash_)}, whose analysis fails")

    def _is_of_a_newer_release(self, written: Object) -> bool:
        """Whether it was written by a release that began after the abort, because a person asked for it."""
        epoch = str((meta(written).get("annotations") or {}).get(FENCE_ANNOTATION, "0.0")).partition(".")[0]
        return int(epoch) > self._aborted_at.timestamp() * 1000

    def _judge_scale(self, new: Object, old: Object) -> None:
        wanted, before = new["spec"]["replicas"], old["spec"]["replicas"]
        share = self.shares().get(hash_of(new), 0)
        if wanted < before and wanted < math.floor(share * min(self._replicas[-2:]) / 100):
            self.broken.append(f"law 2: {hash_of(new)} to {wanted} pods while {share} % go there")

    def _tag(self, hash_: str) -> str:
        found = [each for each in self._cluster.replica_sets() if hash_of(each) == hash_]
        return tag_of(found[0]) if found else ""

    # -------------------------------------------------------------------------------------------------------- law 6

    def _note_event(self, change: Change) -> None:
        event, before = change.object, change.previous or {}
        times = int(event.get("count") or 1) - int(before.get("count") or 0)
        if event["reason"] in (INVALID_SPEC, NOT_NOW):  # of the door: one for what it is about, which is its name
            self._notices[meta(event)["name"]] += times
        else:
            self._told[event["reason"], event["message"]] += times

    def judge_effects(
        self, happened: Sequence[Event], attempts: Sequence[str], incidents: list[IncidentRequest]
    ) -> None:
        """One effect for one cause (law 6), all causes being those that the releases know of.

        Args:
            happened: the events of all releases.
            attempts: the names of all analysis runs that were begun.
            incidents: each request for one.
        """
        causes = Counter((event.reason, event.message) for event in happened)
        notices = [name for name, times in self._notices.items() if times > 1]
        more = self._told - causes
        unheard = Counter({words: min(self.lost_answers, more[words]) for words in more if words[0] in DEEDS})
        if notices or more - unheard:
            self.broken.append(f"law 6: told more often than they happened: {more - unheard} {notices}")
        promoted = sum(event.reason == "RolloutPromoted" for event in happened)
        if promoted > self.promotes:
            self.broken.append(f"law 6: promoted {promoted} times, asked for {self.promotes} times")
        again = [name for name, times in self._runs.items() if times > 1]
        if again or not set(self._runs) <= set(attempts) or len(set(attempts)) != len(attempts):
            self.broken.append(f"law 6: AnalysisRun objects {dict(self._runs)} of the attempts {attempts}")
        ids = [each.correlation_id for each in incidents]
        aborts = sum(event.reason == "RolloutAborted" for event in happened)
        if len(set(ids)) != len(ids) or len(ids) != aborts:
            self.broken.append(f"law 6: incidents {ids} of {aborts} aborts")


def hash_of(found: Object) -> str:
    """Pod template hash of a ReplicaSet."""
    return str((meta(found).get("labels") or {}).get(HASH_LABEL, ""))


def tag_of(found: Object) -> str:
    """Image tag of a ReplicaSet's first container."""
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]


def _available(found: Object) -> int:
    return int(lookup(found, "status", "availableReplicas") or 0)

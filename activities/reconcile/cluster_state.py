"""State of one Rollout in a cluster, read for one decision of a pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from activities.kubernetes import replica_sets, workloads
from activities.kubernetes.client import DESTINATION_RULES, ROLLOUTS, SERVICES, Object, Reader
from activities.kubernetes.ownership import uid_of
from activities.kubernetes.replica_sets import HASH_LABEL
from activities.kubernetes.versions import Versions
from activities.reconcile import experiments
from activities.reconcile.claims import claimed
from activities.reconcile.live_spec import LiveSpec
from activities.routers.choice import read_traffic
from tidegate.bluegreen.reconcile import BlueGreenRules
from tidegate.canary.reconcile import Rules
from tidegate.contract import OfRollout, Target, TrafficState
from tidegate.manifests.workload import reference_of
from tidegate.rollouts.actions import SUBSET
from tidegate.rollouts.cluster_state import ClusterState, Weights, Workload
from tidegate.rollouts.experiment_sets import ExperimentSet
from tidegate.rollouts.replica_sets import ReplicaSetState


@dataclass(frozen=True)
class ClusterSnapshot:
    """Objects that were read for one decision."""

    cluster_state: ClusterState
    traffic: TrafficState | None
    replicas: int
    live: Object | None  # the Rollout object
    objects: Mapping[str, Object]  # its ReplicaSets by their names
    experiment: tuple[ExperimentSet, ...] = ()

    @property
    def sets(self) -> tuple[ReplicaSetState, ...]:
        """The ReplicaSets of the versions, newest revision first."""
        return self.cluster_state.sets

    @property
    def owner(self) -> str:
        """UID of the Rollout object, empty where there is none or it is being deleted."""
        metadata = self.live["metadata"] if self.live is not None else {}
        return "" if metadata.get("deletionTimestamp") else str(metadata.get("uid") or "")

    @property
    def hashes(self) -> frozenset[str]:
        """Those of the versions that stand."""
        return frozenset(each.hash for each in self.sets)

    def state_digest(self) -> str:
        """A digest of all that a decision is made from."""
        sets = [
            (s.name, s.desired, s.current, s.ready, s.available, s.counted, str(s.scale_down_at), str(s.ephemeral))
            for s in self.sets
        ]
        no_pods = [s.name for s in self.sets if s.no_pods]
        rows = self.traffic.routes if self.traffic else ()
        routes = [(r.name, r.route, r.stable, r.canary, sorted(r.others.items())) for r in rows]
        managed = [(each.name, each.route) for each in (self.traffic.managed if self.traffic else ())]
        experiments = [
            (s.name, s.desired, s.current, s.available, s.service, str(s.scale_down_at)) for s in self.experiment
        ]
        workload = self.cluster_state.workload.replicas if self.cluster_state.workload else None
        selectors = sorted(self.cluster_state.selectors.items())
        confirmed = (self.traffic.converged, self.traffic.verified) if self.traffic else ()
        text = json.dumps(
            [self.owner, self.replicas, sets, no_pods, selectors, routes, managed, confirmed, experiments, workload]
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Snapshots:
    """Reads the objects of one Rollout in its cluster."""

    def __init__(self, reader: Reader, request: OfRollout) -> None:
        self._reader = reader
        self._versions = Versions(reader)
        self._target, self._manifest = request.target, request.manifest
        self._live_spec = LiveSpec(request.manifest.spec)

    async def snapshot(self, among: Collection[str] | None = None, *, left: bool = False) -> ClusterSnapshot:
        """The Rollout's objects as they stand; the number of replicas is the live object's, where there is one.

        `among` are the hashes of the versions that may stand; None: not known, so that all are looked for. `left` asks
        for the selectors, too, that were the Rollout's and that it names no more.
        """
        target, rules, routing = self._target, self._manifest.rules, self._manifest.routing
        live = await self._reader.find(ROLLOUTS, target.namespace, target.name)
        objects = await self._versions.sets(target, uid_of(live), among)
        sets = tuple(replica_sets.state(each) for each in objects)
        traffic = await read_traffic(self._reader, routing, target) if routing else None
        selectors = await self._selectors(target.namespace, rules)
        weights = None
        if routing is not None:
            share = traffic.canary if traffic else 0
            selected = _canary_hash(rules, selectors)
            weights = Weights(
                share, routing.max_weight - share, selected, converged=traffic is None or traffic.converged
            )
        experiment = await experiments.standing(self._reader, target, uid_of(live))
        shares = experiments.shares_of(traffic, experiment)
        workload = await self._workload(live)
        former = await self._left(target, rules) if left else ()
        return ClusterSnapshot(
            ClusterState(sets, selectors, weights, shares, workload, former),
            traffic,
            self._live_spec.replicas(live),
            live,
            {each["metadata"]["name"]: each for each in objects},
            experiment,
        )

    async def _workload(self, live: Object | None) -> Workload | None:
        reference = self._manifest.spec.workload_ref if live is None else reference_of(live)
        return await workloads.standing(self._reader, self._target.namespace, reference)

    async def _left(self, target: Target, rules: Rules | BlueGreenRules) -> tuple[str, ...]:
        return tuple(sorted({*await claimed(self._reader, target)} - {*rules.selectors}))

    async def _selectors(self, namespace: str, rules: Rules | BlueGreenRules) -> dict[str, str]:
        """The hash of each selector that exists; what is missing was refused at the start, or has gone since."""
        found: dict[str, str] = {}
        for name in rules.selectors:
            rule, _, subset = name.partition(SUBSET)
            if subset:
                document = await self._reader.find(DESTINATION_RULES, namespace, rule)
                for each in _subsets(document, subset):
                    found[name] = str((each.get("labels") or {}).get(HASH_LABEL, ""))
            elif (service := await self._reader.find(SERVICES, namespace, name)) is not None:
                found[name] = str((service["spec"].get("selector") or {}).get(HASH_LABEL, ""))
        return found


def _canary_hash(rules: Rules | BlueGreenRules, selectors: Mapping[str, str]) -> str:
    """The hash that a router's canary side selects, empty where nothing is split."""
    names = rules.canary if isinstance(rules, Rules) else ()
    return next((selectors.get(name, "") for name in names), "")


def _subsets(rule: Object | None, name: str) -> list[Object]:
    return [subset for subset in (rule or {}).get("spec", {}).get("subsets") or [] if subset.get("name") == name]

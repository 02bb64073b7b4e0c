"""What stands in a cluster of one Rollout, read for one decision of a pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from pydantic import ValidationError

from activities.kubernetes import replica_sets, workloads
from activities.kubernetes.client import DESTINATION_RULES, ROLLOUTS, SERVICES, Object, Reader
from activities.kubernetes.ownership import uid_of
from activities.kubernetes.replica_sets import HASH_LABEL
from activities.kubernetes.versions import Versions
from activities.reconcile import experiments, rollout_objects
from activities.reconcile.claims import SUBSET, claimed
from tidegate.canary.cluster_state import ClusterState
from tidegate.canary.experiments import ExperimentSet
from tidegate.canary.position import Weights
from tidegate.canary.reconcile import Rules
from tidegate.canary.replica_sets import ReplicaSetState
from tidegate.contract import Istio, OfRollout, Target, TrafficState
from tidegate.manifests.model import INT32
from tidegate.manifests.rollout import Rollout, RolloutSpec

RAMP = "tidegate.io/ramp"  # annotation: "true" lets a canary grow by no more than maxSurge at a time


@dataclass(frozen=True)
class ClusterSnapshot:
    """What was read for one decision."""

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
        routes = [(r.virtual_service, r.route, r.stable, r.canary, sorted(r.others.items())) for r in rows]
        managed = [(route.virtual_service, route.name) for route in (self.traffic.managed if self.traffic else ())]
        experiments = [
            (s.name, s.desired, s.current, s.available, s.service, str(s.scale_down_at)) for s in self.experiment
        ]
        workload = self.cluster_state.workload.replicas if self.cluster_state.workload else None
        selectors = sorted(self.cluster_state.selectors.items())
        text = json.dumps([self.owner, self.replicas, sets, no_pods, selectors, routes, managed, experiments, workload])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Snapshots:
    """Reads the objects of one cluster."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._versions = Versions(reader)

    async def snapshot(
        self, asked: OfRollout, among: Collection[str] | None = None, *, left: bool = False
    ) -> ClusterSnapshot:
        """The Rollout's objects as they stand; the number of replicas is the live object's, where there is one.

        `among` are the hashes of the versions that may stand; None: not known, so that all are looked for. `left` asks
        for the selectors, too, that were the Rollout's and that it names no more.
        """
        target, rollout, rules = asked.target, asked.rollout, rules_of(asked.manifest)
        live = await self._reader.find(ROLLOUTS, target.namespace, target.name)
        objects = await self._versions.sets(target, uid_of(live), among)
        sets = tuple(replica_sets.state(each) for each in objects)
        istio = Istio.of(asked.manifest.canary)
        traffic = await rollout_objects.traffic(self._reader, target.namespace, istio) if istio else None
        selectors = await self._selectors(target.namespace, rules)
        weights = None
        if istio is not None:
            share = traffic.canary if traffic else 0
            selected_hash = next((selectors.get(name, "") for name in rules.canary), "")
            weights = Weights(share, 100 - share, selected_hash)
        experiment = await experiments.standing(self._reader, target, uid_of(live))
        shares = experiments.shares_of(traffic, experiment)
        workload = await workloads.standing(self._reader, target.namespace, live or rollout)
        former = await self._left(target, rules) if left else ()
        return ClusterSnapshot(
            ClusterState(sets, selectors, weights, shares, workload, former),
            traffic,
            replicas_of(live, asked.manifest),
            live,
            {each["metadata"]["name"]: each for each in objects},
            experiment,
        )

    async def _left(self, target: Target, rules: Rules) -> tuple[str, ...]:
        return tuple(sorted({*await claimed(self._reader, target)} - {*rules.stable, *rules.canary}))

    async def _selectors(self, namespace: str, rules: Rules) -> dict[str, str]:
        """The hash of each selector that exists; what is missing was refused at the start, or has gone since."""
        found: dict[str, str] = {}
        for name in dict.fromkeys((*rules.stable, *rules.canary)):
            rule, _, subset = name.partition(SUBSET)
            if subset:
                document = await self._reader.find(DESTINATION_RULES, namespace, rule)
                for each in _subsets(document, subset):
                    found[name] = str((each.get("labels") or {}).get(HASH_LABEL, ""))
            elif (service := await self._reader.find(SERVICES, namespace, name)) is not None:
                found[name] = str((service["spec"].get("selector") or {}).get(HASH_LABEL, ""))
        return found


def replicas_of(live: Object | None, manifest: Rollout) -> int:
    """How many pods the Rollout has as it stands in the cluster, of which nothing else is read in a look."""
    replicas = live["spec"].get("replicas") if live is not None else None
    return replicas if _is_number(replicas) else spec_of(live, manifest).wanted_replicas()


def spec_of(live: Object | None, manifest: Rollout) -> RolloutSpec:
    """The spec as it stands in the cluster; `manifest` is the release's own.

    A newer version that no release takes, and that cannot be read, keeps the one under way from nothing: what it says
    of the number of replicas counts, and for the rest the release's own.
    """
    own = manifest.spec
    if live is None:
        return own
    try:
        return Rollout.model_validate(live).spec
    except ValidationError:
        replicas = live["spec"].get("replicas")
        return own.model_copy(update={"replicas": replicas}) if _is_number(replicas) else own


def _is_number(replicas: Any) -> TypeGuard[int]:
    return isinstance(replicas, int) and not isinstance(replicas, bool) and 0 <= replicas < INT32.stop


def rules_of(manifest: Rollout) -> Rules:
    """What a manifest says about passes."""
    canary, rule = manifest.canary, manifest.canary.istio.destination_rule if manifest.canary.istio else None
    stable_names, canary_names = [canary.stable_service], [canary.canary_service]
    if rule is not None:
        stable_names.append(f"{rule.name}{SUBSET}{rule.stable_subset_name}")
        canary_names.append(f"{rule.name}{SUBSET}{rule.canary_subset_name}")
    return Rules(
        stable=tuple(name for name in stable_names if name),
        canary=tuple(name for name in canary_names if name),
        history=manifest.spec.history_limit(),
        ramp=manifest.metadata.annotations.get(RAMP) == "true",
    )


def _subsets(rule: Object | None, name: str) -> list[Object]:
    return [subset for subset in (rule or {}).get("spec", {}).get("subsets") or [] if subset.get("name") == name]

"""What stands in a cluster of one Rollout, read for one decision of a pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from activities import replica_sets
from activities.cluster import DESTINATION_RULES, ROLLOUTS, SERVICES, Cluster, Object
from activities.experiments import Experiments, shares_of
from activities.kubernetes import Kubernetes
from activities.ownership import is_claimed, uid_of
from activities.replica_sets import HASH_LABEL
from activities.versions import Versions
from activities.workloads import Workloads
from tidegate.canary.experiments import ExperimentSet
from tidegate.canary.passes import Rules
from tidegate.canary.position import Weights
from tidegate.canary.scene import Scene, Standing
from tidegate.contract import Document, Istio, ReplicaSetState, Target, TrafficState
from tidegate.manifests.model import INT32
from tidegate.manifests.rollout import Rollout, RolloutSpec

RAMP = "tidegate.io/ramp"  # annotation: "true" lets a canary grow by no more than maxSurge at a time
SUBSET = "/"  # between a DestinationRule and its subset, in the name of a selector


@dataclass(frozen=True)
class View:
    """What was read for one decision."""

    scene: Scene
    sets: tuple[ReplicaSetState, ...]
    traffic: TrafficState | None
    replicas: int
    live: Object | None  # the Rollout object
    experiment: tuple[ExperimentSet, ...] = ()

    @property
    def owner(self) -> str:
        """UID of the Rollout object, empty where there is none or it is being deleted."""
        metadata = self.live["metadata"] if self.live is not None else {}
        return "" if metadata.get("deletionTimestamp") else str(metadata.get("uid") or "")

    @property
    def hashes(self) -> frozenset[str]:
        """Those of the versions that stand."""
        return frozenset(each.hash for each in self.sets)

    def picture(self) -> str:
        """A digest of all that a decision is made from."""
        sets = [
            (s.name, s.desired, s.current, s.ready, s.available, s.counted, str(s.scale_down_at), str(s.ephemeral))
            for s in self.sets
        ]
        rows = self.traffic.routes if self.traffic else ()
        routes = [(r.virtual_service, r.route, r.stable, r.canary, sorted(r.others.items())) for r in rows]
        managed = [(route.virtual_service, route.name) for route in (self.traffic.managed if self.traffic else ())]
        trials = [(s.name, s.wanted, s.created, s.available, s.service, str(s.scale_down_at)) for s in self.experiment]
        workload = self.scene.workload.replicas if self.scene.workload else None
        text = json.dumps(
            [self.owner, self.replicas, sets, sorted(self.scene.selectors.items()), routes, managed, trials, workload]
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Views:
    """Reads the objects of one cluster."""

    def __init__(self, cluster: Cluster, kubernetes: Kubernetes, experiments: Experiments) -> None:
        self._cluster = cluster
        self._kubernetes = kubernetes
        self._experiments = experiments
        self._workloads = Workloads(cluster)
        self._versions = Versions(cluster)

    async def view(
        self, target: Target, rollout: Document, among: Collection[str] | None = None, *, left: bool = False
    ) -> View:
        """The Rollout's objects as they stand; the number of replicas is the live object's, where there is one.

        `among` are the hashes of the versions that may stand; None: not known, so that all are looked for. `left` asks
        for the Services, too, that were the Rollout's and that it names no more.
        """
        live = await self._cluster.find(ROLLOUTS, target.namespace, target.name)
        sets = [replica_sets.state(each) for each in await self._versions.sets(target, uid_of(live), among)]
        istio = Istio.of(rollout)
        traffic = await self._kubernetes.traffic(target.namespace, istio) if istio else None
        rules = rules_of(rollout)
        selectors = await self._selectors(target.namespace, rules)
        spec = spec_of(live, rollout)
        weights = None
        if istio is not None:
            share = traffic.canary if traffic else 0
            led_to = next((selectors.get(name, "") for name in rules.canary), "")
            weights = Weights(share, 100 - share, led_to)
        experiment = await self._experiments.standing(target, uid_of(live))
        shares = shares_of(traffic, experiment)
        workload = await self._workloads.standing(target.namespace, live or rollout)
        former = await self._left(target, rules) if left else ()
        last = max((each.promoted_at for each in sets if each.promoted_at is not None), default=None)
        return View(
            Scene(tuple(_standing(each, last) for each in sets), selectors, weights, shares, workload, former),
            tuple(sets),
            traffic,
            spec.wanted_replicas(),
            live,
            experiment,
        )

    async def _left(self, target: Target, rules: Rules) -> tuple[str, ...]:
        found = await self._cluster.select(SERVICES, target.namespace, {})
        names = (each["metadata"]["name"] for each in found if is_claimed(each, target.name))
        return tuple(sorted(name for name in names if name not in (*rules.stable, *rules.canary)))

    async def _selectors(self, namespace: str, rules: Rules) -> dict[str, str]:
        """The hash of each selector that exists; what is missing was refused at the start, or has gone since."""
        found: dict[str, str] = {}
        for name in dict.fromkeys((*rules.stable, *rules.canary)):
            rule, _, subset = name.partition(SUBSET)
            if subset:
                document = await self._cluster.find(DESTINATION_RULES, namespace, rule)
                for each in _subsets(document, subset):
                    found[name] = str((each.get("labels") or {}).get(HASH_LABEL, ""))
            elif (service := await self._cluster.find(SERVICES, namespace, name)) is not None:
                found[name] = str((service["spec"].get("selector") or {}).get(HASH_LABEL, ""))
        return found


def spec_of(live: Object | None, rollout: Document) -> RolloutSpec:
    """The spec as it stands in the cluster; `rollout` is the release's own manifest.

    A newer version that no release takes, and that cannot be read, keeps the one under way from nothing: what it says
    of the number of replicas counts, and for the rest the release's own.
    """
    own = Rollout.model_validate(rollout).spec
    if live is None:
        return own
    try:
        return Rollout.model_validate(live).spec
    except ValidationError:
        replicas = live["spec"].get("replicas")
        known = isinstance(replicas, int) and not isinstance(replicas, bool) and 0 <= replicas < INT32.stop
        return own.model_copy(update={"replicas": replicas}) if known else own


def rules_of(rollout: Document) -> Rules:
    """What a manifest says about passes. Raises ValidationError for one that cannot be read."""
    manifest = Rollout.model_validate(rollout)
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


def _standing(found: ReplicaSetState, last: datetime | None) -> Standing:
    return Standing(
        name=found.name,
        hash=found.hash,
        revision=found.revision,
        wanted=found.desired,
        created=found.current,
        available=found.available,
        scale_down_at=found.scale_down_at,
        promoted=found.promoted_at is not None,
        promoted_last=found.promoted_at is not None and found.promoted_at == last,
        metadata=found.ephemeral,
        counted=found.counted,
    )


def _subsets(rule: Object | None, name: str) -> list[Object]:
    return [subset for subset in (rule or {}).get("spec", {}).get("subsets") or [] if subset.get("name") == name]

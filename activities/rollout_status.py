"""The Rollout's `.status`: what its release says of itself, and what follows from it for those who look.

Conditions are what Argo CD, kubectl and alerts read; `selector` and `HPAReplicas` are what an autoscaler reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError

from activities.cluster import ROLLOUTS, Cluster, Object, annotate
from activities.views import View
from activities.workloads import Workloads, with_template
from tidegate.canary.conditions import Moment, conditions, refusal
from tidegate.canary.phase import ALL_STEPS, INVALID_SPEC, WORKLOAD_GENERATION, RolloutPhase, missing_pods
from tidegate.canary.status import Condition, RolloutStatus
from tidegate.canary.template_hash import pod_template_hash
from tidegate.contract import (
    FLAGS,
    Document,
    Place,
    Reconcile,
    Refusal,
    ReplicaCounts,
    RolloutObject,
    Target,
    WorkloadTemplate,
)
from tidegate.manifests.rollout import Rollout

log = structlog.get_logger(__name__)


class StatusWriter:
    """Writes `.status` in one cluster, of an object that still stands as it was read.

    Raises the ApplicationError of a server that is away or refuses, `Conflict` when the object was written meanwhile.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._workloads = Workloads(cluster)

    async def write(self, request: Reconcile, view: View, *, created: bool) -> RolloutObject | None:
        """What the release says with a pass, what the pass saw, and what follows from both.

        `created` says that the version's ReplicaSet was created in this pass. Returns the object after that; None when
        there is none, so that there is nobody to tell, or when it says all of that already.
        """
        target, live = request.target, view.live
        if live is None:
            return None
        version = str(live["metadata"]["resourceVersion"])
        workload = await self._workloads.template(target.namespace, live)
        whole = with_template(live, workload)
        fields = _heeding(live.get("status") or {}, _fields(whole, request, view))
        if workload is not None and pod_template_hash(workload.template) == request.place.hash:
            fields["workloadObservedGeneration"] = str(workload.generation)
            version = await self._note_workload(live, str(workload.generation), request)
        fields |= _derived(whole, fields, request, created=created)
        changed = _changed(live.get("status") or {}, fields)
        if not changed and not request.account.status:
            return None
        return await self._merge(target, changed, workload, version)

    async def take_flags_away(self, request: Reconcile) -> RolloutObject | None:
        """Take away the flags that a pass is to take away, before it gives a version any traffic.

        While one stands that the version before left, a person's `abort: true` changes nothing and would be lost.
        Returns the object after that; None where none stood.
        """
        target, own = request.target, request.account.status
        gone = [flag for flag in FLAGS if own.get(flag, flag) is None]
        live = await self._cluster.find(ROLLOUTS, target.namespace, target.name) if gone else None
        if live is None:
            return None
        if not any((live.get("status") or {}).get(flag) is True for flag in gone):
            return None
        names = [*gone, "abortedAt"] if "abort" in gone else gone
        workload = await self._workloads.template(target.namespace, live)
        version = str(live["metadata"]["resourceVersion"])
        return await self._merge(target, dict.fromkeys(names), workload, version)

    async def _note_workload(self, live: Object, generation: str, request: Reconcile) -> str:
        """Put the generation of the workload that is brought out into an annotation, too; the object's version then.

        Clients compare it with the status (argo-rollouts, utils/rollout), and another controller may have left one.
        """
        if (live["metadata"].get("annotations") or {}).get(WORKLOAD_GENERATION) == generation:
            return str(live["metadata"]["resourceVersion"])
        changed = await self._cluster.change(
            ROLLOUTS,
            request.target.namespace,
            request.target.name,
            request.fence,
            lambda found: annotate(found, {WORKLOAD_GENERATION: generation}),
        )
        return str(changed["metadata"]["resourceVersion"])

    async def refuse(self, request: Refusal) -> RolloutObject | None:
        """Say why a spec is not released, unless the object says something else by now."""
        target = request.target
        live = await self._cluster.find(ROLLOUTS, target.namespace, target.name)
        if live is None or RolloutObject.of(live).uid != request.uid:
            return None
        fields: Document = {"phase": RolloutPhase.DEGRADED, "message": f"{INVALID_SPEC}: {request.message}"}
        try:
            before = RolloutStatus.model_validate(live.get("status") or {})
            fields["conditions"] = _wire(refusal(before, request.message, datetime.now(UTC)))
        except ValidationError as error:
            log.warning("conditions_not_written", rollout=target.name, error=str(error))
        if request.generation:
            fields["observedGeneration"] = str(request.generation)
        workload = await self._workloads.template(target.namespace, live)
        return await self._merge(target, fields, workload, str(live["metadata"]["resourceVersion"]))

    async def _merge(
        self, target: Target, fields: Document, workload: WorkloadTemplate | None, version: str
    ) -> RolloutObject:
        stored = await self._cluster.merge_status(ROLLOUTS, target.namespace, target.name, fields, version=version)
        return RolloutObject.of(with_template(stored, workload))


def _fields(live: Object, request: Reconcile, view: View) -> Document:
    """What the release says, and what stands: pods, weights, and what is missing where nothing else is to be said."""
    place, own = request.place, request.account.status
    counts = ReplicaCounts.of(view.sets, place.hash, view.replicas)
    pods = {
        "replicas": counts.current,
        "updatedReplicas": counts.updated,
        "readyReplicas": counts.ready,
        "availableReplicas": counts.available,
        "HPAReplicas": counts.current,
    }
    canary = {**(own.get("canary") or {}), "weights": _weights(place, view)}
    fields = {**own, **pods, "canary": canary}
    phase = own.get("phase") or (live.get("status") or {}).get("phase")
    if phase == RolloutPhase.PROGRESSING and not request.account.message:
        missing = next(missing_pods(counts.updated, counts.available, counts.desired), "")
        fields["message"] = missing or ("" if place.hash == place.stable_hash else ALL_STEPS)
    return fields


def _heeding(stored: Document, fields: Document) -> Document:
    """Without an abort that stood already and that a person has taken back since: a pass whose answer was lost says it
    twice. A release takes its flag away and never says false; its time tells which abort it was.
    """
    again = fields.get("abort") is True and stored.get("abort") is False
    if not again or not fields.get("abortedAt") or stored.get("abortedAt") != fields["abortedAt"]:
        return fields
    return {name: value for name, value in fields.items() if name != "abort"}


def _weights(place: Place, view: View) -> Document | None:
    """As the router has them; None where nothing splits the traffic."""
    if view.traffic is None:
        return None
    beside = max((sum(row.others.values()) for row in view.traffic.routes), default=0)
    canary, stable = view.traffic.canary, 100 - view.traffic.canary - beside
    return {
        "canary": {"weight": canary, "podTemplateHash": place.hash},
        "stable": {"weight": stable, "podTemplateHash": place.stable_hash or place.hash},
    }


def _derived(live: Object, fields: Document, request: Reconcile, *, created: bool) -> Document:
    """What follows from the fields; nothing where the object cannot be read, as others write to it, too."""
    try:
        rollout = Rollout.model_validate(live)
        moment = Moment(
            rollout=rollout,
            status=RolloutStatus.model_validate(_merged(live.get("status") or {}, fields)),
            replica_set=f"{request.target.name}-{request.place.hash}",
            revision=request.revision,
            now=request.at,
            created=created,
            abort_cause=request.account.abort_cause,
            late=request.account.late,
            failing=next(reversed(request.account.failing), ""),
        )
        selector = rollout.spec.selector
        return {"conditions": _wire(conditions(moment)), "selector": selector.text() if selector else None}
    except ValueError as error:  # pydantic's is one, too
        log.warning("conditions_not_written", rollout=request.target.name, error=str(error))
        return {}


def _wire(found: Iterable[Condition]) -> list[Document]:
    return [each.to_wire() for each in found]


def _changed(stored: Document, fields: Document) -> Document:
    """The fields that a merge patch would change."""
    after = _merged(stored, fields)
    return {name: value for name, value in fields.items() if stored.get(name) != after.get(name)}


def _merged(stored: Document, patch: Document) -> Document:
    """As a merge patch changes an object (RFC 7386)."""
    merged = dict(stored)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            before = merged.get(name)
            merged[name] = _merged(before if isinstance(before, dict) else {}, value)
        else:
            merged[name] = value
    return merged

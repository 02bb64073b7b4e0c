"""The Rollout's `.status`: what its release says of itself, and what follows from it for those who look.

Conditions are what Argo CD, kubectl and alerts read; `selector` and `HPAReplicas` are what an autoscaler reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from pydantic import ValidationError

from activities.kubernetes.client import ROLLOUTS, Cluster, Object, stored_fence
from activities.kubernetes.json_patch import annotate
from activities.kubernetes.workloads import Workloads, with_template
from tidegate.contract import (
    FLAGS,
    Document,
    Meanwhile,
    Reconcile,
    Rejection,
    RolloutObject,
    Target,
    WorkloadTemplate,
)
from tidegate.contract.field_managers import last_write
from tidegate.manifests.kinds import REVISION
from tidegate.manifests.rollout import Rollout
from tidegate.rollouts.conditions import ConditionInputs, conditions, rejection
from tidegate.rollouts.phase import INVALID_SPEC, MISSING_PODS, WORKLOAD_GENERATION, RolloutPhase
from tidegate.rollouts.replica_sets import ReplicaSetState
from tidegate.rollouts.status import Condition, RolloutStatus
from tidegate.rollouts.template_hash import template_hash

if TYPE_CHECKING:  # they stand on the look at a cluster, which says something, too
    from activities.reconcile.cluster_state import ClusterSnapshot
    from activities.reconcile.strategies import StrategyPass, StrategyStatus

log = structlog.get_logger(__name__)


class StatusWriter:
    """Writes `.status` in one cluster, of an object that still stands as it was read.

    Raises the ApplicationError of a server that is away or refuses, `Conflict` when the object was written meanwhile.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._workloads = Workloads(cluster)

    async def write(
        self, request: Reconcile, snapshot: ClusterSnapshot, strategy: StrategyPass, *, created: bool
    ) -> RolloutObject | None:
        """Write the fields by the release, those that the pass saw, and those that follow from both.

        `created` says that the version's ReplicaSet was created in this pass. Returns the object after that; None when
        there is none, so that there is no status to write, or when it says all of that already.
        """
        if snapshot.live is None:
            return None
        workload = await self._workloads.template(request.target.namespace, snapshot.live)
        notes = {REVISION: str(request.revision)}
        lent: Document = {}
        if workload is not None and _lends(workload, request):
            lent = {"workloadObservedGeneration": str(workload.generation)}
            notes[WORKLOAD_GENERATION] = str(workload.generation)
        live = await self._annotate(snapshot.live, notes, request)
        whole, stored = with_template(live, workload), live.get("status") or {}
        part = strategy.status()
        fields = _heeding(stored, _fields(whole, request, snapshot, part)) | lent
        fields |= _derived(whole, fields, request, snapshot, strategy, part.selector, created=created)
        changed = _changed(stored, fields)
        if not changed and not request.report.status:
            return None
        return await self._merge(request.target, changed, workload, str(live["metadata"]["resourceVersion"]))

    async def take_flags_away(self, request: Reconcile) -> RolloutObject | None:
        """Take away the flags that a pass is to take away, before it gives a version any traffic.

        While one stands that the version before left, a person's `abort: true` changes nothing and would be lost.
        One that was set since the release looked first stays: a pass whose answer was lost is made again, and
        has taken the old one away already. Not so a full promotion of the version that the object still names: it was
        said about that one. Returns the object after that; None where none stood.
        """
        target, own = request.target, request.report.status
        wanted = [flag for flag in FLAGS if own.get(flag, flag) is None]
        live = await self._cluster.find(ROLLOUTS, target.namespace, target.name) if wanted else None
        if live is None:
            return None
        stored = live.get("status") or {}
        named = ("currentPodHash", "currentStepHash")
        of_another = bool(stored.get(named[0])) and any(
            stored.get(name) != own.get(name, stored.get(name)) for name in named
        )
        gone = [
            flag
            for flag in wanted
            if not _is_since(live, flag, request.report.set_by) or (flag == "promoteFull" and of_another)
        ]
        if not any(stored.get(flag) is True for flag in gone):
            return None
        names = [*gone, "abortedAt"] if "abort" in gone else gone
        workload = await self._workloads.template(target.namespace, live)
        version = str(live["metadata"]["resourceVersion"])
        return await self._merge(target, dict.fromkeys(names), workload, version)

    async def _annotate(self, live: Object, notes: Mapping[str, str], request: Reconcile) -> Object:
        """Put what Argo's clients read there into annotations of the object; the object as it stands then.

        That is the revision, which templates of notifications name, and the generation of the workload that is brought
        out, which is compared with the status (argo-rollouts, utils/rollout): another controller may have left one.
        What is written to the object after that is compared with what it says by then: it was read anew. The fence goes
        beside them, once for each version of each release, as none can be written with a status: the late pass of an
        earlier one that reads the object as it stands by now is refused (law 3).
        """
        stand = live["metadata"].get("annotations") or {}
        epoch, sequence = stored_fence(live)
        is_fenced = epoch == request.fence.epoch and sequence <= request.fence.sequence
        if is_fenced and all(stand.get(name) == value for name, value in notes.items()):
            return live
        return await self._cluster.change(
            ROLLOUTS,
            request.target.namespace,
            request.target.name,
            request.fence,
            lambda found: annotate(found, notes),
            known=live,
        )

    async def say_meanwhile(self, target: Target, meanwhile: Meanwhile) -> None:
        """Say what a release waits for before its first pass; not once one has said something of that version.

        What a pass says counts, also against the late word of a worker that was frozen: each of them writes by the
        version of the object that it read.
        """
        live = await self._cluster.find(ROLLOUTS, target.namespace, target.name)
        if live is None or RolloutObject.of(live).uid != meanwhile.requested.uid:
            return
        stored = live.get("status") or {}
        if stored.get("message") == meanwhile.message or _is_under_way(stored, meanwhile.requested):
            return
        version = str(live["metadata"]["resourceVersion"])
        await self._cluster.merge_status(
            ROLLOUTS, target.namespace, target.name, {"message": meanwhile.message}, version=version
        )

    async def refuse(self, request: Rejection) -> RolloutObject | None:
        """Say why a spec is not released, unless the object says something else by now."""
        target = request.target
        live = await self._cluster.find(ROLLOUTS, target.namespace, target.name)
        if live is None or RolloutObject.of(live).uid != request.uid:
            return None
        fields: Document = {"phase": RolloutPhase.DEGRADED, "message": f"{INVALID_SPEC}: {request.message}"}
        try:
            before = RolloutStatus.model_validate(live.get("status") or {})
            fields["conditions"] = _wire(rejection(before, request.message, datetime.now(UTC)))
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


def _is_under_way(stored: Document, requested: RolloutObject) -> bool:
    """True when a pass has written a status of the spec that the object has, and its release is not over."""
    named = (stored.get("currentStepHash"), stored.get("observedGeneration"))
    is_named = named == (requested.step_hash, str(requested.generation))
    return is_named and stored.get("phase") in (RolloutPhase.PROGRESSING, RolloutPhase.PAUSED)


def _fields(live: Object, request: Reconcile, snapshot: ClusterSnapshot, strategy: StrategyStatus) -> Document:
    """Fields by the release and by the cluster, and what is missing where there is no other message."""
    own, counts = request.report.status, strategy.counts
    pods = {
        "replicas": counts.current,
        "updatedReplicas": counts.updated,
        "readyReplicas": counts.ready,
        "availableReplicas": counts.available,
        "HPAReplicas": strategy.scaled,
    }
    fields = {**own, **pods, **{name: _beside(own.get(name), part) for name, part in strategy.fields.items()}}
    phase = own.get("phase") or (live.get("status") or {}).get("phase")
    if phase == RolloutPhase.PROGRESSING:
        fields["message"] = request.report.message or _missing(request, snapshot, strategy)
    elif phase is not None:  # a pass before may have said what was missing
        fields["message"] = request.report.message
    return fields


def _beside(own: Document | None, part: Document | None) -> Document | None:
    """A strategy's part of the status: what the release knows of it, and what was read."""
    return None if part is None else {**(own or {}), **part}


def _missing(request: Reconcile, snapshot: ClusterSnapshot, strategy: StrategyStatus) -> str:
    """Message on what a Rollout that is under way lacks, in Argo's words; empty where it lacks nothing."""
    refused = _without_pods(request, snapshot)
    if refused is not None and strategy.pending in MISSING_PODS:
        return f"{strategy.pending}; {refused.name}: {refused.no_pods}"
    return strategy.pending


def _without_pods(request: Reconcile, snapshot: ClusterSnapshot) -> ReplicaSetState | None:
    """The ReplicaSet whose controller cannot make pods, that of the version before any other, as Argo takes it."""
    found = [each for each in snapshot.sets if each.no_pods]
    return next((each for each in found if each.hash == request.desired.hash), next(iter(found), None))


def _heeding(stored: Document, fields: Document) -> Document:
    """Without an abort that stood already and that a person has taken back since: a pass whose answer was lost says it
    twice. A release takes its flag away and never says false; its time tells which abort it was.
    """
    again = fields.get("abort") is True and stored.get("abort") is False
    if not again or not fields.get("abortedAt") or stored.get("abortedAt") != fields["abortedAt"]:
        return fields
    return {name: value for name, value in fields.items() if name != "abort"}


def _is_since(live: Object, flag: str, set_by: Mapping[str, str]) -> bool:
    """True when a flag is another one than that which the release found; one that a release left is none."""
    last = last_write(live, "status", flag)
    return bool(last) and last != set_by.get(flag)


def _lends(workload: WorkloadTemplate, request: Reconcile) -> bool:
    """True when the version has the template that the workload lends now."""
    return template_hash(workload.template) == template_hash(request.manifest.spec.template)


def _derived(
    live: Object,
    fields: Document,
    request: Reconcile,
    snapshot: ClusterSnapshot,
    strategy: StrategyPass,
    pods: str | None,
    *,
    created: bool,
) -> Document:
    """Fields that follow from the others; empty where the object cannot be read, as others write to it, too.

    `pods` is the selector of the pods that an autoscaler looks at, None for the Rollout's own.
    """
    try:
        rollout = Rollout.model_validate(live)
        status = RolloutStatus.model_validate(_merged(live.get("status") or {}, fields))
        inputs = ConditionInputs(
            rollout=rollout,
            status=status,
            healthy=strategy.healthy(rollout, status),
            replica_set=f"{request.target.name}-{request.desired.hash}",
            revision=request.revision,
            now=request.at,
            created=created,
            abort_cause=request.report.abort_cause,
            late=request.report.late,
            failing=next(reversed(request.report.failing), ""),
            refused=request.report.refused,
            without_pods=refused.no_pods if (refused := _without_pods(request, snapshot)) else "",
        )
        selector = rollout.spec.selector
        whole = selector.text() if selector else None
        return {"conditions": _wire(conditions(inputs)), "selector": pods or whole}
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

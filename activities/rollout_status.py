"""The Rollout's `.status`: what its release says of itself, and what follows from it for those who look.

Conditions are what Argo CD, kubectl and alerts read; `selector` and `HPAReplicas` are what an autoscaler reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError

from activities.cluster import ROLLOUTS, Cluster, Object, annotate
from activities.workloads import Workloads
from tidegate.canary.conditions import Moment, conditions, refusal
from tidegate.canary.phase import INVALID_SPEC, WORKLOAD_GENERATION, RolloutPhase
from tidegate.canary.status import Condition, RolloutStatus
from tidegate.canary.template_hash import pod_template_hash
from tidegate.contract import Document, Reconcile, Refusal, RolloutObject, Target
from tidegate.manifests.rollout import Rollout
from tidegate.manifests.workload import resolved

log = structlog.get_logger(__name__)


class StatusWriter:
    """Writes `.status` in one cluster. Raises the ApplicationError of a server that is away or refuses."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._workloads = Workloads(cluster)

    async def write(self, request: Reconcile, *, created: bool) -> RolloutObject | None:
        """The fields of a pass, and what follows from them; None without a Rollout, as there is nobody to tell.

        `created` says that the version's ReplicaSet was created in this pass.
        """
        target = request.target
        live = await self._cluster.find(ROLLOUTS, target.namespace, target.name)
        if live is None:
            return None
        workload = await self._workloads.template(target.namespace, live)
        whole = live if workload is None else resolved(live, workload.template, workload.selector)
        fields = {**request.account.status, **_derived(whole, request, created=created)}
        if workload is not None and pod_template_hash(workload.template) == request.place.hash:
            fields["workloadObservedGeneration"] = str(workload.generation)
            await self._note_workload(live, str(workload.generation), request)
        return await self._merge(target, fields)

    async def _note_workload(self, live: Object, generation: str, request: Reconcile) -> None:
        """Put the generation of the workload that is brought out into an annotation, too.

        Clients compare it with the status (argo-rollouts, utils/rollout), and another controller may have left one.
        """
        if (live["metadata"].get("annotations") or {}).get(WORKLOAD_GENERATION) == generation:
            return
        await self._cluster.change(
            ROLLOUTS,
            request.target.namespace,
            request.target.name,
            request.fence,
            lambda found: annotate(found, {WORKLOAD_GENERATION: generation}),
        )

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
        return await self._merge(target, fields)

    async def _merge(self, target: Target, fields: Document) -> RolloutObject:
        stored = await self._cluster.merge_status(ROLLOUTS, target.namespace, target.name, fields)
        return RolloutObject.of(await self._workloads.resolve(stored))


def _derived(live: Object, request: Reconcile, *, created: bool) -> Document:
    """What follows from the fields; nothing where the object cannot be read, as others write to it, too."""
    fields: Document = {}
    if "replicas" in request.account.status:
        fields["HPAReplicas"] = request.account.status["replicas"]
    try:
        rollout = Rollout.model_validate(live)
        status = RolloutStatus.model_validate(_merged(live.get("status") or {}, request.account.status))
        moment = Moment(
            rollout=rollout,
            status=status,
            replica_set=f"{request.target.name}-{request.place.hash}",
            revision=request.revision,
            now=request.at,
            created=created,
            abort_cause=request.account.abort_cause,
            late=request.account.late,
        )
        fields["conditions"] = _wire(conditions(moment))
        if rollout.spec.selector is not None:
            fields["selector"] = rollout.spec.selector.text()
    except ValueError as error:  # pydantic's is one, too
        log.warning("conditions_not_written", rollout=request.target.name, error=str(error))
    return fields


def _wire(found: Iterable[Condition]) -> list[Document]:
    return [each.to_wire() for each in found]


def _merged(stored: Document, fields: Document) -> Document:
    """As a merge patch (RFC 7386) changes the fields of a status; those within them no rule asks for."""
    return {name: value for name, value in {**stored, **fields}.items() if value is not None}

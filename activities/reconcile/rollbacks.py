"""An earlier revision of a Rollout is asked for again, as `kubectl argo rollouts undo` does: by its pod template.

Source: argo-rollouts, pkg/kubectl-argo-rollouts/cmd/undo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import activity

from activities.kubernetes import replica_sets
from activities.kubernetes.client import DEPLOYMENTS, REPLICA_SETS, ROLLOUTS, Cluster, Object
from activities.kubernetes.json_patch import Operation, put
from activities.kubernetes.ownership import uid_of
from activities.kubernetes.versions import Versions, adopted
from activities.kubernetes.workloads import Workloads, with_template
from activities.transport.errors import rejected
from tidegate.contract import Activity, PutBack, RollbackRequest, RollbackResult, Target, WorkloadTemplate
from tidegate.manifests.workload import needs_template
from tidegate.rollouts.strip_defaults import as_asked
from tidegate.rollouts.template_hash import template_hash

SYSTEM = "undo"


class RollbackActivities:
    """Changes what Rollouts of one cluster ask for; to bring it out is the release's."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._workloads = Workloads(cluster)
        self._versions = Versions(cluster)

    def activities(self) -> list[Callable[..., Any]]:
        """Activities that a worker registers."""
        return [self.choose_revision, self.rollback]

    @activity.defn(name=Activity.CHOOSE_REVISION)
    async def choose_revision(self, request: RollbackRequest) -> RollbackResult:
        """Which revision is meant, and what it would change; nothing is written.

        It is chosen once: what was promoted last beside the version that is asked for is another one after the write.
        Raises ApplicationError `Rejected` where there is no Rollout object, no such revision, or no other one that was
        ever promoted.
        """
        live, workload = await self._read(request.target, request.cluster)
        desired = with_template(live, workload)
        now = desired["spec"].get("template") or {}
        sets = await self._versions.sets(request.target, uid_of(live))
        found = _chosen(sets, live, adopted(desired, sets, live).hash, request)
        template = as_asked(replica_sets.template_of(found), now, replica_sets.hash_of(found))
        revision, images = replica_sets.state(found).revision, _images(template)
        if template_hash(now) == template_hash(template):
            message = f"revision {revision} is what {request.target.name} asks for already"
        else:
            message = f"{request.target.name} asks for revision {revision} again: {', '.join(images.values())}"
        return RollbackResult(
            message=message,
            revision=revision,
            images=images,
            before=_images(now),
            rollout=live,
            replica_set=found["metadata"]["name"],
            replaces=template_hash(now),
        )

    @activity.defn(name=Activity.ROLLBACK)
    async def rollback(self, request: PutBack) -> None:
        """Ask for the template of that ReplicaSet, unless that is what is asked for already.

        Raises ApplicationError `Rejected` when another template was asked for since it was chosen.
        """
        target = request.target
        _, workload = await self._read(target, "")
        found = await self._cluster.get(REPLICA_SETS, target.namespace, request.replica_set)

        def edit(current: Object) -> list[Operation]:
            now = current["spec"].get("template") or {}
            template = as_asked(replica_sets.template_of(found), now, replica_sets.hash_of(found))
            if template_hash(now) == template_hash(template):
                return []
            if template_hash(now) != request.replaces:
                raise rejected(SYSTEM, f"{target.name} was changed by someone else meanwhile; look, and ask again")
            return [put("/spec/template", template)]

        where, name = (ROLLOUTS, target.name) if workload is None else (DEPLOYMENTS, workload.name)
        await self._cluster.change(where, target.namespace, name, None, edit)

    async def _read(self, target: Target, cluster: str) -> tuple[Object, WorkloadTemplate | None]:
        """The Rollout, and the Deployment that lends it its template."""
        live = await self._cluster.find(ROLLOUTS, target.namespace, target.name)
        if live is None:
            where = f"there is no Rollout {target.namespace}/{target.name} in cluster {cluster}"
            raise rejected(SYSTEM, f"{where}: start a release of the earlier manifest instead")
        workload = await self._workloads.template(target.namespace, live)
        if workload is None and needs_template(live):
            raise rejected(SYSTEM, f"spec.workloadRef of Rollout {target.namespace}/{target.name}: no such Deployment")
        return live, workload


def _chosen(sets: list[Object], live: Object, now: str, request: RollbackRequest) -> Object:
    """The revision that is named; without a name the one that was promoted last, of those not asked for now (law 4)."""
    states = [replica_sets.state(each) for each in sets]
    known = {state.revision: each for state, each in zip(states, sets, strict=True)}
    if request.to_revision is not None:
        if request.to_revision not in known:
            there = ", ".join(map(str, known)) or "none"
            raise rejected(SYSTEM, f"there is no revision {request.to_revision} of {request.target.name}: {there}")
        return known[request.to_revision]
    others = [state for state in states if state.hash != now]
    chosen = replica_sets.stable_hash(live, others)
    if not chosen:
        name, left = request.target.name, ", ".join(str(each.revision) for each in others)
        if not left:
            raise rejected(SYSTEM, f"{name} has no revision but the one that it asks for")
        raise rejected(
            SYSTEM,
            f"{name} has no other revision that was ever promoted: revisions {left} stand; name one with --to-revision",
        )
    return next(each for each in sets if replica_sets.hash_of(each) == chosen)


def _images(template: Object) -> dict[str, str]:
    containers = (template.get("spec") or {}).get("containers") or []
    return {str(container["name"]): str(container.get("image", "")) for container in containers}

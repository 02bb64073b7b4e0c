"""An earlier revision of a Rollout is asked for again, as `kubectl argo rollouts undo` does: by its pod template.

Source: argo-rollouts, pkg/kubectl-argo-rollouts/cmd/undo.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from temporalio import activity

from activities import replica_sets
from activities.cluster import DEPLOYMENTS, REPLICA_SETS, ROLLOUTS, Cluster, Object, put
from activities.errors import rejected
from activities.replica_sets import HASH_LABEL
from activities.workloads import Workloads, with_template
from tidegate.canary.as_asked import as_asked
from tidegate.canary.template_hash import pod_template_hash
from tidegate.contract import Activity, RollBackRequest, RolledBack, Target
from tidegate.manifests.workload import needs_template

SYSTEM = "undo"


class Rollbacks:
    """Changes what Rollouts of one cluster ask for; to bring it out is the release's."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._workloads = Workloads(cluster)

    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.roll_back]

    @activity.defn(name=Activity.ROLL_BACK)
    async def roll_back(self, request: RollBackRequest) -> RolledBack:
        """Ask for the template of a revision, unless that is what is asked for already.

        Raises ApplicationError: `Rejected` where there is no Rollout object, no such revision or none before this one,
        and what the cluster's client raises.
        """
        target = request.target
        live = await self._cluster.find(ROLLOUTS, target.namespace, target.name)
        if live is None:
            raise rejected(
                SYSTEM,
                f"there is no Rollout {target.namespace}/{target.name} in cluster {request.cluster}: "
                "start a release of the earlier manifest instead",
            )
        workload = await self._workloads.template(target.namespace, live)
        if workload is None and needs_template(live):
            raise rejected(SYSTEM, f"spec.workloadRef of Rollout {target.namespace}/{target.name}: no such Deployment")
        now = with_template(live, workload)["spec"].get("template") or {}
        found = _chosen(await self._sets(target, live), pod_template_hash(now), request)
        template = as_asked(_template_of(found), now, replica_sets.hash_of(found))
        revision, before, images = replica_sets.state(found).revision, _images(now), _images(template)
        if pod_template_hash(now) == pod_template_hash(template):
            message = f"revision {revision} is what {target.name} asks for already"
            return RolledBack(message=message, revision=revision, images=images, before=images, rollout=live)
        if workload is not None:
            await self._cluster.change(
                DEPLOYMENTS, target.namespace, workload.name, None, lambda _: [put("/spec/template", template)]
            )
        else:
            live = await self._cluster.change(
                ROLLOUTS, target.namespace, target.name, None, lambda _: [put("/spec/template", template)]
            )
        message = f"{target.name} asks for revision {revision} again: {', '.join(images.values())}"
        return RolledBack(message=message, revision=revision, images=images, before=before, rollout=live)

    async def _sets(self, target: Target, live: Object) -> list[Object]:
        """The ReplicaSets of a Rollout, the newest revision first."""
        selector = (live["spec"].get("selector") or {}).get("matchLabels") or {}
        found = await self._cluster.select(REPLICA_SETS, target.namespace, selector)
        mine = [each for each in found if replica_sets.belongs(each, target.name)]
        return sorted(mine, key=lambda each: replica_sets.state(each).revision, reverse=True)


def _chosen(sets: list[Object], now: str, request: RollBackRequest) -> Object:
    known = {replica_sets.state(each).revision: each for each in sets}
    if request.to_revision is not None:
        if request.to_revision not in known:
            there = ", ".join(map(str, known)) or "none"
            raise rejected(SYSTEM, f"there is no revision {request.to_revision} of {request.target.name}: {there}")
        return known[request.to_revision]
    earlier = [each for each in sets if replica_sets.hash_of(each) != now]
    if not earlier:
        raise rejected(SYSTEM, f"{request.target.name} has no revision but the one that it asks for")
    return earlier[0]


def _template_of(found: Object) -> Object:
    """The template that a version came with: without the label, and without what its role put on it."""
    template: Object = copy.deepcopy(found["spec"]["template"])
    metadata, worn = template.setdefault("metadata", {}), replica_sets.remembered(found)
    for field, names in (("labels", {HASH_LABEL, *worn.labels}), ("annotations", {*worn.annotations})):
        kept = {name: value for name, value in (metadata.get(field) or {}).items() if name not in names}
        metadata.pop(field, None)
        if kept:
            metadata[field] = kept
    return template


def _images(template: Object) -> dict[str, str]:
    containers = (template.get("spec") or {}).get("containers") or []
    return {str(container["name"]): str(container.get("image", "")) for container in containers}

"""Release of the objects that a deleted Rollout leaves behind: they become as they were before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.kubernetes import replica_sets
from activities.kubernetes.client import REPLICA_SETS, ROLLOUTS, Cluster, Object
from activities.kubernetes.ownership import owned_by, uid_of
from activities.kubernetes.replica_sets import HASH_LABEL
from activities.kubernetes.workloads import Workloads
from activities.reconcile.claims import Claims, claimed
from tidegate.contract import Activity, ErrorType, LeftAlone, LetGo
from tidegate.rollouts.actions import SUBSET

log = structlog.get_logger(__name__)


class LeavingActivities:
    """The activity that lets go of what Rollouts of one cluster had claimed."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._claims = Claims(cluster)
        self._workloads = Workloads(cluster)

    def activities(self) -> list[Callable[..., Any]]:
        """Activities that a worker registers."""
        return [self.let_go]

    @activity.defn(name=Activity.LET_GO)
    async def let_go(self, request: LetGo) -> LeftAlone:
        """Take the hash out of its Services' selectors and its subsets' labels, and give Deployments their pods back.

        A Rollout of that name that is there now has them for its own. A selector keeps the hash of a version that
        stays: one whose ReplicaSet has no owner, since its Rollout was deleted without what it owns, or never had an
        object.
        """
        target, namespace = request.target, request.target.namespace
        live = await self._cluster.find(ROLLOUTS, namespace, target.name)
        if live is not None and not (uid_of(live) == request.uid and live["metadata"].get("deletionTimestamp")):
            return LeftAlone()
        staying = await self._staying(request)
        found = await claimed(self._cluster, target)
        going = [name for name, hash_ in found.items() if hash_ not in staying]
        left = [name for name in going if await self._leave(request, name)]
        services, subsets = ([name for name in left if (SUBSET in name) is kind] for kind in (False, True))
        deployments = await self._workloads.give_back(target, request.fence)
        log.info(
            "let go",
            namespace=namespace,
            rollout=target.name,
            services=services,
            subsets=subsets,
            deployments=deployments,
        )
        return LeftAlone(services=tuple(services), subsets=tuple(subsets), deployments=deployments)

    async def _staying(self, request: LetGo) -> set[str]:
        """Hashes of the versions whose pods do not go with the Rollout."""
        target = request.target
        found = await self._cluster.select(REPLICA_SETS, target.namespace, {HASH_LABEL: None})
        mine = [each for each in found if replica_sets.belongs(each, target.name, "")]
        return {replica_sets.hash_of(each) for each in mine if not owned_by(each, request.uid) and _wants_pods(each)}

    async def _leave(self, request: LetGo, selector: str) -> bool:
        """Let go of one object; returns True when it was there."""
        try:
            await self._claims.leave(selector, request.target, request.fence)
        except ApplicationError as error:
            if error.type != ErrorType.NOT_FOUND:
                raise
            return False
        return True


def _wants_pods(found: Object) -> bool:
    return bool(found["spec"].get("replicas", 1)) and not found["metadata"].get("deletionTimestamp")

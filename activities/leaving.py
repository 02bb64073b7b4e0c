"""What a Rollout that was deleted leaves behind: Services and Deployments are what they were before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import replica_sets
from activities.cluster import REPLICA_SETS, ROLLOUTS, SERVICES, Cluster, Object
from activities.ownership import is_claimed, leave, owned_by, uid_of
from activities.replica_sets import HASH_LABEL
from activities.workloads import Workloads
from tidegate.contract import Activity, ErrorType, LeftAlone, LetGo

log = structlog.get_logger(__name__)


class Leaving:
    """The activity that lets go of what Rollouts of one cluster had claimed."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._workloads = Workloads(cluster)

    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.let_go]

    @activity.defn(name=Activity.LET_GO)
    async def let_go(self, request: LetGo) -> LeftAlone:
        """Take the hash out of the selectors of its Services, and give Deployments their pods back.

        A Rollout of that name that is there now has them for its own. A Service keeps the hash of a version that stays:
        one whose ReplicaSet nobody owns, since its Rollout was deleted without what it owns, or never had an object.
        """
        target, namespace = request.target, request.target.namespace
        live = await self._cluster.find(ROLLOUTS, namespace, target.name)
        if live is not None and not (uid_of(live) == request.uid and live["metadata"].get("deletionTimestamp")):
            return LeftAlone()
        staying = await self._staying(request)
        services = []
        for found in await self._cluster.select(SERVICES, namespace, {}):
            name, claimed = found["metadata"]["name"], is_claimed(found, target.name)
            going = claimed and found["spec"]["selector"][HASH_LABEL] not in staying
            if going and await self._leave(request, name):
                services.append(name)
        deployments = await self._workloads.give_back(target, request.fence)
        log.info("let go", namespace=namespace, rollout=target.name, services=services, deployments=deployments)
        return LeftAlone(services=tuple(services), deployments=deployments)

    async def _staying(self, request: LetGo) -> set[str]:
        """Hashes of the versions whose pods do not go with the Rollout."""
        target = request.target
        found = await self._cluster.select(REPLICA_SETS, target.namespace, {HASH_LABEL: None})
        mine = [each for each in found if replica_sets.belongs(each, target.name, "")]
        return {replica_sets.hash_of(each) for each in mine if not owned_by(each, request.uid) and _wants_pods(each)}

    async def _leave(self, request: LetGo, name: str) -> bool:
        """Whether the Service was there to be let go of."""
        try:
            await self._cluster.change(
                SERVICES, request.target.namespace, name, request.fence, lambda now: leave(now, request.target.name)
            )
        except ApplicationError as error:
            if error.type != ErrorType.NOT_FOUND:
                raise
            return False
        return True


def _wants_pods(found: Object) -> bool:
    return bool(found["spec"].get("replicas", 1)) and not found["metadata"].get("deletionTimestamp")

"""The ReplicaSets of a Rollout and their pods, found by who owns them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from activities import replica_sets
from activities.cluster import PODS, REPLICA_SETS, Cluster, Object
from activities.ownership import owned_by, uid_of
from activities.replica_sets import HASH_LABEL
from tidegate.contract import Target


class Versions:
    """Reads the versions of one cluster's Rollouts.

    Every version has the label of its hash, which the release itself gives it; whose it is stands in its owner.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def sets(self, target: Target, uid: str, among: Collection[str] | None = None) -> list[Object]:
        """The ReplicaSets of a Rollout, newest revision first.

        `uid` is the Rollout object's, empty where there is none. `among` are the hashes that may stand, so that not
        every version in the namespace is read; None: not known.
        """
        found = await self._cluster.select(REPLICA_SETS, target.namespace, {HASH_LABEL: among or None})
        mine = [each for each in found if replica_sets.belongs(each, target.name, uid)]
        return sorted(mine, key=lambda each: replica_sets.state(each).revision, reverse=True)

    async def pods(self, namespace: str, sets: Sequence[Object]) -> list[Object]:
        """The pods that ReplicaSets made."""
        if not sets:
            return []
        hashes = {replica_sets.hash_of(each) for each in sets}
        found = await self._cluster.select(PODS, namespace, {HASH_LABEL: hashes})
        return [pod for each in sets for pod in pods_of(each, found)]


def pods_of(found: Object, pods: Sequence[Object]) -> list[Object]:
    """Those of `pods` that a ReplicaSet made."""
    return [pod for pod in pods if owned_by(pod, uid_of(found))]

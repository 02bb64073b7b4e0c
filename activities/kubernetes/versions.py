"""The ReplicaSets of a Rollout and their pods, found by who owns them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from activities.kubernetes import replica_sets
from activities.kubernetes.client import PODS, REPLICA_SETS, Object, Reader
from activities.kubernetes.ownership import owned_by, uid_of
from activities.kubernetes.replica_sets import HASH_LABEL
from tidegate.contract import Target
from tidegate.rollouts.adoption import Adopted, Candidate, adopt
from tidegate.rollouts.version import collision_count

_LONGEST_LABEL = 63


class Versions:
    """Reads the versions of one cluster's Rollouts.

    Every version has the label of its hash, which the release itself gives it; whose it is stands in its owner.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def sets(self, target: Target, uid: str, among: Collection[str] | None = None) -> list[Object]:
        """The ReplicaSets of a Rollout, newest revision first.

        `uid` is the Rollout object's, empty where there is none. `among` are the hashes that may stand; None: not
        known. Every version in the namespace is found by its name, and only those that may be the Rollout's are read.
        """
        among = among or await self._hashes(target)
        if not among:
            return []
        found = await self._reader.select(REPLICA_SETS, target.namespace, {HASH_LABEL: among}, rollout=target.name)
        mine = [each for each in found if replica_sets.belongs(each, target.name, uid)]
        return sorted(mine, key=lambda each: replica_sets.state(each).revision, reverse=True)

    async def _hashes(self, target: Target) -> set[str]:
        """The hashes of versions that by their names may be the Rollout's: ROLLOUT-HASH, as Argo has it, too."""
        begin = f"{target.name}-"
        names = await self._reader.names(REPLICA_SETS, target.namespace, HASH_LABEL, rollout=target.name)
        ends = {name.removeprefix(begin) for name in names if name.startswith(begin)}
        return {end for end in ends if end.isalnum() and len(end) <= _LONGEST_LABEL}

    async def pods(self, namespace: str, sets: Sequence[Object]) -> list[Object]:
        """The pods that ReplicaSets made."""
        if not sets:
            return []
        hashes = {replica_sets.hash_of(each) for each in sets}
        found = await self._reader.select(PODS, namespace, {HASH_LABEL: hashes})
        return [pod for each in sets for pod in pods_of(each, found)]


def adopted(rollout: Object, sets: Sequence[Object], live: Object | None) -> Adopted:
    """The ReplicaSet that the template of a Rollout has among its `sets`, newest first, or the hash of its new one.

    `rollout` is what is asked for, with the template that a workload lends it; `live` the object as it stands.
    """
    made = [Candidate(replica_sets.hash_of(each), replica_sets.template_of(each)) for each in reversed(sets)]
    stable = replica_sets.stable_hash(live, [replica_sets.state(each) for each in sets])
    return adopt(rollout["spec"].get("template") or {}, made, stable, collision_count(live or {}))


def pods_of(found: Object, pods: Sequence[Object]) -> list[Object]:
    """Those of `pods` that a ReplicaSet made."""
    return [pod for pod in pods if owned_by(pod, uid_of(found))]

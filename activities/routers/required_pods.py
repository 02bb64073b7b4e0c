"""Law 1 at the moment of a write: the pods that have to be available before traffic is sent to them."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.exceptions import ApplicationError

from activities.kubernetes import replica_sets
from activities.kubernetes.client import REPLICA_SETS, Cluster
from tidegate.contract import ErrorType


@dataclass(frozen=True)
class RequiredPods:
    """A ReplicaSet, and how many of its pods must be available."""

    replica_set: str  # name; empty: there is none, which is never enough
    count: int


async def require_available(cluster: Cluster, namespace: str, pods: RequiredPods, what: str) -> None:
    """Count the pods. Raises `NotReady` where there are too few of them for `what`."""
    if not pods.replica_set:
        raise ApplicationError(f"{what} refused: no ReplicaSet would get it", type=ErrorType.NOT_READY)
    found = replica_sets.state(await cluster.get(REPLICA_SETS, namespace, pods.replica_set))
    if found.available < pods.count:
        raise ApplicationError(
            f"{what} refused: ReplicaSet {found.name} has {found.available} available pods, {pods.count} are needed",
            type=ErrorType.NOT_READY,
        )

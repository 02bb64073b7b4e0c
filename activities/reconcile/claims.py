"""Objects that a Rollout has made select the pods of a version: Services, and subsets of DestinationRules."""

from __future__ import annotations

from functools import partial

from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import DESTINATION_RULES, SERVICES, Cluster, Object, Reader
from activities.kubernetes.ownership import is_claimed, leave
from activities.kubernetes.replica_sets import HASH_LABEL
from activities.routers.istio.subsets import claimed_subsets, leave_subset
from tidegate.contract import ErrorType, Fence, Target
from tidegate.rollouts.actions import SUBSET


class Claims:
    """Lets go of them in one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def leave(self, selector: str, target: Target, fence: Fence | None) -> None:
        """Let one select pods of any version again. Raises what `Cluster.change` does, as where it is gone."""
        name, of_rule, subset = selector.partition(SUBSET)
        resource = DESTINATION_RULES if of_rule else SERVICES
        edit = partial(leave_subset, subset=subset) if of_rule else leave
        await self._cluster.change(resource, target.namespace, name, fence, lambda found: edit(found, target.name))


async def claimed(reader: Reader, target: Target) -> dict[str, str]:
    """The hash of each selector that has Argo's mark of this Rollout, whether it names it still or not.

    One that it names no more was marked by a version before, long ago for a cache that follows. Those that it names are
    read for themselves.
    """
    found: dict[str, str] = {}
    for service in await reader.select(SERVICES, target.namespace, {}, rollout=target.name, lagging=True):
        if is_claimed(service, target.name):
            selector = service["spec"].get("selector") or {}
            found[service["metadata"]["name"]] = str(selector.get(HASH_LABEL, ""))
    for rule in await _rules(reader, target):
        for subset, hash_ in claimed_subsets(rule, target.name).items():
            found[f"{rule['metadata']['name']}{SUBSET}{subset}"] = hash_
    return found


async def _rules(reader: Reader, target: Target) -> list[Object]:
    """The DestinationRules; none in a cluster without the kind, or where the worker has no right to them."""
    try:
        return await reader.select(DESTINATION_RULES, target.namespace, {}, rollout=target.name, lagging=True)
    except ApplicationError as error:
        if error.type not in (ErrorType.NOT_FOUND, ErrorType.UNAUTHORIZED):
            raise
        return []

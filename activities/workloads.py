"""The Deployment that a Rollout takes its pod template from, and whose place it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from activities.cluster import DEPLOYMENTS, Cluster, Object, put
from tidegate.canary.scene import Workload
from tidegate.contract import Document, Fence, WorkloadTemplate
from tidegate.manifests.workload import NEVER, needs_template, reference_of


class Workloads:
    """Reads and scales Deployments of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def template(self, namespace: str, rollout: Mapping[str, Any]) -> WorkloadTemplate | None:
        """What a Rollout without a template names for it; None where it names nothing, or nothing that stands."""
        reference = reference_of(rollout) if needs_template(rollout) else None
        found = await self._cluster.find(DEPLOYMENTS, namespace, reference.name) if reference is not None else None
        if found is None:
            return None
        return WorkloadTemplate(
            name=found["metadata"]["name"],
            generation=int(found["metadata"].get("generation", 0)),
            template=found["spec"].get("template") or {},
            selector=found["spec"].get("selector") or {},
        )

    async def standing(self, namespace: str, rollout: Document) -> Workload | None:
        """How the Deployment stands where a Rollout is to take its place; None where nothing is to be done with it."""
        reference = reference_of(rollout)
        if reference is None or reference.scale_down == NEVER:
            return None
        found = await self._cluster.find(DEPLOYMENTS, namespace, reference.name)
        if found is None:
            return None
        return Workload(reference.name, int(found["spec"].get("replicas", 1)), reference.scale_down)

    async def scale(self, namespace: str, name: str, replicas: int, fence: Fence) -> None:
        """Set spec.replicas."""
        await self._cluster.change(
            DEPLOYMENTS,
            namespace,
            name,
            fence,
            lambda found: [put("/spec/replicas", replicas)] if found["spec"].get("replicas") != replicas else [],
        )


def with_template(rollout: Object, workload: WorkloadTemplate | None) -> Object:
    """A Rollout with the template that it takes from a workload; as it is where it takes it from none."""
    return rollout if workload is None else workload.lent_to(rollout)

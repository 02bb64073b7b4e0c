"""The Deployment that a Rollout takes its pod template from, and whose place it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from activities.kubernetes.client import DEPLOYMENTS, Cluster, Object, Reader
from activities.kubernetes.json_patch import Operation, annotate, put
from tidegate.contract import Fence, Target, WorkloadTemplate
from tidegate.manifests.rollout import WorkloadRef
from tidegate.manifests.workload import KIND, NEVER, needs_template, reference_of
from tidegate.rollouts.cluster_state import Workload

TAKEN_OVER_BY = "tidegate.io/taken-over-by"  # annotation: the Rollout for which a Deployment was scaled down
REPLICAS_BEFORE = "tidegate.io/replicas-before"  # annotation: and how many replicas it had


class Workloads:
    """Reads and scales Deployments of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def template(self, namespace: str, rollout: Mapping[str, Any]) -> WorkloadTemplate | None:
        """Template of the workload that a Rollout without one names; None where it names none, or none that exists."""
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

    async def scale(self, target: Target, name: str, replicas: int, fence: Fence) -> None:
        """Set spec.replicas, and note for which Rollout that was and how many there were before."""

        def edit(found: Object) -> list[Operation]:
            before = int(found["spec"].get("replicas", 1))
            noted = (found["metadata"].get("annotations") or {}).get(TAKEN_OVER_BY) == target.name
            marks = {} if noted else {TAKEN_OVER_BY: target.name, REPLICAS_BEFORE: str(before)}
            return [put("/spec/replicas", replicas), *annotate(found, marks)] if before != replicas else []

        await self._cluster.change(DEPLOYMENTS, target.namespace, name, fence, edit)

    async def give_back(self, target: Target, fence: Fence | None) -> tuple[str, ...]:
        """Scale the Deployments up again that stood back for a Rollout; their names.

        One that another writer scaled up meanwhile keeps its replicas.
        """
        found = await self._cluster.select(DEPLOYMENTS, target.namespace, {})
        names = [each["metadata"]["name"] for each in found if _replicas_before(each, target.name) is not None]
        for name in names:
            await self._cluster.change(
                DEPLOYMENTS, target.namespace, name, fence, lambda now: _given_back(now, target.name)
            )
        return tuple(names)


async def standing(reader: Reader, namespace: str, reference: WorkloadRef | None) -> Workload | None:
    """How the Deployment stands where a Rollout is to take its place; None where nothing is to be done with it."""
    if reference is None or reference.kind != KIND or reference.scale_down in ("", NEVER):
        return None
    found = await reader.find(DEPLOYMENTS, namespace, reference.name)
    if found is None:
        return None
    return Workload(reference.name, int(found["spec"].get("replicas", 1)), reference.scale_down)


def _replicas_before(found: Object, rollout: str) -> int | None:
    """How many replicas a Deployment had before a Rollout took its place; None where it is not that Rollout's."""
    annotations = found["metadata"].get("annotations") or {}
    text = str(annotations.get(REPLICAS_BEFORE, ""))
    return int(text) if annotations.get(TAKEN_OVER_BY) == rollout and text.isdecimal() and len(text) < 10 else None


def _given_back(found: Object, rollout: str) -> list[Operation]:
    before = _replicas_before(found, rollout)
    if before is None:
        return []
    scaled = [put("/spec/replicas", before)] if int(found["spec"].get("replicas", 1)) < before else []
    return [*scaled, *annotate(found, {TAKEN_OVER_BY: None, REPLICAS_BEFORE: None})]


def with_template(rollout: Object, workload: WorkloadTemplate | None) -> Object:
    """A Rollout with the template that it takes from a workload; as it is where it takes it from none."""
    return rollout if workload is None else workload.filled_in(rollout)

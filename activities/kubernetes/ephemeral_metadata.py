"""Metadata of a role on the pods of a ReplicaSet and in its template: put on, changed, and taken off again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta

import structlog
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import PODS, REPLICA_SETS, Cluster, Object
from activities.kubernetes.json_patch import Operation, annotate, put, set_keys
from activities.kubernetes.ownership import owned_by
from activities.kubernetes.replica_sets import EPHEMERAL, HASH_LABEL, UNFINISHED, hash_of, is_observed, remembered
from tidegate.contract import ErrorType, Fence
from tidegate.manifests.steps import PodTemplateMetadata

log = structlog.get_logger(__name__)

LOOKS = 20  # at a ReplicaSet whose template changed, before its controller counts as away
REQUEUE_AFTER = timedelta(milliseconds=250)

_TEMPLATE = "/spec/template/metadata"


class EphemeralMetadata:
    """Metadata that the pods of one cluster have for the role of their version."""

    def __init__(self, cluster: Cluster, *, requeue_after: timedelta = REQUEUE_AFTER) -> None:
        """`look_again` is the time between two looks."""
        self._cluster = cluster
        self._requeue_after = requeue_after

    async def put_on(self, namespace: str, name: str, wanted: PodTemplateMetadata, fence: Fence) -> None:
        """Bring template and running pods of a ReplicaSet from what was put on them before to `wanted`.

        The template goes first, for new pods; what is written on the ReplicaSet says what to take off again, and until
        the last pod has followed that this is not finished, so that a call that is cut off is followed by a repetition.
        Raises `NotReady` while the controller has not seen the new template: until then no count of pods is known.
        """
        updated = await self._cluster.change(REPLICA_SETS, namespace, name, fence, lambda now: _begin(now, wanted))
        await self._observed(namespace, name)
        worn = remembered(updated)
        for pod in await self._cluster.select(PODS, namespace, {HASH_LABEL: hash_of(updated)}):
            if owned_by(pod, updated["metadata"]["uid"]) and not pod["metadata"].get("deletionTimestamp"):
                await self._dress(namespace, pod["metadata"]["name"], worn, wanted, fence)
        end = {EPHEMERAL: _text(wanted), UNFINISHED: None}
        await self._cluster.change(REPLICA_SETS, namespace, name, fence, lambda now: annotate(now, end))
        log.info("ephemeral_metadata", namespace=namespace, replica_set=name, metadata=_text(wanted) or "none")

    async def _observed(self, namespace: str, name: str) -> None:
        for _ in range(LOOKS):
            if is_observed(await self._cluster.get(REPLICA_SETS, namespace, name)):
                return
            await asyncio.sleep(self._requeue_after.total_seconds())
        raise ApplicationError(
            f"ReplicaSet {namespace}/{name}: its controller has not seen the new pod template; is it running?",
            type=ErrorType.NOT_READY,
        )

    async def _dress(
        self, namespace: str, pod: str, worn: PodTemplateMetadata, wanted: PodTemplateMetadata, fence: Fence
    ) -> None:
        def edit(found: Object) -> list[Operation]:
            labels = found["metadata"].get("labels") or {}
            return [
                *set_keys("/metadata/labels", labels, _changes(worn.labels, wanted.labels)),
                *annotate(found, _changes(worn.annotations, wanted.annotations)),
            ]

        try:
            await self._cluster.change(PODS, namespace, pod, fence, edit)
        except ApplicationError as error:
            if error.type != ErrorType.NOT_FOUND:  # a pod that went meanwhile wears nothing
                raise


def _begin(found: Object, wanted: PodTemplateMetadata) -> list[Operation]:
    """The template as it is to be, and a note of all that was or is going to be on the pods."""
    worn = remembered(found)
    both = PodTemplateMetadata(
        labels={**worn.labels, **wanted.labels}, annotations={**worn.annotations, **wanted.annotations}
    )
    template = found["spec"]["template"].get("metadata") or {}
    labels, annotations = template.get("labels") or {}, template.get("annotations")
    return [
        *annotate(found, {EPHEMERAL: _text(both), UNFINISHED: "true"}),
        *set_keys(f"{_TEMPLATE}/labels", labels, _changes(worn.labels, wanted.labels)),
        *([put(f"{_TEMPLATE}/annotations", {})] if annotations is None and wanted.annotations else []),
        *set_keys(f"{_TEMPLATE}/annotations", annotations or {}, _changes(worn.annotations, wanted.annotations)),
    ]


def _changes(worn: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str | None]:
    return {**dict.fromkeys(worn), **wanted}


def _text(metadata: PodTemplateMetadata) -> str | None:
    """As Argo writes it; None where there is nothing."""
    parts = {"labels": dict(metadata.labels), "annotations": dict(metadata.annotations)}
    given = {name: part for name, part in parts.items() if part}
    return json.dumps(given, sort_keys=True, separators=(",", ":")) if given else None

"""Checks of Temporal itself, and of the systems behind its workers; `TidegateClient` inherits them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeIndexedValueType
from temporalio.service import RPCError, RPCStatusCode

from tidegate.client.operator_workflows import answer_of
from tidegate.client.translation import translated
from tidegate.contract import (
    DOCTOR_WORKFLOW,
    FOLLOW_UP_QUEUE,
    RELEASES_QUEUE,
    SEARCH_ATTRIBUTES,
    Check,
    Checks,
    CheckState,
    DoctorRequest,
    cluster_queue,
    doctor_id,
    metrics_queue,
)

DOCTOR_TIMEOUT: Final = timedelta(minutes=3)
RPC_TIMEOUT: Final = timedelta(seconds=10)
POLLED_WITHIN: Final = timedelta(minutes=2)
"""A worker polls again after a minute at most; the server remembers those that are gone for five."""
_TYPES: Final = {
    int(SearchAttributeIndexedValueType.KEYWORD): "Keyword",
    int(SearchAttributeIndexedValueType.INT): "Int",
}


class Doctors:
    """Methods of a client for what is wrong around releases."""

    _temporal: Client

    async def doctor(self, request: DoctorRequest, *, timeout: timedelta = DOCTOR_TIMEOUT) -> Checks:
        """Check Temporal, its task queues, and through the workers each outside system. It changes nothing.

        `request.queues` is found out here. Raises `RefusedError` and `NoWorkerError` as `forecast`.
        """
        namespace = await self._namespace()
        if namespace.state is CheckState.WRONG:
            return Checks(checks=(namespace,))
        attributes, polled = await asyncio.gather(self._search_attributes(), self._polled(request.cluster))
        lines = [namespace, attributes, *(_queue_line(queue, request.cluster, polled[queue]) for queue in polled)]
        if polled[RELEASES_QUEUE]:
            queues = tuple(queue for queue, answered in polled.items() if answered)
            lines += (await self._systems(request.model_copy(update={"queues": queues}), timeout)).checks
        return Checks(checks=tuple(lines))

    async def _namespace(self) -> Check:
        name, temporal = f"Temporal namespace {self._temporal.namespace}", self._temporal
        try:
            found = await temporal.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=temporal.namespace), timeout=RPC_TIMEOUT
            )
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                with translated(temporal.namespace):
                    raise
            remedy = f"temporal operator namespace create --namespace {temporal.namespace} --retention 30d"
            return Check(name=name, state=CheckState.WRONG, detail="there is none", remedy=remedy)
        kept = found.config.workflow_execution_retention_ttl.ToTimedelta()
        return Check(name=name, detail=f"keeps releases for {kept.days} days after their end")

    async def _search_attributes(self) -> Check:
        """The line of the typed attributes that lists and filters use."""
        name, temporal = "Temporal search attributes", self._temporal
        with translated(temporal.namespace):
            found = await temporal.operator_service.list_search_attributes(
                ListSearchAttributesRequest(namespace=temporal.namespace), timeout=RPC_TIMEOUT
            )
        wanted = {key.name: int(key.indexed_value_type) for key in SEARCH_ATTRIBUTES}
        missing = {each: kind for each, kind in wanted.items() if found.custom_attributes.get(each) != kind}
        if not missing:
            return Check(name=name, detail=", ".join(wanted))
        pairs = " ".join(f"--name {each} --type {_TYPES[kind]}" for each, kind in missing.items())
        remedy = f"temporal operator search-attribute create --namespace {temporal.namespace} {pairs}"
        return Check(name=name, state=CheckState.WRONG, detail=f"missing: {', '.join(missing)}", remedy=remedy)

    async def _polled(self, cluster: str) -> Mapping[str, int]:
        """Number of workers that poll now, by task queue."""
        queues = {RELEASES_QUEUE: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW}
        for queue in (
            cluster_queue(cluster),
            metrics_queue("datadog"),
            metrics_queue("prometheus"),
            metrics_queue("web"),
            FOLLOW_UP_QUEUE,
        ):
            queues[queue] = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
        counted = await asyncio.gather(*(self._pollers(queue, kind) for queue, kind in queues.items()))
        return dict(zip(queues, counted, strict=True))

    async def _pollers(self, queue: str, kind: TaskQueueType.ValueType) -> int:
        with translated(queue):
            found = await self._temporal.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self._temporal.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
                ),
                timeout=RPC_TIMEOUT,
            )
        since = datetime.now(UTC) - POLLED_WITHIN
        return len({each.identity for each in found.pollers if each.last_access_time.ToDatetime(UTC) > since})

    async def _systems(self, request: DoctorRequest, timeout: timedelta) -> Checks:
        return await answer_of(
            self._temporal,
            DOCTOR_WORKFLOW,
            request,
            Checks,
            workflow_id=doctor_id(request.cluster, request.namespace, uuid.uuid4().hex),
            namespace=request.namespace,
            timeout=timeout,
            summary=f"checks of the outside systems for {request.namespace}",
        )


def _queue_line(queue: str, cluster: str, pollers: int) -> Check:
    name = f"workers of {queue}"
    if pollers:
        return Check(name=name, detail=f"{pollers} polling")
    return Check(name=name, state=CheckState.WRONG, detail="none polls", remedy=_worker_of(queue, cluster))


def _worker_of(queue: str, cluster: str) -> str:
    """The command that starts a worker of a task queue."""
    if queue == cluster_queue(cluster):
        return f"TIDEGATE_CLUSTER={cluster} tidegate-worker --role cluster"
    role = {RELEASES_QUEUE: "workflows", FOLLOW_UP_QUEUE: "follow-up"}.get(queue, "metrics")
    return f"tidegate-worker --role {role}"

"""Releases as Temporal's own records tell them, which works with no worker up.

Everything here goes through the service itself: the SDK's `describe` and `list_workflows` fail on any result that
holds a workflow that was paused on the server.
"""

from __future__ import annotations

from datetime import UTC, timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client
from temporalio.converter import decode_typed_search_attributes

from tidegate.client.errors import NoSuchReleaseError, RefusedError, translated
from tidegate.client.refs import ReleaseSummary, RolloutRef
from tidegate.contract import (
    ROLLOUT_WORKFLOW,
    SEARCH_NAMESPACE,
    SEARCH_PHASE,
    SEARCH_REVISION,
    SEARCH_WEIGHT,
    ReleaseRequest,
)

RECORDS_TIMEOUT = timedelta(seconds=10)
PAGE_SIZE = 200


async def newest_run(temporal: Client, rollout: RolloutRef) -> WorkflowExecutionInfo | None:
    """The newest run of a Rollout's releases, running or not; None when there never was one."""
    request = DescribeWorkflowExecutionRequest(
        namespace=temporal.namespace, execution=WorkflowExecution(workflow_id=rollout.workflow_id)
    )
    try:
        with translated(rollout.workflow_id):
            found = await temporal.workflow_service.describe_workflow_execution(
                request, retry=True, timeout=RECORDS_TIMEOUT
            )
    except NoSuchReleaseError:
        return None
    return found.workflow_execution_info


async def first_request(temporal: Client, rollout: RolloutRef) -> ReleaseRequest | None:
    """What the newest release was started with; None when there is none, or when it cannot be read."""
    request = GetWorkflowExecutionHistoryRequest(
        namespace=temporal.namespace,
        execution=WorkflowExecution(workflow_id=rollout.workflow_id),
        maximum_page_size=1,
    )
    try:
        with translated(rollout.workflow_id):
            page = await temporal.workflow_service.get_workflow_execution_history(
                request, retry=True, timeout=RECORDS_TIMEOUT
            )
        started = page.history.events[0].workflow_execution_started_event_attributes
        [asked] = await temporal.data_converter.decode(started.input.payloads, [ReleaseRequest])
    except (NoSuchReleaseError, ValueError):
        return None
    return asked if isinstance(asked, ReleaseRequest) else None


def is_running(run: WorkflowExecutionInfo) -> bool:
    """Whether the run can be spoken to."""
    return run.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING


def is_paused(run: WorkflowExecutionInfo) -> bool:
    """Whether the run was paused on the server, where it makes no progress and answers nothing."""
    return run.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED


def ended_badly(run: WorkflowExecutionInfo) -> bool:
    """Whether the run is over and did not complete."""
    completed = run.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
    return not (is_running(run) or is_paused(run) or completed)


async def newest_releases(temporal: Client, namespace: str | None, limit: int) -> list[ReleaseSummary]:
    """The newest release of at most `limit` Rollouts, by cluster, namespace and name."""
    query = f'WorkflowType = "{ROLLOUT_WORKFLOW}"'
    if namespace is not None:
        query += f' AND {SEARCH_NAMESPACE.name} = "{_checked(namespace)}"'
    newest: dict[str, ReleaseSummary] = {}
    token = b""
    while True:
        request = ListWorkflowExecutionsRequest(
            namespace=temporal.namespace, page_size=PAGE_SIZE, next_page_token=token, query=query
        )
        with translated("list"):
            page = await temporal.workflow_service.list_workflow_executions(
                request, retry=True, timeout=RECORDS_TIMEOUT
            )
        for summary in filter(None, map(_summarise, page.executions)):
            known = newest.setdefault(summary.workflow_id, summary)
            if known.started_at < summary.started_at:
                newest[summary.workflow_id] = summary
        token = page.next_page_token
        if not token or len(newest) >= limit:
            break
    return sorted(newest.values(), key=lambda each: (each.cluster, each.namespace, each.name))[:limit]


def _checked(namespace: str) -> str:
    if not namespace.replace("-", "").isalnum():
        raise RefusedError(
            f"--namespace: {namespace!r} is no Kubernetes namespace",
            "use lower-case letters, digits and '-' (RFC 1123)",
        )
    return namespace


def _summarise(run: WorkflowExecutionInfo) -> ReleaseSummary | None:
    rollout = RolloutRef.parse(run.execution.workflow_id)
    if rollout is None:
        return None
    attributes = decode_typed_search_attributes(run.search_attributes)
    state = WorkflowExecutionStatus.Name(run.status).removeprefix("WORKFLOW_EXECUTION_STATUS_")
    return ReleaseSummary(
        cluster=rollout.cluster,
        namespace=rollout.namespace,
        name=rollout.name,
        workflow_id=run.execution.workflow_id,
        run_id=run.execution.run_id,
        state=state.replace("_", " ").capitalize(),
        phase=attributes.get(SEARCH_PHASE) or "",
        weight=attributes.get(SEARCH_WEIGHT),
        revision=attributes.get(SEARCH_REVISION),
        started_at=run.start_time.ToDatetime(UTC),
        finished_at=run.close_time.ToDatetime(UTC) if run.HasField("close_time") else None,
    )

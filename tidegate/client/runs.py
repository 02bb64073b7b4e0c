"""Releases and analysis runs in Temporal's own records, which are there with no worker up.

Everything here uses the service itself: the SDK's `describe` and `list_workflows` fail on any result that has a
workflow that was paused on the server.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from temporalio.api.common.v1 import Memo, WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client
from temporalio.converter import decode_typed_search_attributes

from tidegate.client.errors import NotFoundError, RefusedError
from tidegate.client.refs import (
    AnalysisRunRef,
    AnalysisSummary,
    ExperimentRef,
    ExperimentSummary,
    PastRelease,
    ReleaseSummary,
    RolloutRef,
    RunSummary,
)
from tidegate.client.translation import translated
from tidegate.contract import (
    ANALYSIS_WORKFLOW,
    EXPERIMENT_WORKFLOW,
    MEMO_LABELS,
    ROLLOUT_WORKFLOW,
    SEARCH_BY,
    SEARCH_NAMESPACE,
    SEARCH_OUTCOME,
    SEARCH_PHASE,
    SEARCH_REVISION,
    SEARCH_VERSION,
    SEARCH_WAITING_FOR,
    SEARCH_WEIGHT,
    Payload,
    experiments_of,
)
from tidegate.manifests.selector import LabelSelector

RECORDS_TIMEOUT = timedelta(seconds=10)
PAGE_SIZE = 200

Request = TypeVar("Request", bound=Payload)
Summary = TypeVar("Summary", bound=RunSummary)


async def newest_run(temporal: Client, workflow_id: str, run_id: str = "") -> WorkflowExecutionInfo | None:
    """The latest run of a workflow id, or the given one, running or not; None when Temporal has none."""
    request = DescribeWorkflowExecutionRequest(
        namespace=temporal.namespace, execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    )
    try:
        with translated(workflow_id):
            found = await temporal.workflow_service.describe_workflow_execution(
                request, retry=True, timeout=RECORDS_TIMEOUT
            )
    except NotFoundError:
        return None
    return found.workflow_execution_info


async def first_request(temporal: Client, workflow_id: str, kind: type[Request]) -> Request | None:
    """Input of the latest run of a workflow id; None when there is none, or when it cannot be read."""
    request = GetWorkflowExecutionHistoryRequest(
        namespace=temporal.namespace, execution=WorkflowExecution(workflow_id=workflow_id), maximum_page_size=1
    )
    try:
        with translated(workflow_id):
            page = await temporal.workflow_service.get_workflow_execution_history(
                request, retry=True, timeout=RECORDS_TIMEOUT
            )
        started = page.history.events[0].workflow_execution_started_event_attributes
        [first] = await temporal.data_converter.decode(started.input.payloads[:1], [kind])
    except (
        NotFoundError,
        ValueError,
        KeyError,
        RuntimeError,
    ):  # errors of converters for a payload that they cannot read
        return None
    return first if isinstance(first, kind) else None


async def with_memo(temporal: Client, run: WorkflowExecutionInfo) -> PastRelease | None:
    """A release as Temporal itself keeps it, with its memo: images, and after its end the reason. None for another run.

    An entry that cannot be read, as without its key, is left out.
    """
    summary, memo = _release(run), dict[str, Any]()
    for name, payload in run.memo.fields.items():
        with suppress(ValueError, KeyError, RuntimeError):  # errors of converters for a payload that they cannot read
            [memo[name]] = await temporal.data_converter.decode([payload])
    if summary is None:
        return None
    images = memo.get("images")
    return PastRelease(
        **summary.model_dump(),
        images=images if isinstance(images, dict) else {},
        message=str(memo.get("message", "")),
    )


async def retention(temporal: Client) -> timedelta:
    """Time for which Temporal keeps a workflow of this namespace after its end."""
    with translated(temporal.namespace):
        found = await temporal.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=temporal.namespace), retry=True, timeout=RECORDS_TIMEOUT
        )
    return found.config.workflow_execution_retention_ttl.ToTimedelta()


def is_running(run: WorkflowExecutionInfo) -> bool:
    """True when the run takes messages."""
    return run.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING


def is_paused(run: WorkflowExecutionInfo) -> bool:
    """True when the run was paused on the server, where it makes no progress and answers nothing."""
    return run.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED


def ended_badly(run: WorkflowExecutionInfo) -> bool:
    """True when the run is over and did not complete."""
    completed = run.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
    return not (is_running(run) or is_paused(run) or completed)


def was_stopped(run: WorkflowExecutionInfo) -> bool:
    """True when the run was terminated or ran out of time, so that it could not abort."""
    return run.status in (
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT,
    )


def state_of(run: WorkflowExecutionInfo) -> str:
    """Temporal's status of the run: Running, Completed, Failed, Timed out, ..."""
    name = WorkflowExecutionStatus.Name(run.status).removeprefix("WORKFLOW_EXECUTION_STATUS_")
    return name.replace("_", " ").capitalize()


async def newest_releases(
    temporal: Client,
    namespace: str | None,
    limit: int,
    *,
    cluster: str | None = None,
    selector: LabelSelector | None = None,
) -> list[ReleaseSummary]:
    """The newest release of each of the `limit` Rollouts released last, by cluster, namespace and name.

    With a selector, those of them whose labels it matches; a release that was refused has none.
    """
    memos: dict[str, Memo] = {}

    def summarise(run: WorkflowExecutionInfo) -> ReleaseSummary | None:
        memos[run.execution.run_id] = run.memo
        return _release(run)

    query = f'WorkflowType = "{ROLLOUT_WORKFLOW}"'
    if namespace is not None:
        query += f' AND {SEARCH_NAMESPACE.name} = "{checked(namespace)}"'
    if cluster is not None:
        query += f' AND WorkflowId STARTS_WITH "rollout/{checked(cluster)}/"'
    found = await _newest(temporal, query, summarise, limit)
    if selector is not None:
        found = [each for each in found if selector.matches(await _labels(temporal, memos[each.run_id]))]
    return sorted(found, key=lambda each: (each.cluster, each.namespace, each.name))


async def _labels(temporal: Client, memo: Memo) -> dict[str, str]:
    """The labels of a Rollout, from the memo of its release. Raises UnreadablePayloadError without its key."""
    if MEMO_LABELS not in memo.fields:
        return {}
    [labels] = await temporal.data_converter.decode([memo.fields[MEMO_LABELS]], [dict[str, str]])
    return dict(labels)


async def past_releases(temporal: Client, rollout: RolloutRef, limit: int) -> list[ReleaseSummary]:
    """The last releases of a Rollout, the newest first. A run that went on as another one is none by itself."""
    query = f'WorkflowType = "{ROLLOUT_WORKFLOW}" AND WorkflowId = "{rollout.workflow_id}"'
    query += ' AND ExecutionStatus != "ContinuedAsNew"'
    found: list[ReleaseSummary] = []
    async with aclosing(pages(temporal, query)) as listed:
        async for page in listed:
            found += filter(None, map(_release, page))
            if len(found) >= limit:
                break
    return sorted(found, key=lambda each: each.started_at, reverse=True)[:limit]


async def stopped_releases(temporal: Client, cluster: str, since: datetime) -> list[ReleaseSummary]:
    """Releases of a cluster that ended after `since` and may have restored nothing, also where others followed.

    They were terminated, ran out of time, or failed on their way; an aborted one has no weight. One that was cancelled
    before it was admitted has no phase. One that was rejected then has none either, and is over.
    """
    unfinished = f'({SEARCH_PHASE.name} IN ("Progressing", "Paused") OR {SEARCH_WEIGHT.name} > 0)'
    not_admitted = f'(ExecutionStatus = "Canceled" AND {SEARCH_PHASE.name} IS NULL)'
    query = (
        f'WorkflowType = "{ROLLOUT_WORKFLOW}" AND CloseTime > "{since.isoformat()}" '
        f'AND WorkflowId STARTS_WITH "rollout/{checked(cluster)}/" AND (ExecutionStatus IN ("Terminated", "TimedOut") '
        f'OR (ExecutionStatus IN ("Failed", "Canceled") AND {unfinished}) OR {not_admitted})'
    )
    return await _newest(temporal, query, _release, PAGE_SIZE)


async def newest_analyses(
    temporal: Client, namespace: str | None, limit: int, *, cluster: str | None = None
) -> list[AnalysisSummary]:
    """The `limit` analysis runs started last, the newest at the end."""
    query = f'WorkflowType = "{ANALYSIS_WORKFLOW}"'
    if cluster is not None:
        query += f' AND WorkflowId STARTS_WITH "analysis/{checked(cluster)}/"'

    def summarise(run: WorkflowExecutionInfo) -> AnalysisSummary | None:
        summary = _analysis(run)  # an analysis run has no attribute to search its namespace by
        return summary if summary is not None and namespace in (None, summary.namespace) else None

    return sorted(await _newest(temporal, query, summarise, limit), key=lambda each: each.started_at)


async def newest_experiments(
    temporal: Client, namespace: str | None, limit: int, *, cluster: str | None = None, name: str = ""
) -> list[ExperimentSummary]:
    """The `limit` experiments started last, the newest at the end; of one `name` where cluster and namespace are."""
    query = f'WorkflowType = "{EXPERIMENT_WORKFLOW}"'
    if namespace is not None:
        query += f' AND {SEARCH_NAMESPACE.name} = "{checked(namespace)}"'
    if cluster is not None:
        query += f' AND WorkflowId STARTS_WITH "{experiments_of(checked(cluster))}"'

    def summarise(run: WorkflowExecutionInfo) -> ExperimentSummary | None:
        summary = _experiment(run)
        return summary if summary is not None and name in ("", summary.name) else None

    return sorted(await _newest(temporal, query, summarise, limit), key=lambda each: each.started_at)


async def _newest(
    temporal: Client, query: str, summarise: Callable[[WorkflowExecutionInfo], Summary | None], limit: int
) -> list[Summary]:
    """The latest run of each of the `limit` workflow ids that were started last; Temporal lists the latest first."""
    newest: dict[str, Summary] = {}
    async with aclosing(pages(temporal, query)) as found:
        async for page in found:
            for summary in filter(None, map(summarise, page)):
                known = newest.setdefault(summary.workflow_id, summary)
                if known.started_at < summary.started_at:
                    newest[summary.workflow_id] = summary
            if len(newest) >= limit:
                break
    return sorted(newest.values(), key=lambda each: each.started_at, reverse=True)[:limit]


async def pages(temporal: Client, query: str) -> AsyncGenerator[Sequence[WorkflowExecutionInfo], None]:
    """The runs that a query finds, page by page. Raises TidegateError."""
    token = b""
    while True:
        request = ListWorkflowExecutionsRequest(
            namespace=temporal.namespace, page_size=PAGE_SIZE, next_page_token=token, query=query
        )
        with translated("list"):
            page = await temporal.workflow_service.list_workflow_executions(
                request, retry=True, timeout=RECORDS_TIMEOUT
            )
        yield page.executions
        token = page.next_page_token
        if not token:
            return


def checked(name: str) -> str:
    """A name for a query. Raises RefusedError for any that is not a valid Kubernetes name."""
    if not name.replace("-", "").isalnum():
        raise RefusedError(
            f"{name!r} is no Kubernetes namespace, and no name of a cluster",
            "use lower-case letters, digits and '-' (RFC 1123)",
        )
    return name


def _release(run: WorkflowExecutionInfo) -> ReleaseSummary | None:
    rollout = RolloutRef.parse(run.execution.workflow_id)
    if rollout is None:
        return None
    attributes = decode_typed_search_attributes(run.search_attributes)
    return ReleaseSummary(
        **_records(rollout, run),
        phase=attributes.get(SEARCH_PHASE) or "",
        weight=attributes.get(SEARCH_WEIGHT),
        revision=attributes.get(SEARCH_REVISION),
        version=attributes.get(SEARCH_VERSION) or "",
        by=attributes.get(SEARCH_BY) or "",
        waiting_for=attributes.get(SEARCH_WAITING_FOR) or "",
        outcome=attributes.get(SEARCH_OUTCOME) or "",
    )


def _analysis(run: WorkflowExecutionInfo) -> AnalysisSummary | None:
    reference = AnalysisRunRef.parse(run.execution.workflow_id)
    if reference is None:
        return None
    return AnalysisSummary(
        **_records(reference, run),
        release_id=run.parent_execution.workflow_id,
    )


def _experiment(run: WorkflowExecutionInfo) -> ExperimentSummary | None:
    reference = ExperimentRef.parse(run.execution.workflow_id)
    if reference is None:
        return None
    return ExperimentSummary(
        **_records(reference, run),
        phase=decode_typed_search_attributes(run.search_attributes).get(SEARCH_PHASE) or "",
    )


def _records(reference: RolloutRef | AnalysisRunRef | ExperimentRef, run: WorkflowExecutionInfo) -> dict[str, Any]:
    """The names in the id of a run, and Temporal's records of it."""
    return {
        "cluster": reference.cluster,
        "namespace": reference.namespace,
        "name": reference.name,
        "workflow_id": run.execution.workflow_id,
        "run_id": run.execution.run_id,
        "state": state_of(run),
        "started_at": run.start_time.ToDatetime(UTC),
        "finished_at": run.close_time.ToDatetime(UTC) if run.HasField("close_time") else None,
    }

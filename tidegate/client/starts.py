"""Start of releases, and reads of a cluster; `TidegateClient` inherits it."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from datetime import timedelta

import structlog
from pydantic import ValidationError
from temporalio.client import (
    ActivityFailureError,
    WithStartWorkflowOperation,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import RetryPolicy, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import TimeoutError as ActivityTimeout
from temporalio.service import RPCError

from tidegate.client.errors import NoWorkerError, RefusedError, TidegateError
from tidegate.client.queries import POLL_SECONDS, Queries
from tidegate.client.refs import ReleaseHandle, RolloutRef, images_of, listed, request_digest
from tidegate.client.runs import ended_badly, first_request, is_running, newest_run
from tidegate.client.translation import overtaken, translated
from tidegate.contract import (
    LONGEST_KEYWORD,
    RELEASE_PRIORITY,
    RELEASES_QUEUE,
    ROLLOUT_WORKFLOW,
    SEARCH_BY,
    SEARCH_NAMESPACE,
    SEARCH_SERVICE,
    SEARCH_VERSION,
    Accepted,
    Activity,
    Document,
    ErrorType,
    Observation,
    ObserveRequest,
    ReleaseRequest,
    ReleaseResult,
    ReleaseStatus,
    Target,
    Update,
    cluster_queue,
    fair,
)
from tidegate.contract.release import LIMITS_REMEDY
from tidegate.manifests.images import short_versions
from tidegate.manifests.plain_text import harmless, one_line
from tidegate.manifests.workload import needs_template
from tidegate.rollouts.version import version_of

log = structlog.get_logger(__name__)

UPDATE_TIMEOUT = timedelta(seconds=20)
# After this long another worker is given a task of a release whose worker was killed or frozen with it; Temporal's
# default is 10 s, and an abort would wait for that.
TASK_TIMEOUT = timedelta(seconds=3)
OBSERVE_TIMEOUT = timedelta(seconds=4)


class Starts(Queries):
    """Methods of a client for starts."""

    async def start(
        self, request: ReleaseRequest, *, timeout: timedelta = UPDATE_TIMEOUT, key: str = ""
    ) -> ReleaseHandle:
        """Start a release, or supersede the version of the one under way; returns when it was accepted.

        The same request twice is one release, so a call whose answer was lost can be repeated. After another version,
        or after a release that ended badly, it is a new request. The request for a Rollout with a workloadRef has the
        Deployment's current template.

        `key` is the id of the cause, for a caller whose request may be stale: where a release that is just ending
        rejects it, that caller has to decide again. Otherwise the request is repeated until `timeout`, and supersedes
        no version that was requested after it.

        Raises `RefusedError` when the release does not accept it, or when it exceeds the limits of a request, and
        `NoWorkerError` when no worker answers within `timeout`: Temporal keeps the request then.
        """
        if excess := request.excess():
            raise RefusedError(
                f"{request.namespace}/{request.name}: {harmless(excess)}", LIMITS_REMEDY, ErrorType.INVALID_SPEC
            )
        request = await self._with_template(request, timeout)
        clock = asyncio.get_running_loop().time
        started = clock()
        while True:
            try:
                return await self._release(request, f"release-{key or await self._cause(request)}", timeout)
            except RefusedError as error:
                # It came just when the release before it was ending, which is a matter of seconds.
                if error.kind != ErrorType.REJECTED or key or clock() > started + timeout.total_seconds():
                    raise
                if request.requested_at is None and error.at is not None:  # when that was by Temporal's clock
                    requested_at = error.at - timedelta(seconds=clock() - started)
                    request = request.model_copy(update={"requested_at": requested_at})
                await asyncio.sleep(POLL_SECONDS)

    async def _cause(self, request: ReleaseRequest) -> str:
        """Id of a request: the one by which the latest run has it, or its digest and the state of that run."""
        digest, rollout = request_digest(request), RolloutRef.of(request)
        run = await newest_run(self._temporal, rollout.workflow_id)
        if run is None:
            return digest
        known: tuple[str, ...] = ()
        versions = 0
        status: ReleaseStatus | None = None
        with suppress(TidegateError):  # the request itself fails when there is no worker
            status = await self._query(rollout.workflow_id, run.execution.run_id, ReleaseStatus)
            known, versions = status.requests, status.versions
        if status is not None and not is_running(run) and _is_overtaken(request, status):
            raise overtaken(rollout.workflow_id, listed(status.images))
        # Temporal answers a repeated update from the history of a closed run, too: right for one that succeeded.
        if not ended_badly(run):
            for each in (update.removeprefix("release-") for update in reversed(known)):
                if each == digest or each.startswith(f"{digest}-"):
                    return each
        # A run keeps the rejections of its end: so the state is part of the id.
        return f"{digest}-{'in' if is_running(run) else 'after'}-{run.execution.run_id}-{versions}"

    async def _release(self, request: ReleaseRequest, update_id: str, timeout: timedelta) -> ReleaseHandle:
        rollout, images = RolloutRef.of(request), images_of(request.resolved().rollout)
        attributes = [
            SearchAttributePair(SEARCH_NAMESPACE, request.namespace),
            SearchAttributePair(SEARCH_SERVICE, request.name),
            SearchAttributePair(SEARCH_VERSION, harmless(short_versions(images))[:LONGEST_KEYWORD]),
            SearchAttributePair(SEARCH_BY, harmless(request.by)[:LONGEST_KEYWORD]),
        ]
        operation: WithStartWorkflowOperation[object, ReleaseResult] = WithStartWorkflowOperation(
            ROLLOUT_WORKFLOW,
            request,
            id=rollout.workflow_id,
            task_queue=RELEASES_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes(attributes),
            static_summary=_summary(request, images),
            task_timeout=TASK_TIMEOUT,
            priority=fair(RELEASE_PRIORITY, request.namespace),
        )
        with translated(rollout.workflow_id):
            try:
                accepted: Accepted = await self._temporal.execute_update_with_start_workflow(
                    Update.RELEASE,
                    request,
                    start_workflow_operation=operation,
                    id=update_id,
                    result_type=Accepted,
                    rpc_timeout=timeout,
                )
            except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError):
                # The operation's future holds the same failure; unread, asyncio would report it at exit.
                await asyncio.gather(operation.workflow_handle(), return_exceptions=True)
                raise
        workflow = await operation.workflow_handle()
        run_id = workflow.result_run_id or accepted.run_id
        version = version_of(request.resolved().rollout)
        return ReleaseHandle(rollout, run_id, accepted.message, images, version.template_hash)

    async def _with_template(self, request: ReleaseRequest, timeout: timedelta) -> ReleaseRequest:
        """The request with the current template of its workloadRef, which is a part of it."""
        if request.workload is not None or not needs_template(request.rollout):
            return request
        rollout = RolloutRef.of(request)
        try:
            seen = await self._observed(rollout, request.rollout, timeout, pods=False)
        except (ActivityFailureError, RPCError, TimeoutError) as error:
            cause = error.__cause__ if isinstance(error, ActivityFailureError) else error
            if isinstance(cause, ActivityTimeout | TimeoutError | RPCError):
                raise NoWorkerError(
                    f"{rollout.workflow_id}: spec.workloadRef: no worker of cluster {rollout.cluster} answered in time",
                    "start `tidegate-worker` with the role `cluster` or `all`; nothing was requested",
                ) from error
            raise RefusedError(
                f"{rollout.workflow_id}: spec.workloadRef cannot be followed: {cause}",
                "nothing was requested; try again when the cluster's API server answers",
            ) from error
        return request.model_copy(update={"workload": seen.workload})

    async def observe(self, rollout: RolloutRef, *, timeout: timedelta = OBSERVE_TIMEOUT) -> Observation | None:
        """Read the cluster now, pods included; None when the cluster's worker does not answer within `timeout`."""
        first = await first_request(self._temporal, rollout.workflow_id, ReleaseRequest)
        manifest = first.rollout if first is not None else {}  # the cluster need not hold the Rollout itself
        try:
            return await self._observed(rollout, manifest, timeout, pods=True)
        except (ActivityFailureError, RPCError, TimeoutError, ValidationError) as error:
            log.debug("cluster not observed", rollout=rollout.workflow_id, error=str(error.__cause__ or error))
            return None

    async def _observed(
        self, rollout: RolloutRef, manifest: Document, timeout: timedelta, *, pods: bool
    ) -> Observation:
        target = Target(namespace=rollout.namespace, name=rollout.name)
        async with asyncio.timeout(timeout.total_seconds()):
            observation: Observation = await self._temporal.execute_activity(
                Activity.OBSERVE,
                ObserveRequest(target=target, rollout=manifest, pods=pods),
                id=f"observe/{rollout.workflow_id}/{uuid.uuid4()}",
                task_queue=cluster_queue(rollout.cluster),
                result_type=Observation,
                schedule_to_close_timeout=timeout,
                retry_policy=RetryPolicy(maximum_attempts=1),
                summary=f"observe {rollout.namespace}/{rollout.name}",
            )
        return observation


def _is_overtaken(request: ReleaseRequest, status: ReleaseStatus) -> bool:
    """True when another version was requested after the first attempt of a request that is repeated."""
    version = version_of(request.resolved().rollout)
    if request.requested_at is None or status.requested_at is None or status.version == version:
        return False
    return status.requested_at > request.requested_at


def _summary(request: ReleaseRequest, images: dict[str, str]) -> str:
    by = f", by {request.by}" if request.by else ""
    return one_line(f"{request.namespace}/{request.name}: {listed(images)}{by}")[:200]

"""`TidegateClient`: start, promote, abort, pause, resume, look, explain, list and wait."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime, timedelta

import structlog
from pydantic import ValidationError
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import (
    ActivityFailureError,
    WithStartWorkflowOperation,
    WorkflowFailureError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import RetryPolicy, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.service import RPCError

from tidegate.client.analyses import AnalysisRuns
from tidegate.client.asking import POLL_SECONDS
from tidegate.client.errors import (
    HeldError,
    NotFoundError,
    NoWorkerError,
    RefusedError,
    StillRunningError,
    SupersededError,
    TidegateError,
    already_ended,
    not_found,
    release_error,
    translated,
)
from tidegate.client.refs import AnalysisRunRef, ReleaseHandle, ReleaseSummary, RolloutRef, images_of, request_digest
from tidegate.client.rollbacks import Rollbacks
from tidegate.client.runs import (
    ended_badly,
    first_request,
    is_paused,
    is_running,
    newest_releases,
    newest_run,
    retention,
    state_of,
    stopped_releases,
    was_stopped,
)
from tidegate.contract import (
    RELEASE_PRIORITY,
    RELEASES_QUEUE,
    ROLLOUT_WORKFLOW,
    SEARCH_NAMESPACE,
    SEARCH_SERVICE,
    Accepted,
    Activity,
    AnalysisRef,
    ErrorType,
    Message,
    Observation,
    ObserveRequest,
    ReleaseRequest,
    ReleaseResult,
    ReleaseStatus,
    Signal,
    Target,
    Update,
    cluster_queue,
)
from tidegate.doorway import Release, RunState, Tell
from tidegate.story import Explanation, explain, explain_run

log = structlog.get_logger(__name__)

UPDATE_TIMEOUT = timedelta(seconds=20)
# After this long another worker is given a task of a release whose worker was killed or frozen with it; Temporal's
# default is 10 s, and an abort would wait for that.
TASK_TIMEOUT = timedelta(seconds=3)
OBSERVE_TIMEOUT = timedelta(seconds=4)


class TidegateClient(AnalysisRuns, Rollbacks):
    """Client of the releases in one Temporal namespace. Every method may raise the errors of `tidegate.client`."""

    # ------------------------------------------------------------------------------------------------------------ speak

    async def start(
        self, request: ReleaseRequest, *, timeout: timedelta = UPDATE_TIMEOUT, key: str = ""
    ) -> ReleaseHandle:
        """Start a release, or tell the one under way of a newer version; returns when it was accepted.

        The same request twice is one release, so a call whose answer was lost can be repeated. After a release that
        ended badly the same request is a retry: a new one. `key` is what makes two requests the same; by default that
        is all that is asked for.

        Raises `RefusedError` when the release does not accept it, and `NoWorkerError` when no worker answers within
        `timeout`: Temporal keeps the request then.
        """
        rollout = RolloutRef.of(request)
        before = await newest_run(self._temporal, rollout.workflow_id)
        # Temporal answers a repeated update from the history of a closed run, too: right for one that succeeded.
        retry = f"-after-{before.execution.run_id}" if before is not None and ended_badly(before) else ""
        update_id = f"release-{key or request_digest(request)}{retry}"
        deadline = asyncio.get_running_loop().time() + timeout.total_seconds()
        attempt = 0
        while True:
            try:
                return await self._release(request, f"{update_id}-{attempt}", timeout)
            except RefusedError as error:
                # It came just when the release before it was ending, which is a matter of seconds.
                if error.kind != ErrorType.REJECTED or asyncio.get_running_loop().time() > deadline:
                    raise
                attempt += 1
                await asyncio.sleep(POLL_SECONDS)

    async def _release(self, request: ReleaseRequest, update_id: str, timeout: timedelta) -> ReleaseHandle:
        rollout, images = RolloutRef.of(request), images_of(request.rollout)
        attributes = [
            SearchAttributePair(SEARCH_NAMESPACE, request.namespace),
            SearchAttributePair(SEARCH_SERVICE, request.name),
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
            priority=RELEASE_PRIORITY,
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
        return ReleaseHandle(rollout, workflow.result_run_id or accepted.run_id, accepted.message, images)

    async def promote(self, rollout: RolloutRef, *, full: bool = False, by: str = "", reason: str = "") -> Accepted:
        """Go on now: skip the wait of the current step, or with `full` everything up to 100 %."""
        return await self._say(Update.PROMOTE, rollout, Message(full=full, by=by, reason=reason))

    async def abort(self, rollout: RolloutRef, *, by: str = "", reason: str = "") -> Accepted:
        """Put all traffic back on the stable version."""
        return await self._say(Update.ABORT, rollout, Message(by=by, reason=reason))

    async def pause(self, rollout: RolloutRef, *, by: str = "", reason: str = "") -> Accepted:
        """Stop before the next step until `resume`."""
        return await self._say(Update.PAUSE, rollout, Message(by=by, reason=reason))

    async def resume(self, rollout: RolloutRef, *, by: str = "", reason: str = "") -> Accepted:
        """Go on after `pause`."""
        return await self._say(Update.RESUME, rollout, Message(by=by, reason=reason))

    async def _say(self, update: Update, rollout: RolloutRef, message: Message) -> Accepted:
        run = await newest_run(self._temporal, rollout.workflow_id)
        if run is None:
            raise not_found(rollout.workflow_id)
        if is_paused(run):
            raise _paused_by_server(rollout)
        if not is_running(run):
            raise already_ended(rollout.workflow_id)
        handle = self._temporal.get_workflow_handle(rollout.workflow_id, run_id=run.execution.run_id)
        # An update that nobody answered in time may still be taken later; a signal sent after it would be a second
        # message (two pauses skipped). So a question without effect decides first which of the two is sent.
        if not await self._is_answering(rollout):
            with translated(rollout.workflow_id):
                await handle.signal(Signal(update), message, rpc_timeout=UPDATE_TIMEOUT)
            text = f"{update} was sent; no worker answers at the moment, so it counts as soon as one does"
            return Accepted(message=text, run_id=run.execution.run_id)
        with translated(rollout.workflow_id):
            accepted: Accepted = await handle.execute_update(
                update, message, result_type=Accepted, rpc_timeout=UPDATE_TIMEOUT
            )
        return accepted

    async def tell(self, rollout: RolloutRef, tell: Tell) -> Accepted:
        """Say what an object asks for to the very run that it is meant for; said again, it counts once.

        Raises `NoWorkerError` when nobody answers: Temporal keeps what was said, but it is to be said again.
        """
        handle = self._temporal.get_workflow_handle(rollout.workflow_id, run_id=tell.run_id)
        with translated(rollout.workflow_id):
            accepted: Accepted = await handle.execute_update(
                tell.update, tell.message, id=tell.update_id, result_type=Accepted, rpc_timeout=UPDATE_TIMEOUT
            )
        return accepted

    async def _is_answering(self, rollout: RolloutRef) -> bool:
        try:
            await self.status(rollout)
        except NoWorkerError:
            return False
        return True

    # ------------------------------------------------------------------------------------------------------------- look

    async def status(self, rollout: RolloutRef, *, run_id: str | None = None) -> ReleaseStatus:
        """What the newest release of a Rollout, or the given run, says of itself; also after its end.

        Gates under way say themselves how they stand.
        """
        status = await self._ask(rollout.workflow_id, run_id, ReleaseStatus)
        gates = [await self._as_it_stands(gate) for gate in status.analyses]
        return status.model_copy(update={"analyses": tuple(gates)})

    async def newest(self, rollout: RolloutRef) -> Release | None:
        """The newest release of a Rollout, how its run stands and what it says; None when Temporal knows of none.

        Raises `RefusedError` for one that was paused on the server: it can neither say nor be told anything.
        """
        run = await newest_run(self._temporal, rollout.workflow_id)
        if run is None:
            return None
        if is_paused(run):
            raise _paused_by_server(rollout)
        ended = RunState.STOPPED if was_stopped(run) else RunState.ENDED
        state = RunState.RUNNING if is_running(run) else ended
        return Release(state, await self._ask(rollout.workflow_id, run.execution.run_id, ReleaseStatus))

    async def observe(self, rollout: RolloutRef, *, timeout: timedelta = OBSERVE_TIMEOUT) -> Observation | None:
        """Look at the cluster now, pods included; None when the cluster's worker does not answer within `timeout`."""
        asked = await first_request(self._temporal, rollout.workflow_id, ReleaseRequest)
        request = ObserveRequest(
            target=Target(namespace=rollout.namespace, name=rollout.name),
            rollout=asked.rollout if asked is not None else {},  # the cluster need not hold the Rollout itself
            pods=True,
        )
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                observation: Observation = await self._temporal.execute_activity(
                    Activity.OBSERVE,
                    request,
                    id=f"look/{rollout.workflow_id}/{uuid.uuid4()}",
                    task_queue=cluster_queue(rollout.cluster),
                    result_type=Observation,
                    schedule_to_close_timeout=timeout,
                    retry_policy=RetryPolicy(maximum_attempts=1),
                    summary=f"a look at {rollout.namespace}/{rollout.name}",
                )
        except (ActivityFailureError, RPCError, TimeoutError, ValidationError) as error:
            log.debug("cluster not observed", rollout=rollout.workflow_id, error=str(error.__cause__ or error))
            return None
        return observation

    async def list(
        self, namespace: str | None = None, *, cluster: str | None = None, limit: int = 1000
    ) -> list[ReleaseSummary]:
        """The newest release of every Rollout (of one Kubernetes namespace, of one cluster), by namespace and name."""
        return await newest_releases(self._temporal, namespace, limit, cluster=cluster)

    async def stopped(self, cluster: str, since: datetime) -> tuple[ReleaseSummary, ...]:
        """Releases on a cluster that were stopped from outside after `since`: none of them could undo anything."""
        return tuple(await stopped_releases(self._temporal, cluster, since))

    async def explain(self, rollout: RolloutRef) -> Explanation:
        """Why the newest release of a Rollout did what it did; its gates as they stand, also after its end.

        Raises `NoSuchReleaseError`, which names how long Temporal keeps a release, for one that it does not know.
        """
        run = await newest_run(self._temporal, rollout.workflow_id)
        if run is None:
            raise not_found(rollout.workflow_id, await retention(self._temporal))
        return await self._explained(run)

    async def explain_run(self, analysis: AnalysisRunRef) -> Explanation:
        """Why an analysis run ended as it did, and what its release, if it has one, did because of it."""
        run = await newest_run(self._temporal, analysis.workflow_id)
        if run is None:
            raise not_found(analysis.workflow_id, await retention(self._temporal))
        status, release = await self.analysis_status(analysis), None
        if run.parent_execution.workflow_id:
            parent = await newest_run(self._temporal, run.parent_execution.workflow_id, run.parent_execution.run_id)
            release = await self._explained(parent) if parent is not None else None
        return explain_run(status, analysis.workflow_id, release)

    async def _explained(self, release: WorkflowExecutionInfo) -> Explanation:
        status = await self._account(release)
        gates = [await self._as_it_stands(gate) for gate in status.analyses]
        return explain(status.model_copy(update={"analyses": tuple(gates)}), state_of(release))

    async def _account(self, release: WorkflowExecutionInfo) -> ReleaseStatus:
        """What a release says of itself; after its end with no worker up, what it left behind."""
        workflow_id, run_id = release.execution.workflow_id, release.execution.run_id
        try:
            return await self._ask(workflow_id, run_id, ReleaseStatus)
        except NoWorkerError:
            if is_running(release) or is_paused(release):
                raise
            try:
                result: ReleaseResult | None = await self._result(workflow_id, run_id, ReleaseResult)
            except WorkflowFailureError as failure:
                result = release_error(failure.cause).result
            if result is None:
                raise
            return result.status

    async def _as_it_stands(self, gate: AnalysisRef) -> AnalysisRef:
        """A release hears of a gate under way only when a verdict changes; the gate itself knows more.

        What the release said of a gate whose end it did not wait for stands: only the measurements are added.
        """
        run, said = AnalysisRunRef.parse(gate.workflow_id), gate.status
        if said.completed_at is not None or run is None:
            return gate
        try:
            status = await self.analysis_status(run)
        except (NotFoundError, NoWorkerError):  # it is only about to start, or nobody can tell
            return gate
        if said.phase.completed:
            status = status.model_copy(update={"phase": said.phase, "message": said.message, "completed_at": None})
        return gate.model_copy(update={"status": status})

    # ------------------------------------------------------------------------------------------------------------- wait

    async def wait(
        self, handle: ReleaseHandle, *, timeout: timedelta | None = None, until_held: bool = False
    ) -> ReleaseResult:
        """Wait for the end of a release, over restarts of workers and of Temporal.

        Raises a `ReleaseError` when it did not end well, `StillRunningError` after `timeout`, and with `until_held` a
        `HeldError` as soon as only a person can end what it waits for.
        """
        ending = asyncio.create_task(self._ending(handle))
        try:
            async with asyncio.timeout(timeout.total_seconds() if timeout else None):
                while not (await asyncio.wait({ending}, timeout=POLL_SECONDS if until_held else None))[0]:
                    await self._raise_if_held(handle)
                result = await ending
        except TimeoutError as error:
            raise StillRunningError(
                f"{handle.rollout.workflow_id}: still running after {timeout}",
                "the release goes on by itself: look with `tidegate get rollout`, or wait longer with --timeout",
            ) from error
        finally:
            ending.cancel()
        if handle.images and result.status.images != handle.images:
            raise SupersededError(
                f"{handle.rollout.workflow_id}: a newer version took its place: {_listed(result.status.images)}",
                "",
                result,
            )
        return result

    async def _raise_if_held(self, handle: ReleaseHandle) -> None:
        try:
            status = await self.status(handle.rollout, run_id=handle.run_id)
        except TidegateError as error:
            log.debug("no status while waiting", rollout=handle.rollout.workflow_id, error=error.message)
            return
        if status.held and status.waiting is not None:
            raise HeldError(status.waiting)

    async def _ending(self, handle: ReleaseHandle) -> ReleaseResult:
        try:
            return await self._result(handle.rollout.workflow_id, handle.run_id, ReleaseResult)
        except WorkflowFailureError as error:
            raise release_error(error.cause) from error


def _paused_by_server(rollout: RolloutRef) -> RefusedError:
    return RefusedError(
        f"{rollout.workflow_id}: paused on the Temporal server, where not even an abort gets through",
        f"temporal workflow unpause --workflow-id {rollout.workflow_id}",
    )


def _summary(request: ReleaseRequest, images: dict[str, str]) -> str:
    by = f", by {request.by}" if request.by else ""
    return f"{request.namespace}/{request.name}: {_listed(images)}{by}"[:200]


def _listed(images: dict[str, str]) -> str:
    return ", ".join(images.values()) or "no image"

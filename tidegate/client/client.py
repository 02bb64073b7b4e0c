"""`TidegateClient`: start, promote, abort, pause, resume, look, explain, list and wait."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import (
    WorkflowFailureError,
)

from tidegate.client.analyses import AnalysisRuns
from tidegate.client.asking import POLL_SECONDS
from tidegate.client.errors import (
    HeldError,
    NotFoundError,
    NoWorkerError,
    RefusedError,
    StillRunningError,
    TidegateError,
    UnusableAnswerError,
    already_ended,
    not_found,
    release_error,
    translated,
)
from tidegate.client.leaving import Leaving
from tidegate.client.refs import AnalysisRunRef, ReleaseHandle, ReleaseSummary, RolloutRef, ended_as_asked
from tidegate.client.rollbacks import Rollbacks
from tidegate.client.runs import (
    is_paused,
    is_running,
    newest_releases,
    newest_run,
    retention,
    state_of,
    stopped_releases,
    was_stopped,
)
from tidegate.client.starts import UPDATE_TIMEOUT, Starts
from tidegate.client.stuck import StuckRuns, silent
from tidegate.contract import (
    Accepted,
    AnalysisRef,
    ErrorType,
    Message,
    ReleaseResult,
    ReleaseStatus,
    Signal,
    Update,
)
from tidegate.report import Explanation, explain, explain_run
from tidegate.watch import Release, RunState, SendUpdate

log = structlog.get_logger(__name__)


class TidegateClient(Starts, AnalysisRuns, Leaving, Rollbacks, StuckRuns):
    """Client of the releases in one Temporal namespace. Every method may raise the errors of `tidegate.client`."""

    # ------------------------------------------------------------------------------------------------------------ speak

    async def promote(
        self, rollout: RolloutRef, *, full: bool = False, by: str = "", reason: str = "", revision: int | None = None
    ) -> Accepted:
        """Go on now: skip the wait of the current step, or with `full` everything up to 100 %.

        It is said of the version that is under way at this moment, and of no other: where that is not `revision`, if
        one is given, or a newer one takes over meanwhile, it is refused.
        """
        return await self._say(Update.PROMOTE, rollout, Message(full=full, by=by, reason=reason), revision)

    async def abort(self, rollout: RolloutRef, *, by: str = "", reason: str = "") -> Accepted:
        """Put all traffic back on the stable version."""
        return await self._say(Update.ABORT, rollout, Message(by=by, reason=reason))

    async def pause(self, rollout: RolloutRef, *, by: str = "", reason: str = "") -> Accepted:
        """Stop before the next step until `resume`."""
        return await self._say(Update.PAUSE, rollout, Message(by=by, reason=reason))

    async def resume(self, rollout: RolloutRef, *, by: str = "", reason: str = "") -> Accepted:
        """Go on after `pause`."""
        return await self._say(Update.RESUME, rollout, Message(by=by, reason=reason))

    async def _say(
        self, update: Update, rollout: RolloutRef, message: Message, revision: int | None = None
    ) -> Accepted:
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
        standing = await self._standing(rollout, run.execution.run_id)
        if standing is None:
            if message.full or revision is not None:  # nobody can tell for which version it would count
                raise NoWorkerError(
                    f"{rollout.workflow_id}: no worker answers, so it is unknown which version this would promote",
                    "say it again when a worker answers: tidegate get rollout shows the version",
                )
            with translated(rollout.workflow_id):
                await handle.signal(Signal(update), message, rpc_timeout=UPDATE_TIMEOUT)
            text = f"{update} was sent; no worker answers at the moment, so it counts as soon as one does"
            return Accepted(message=text, run_id=run.execution.run_id)
        if update is Update.PROMOTE:
            if revision not in (None, standing.revision):
                raise RefusedError(
                    f"{rollout.workflow_id}: revision {standing.revision} is under way, not {revision}",
                    "look at it with tidegate get rollout, and promote that one",
                    ErrorType.REJECTED,
                )
            message = message.model_copy(update={"versions": standing.version_number})
        with translated(rollout.workflow_id):
            accepted: Accepted = await handle.execute_update(
                update, message, result_type=Accepted, rpc_timeout=UPDATE_TIMEOUT
            )
        return accepted

    async def tell(self, rollout: RolloutRef, tell: SendUpdate) -> Accepted:
        """Say what an object asks for to the very run that it is meant for; said again, it counts once.

        Raises `NoWorkerError` when nobody answers: Temporal keeps what was said, but it is to be said again.
        """
        handle = self._temporal.get_workflow_handle(rollout.workflow_id, run_id=tell.run_id)
        with translated(rollout.workflow_id):
            accepted: Accepted = await handle.execute_update(
                tell.update, tell.message, id=tell.update_id, result_type=Accepted, rpc_timeout=UPDATE_TIMEOUT
            )
        return accepted

    async def _standing(self, rollout: RolloutRef, run_id: str) -> ReleaseStatus | None:
        """What a run says of itself, None when no worker answers."""
        try:
            return await self._ask(rollout.workflow_id, run_id, ReleaseStatus)
        except NoWorkerError:
            return None

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
        try:
            status = await self._ask(rollout.workflow_id, run.execution.run_id, ReleaseStatus)
        except (NoWorkerError, UnusableAnswerError):
            if state is not RunState.STOPPED:
                raise
            # It may never answer again, if it was stopped because its code fails. What follows needs no word of it.
            status = silent(run)
        return Release(state, status)

    async def list(
        self, namespace: str | None = None, *, cluster: str | None = None, limit: int = 1000
    ) -> list[ReleaseSummary]:
        """The newest release of every Rollout (of one Kubernetes namespace, of one cluster), by namespace and name."""
        return await newest_releases(self._temporal, namespace, limit, cluster=cluster)

    async def stopped(self, cluster: str, since: datetime) -> tuple[ReleaseSummary, ...]:
        """Releases on a cluster that ended after `since` and may have undone nothing: stopped, or failed on the way."""
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
        return ended_as_asked(handle, result)

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

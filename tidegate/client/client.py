"""`TidegateClient`: start, promote, abort, pause, resume, read, explain, list and wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import (
    WorkflowFailureError,
)

from tidegate.client.analyses import AnalysisRuns
from tidegate.client.backtests import Backtests
from tidegate.client.claims import Claims
from tidegate.client.doctor import Doctors
from tidegate.client.errors import (
    CompensationError,
    HeldError,
    NotFoundError,
    NoWorkerError,
    RefusedError,
    StillRunningError,
    TidegateError,
    UnreachableError,
    UnusableAnswerError,
)
from tidegate.client.experiments import ExperimentObjects
from tidegate.client.forecasts import Forecasts
from tidegate.client.queries import POLL_SECONDS
from tidegate.client.refs import AnalysisRunRef, ReleaseHandle, ReleaseSummary, RolloutRef, expected_result
from tidegate.client.repeats import Repeats
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
from tidegate.client.starts import UPDATE_TIMEOUT
from tidegate.client.stuck import StuckRuns, silent
from tidegate.client.translation import already_ended, not_found, release_error, translated
from tidegate.contract import (
    Accepted,
    AnalysisRef,
    Compensation,
    CompensationState,
    ErrorType,
    Message,
    ReleaseResult,
    ReleaseStatus,
    Signal,
    Update,
)
from tidegate.manifests.selector import LabelSelector
from tidegate.watch.commands import Release, RunState, SendUpdate

if TYPE_CHECKING:
    from tidegate.report import Explanation

log = structlog.get_logger(__name__)

RESTORED_POLL_SECONDS = 0.2


class TidegateClient(
    Repeats, AnalysisRuns, Backtests, Claims, Doctors, ExperimentObjects, Forecasts, Rollbacks, StuckRuns
):
    """Client of the releases in one Temporal namespace. Every method may raise the errors of `tidegate.client`."""

    # -------------------------------------------------------------------------------------------------------- messages

    async def promote(
        self,
        rollout: RolloutRef,
        *,
        full: bool = False,
        current_step: bool = False,
        all_steps: bool = False,
        by: str = "",
        reason: str = "",
        revision: int | None = None,
    ) -> Accepted:
        """Skip the wait of the current step, with `all_steps` all steps, or with `full` everything up to 100 %.

        Without `full` the background analysis and the bake decide as they do after the last step. It counts only for
        the version that is under way at this time. It is rejected where that is not `revision`, if one is given, where
        a newer one takes over meanwhile, and with `current_step` or `all_steps` where there are no steps (blue-green).
        """
        message = Message(full=full, current_step=current_step, all_steps=all_steps, by=by, reason=reason)
        return await self._send(Update.PROMOTE, rollout, message, revision)

    async def abort(self, rollout: RolloutRef, *, by: str = "", reason: str = "") -> Accepted:
        """Put all traffic back on the stable version."""
        return await self._send(Update.ABORT, rollout, Message(by=by, reason=reason))

    async def pause(self, rollout: RolloutRef, *, by: str = "", reason: str = "") -> Accepted:
        """Stop before the next step until `resume`."""
        return await self._send(Update.PAUSE, rollout, Message(by=by, reason=reason))

    async def resume(self, rollout: RolloutRef, *, by: str = "", reason: str = "") -> Accepted:
        """End a pause."""
        return await self._send(Update.RESUME, rollout, Message(by=by, reason=reason))

    async def _send(
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
        # An update without an answer in time may still be taken later; a signal sent after it would be a second message
        # (two pauses skipped). So a query decides first which of the two is sent.
        status = await self._status_of_run(rollout, run.execution.run_id)
        if status is None:
            if (
                message.full or message.all_steps or revision is not None
            ):  # it is unknown for which version it would count
                raise NoWorkerError(
                    f"{rollout.workflow_id}: no worker answers, so it is unknown which version this would promote",
                    "repeat it when a worker answers: tidegate get rollout shows the version",
                )
            with translated(rollout.workflow_id):
                await handle.signal(Signal(update), message, rpc_timeout=UPDATE_TIMEOUT)
            text = f"{update} was asked for and is not done yet: no worker answers, and it counts as soon as one does"
            return Accepted(message=text, run_id=run.execution.run_id, taken=False)
        if update is Update.PROMOTE:
            if revision not in (None, status.revision):
                raise RefusedError(
                    f"{rollout.workflow_id}: revision {status.revision} is under way, not {revision}",
                    "look at it with tidegate get rollout, and promote that one",
                    ErrorType.REJECTED,
                )
            message = message.model_copy(update={"versions": status.version_number})
        with translated(rollout.workflow_id):
            accepted: Accepted = await handle.execute_update(
                update, message, result_type=Accepted, rpc_timeout=UPDATE_TIMEOUT
            )
        return accepted

    async def send_update(self, rollout: RolloutRef, command: SendUpdate) -> Accepted:
        """Send a command of an object to the run that it is for; repeated, it counts once.

        Raises `NoWorkerError` without an answer: Temporal keeps the update, but it has to be repeated.
        """
        handle = self._temporal.get_workflow_handle(rollout.workflow_id, run_id=command.run_id)
        with translated(rollout.workflow_id):
            accepted: Accepted = await handle.execute_update(
                command.update, command.message, id=command.update_id, result_type=Accepted, rpc_timeout=UPDATE_TIMEOUT
            )
        return accepted

    async def _status_of_run(self, rollout: RolloutRef, run_id: str) -> ReleaseStatus | None:
        """Status of a run, None when no worker answers."""
        try:
            return await self._query(rollout.workflow_id, run_id, ReleaseStatus)
        except NoWorkerError:
            return None

    # ------------------------------------------------------------------------------------------------------------- read

    async def status(self, rollout: RolloutRef, *, run_id: str | None = None) -> ReleaseStatus:
        """Status of the latest release of a Rollout, or of the given run; also after its end.

        Gates under way have their own latest status.
        """
        status = await self._query(rollout.workflow_id, run_id, ReleaseStatus)
        gates = [await self._with_latest_status(gate) for gate in status.analyses]
        return status.model_copy(update={"analyses": tuple(gates)})

    async def newest(self, rollout: RolloutRef) -> Release | None:
        """The latest release of a Rollout, its state and its status; None when Temporal has none.

        Raises `RefusedError` for one that was paused on the server: it takes no message and answers no query.
        """
        run = await newest_run(self._temporal, rollout.workflow_id)
        if run is None:
            return None
        if is_paused(run):
            raise _paused_by_server(rollout)
        ended = RunState.STOPPED if was_stopped(run) else RunState.ENDED
        state = RunState.RUNNING if is_running(run) else ended
        try:
            status = await self._query(rollout.workflow_id, run.execution.run_id, ReleaseStatus)
        except (NoWorkerError, UnusableAnswerError):
            if state is not RunState.STOPPED:
                raise
            # It may never answer again, if it was stopped because its code fails. Recovery needs no status of it.
            status = silent(run)
        return Release(state, status)

    async def list(
        self,
        namespace: str | None = None,
        *,
        cluster: str | None = None,
        limit: int = 1000,
        selector: LabelSelector | None = None,
    ) -> list[ReleaseSummary]:
        """The latest release of every Rollout (of one Kubernetes namespace, of one cluster), by namespace and name.

        With a selector only those of the `limit` Rollouts whose labels it matches.
        """
        return await newest_releases(self._temporal, namespace, limit, cluster=cluster, selector=selector)

    async def stopped(self, cluster: str, since: datetime) -> tuple[ReleaseSummary, ...]:
        """Releases on a cluster that ended after `since` and may have restored nothing: stopped, or failed midway."""
        return tuple(await stopped_releases(self._temporal, cluster, since))

    async def explain(self, rollout: RolloutRef) -> Explanation:
        """Explanation of the latest release of a Rollout and its gates, also after its end.

        Raises `NoSuchReleaseError`, with Temporal's retention, for a release that it does not have.
        """
        run = await newest_run(self._temporal, rollout.workflow_id)
        if run is None:
            raise not_found(rollout.workflow_id, await retention(self._temporal))
        return await self._explained(run)

    async def explain_run(self, analysis: AnalysisRunRef) -> Explanation:
        """Explanation of an analysis run, and of what its release did because of it."""
        run = await newest_run(self._temporal, analysis.workflow_id)
        if run is None:
            raise not_found(analysis.workflow_id, await retention(self._temporal))
        from tidegate.report import explain_run

        status, release = await self.analysis_status(analysis), None
        if run.parent_execution.workflow_id:
            parent = await newest_run(self._temporal, run.parent_execution.workflow_id, run.parent_execution.run_id)
            release = await self._explained(parent) if parent is not None else None
        return explain_run(status, analysis.workflow_id, release)

    async def _explained(self, release: WorkflowExecutionInfo) -> Explanation:
        # Here, as no other method needs it.
        from tidegate.report import explain

        status = await self._last_status(release)
        gates = [await self._with_latest_status(gate) for gate in status.analyses]
        return explain(status.model_copy(update={"analyses": tuple(gates)}), state_of(release))

    async def _last_status(self, release: WorkflowExecutionInfo) -> ReleaseStatus:
        """Status of a release; after its end with no worker up, the one in its result."""
        workflow_id, run_id = release.execution.workflow_id, release.execution.run_id
        try:
            return await self._query(workflow_id, run_id, ReleaseStatus)
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

    async def _with_latest_status(self, gate: AnalysisRef) -> AnalysisRef:
        """A gate with its own latest status: a release gets only changed verdicts.

        The phase that the release set for a gate it did not wait for is kept: only the measurements are added.
        """
        run, known = AnalysisRunRef.parse(gate.workflow_id), gate.status
        if known.completed_at is not None or run is None:
            return gate
        try:
            status = await self.analysis_status(run)
        except (NotFoundError, NoWorkerError):  # it is only about to start, or has no worker
            return gate
        if known.phase.completed:
            status = status.model_copy(update={"phase": known.phase, "message": known.message, "completed_at": None})
        return gate.model_copy(update={"status": status})

    # ------------------------------------------------------------------------------------------------------------- wait

    async def wait(
        self, handle: ReleaseHandle, *, timeout: timedelta | None = None, until_held: bool = False
    ) -> ReleaseResult:
        """Wait for the end of a release, over restarts of workers and of Temporal.

        Raises a `ReleaseError` when it did not end well, `StillRunningError` after `timeout`, and with `until_held` a
        `HeldError` as soon as only an operator can end its wait.
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
        return expected_result(handle, result)

    async def newest_handle(self, rollout: RolloutRef) -> ReleaseHandle:
        """Handle of the newest release, whatever its version. Raises `NotFoundError`."""
        run = await newest_run(self._temporal, rollout.workflow_id)
        if run is None:
            raise not_found(rollout.workflow_id)
        return ReleaseHandle(rollout, run.execution.run_id, "")

    async def until_restored(
        self, rollout: RolloutRef, run_id: str, *, timeout: timedelta | None = None
    ) -> ReleaseStatus:
        """Wait until the traffic of an aborted release is back on stable; return the status of then.

        Raises `CompensationError` when that failed, and `StillRunningError` after `timeout`: the abort goes on.
        """
        known: ReleaseStatus | None = None
        try:
            async with asyncio.timeout(timeout.total_seconds() if timeout else None):
                while known is None or not known.is_restored:
                    with suppress(UnreachableError):
                        known = await self._status_of_run(rollout, run_id) or known
                    await asyncio.sleep(0 if known is not None and known.is_restored else RESTORED_POLL_SECONDS)
        except TimeoutError as error:
            raise _not_restored(rollout, timeout, known) from error
        traffic = [each for each in known.compensations if each.name is Compensation.TRAFFIC]
        failed = next((each for each in traffic if each.state is CompensationState.FAILED), None)
        if failed is not None:
            raise CompensationError(
                f"{rollout.workflow_id}: the traffic could not be put back: {failed.detail}",
                "set the weights of the routes by hand, as docs/after-an-abort.md says",
            )
        return known

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


def _not_restored(rollout: RolloutRef, timeout: timedelta | None, status: ReleaseStatus | None) -> StillRunningError:
    known = f"{status.actual_weight} % on the canary" if status is not None else "no worker answers"
    failing = f"; {status.failing}" if status is not None and status.failing is not None else ""
    return StillRunningError(
        f"{rollout.workflow_id}: aborting, and the traffic is not back after {timeout}: {known}{failing}",
        f"the abort goes on by itself: tidegate get rollout {rollout.name} -n {rollout.namespace}",
    )


def _paused_by_server(rollout: RolloutRef) -> RefusedError:
    return RefusedError(
        f"{rollout.workflow_id}: paused on the Temporal server, where not even an abort gets through",
        f"temporal workflow unpause --workflow-id {rollout.workflow_id}",
    )

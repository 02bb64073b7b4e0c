"""The life of one Experiment object: pods, analyses, an outcome, and no pods any more.

What the object says is read in each pass, so an edit counts as it does with Argo's controller. The rules in
`tidegate/experiments` decide what follows; passes carry it out. Source: argo-rollouts, experiments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from tidegate.analysis.status import AnalysisStatus
    from tidegate.contract import (
        BACKGROUND_PRIORITY,
        EXPERIMENT_WORKFLOW,
        SEARCH_PHASE,
        Activity,
        AwaitExperiment,
        ExperimentPass,
        ExperimentReport,
        ExperimentRequest,
        ExperimentSeen,
        Fence,
        Query,
        Signal,
        Target,
        cluster_queue,
        experiment_id,
    )
    from tidegate.experiments.life import Verdicts
    from tidegate.manifests.plain_text import harmless
    from workflows.activity_calls import (
        AWAIT_TIMEOUT,
        FORWARD_RETRY,
        HEARTBEAT_TIMEOUT,
        IDLE_HEARTBEAT_TIMEOUT,
        POLL_RETRY,
        WRITE_TIMEOUT,
        ChangeWatch,
    )
    from workflows.experiment_state import ExperimentState
    from workflows.failures import check_id
    from workflows.inputs import read_input
    from workflows.reconciler import SHORTEST_WAIT

FIRST_RETRY: Final = timedelta(seconds=5)
LAST_RETRY: Final = timedelta(minutes=5)
_SIGNALS: Final = {Verdicts.SETTLE: Signal.SETTLE, Verdicts.TERMINATE: Signal.TERMINATE}


@workflow.defn(name=EXPERIMENT_WORKFLOW)
class ExperimentObject:
    """Started by the watcher, once at a time for each object. A bad outcome is a result, not a failure."""

    @workflow.init
    def __init__(self, request: Any = None, *more: Any) -> None:
        self._terminating = False
        self._state: ExperimentState | None = None
        self._watch: ChangeWatch | None = None
        self._epoch = int(workflow.info().start_time.timestamp() * 1000)
        self._sequence = 0
        self._refusals = 0  # passes in a row in which the cluster refused something

    @workflow.run
    async def run(self, request: Any = None, *more: Any) -> ExperimentReport:
        """Carry the experiment out, until nothing of it has pods or until the object is gone."""
        parsed = read_input(ExperimentRequest, request, "experiment request")
        right = experiment_id(parsed.cluster, parsed.namespace, parsed.name, parsed.uid)
        check_id("workflow of an experiment", workflow.info().workflow_id, right)
        state = self._state = ExperimentState(parsed)
        going = True
        while going:
            try:
                going = await self._turn(parsed, state)
            except (asyncio.CancelledError, ActivityError) as error:
                if not is_cancelled_exception(error):
                    raise
            task = asyncio.current_task()
            self._terminating = self._terminating or bool(task is not None and task.cancelling())
        await workflow.wait_condition(workflow.all_handlers_finished)
        return state.report()

    async def _turn(self, request: ExperimentRequest, state: ExperimentState) -> bool:
        """One pass and what follows from it; returns False at the end."""
        seen = await self._pass(request, state)
        if seen.gone:
            state.left = seen.gone
            return False
        changed = state.take(seen, terminating=self._terminating)
        if changed is not None:
            workflow.upsert_search_attributes([SEARCH_PHASE.value_set(str(changed))])
        await state.start_runs(seen)
        if (signal := _SIGNALS.get(state.verdicts)) is not None:
            await state.runs.request(signal)
        workflow.set_current_details(harmless(state.details()))
        self._refusals = self._refusals + 1 if seen.refused else 0
        if state.has_unpublished:
            return True
        if state.is_done(seen):
            return False
        await self._until_changed(request, state, seen)
        return True

    async def _pass(self, request: ExperimentRequest, state: ExperimentState) -> ExperimentSeen:
        self._sequence += 1
        events, first = state.events()
        payload = ExperimentPass(
            target=_target(request),
            uid=request.uid,
            templates=state.templates,
            at=workflow.now(),
            fence=Fence(epoch=self._epoch, sequence=self._sequence),
            run_id=workflow.info().run_id,
            spec=state.document,
            spec_digest=state.spec_digest,
            up=state.up,
            status=state.wire,
            first=first,
            events=events,
            runs=state.runs.unpublished,
            with_analysis_templates=state.lacks_runs,
        )
        seen: ExperimentSeen = await workflow.execute_activity(
            Activity.RECONCILE_EXPERIMENT,
            payload,
            result_type=ExperimentSeen,
            task_queue=cluster_queue(request.cluster),
            start_to_close_timeout=WRITE_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=FORWARD_RETRY,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary="bring the experiment to where it is" if state.up else "look at the experiment",
        )
        state.published(payload)
        return seen

    async def _until_changed(self, request: ExperimentRequest, state: ExperimentState, seen: ExperimentSeen) -> None:
        """Wait for a change of the cluster, a verdict, a moment that changes something, or an end from outside."""
        watch = self._keep_watching(request, state, seen)
        ends = [each for each in (state.until(seen), self._retry_at()) if each is not None]
        version, was = state.runs.version, self._terminating
        try:
            await workflow.wait_condition(
                lambda: watch.done() or state.runs.version != version or self._terminating != was,
                timeout=max(min(ends) - workflow.now(), SHORTEST_WAIT) if ends else None,
                timeout_summary="until time alone changes the experiment",
            )
        except TimeoutError:
            return

    def _retry_at(self) -> datetime | None:
        if not self._refusals:
            return None
        seconds = FIRST_RETRY.total_seconds() * 2.0 ** min(self._refusals - 1, 10)
        return workflow.now() + min(timedelta(seconds=seconds), LAST_RETRY)

    def _keep_watching(self, request: ExperimentRequest, state: ExperimentState, seen: ExperimentSeen) -> ChangeWatch:
        """The change watch for the current digest; one watch serves until the digest changes."""
        if self._watch is None or self._watch.done() or self._watch.state_digest != seen.state_digest:
            handle = workflow.start_activity(
                Activity.AWAIT_EXPERIMENT,
                AwaitExperiment(
                    target=_target(request),
                    uid=request.uid,
                    templates=state.templates,
                    state_digest=seen.state_digest,
                    seen=seen.seen,
                ),
                task_queue=cluster_queue(request.cluster),
                start_to_close_timeout=AWAIT_TIMEOUT,
                heartbeat_timeout=IDLE_HEARTBEAT_TIMEOUT,
                retry_policy=POLL_RETRY,
                cancellation_type=ActivityCancellationType.ABANDON,
                priority=BACKGROUND_PRIORITY,
                summary="wait until the experiment changes",
            )
            self._watch = ChangeWatch(handle, seen.state_digest)
        return self._watch

    # -------------------------------------------------------------------------------------------------------- messages

    @workflow.signal(name=Signal.TERMINATE, description="End the experiment, as spec.terminate does")
    def on_terminate(self, *arguments: Any) -> None:
        """End the experiment."""
        self._terminating = True

    @workflow.signal(name=Signal.MEASURED, description="From an analysis run: a changed verdict")
    def on_measured(self, *arguments: Any) -> None:
        """Take what an analysis run has measured; what cannot be read changes nothing."""
        with suppress(ValidationError):
            status = AnalysisStatus.model_validate(arguments[0] if arguments else None)
            if self._state is not None:
                self._state.runs.measured(status)

    @workflow.signal(dynamic=True)
    def on_unknown(self, name: str, arguments: Sequence[RawValue]) -> None:
        """Log a signal of an unknown name."""
        workflow.logger.warning("unknown signal %s: known is terminate", name[:80])

    @workflow.query(name=Query.STATUS, description="Phase, templates and analyses")
    def status(self, *arguments: Any) -> ExperimentReport:
        """The experiment as it is now."""
        if self._state is None:
            return ExperimentReport(cluster="", namespace="", name="", uid="", waiting_for="a first look at the object")
        return self._state.report()


def _target(request: ExperimentRequest) -> Target:
    return Target(namespace=request.namespace, name=request.name)

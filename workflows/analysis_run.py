"""One analysis run: measure what is due, judge it, wait for what is due next, until a verdict stands.

Measuring is an activity, judging is pure code that runs here, so every decision can be replayed from the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from tidegate.analysis.arguments import SpecError
    from tidegate.analysis.metric import MetricRules
    from tidegate.analysis.reading import Reading
    from tidegate.analysis.run import Run, RunRules
    from tidegate.analysis.status import AnalysisStatus, Phase
    from tidegate.contract import (
        ANALYSIS_WORKFLOW,
        METRICS_QUEUE,
        Activity,
        AnalysisRequest,
        AnalysisResult,
        ErrorType,
        MeasureRequest,
        Query,
        Signal,
    )
    from tidegate.story import analysis_details
    from workflows.failures import cause_of

PROVIDERS = {"datadog": Activity.MEASURE_DATADOG}
MEASURE_TIMEOUT = timedelta(seconds=90)
PATIENCE = timedelta(hours=1)  # with a provider that says to wait; anything else is a reading that failed
RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))


@workflow.defn(name=ANALYSIS_WORKFLOW)
class AnalysisRun:
    """An execution of templates against their provider. A failed gate is a result, not a failure of the workflow."""

    @workflow.init
    def __init__(self, request: Any = None, status: Any = None) -> None:
        self._status = AnalysisStatus(name="", phase=Phase.PENDING)
        self._asked_to_end = False
        self._told: tuple[str, ...] = ()

    @workflow.run
    async def run(self, request: Any = None, status: Any = None) -> AnalysisResult:
        """Measure and judge until the run is over; `status` is where an earlier part of the same run stopped."""
        wanted, run = self._read(request, status)
        while not run.status.phase.completed:
            self._show(run)
            if due := run.due(workflow.now()):
                run.record(await self._measure(wanted, due), workflow.now())
                await self._tell(wanted, run)
            elif self._asked_to_end:
                run.terminate(workflow.now())
            else:
                await self._until(run)
            if workflow.info().is_continue_as_new_suggested() and not run.status.phase.completed:
                workflow.continue_as_new(args=[wanted, run.status])
        self._show(run)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return AnalysisResult(status=run.status)

    @workflow.signal(name=Signal.TERMINATE, description="End with what was measured")
    def on_terminate(self, argument: Any = None) -> None:
        """End the run; what was measured decides."""
        self._asked_to_end = True

    @workflow.signal(dynamic=True)
    def on_unknown(self, name: str, arguments: Sequence[RawValue]) -> None:
        """Take note of a signal that nobody knows."""
        workflow.logger.warning("unknown signal %s: known is terminate", name[:80])

    @workflow.query(name=Query.STATUS, description="Metrics, measurements and verdicts")
    def status(self, argument: Any = None) -> AnalysisStatus:
        """What was measured and what it means."""
        return self._status

    def _read(self, request: Any, status: Any) -> tuple[AnalysisRequest, Run]:
        try:
            wanted = AnalysisRequest.model_validate(request)
            rules = RunRules.of(wanted.spec)
            unknown = [rule.provider for rule in rules.metrics if rule.provider not in PROVIDERS]
            if unknown:
                raise SpecError(f"provider {unknown[0]!r} is not known; known: {', '.join(PROVIDERS)}")
            if status is not None:
                return wanted, Run(rules, AnalysisStatus.model_validate(status))
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            raise ApplicationError(
                f"Analysis spec invalid: {error}", type=ErrorType.INVALID_SPEC, non_retryable=True
            ) from error
        return wanted, Run.begin(wanted.name, rules, workflow.now())

    async def _until(self, run: Run) -> None:
        """Sleep until the next metric is due, or somebody asks for the end."""
        due = run.next_due()
        wait = max(due - workflow.now(), timedelta(milliseconds=1)) if due else None
        try:
            await workflow.wait_condition(
                lambda: self._asked_to_end, timeout=wait, timeout_summary="until the next measurement"
            )
        except TimeoutError:
            return

    async def _measure(self, request: AnalysisRequest, due: Sequence[MetricRules]) -> list[Reading]:
        """One activity for all metrics of a provider that are due at this moment."""
        by_provider: dict[str, list[MetricRules]] = {}
        for rule in due:
            by_provider.setdefault(rule.provider, []).append(rule)
        readings = await asyncio.gather(
            *(self._ask(request, provider, rules) for provider, rules in by_provider.items())
        )
        return [reading for answered in readings for reading in answered]

    async def _ask(self, request: AnalysisRequest, provider: str, rules: Sequence[MetricRules]) -> list[Reading]:
        asked = MeasureRequest(
            namespace=request.namespace,
            run=request.name,
            metrics=tuple(dict(rule.document) for rule in rules),
            secret_args={
                str(argument["name"]): argument["valueFrom"]["secretKeyRef"]
                for argument in request.spec.get("args") or []
                if (argument.get("valueFrom") or {}).get("secretKeyRef")
            },
        )
        started = workflow.now()
        try:
            answered: list[Reading] = await workflow.execute_activity(
                PROVIDERS[provider],
                asked,
                result_type=list[Reading],
                task_queue=METRICS_QUEUE,
                start_to_close_timeout=MEASURE_TIMEOUT,
                schedule_to_close_timeout=PATIENCE,
                retry_policy=RETRY,
                summary=", ".join(rule.name for rule in rules),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            text = cause_of(error)
            answered = []
        else:
            text = "the provider's answer left it out"
        known = {reading.metric for reading in answered}
        missing = [rule.name for rule in rules if rule.name not in known]
        return answered + [
            Reading(metric=name, error=text, started_at=started, finished_at=workflow.now()) for name in missing
        ]

    async def _tell(self, request: AnalysisRequest, run: Run) -> None:
        """Tell the release when a metric's verdict is another one than before; not of every reading."""
        verdicts = tuple(str(m.measurements[-1].phase) if m.measurements else "" for m in run.status.metrics)
        if not request.release_id or verdicts == self._told or run.status.phase.completed:
            return
        self._told = verdicts
        release = workflow.get_external_workflow_handle(request.release_id)
        try:
            await release.signal(Signal.MEASURED, run.status)
        except ApplicationError as error:  # it has ended meanwhile, and cancels this run
            workflow.logger.info("the release was not told: %s", error)

    def _show(self, run: Run) -> None:
        self._status = run.status
        workflow.set_current_details(analysis_details(run.status))

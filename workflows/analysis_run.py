"""One analysis run: measure what is due, judge it, wait for the next measurement, until there is a verdict.

Measuring is an activity, judging is pure code that runs here, so every decision can be replayed from the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from tidegate.analysis.arguments import SpecError, has_placeholder
    from tidegate.analysis.compare.measurement import rulings
    from tidegate.analysis.metric import MetricRules
    from tidegate.analysis.reading import Reading
    from tidegate.analysis.rules import RunRules
    from tidegate.analysis.run import Run
    from tidegate.analysis.status import AnalysisStatus, Phase
    from tidegate.contract import (
        ANALYSIS_WORKFLOW,
        AnalysisRequest,
        AnalysisResult,
        ComparisonsSaved,
        MeasureRequest,
        Query,
        Signal,
        WeightsChanged,
        analysis_id,
        job_name,
    )
    from tidegate.manifests.plain_text import harmless
    from tidegate.manifests.providers.job import CONFIDENTIAL_REMEDY, NOT_CONFIDENTIAL
    from tidegate.manifests.providers.job import KEY as JOB
    from tidegate.manifests.support import PROVIDERS
    from tidegate.report import analysis_details
    from workflows.comparing import Comparisons, Guidance
    from workflows.failures import cause_of, check_id
    from workflows.inputs import invalid, read_input
    from workflows.interruptions import sent, shielded
    from workflows.measured_jobs import MeasuredJobs
    from workflows.measuring import MEASURE_TIMEOUT, SHORTEST_WAIT, MeasureRetries, measure, rate_limit

TOGETHER = timedelta(seconds=1)  # metrics that drifted apart by less share one request


@workflow.defn(name=ANALYSIS_WORKFLOW)
class AnalysisRun:
    """An execution of templates against their providers. A failed gate is a result, not a failure of the workflow."""

    @workflow.init
    def __init__(self, request: Any = None, status: Any = None, comparisons: Any = None, *more: Any) -> None:
        self._status = AnalysisStatus(name="", phase=Phase.PENDING)
        self._is_terminating = False
        self._settle_by: datetime | None = None  # set by `settle`: the verdict waits no longer for a reading
        self._sent_verdicts: tuple[str, ...] = ()
        self._guidance = Guidance()  # of the release, for comparisons
        # The same for all parts of a run that continues as new.
        self._uid = workflow.info().first_execution_run_id
        self._jobs: MeasuredJobs
        self._comparisons: Comparisons

    @workflow.run
    async def run(self, request: Any = None, status: Any = None, comparisons: Any = None, *more: Any) -> AnalysisResult:
        """Measure and judge until the run is over.

        `status` and `comparisons` are where an earlier part of the same run stopped.
        """
        parsed, rules = _read(request)
        run = _start_run(parsed, rules, status)
        self._sent_verdicts = _verdicts(run.status)
        self._jobs = MeasuredJobs(parsed, self._uid, run.status)
        self._comparisons = Comparisons(parsed, rules, self._guidance, _saved(comparisons))
        if self._guidance.concludes:
            self._settle_by = self._settle_by or workflow.now() + MEASURE_TIMEOUT
        self._comparisons.start()
        try:
            await self._until_over(parsed, rules, run)
        except (asyncio.CancelledError, FailureError):
            self._comparisons.stop()
            await shielded(self._jobs.end())
            raise
        self._comparisons.stop()
        self._show(run)
        await shielded(self._jobs.end())
        await workflow.wait_condition(workflow.all_handlers_finished)
        return AnalysisResult(status=run.status)

    async def _until_over(self, request: AnalysisRequest, rules: RunRules, run: Run) -> None:
        """Measure until there is a verdict or the history has become long."""
        while not run.over:
            self._show(run)
            self._comparisons.end_decided(run.status)
            if self._is_terminating or rules.terminate:
                run.terminate(workflow.now())
            elif readings := self._comparisons.take():
                run.record(readings, workflow.now())
                if self._settling(run):  # it took its time, and the other metrics have theirs from here on
                    self._settle_by = workflow.now() + MEASURE_TIMEOUT
                await self._send_verdicts(request, run)
            elif self._comparisons.are_left_alone(run.status):
                run.end_dry_runs(workflow.now())
            elif self._settling(run):
                await self._measure_unread(request, rules, run)
                run.terminate(workflow.now())
            elif due := run.due(workflow.now()):
                run.record(await self._measure(request, rules, run, due), workflow.now())
                await self._send_verdicts(request, run)
            elif workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(args=[request, run.status, self._comparisons.saved()])
            else:
                await self._until_next(run)

    def _settling(self, run: Run) -> bool:
        """True once the verdict was asked for and no comparison has still to be decided."""
        return self._settle_by is not None and not self._comparisons.is_undecided(run.status)

    async def _measure_unread(self, request: AnalysisRequest, rules: RunRules, run: Run) -> None:
        """Measure the metrics without a conclusive reading once more, before an operator has to decide."""
        now = workflow.now()
        if self._settle_by is not None and now < self._settle_by and (unread := run.unread(now)):
            run.record(await self._measure(request, rules, run, unread), workflow.now())

    @workflow.signal(name=Signal.SETTLE, description="End, once everything was read that can be")
    def on_settle(self, *arguments: Any) -> None:
        """Come to the verdict, once each comparison has its own.

        Metrics without a conclusive reading are measured once more before.
        """
        self._settle_by = self._settle_by or workflow.now() + MEASURE_TIMEOUT
        self._guidance.concludes = True

    @workflow.signal(name=Signal.WEIGHTS, description="The weights of the release that took effect so far")
    def on_weights(self, *arguments: Any) -> None:
        """Take over which weights are in force; what cannot be read changes nothing."""
        with suppress(ValidationError):
            self._guidance.weights = WeightsChanged.model_validate(arguments[0] if arguments else None).weights

    @workflow.signal(name=Signal.TERMINATE, description="End with what was measured")
    def on_terminate(self, *arguments: Any) -> None:
        """End the run; the measurements so far decide."""
        self._is_terminating = True

    @workflow.signal(dynamic=True)
    def on_unknown(self, name: str, arguments: Sequence[RawValue]) -> None:
        """Log a signal of an unknown name."""
        workflow.logger.warning("unknown signal %s: known are settle and terminate", name[:80])

    @workflow.query(name=Query.STATUS, description="Metrics, measurements and verdicts")
    def status(self, *arguments: Any) -> AnalysisStatus:
        """Metrics, measurements and verdicts."""
        return self._status

    async def _until_next(self, run: Run) -> None:
        """Sleep until the next metrics are due, or the end is requested."""
        due = run.next_due(within=TOGETHER)
        wait = max(due - workflow.now(), SHORTEST_WAIT) if due else None
        try:
            await workflow.wait_condition(
                lambda: self._is_terminating or self._settling(run) or self._comparisons.has_readings,
                timeout=wait,
                timeout_summary="until the next measurement",
            )
        except TimeoutError:
            return

    async def _measure(
        self, request: AnalysisRequest, rules: RunRules, run: Run, due: Sequence[MetricRules]
    ) -> list[Reading]:
        """Readings of all metrics that are due, one activity for each provider.

        A provider without an answer when the run is terminated is left out. A run that is to settle waits up to
        `MEASURE_TIMEOUT` for metrics that have no other reading.
        """
        by_provider: dict[str, list[MetricRules]] = {}
        for metric in due:
            by_provider.setdefault(metric.provider, []).append(metric)
        measuring = [
            asyncio.create_task(self._measure_provider(request, rules, run, provider, metrics))
            for provider, metrics in by_provider.items()
        ]

        def answered_or(settling: bool) -> bool:
            ended = self._is_terminating or self._comparisons.has_failed
            return ended or settling or all(task.done() for task in measuring)

        try:
            await workflow.wait_condition(lambda: answered_or(self._settling(run)))
            if (
                self._settle_by is not None
                and self._settling(run)
                and not answered_or(False)
                and run.unread(workflow.now())
            ):
                with suppress(TimeoutError):
                    await workflow.wait_condition(
                        lambda: answered_or(False),
                        timeout=max(self._settle_by - workflow.now(), SHORTEST_WAIT),
                        timeout_summary="until the last reading",
                    )
        except asyncio.CancelledError:
            await _ended(measuring)
            raise
        answered = await _ended(measuring)
        for answer in answered:
            if isinstance(answer, BaseException) and not is_cancelled_exception(answer):
                raise answer
        return [reading for answer in answered if not isinstance(answer, BaseException) for reading in answer]

    async def _measure_provider(
        self, request: AnalysisRequest, rules: RunRules, run: Run, provider: str, metrics: Sequence[MetricRules]
    ) -> list[Reading]:
        """Readings of one provider; a metric without one gets a reading with the error."""
        payload = MeasureRequest(
            namespace=request.namespace,
            run=request.name,
            metrics=tuple(dict(metric.document) for metric in metrics),
            secret_args={name: dict(reference) for name, reference in rules.secrets.items()},
            numbers={metric.name: run.number(metric) for metric in metrics},
            pending={metric.name: dict(run.pending(metric)) for metric in metrics},
            uid=self._uid,
            retention={metric.name: rules.kept(metric.name) for metric in metrics},
            owner=request.owner,
        )
        jobs = {name: job_name(self._uid, name, number) for name, number in payload.numbers.items() if provider == JOB}
        self._jobs.add(jobs.values())
        started, retries = workflow.now(), MeasureRetries()
        while True:
            try:
                answered = await measure(request.cluster, provider, payload, retries.time_left)
                self._jobs.settle(jobs, answered)
                missing = "the provider's answer left it out"
                break
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                delay, limited = retries.delay(error), rate_limit(error) is not None
                if delay is None:
                    answered, missing = [], cause_of(error)
                    break
            if limited:
                run.rate_limited(workflow.now() + delay)
                self._show(run)
                await self._send_verdicts(request, run)
            why = f"until the rate limit of {provider} resets" if limited else f"until {provider} is asked again"
            await workflow.sleep(delay, summary=why)
        # Times of the run's own clock: that of the provider's worker may differ, and intervals are counted from them.
        now = workflow.now()
        times = {"started_at": started, "finished_at": now, "rate_limited_seconds": retries.limited.total_seconds()}
        by_name = {
            reading.metric: reading.model_copy(
                update={**times, "resume_at": reading.resume_at and now + (reading.resume_at - reading.finished_at)}
            )
            for reading in answered
        }
        return [
            by_name.get(metric.name) or Reading.model_validate({"metric": metric.name, "error": missing, **times})
            for metric in metrics
        ]

    async def _send_verdicts(self, request: AnalysisRequest, run: Run) -> None:
        """Send the release a verdict that became bad, or good again; other readings are not sent."""
        verdicts = _verdicts(run.status)
        if not request.release_id or verdicts == self._sent_verdicts or run.over:
            return
        self._sent_verdicts = verdicts
        release = workflow.get_external_workflow_handle(request.release_id)
        try:
            await sent(release.signal(Signal.MEASURED, run.status))
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.info("the release did not get it, it has ended: %s", error)

    def _show(self, run: Run) -> None:
        self._status = run.status
        workflow.set_current_details(harmless(analysis_details(run.status)))


async def _ended(measuring: Sequence[asyncio.Task[list[Reading]]]) -> list[list[Reading] | BaseException]:
    """Cancel all tasks; returns the answers that came before."""
    for task in measuring:
        task.cancel()
    return await asyncio.gather(*measuring, return_exceptions=True)


def _read(value: Any) -> tuple[AnalysisRequest, RunRules]:
    """The request and its rules. Raises a non-retryable `InvalidSpec` for a request that no run could carry out."""
    request = read_input(AnalysisRequest, value, "analysis request")
    try:
        _check_ids(request)
        rules = RunRules.of(request.spec)
        for index, metric in enumerate(rules.metrics):
            if metric.provider not in PROVIDERS:
                known = ", ".join(PROVIDERS)
                raise SpecError(
                    f"Analysis spec invalid: metrics[{index}]: unknown provider {metric.provider!r} (known: {known})"
                )
            if metric.provider == JOB and rules.secrets and has_placeholder(metric.document["provider"]):
                raise SpecError(
                    f"Analysis spec invalid: metrics[{index}].provider.job: {NOT_CONFIDENTIAL} ({CONFIDENTIAL_REMEDY})"
                )
    except ValueError as error:
        raise invalid(harmless(str(error))) from None
    return request, rules


def _check_ids(request: AnalysisRequest) -> None:
    """Check that the run has its own name and was started by the release that it reports to. Raises `InvalidSpec`."""
    info = workflow.info()
    check_id("run of an analysis", info.workflow_id, analysis_id(request.cluster, request.namespace, request.name))
    if request.release_id and (info.parent is None or info.parent.workflow_id != request.release_id):
        raise invalid(f"analysis request: release_id: {request.release_id!r} did not start this run: leave it out")


def _start_run(request: AnalysisRequest, rules: RunRules, status: Any) -> Run:
    if status is None:
        return Run.begin(request.name, rules, workflow.now())
    try:
        return Run.resume(rules, AnalysisStatus.model_validate(status))
    except ValueError:
        raise invalid("analysis run: the status of its earlier part is not one of this spec") from None


def _verdicts(status: AnalysisStatus) -> tuple[str, ...]:
    """The state that a release is sent at once: phases that are not good, and a provider's rate limit."""
    latest = [metric.measurements[-1].phase if metric.measurements else Phase.SUCCESSFUL for metric in status.metrics]
    compared = [f"{ruling} {since}" for ruling, since in rulings(status)]
    return (*map(str, latest), "rate limited" if status.rate_limited_until else "", *compared)


def _saved(saved: Any) -> ComparisonsSaved:
    """Read what an earlier part of the run left; a comparison that cannot be read begins anew."""
    try:
        return ComparisonsSaved.model_validate(saved or {})
    except ValidationError:
        return ComparisonsSaved()

"""Comparisons of an analysis run: each reads counts of both versions, folds them and judges, until it is decided.

Reading is an activity. Folding and judging run here, so every decision can be replayed from the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.compare.evidence import outdated_text
    from tidegate.analysis.compare.judge import ALARM, judge_reading
    from tidegate.analysis.compare.measurement import RULING, metadata_of
    from tidegate.analysis.compare.models import Comparison, Judgement, Ruling, Weight
    from tidegate.analysis.compare.state import weight_to_judge
    from tidegate.analysis.metric import MetricRules
    from tidegate.analysis.reading import Reading, Verdict
    from tidegate.analysis.rules import RunRules
    from tidegate.analysis.status import AnalysisStatus, Phase
    from tidegate.contract import (
        Activity,
        AnalysisKind,
        AnalysisRequest,
        BeginComparison,
        ComparedVersions,
        CompareReadings,
        CompareRequest,
        CompareTarget,
        ComparisonBegun,
        ComparisonsSaved,
        CountReading,
        ErrorType,
        metrics_queue,
    )
    from tidegate.contract.payload import Payload
    from workflows.activity_calls import HEARTBEAT_TIMEOUT
    from workflows.failures import cause_of
    from workflows.interruptions import let_go
    from workflows.measuring import ATTEMPT_TIMEOUT, ONCE, MeasureRetries

NO_TRAFFIC = "the canary never got a weight that was read back: there is nothing to compare"
WITHOUT_TRAFFIC = timedelta(minutes=5)  # in which a step's weight is known, also of a release that was taken over
_WATCHES = (AnalysisKind.BACKGROUND, AnalysisKind.BAKE)
_ALONE = (AnalysisKind.BAKE, AnalysisKind.POST_PROMOTION)
AFTER_ERROR = timedelta(seconds=10)  # as every metric (argo-rollouts, DefaultErrorRetryInterval)
_PHASES = {Ruling.ABORT: Phase.FAILED, Ruling.CLEAR: Phase.SUCCESSFUL, Ruling.UNDECIDED: Phase.INCONCLUSIVE}


Answered = TypeVar("Answered", bound=Payload)


@dataclass
class Guidance:
    """Weights that took effect, and whether the release waits for the verdicts of comparisons."""

    weights: tuple[Weight, ...] = ()
    concludes: bool = False


class _OneComparison:
    """One metric: its numbers, what was folded, and the last judgement."""

    def __init__(self, rule: MetricRules) -> None:
        self.rule = rule
        self.baseline: ComparisonBegun | None = None
        self.judgement: Judgement | None = None
        self._judged_under: Guidance | None = None
        self.task: asyncio.Task[None] | None = None
        self.notes: tuple[str, ...] = ()

    def fold(self, baseline: ComparisonBegun, reading: CountReading, guidance: Guidance, first_traffic: float) -> None:
        """Fold one reading and judge by it."""
        self._judged_under = guidance
        state, self.judgement = judge_reading(
            baseline.wanted,
            baseline.state,
            reading.rows,
            guidance.weights,
            reading.at,
            first_traffic=first_traffic,
            concludes=guidance.concludes,
        )
        self.baseline = baseline.model_copy(update={"state": state})

    def judged_under(self, guidance: Guidance) -> Judgement | None:
        """Return the last judgement; None when the release has sent something since, as any ruling is news then."""
        return self.judgement if guidance == self._judged_under else None


class Comparisons:
    """The comparisons of one run. They go on beside its other metrics; `take` hands over what they have found."""

    def __init__(self, request: AnalysisRequest, rules: RunRules, guidance: Guidance, before: ComparisonsSaved) -> None:
        self._request = request
        self._rules = rules
        self._ones = {rule.name: _OneComparison(rule) for rule in rules.metrics if rule.compares}
        self._readings: dict[str, Reading] = {}
        self._guidance = guidance
        guidance.weights = guidance.weights or before.weights or request.weights
        guidance.concludes = guidance.concludes or before.concludes
        for name, one in self._ones.items():
            one.baseline = before.baselines.get(name)
            if name in before.outdated:
                one.notes = (f"{outdated_text(before.outdated[name])}: it began anew, from the first traffic",)
        self._outdated = before.outdated

    def start(self) -> None:
        """Begin to read; comparisons that were restored go on where they stopped."""
        for one in self._ones.values():
            one.task = asyncio.create_task(self._compare(one))

    def stop(self) -> None:
        """End all reading and wait for nothing."""
        for one in self._ones.values():
            if one.task is not None:
                let_go(one.task)

    @property
    def has_readings(self) -> bool:
        """True when `take` has something to hand over."""
        return bool(self._readings)

    @property
    def has_failed(self) -> bool:
        """True when a reading waits that ends the run: nothing else is waited for then."""
        dry = self._rules.dry_run
        return any(
            reading.verdict is not None and reading.verdict.phase is Phase.FAILED and name not in dry
            for name, reading in self._readings.items()
        )

    def take(self) -> list[Reading]:
        """Hand over the newest reading of each comparison that has one."""
        readings, self._readings = list(self._readings.values()), {}
        return readings

    def is_undecided(self, status: AnalysisStatus) -> bool:
        """True while a comparison that counts has no verdict."""
        return any(
            metric.name in self._ones and not metric.dry_run and not metric.phase.completed for metric in status.metrics
        )

    def end_decided(self, status: AnalysisStatus) -> None:
        """End the reading of comparisons whose metric is completed."""
        for metric in status.metrics:
            one = self._ones.get(metric.name)
            if one is not None and one.task is not None and metric.phase.completed:
                let_go(one.task)
                one.task = None

    def are_left_alone(self, status: AnalysisStatus) -> bool:
        """True when only dry-run comparisons go on beside metrics that are completed: they hold no release."""
        counting = [metric for metric in status.metrics if not metric.dry_run]
        left = [metric for metric in status.metrics if not metric.phase.completed]
        return bool(counting) and bool(left) and all(metric.dry_run and metric.name in self._ones for metric in left)

    def saved(self) -> ComparisonsSaved:
        """Return the state of each, for a run that continues as new."""
        baselines = {name: one.baseline for name, one in self._ones.items() if one.baseline is not None}
        return ComparisonsSaved(
            baselines=baselines,
            weights=self._guidance.weights,
            concludes=self._guidance.concludes,
            outdated=self._outdated,
        )

    async def _compare(self, one: _OneComparison) -> None:
        """Read and judge until cancelled. Errors are readings, too."""
        if one.rule.initial_delay and one.baseline is None:
            await workflow.sleep(one.rule.initial_delay, summary=f"initialDelay of {one.rule.name}")
        while True:
            if not await self._has_traffic():
                await self._give_up(one, workflow.now(), NO_TRAFFIC)
            started = workflow.now()
            try:
                await self._read_once(one, started)
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                self._found(one, started, {"error": cause_of(error)})
                await workflow.sleep(AFTER_ERROR, summary=f"until {one.rule.source} is asked again")

    async def _has_traffic(self) -> bool:
        """Wait for a weight above 0. False once none can come: the verdict is asked for, or it is that of a step."""
        if self._begun > 0:
            return True
        gate = self._request.kind not in _WATCHES
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._begun > 0 or self._guidance.concludes,
                timeout=WITHOUT_TRAFFIC if gate else None,
                timeout_summary="until the canary has traffic",
            )
        return self._begun > 0

    async def _give_up(self, one: _OneComparison, started: datetime, why: str) -> None:
        """Hand over that nothing can be compared, and wait until the run ends this: asking again cannot help."""
        verdict = Verdict(phase=Phase.INCONCLUSIVE, message=why, reason=why)
        metadata = {RULING: str(Ruling.UNDECIDED)}
        self._found(one, started, {"value": why, "verdict": verdict, "metadata": metadata})
        await workflow.wait_condition(lambda: False)

    async def _read_once(self, one: _OneComparison, started: datetime) -> None:
        """Read for a minute, and fold reading by reading as the activity did."""
        if one.baseline is None:
            one.baseline = await self._begin(one, started)
        guidance = replace(self._guidance)
        reading = asyncio.create_task(self._counts(one, one.baseline, guidance))
        await workflow.wait_condition(lambda: reading.done() or guidance != self._guidance)
        if not reading.done():  # it is read again, under what the release has sent now
            let_go(reading)
            return
        read_so_far = reading.result()
        for each in read_so_far.readings:
            one.fold(one.baseline, each, guidance, self._first_traffic)
        if one.judgement is not None and read_so_far.readings:
            self._judged(one, started, read_so_far, one.judgement, one.baseline.wanted)

    async def _begin(self, one: _OneComparison, started: datetime) -> ComparisonBegun:
        """Read the hour before. Versions that cannot be compared are Inconclusive: asking again cannot help."""
        request = BeginComparison(
            target=self._target(one),
            at=self._begun,
            first_traffic=self._first_traffic,
            weights=self._request.planned_weights,
            metrics=len(self._ones),
            kind=self._request.kind,
        )
        activity = Activity(f"begin_comparison_{one.rule.source}")
        try:
            return await self._call(one, activity, request, ComparisonBegun)
        except ActivityError as error:
            if not (isinstance(error.cause, ApplicationError) and error.cause.type == ErrorType.REJECTED):
                raise
            await self._give_up(one, started, cause_of(error))
            raise

    async def _counts(self, one: _OneComparison, baseline: ComparisonBegun, guidance: Guidance) -> CompareReadings:
        last = one.judged_under(guidance)
        request = CompareRequest(
            target=self._target(one),
            wanted=baseline.wanted,
            state=baseline.state,
            weights=guidance.weights,
            first_traffic=self._first_traffic,
            ruling=last.ruling if last is not None else Ruling.WAIT,
            alarmed=last is not None and last.alarm >= ALARM,
            concludes=guidance.concludes,
        )
        return await self._call(one, Activity(f"compare_{one.rule.source}"), request, CompareReadings)

    def _judged(
        self,
        one: _OneComparison,
        started: datetime,
        answered: CompareReadings,
        judgement: Judgement,
        wanted: Comparison,
    ) -> None:
        ruling, at = judgement.ruling, answered.readings[-1].at
        decides = ruling is Ruling.ABORT or (ruling is not Ruling.WAIT and self._ends_when_decided)
        weight = weight_to_judge(self._guidance.weights, at)
        reading: dict[str, Any] = {
            "value": judgement.sentence,
            "notes": (*one.notes, *answered.notes),
            "metadata": metadata_of(judgement, weight, wanted),
        }
        if decides:
            reading["verdict"] = Verdict(phase=_PHASES[ruling], message=judgement.sentence, reason=judgement.sentence)
        else:
            reading["resume_at"] = datetime.fromtimestamp(at, UTC)
        self._found(one, started, reading)

    @property
    def _ends_when_decided(self) -> bool:
        """A gate ends as soon as it is decided; others watch a version until their verdict is asked for."""
        return self._request.kind not in _WATCHES or self._guidance.concludes

    def _found(self, one: _OneComparison, started: datetime, reading: Mapping[str, Any]) -> None:
        times = {"started_at": started, "finished_at": workflow.now()}
        self._readings[one.rule.name] = Reading.model_validate({"metric": one.rule.name, **times, **reading})

    @property
    def _begun(self) -> float:
        """When the release gave its version traffic: the hour before that is stable's own."""
        return next((weight.since for weight in self._guidance.weights if weight.share > 0), 0.0)

    @property
    def _first_traffic(self) -> float:
        """Time from which counts are read; where stable has none, that of all of the traffic when the run began."""
        full = [weight.since for weight in self._request.weights if weight.share >= 1]
        return full[-1] if full and self._request.kind in _ALONE else self._begun

    def _target(self, one: _OneComparison) -> CompareTarget:
        versions = self._request.versions or ComparedVersions(rollout="", canary="", stable="")
        return CompareTarget(
            namespace=self._request.namespace,
            run=self._request.name,
            metric=dict(one.rule.document),
            secret_args={name: dict(reference) for name, reference in self._rules.secrets.items()},
            **versions.model_dump(),
        )

    async def _call(
        self, one: _OneComparison, activity: Activity, request: Payload, answer: type[Answered]
    ) -> Answered:
        """Ask a source, and again while that may help. Raises ActivityError."""
        retries = MeasureRetries()
        while True:
            try:
                answered: Answered = await workflow.execute_activity(
                    activity,
                    request,
                    result_type=answer,
                    task_queue=metrics_queue(one.rule.source),
                    start_to_close_timeout=ATTEMPT_TIMEOUT,
                    heartbeat_timeout=HEARTBEAT_TIMEOUT,
                    schedule_to_close_timeout=retries.time_left,
                    retry_policy=ONCE,
                    # Reading changes nothing, and one that goes on for a minute is not worth a command.
                    cancellation_type=ActivityCancellationType.ABANDON,
                    summary=f"read the counts for comparison {one.rule.name}",
                )
                return answered
            except ActivityError as error:
                if is_cancelled_exception(error) or (delay := retries.delay(error)) is None:
                    raise
            await workflow.sleep(delay, summary=f"until {one.rule.source} is asked again")

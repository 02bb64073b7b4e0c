"""Backtest: what comparisons would have said of past changes of version, and of a version against itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.compare.history import StableHour, VersionChange
    from tidegate.analysis.metric import MetricRules
    from tidegate.analysis.rules import RunRules
    from tidegate.analysis.spec import SpecError
    from tidegate.contract import (
        BACKTEST_WORKFLOW,
        MOST_SPLITS,
        Activity,
        BacktestReport,
        BacktestRequest,
        ComparisonBacktest,
        ErrorType,
        FindChanges,
        JudgeChange,
        JudgeStable,
        PastChange,
        PastTarget,
        SplitCounts,
        StableJudged,
        VersionHistory,
        metrics_queue,
    )
    from tidegate.contract.payload import Payload
    from tidegate.manifests.findings import ManifestError
    from workflows.inputs import invalid, read_input
    from workflows.operator_calls import cause_of_call

TIMEOUT = timedelta(minutes=10)  # of all attempts at one call, rate limits included
ATTEMPT_TIMEOUT = timedelta(minutes=5)
HEARTBEAT_TIMEOUT = timedelta(seconds=30)  # folding keeps the worker busier than other calls do
RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=5)
Answered = TypeVar("Answered", bound=Payload)


@dataclass
class _Compared:
    """A metric that compares, and the input that its activities share."""

    rule: MetricRules
    target: PastTarget
    thresholds: tuple[str, ...]


@workflow.defn(name=BACKTEST_WORKFLOW)
class Backtest:
    """Started by an operator. It reads, and changes nothing."""

    @workflow.run
    async def run(self, request: Any = None, *more: Any) -> BacktestReport:
        """Judge the past by each comparison. Fails for specs that no run could carry out."""
        backtest = read_input(BacktestRequest, request, "backtest request")
        end = workflow.now().timestamp()
        found = await asyncio.gather(*(_backtest(backtest, each, end) for each in _compared(backtest)))
        return BacktestReport(
            namespace=backtest.namespace,
            rollout=backtest.rollout,
            start=end - backtest.since,
            end=end,
            weights=backtest.weights,
            settings=backtest.settings,
            comparisons=tuple(found),
        )


def _compared(request: BacktestRequest) -> list[_Compared]:
    """Metrics that compare, each once. Raises `InvalidSpec`."""
    found: dict[str, _Compared] = {}
    for spec in request.specs:
        try:
            rules = RunRules.of(spec)
        except (SpecError, ManifestError) as error:
            raise invalid(str(error)) from error
        metrics = [rule for rule in rules.metrics if rule.compares]
        thresholds = tuple(rule.name for rule in rules.metrics if not rule.compares)
        for rule in metrics:
            target = PastTarget(
                namespace=request.namespace,
                rollout=request.rollout,
                metric=dict(rule.document),
                secret_args={name: dict(reference) for name, reference in rules.secrets.items()},
                metrics=len(metrics),
            )
            key = json.dumps(target.model_dump(mode="json"), sort_keys=True)
            found.setdefault(key, _Compared(rule, target, thresholds))
    return list(found.values())


async def _backtest(request: BacktestRequest, compared: _Compared, end: float) -> ComparisonBacktest:
    """Everything for one metric, call after call; without an answer of its source, the reason."""
    rule = compared.rule
    none = ComparisonBacktest(metric=rule.name, source=rule.source, thresholds=compared.thresholds)
    finding = FindChanges(target=compared.target, start=end - request.since, end=end)
    try:
        history = await _call(rule, "find_changes", finding, VersionHistory)
    except ActivityError as error:
        refused = isinstance(error.cause, ApplicationError) and error.cause.type == ErrorType.REJECTED
        return none.model_copy(update={"error": cause_of_call(error, rule.source), "refused": refused})
    changes: list[PastChange] = [await _judge_change(request, compared, change) for change in history.changes]
    hours = [await _judge_stable(request, compared, hour, len(history.stable)) for hour in history.stable]
    judged = [each for each in hours if not each.error]
    queries = history.queries + sum(each.queries for each in changes) + sum(each.queries for each in hours)
    numbers = {
        "begins": history.begins,
        "found": history.found,
        "changes": tuple(changes),
        "same": _summed(judged),
        "same_events": judged[0].events if judged else (),
        "hours": len(judged),
        "queries": queries,
        "notes": tuple(dict.fromkeys(each.error for each in hours if each.error)),
    }
    return none.model_copy(update=numbers)


async def _judge_change(request: BacktestRequest, compared: _Compared, change: VersionChange) -> PastChange:
    judging = JudgeChange(target=compared.target, change=change, weights=request.weights, settings=request.settings)
    try:
        return await _call(compared.rule, "judge_change", judging, PastChange)
    except ActivityError as error:
        return PastChange(change=change, error=cause_of_call(error, compared.rule.source))


async def _judge_stable(request: BacktestRequest, compared: _Compared, hour: StableHour, hours: int) -> StableJudged:
    judging = JudgeStable(
        target=compared.target,
        hour=hour,
        weights=request.weights,
        settings=request.settings,
        most=MOST_SPLITS // hours,
    )
    try:
        return await _call(compared.rule, "judge_stable", judging, StableJudged)
    except ActivityError as error:
        return StableJudged(error=cause_of_call(error, compared.rule.source))


def _summed(hours: Iterable[StableJudged]) -> tuple[SplitCounts, ...]:
    """Counts of all hours, as written and for each setting."""
    total: tuple[SplitCounts, ...] = ()
    for each in hours:
        total = tuple(one.plus(two) for one, two in zip(total, each.counts, strict=True)) if total else each.counts
    return total


async def _call(rule: MetricRules, what: str, request: Payload, answer: type[Answered]) -> Answered:
    """One call to a source. Temporal waits for a rate limit as long as the source asks for. Raises ActivityError."""
    answered: Answered = await workflow.execute_activity(
        Activity(f"{what}_{rule.source}"),
        request,
        result_type=answer,
        task_queue=metrics_queue(rule.source),
        start_to_close_timeout=ATTEMPT_TIMEOUT,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        schedule_to_close_timeout=TIMEOUT,
        retry_policy=RETRY,
        summary=f"past versions for comparison {rule.name}",
    )
    return answered

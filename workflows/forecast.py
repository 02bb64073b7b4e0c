"""Forecast for a release before it starts: what its comparisons can prove at the traffic of the hour before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.compare.pace import PACE
    from tidegate.analysis.metric import MetricRules
    from tidegate.analysis.rules import RunRules
    from tidegate.analysis.spec import SpecError
    from tidegate.contract import (
        FORECAST_WORKFLOW,
        Activity,
        BeginComparison,
        CompareTarget,
        ComparisonBegun,
        ComparisonForecast,
        ErrorType,
        Observation,
        ObserveRequest,
        ReleaseForecast,
        ReleaseRequest,
        Target,
        cluster_queue,
        metrics_queue,
    )
    from tidegate.manifests.findings import ManifestError
    from workflows.admission import check, parse_request, read_manifest
    from workflows.inputs import invalid
    from workflows.operator_calls import cause_of_call, read
    from workflows.plan import Plan

ANOTHER = "another"  # in the place of the canary's version where the manifest has the stable one


@dataclass
class _Compared:
    """A metric that compares: its rules, the number of those in its run, and the gates that measure it."""

    rule: MetricRules
    rules: RunRules
    number: int
    gates: list[str] = field(default_factory=list)


@workflow.defn(name=FORECAST_WORKFLOW)
class Forecast:
    """Started by an operator, before a release. It reads, and changes nothing."""

    @workflow.run
    async def run(self, request: Any = None, *more: Any) -> ReleaseForecast:
        """Ask each source of counts once. Fails where the release would be refused, with the same reasons."""
        parsed = parse_request(request)
        manifest = read_manifest(parsed)
        plan, _ = check(parsed, manifest, await observe(parsed))
        found = await asyncio.gather(*(_forecast(plan, each) for each in _compared(plan)))
        pauses = [step.pause.seconds() or 0 for step in plan.steps if step.pause is not None]
        return ReleaseForecast(
            namespace=parsed.namespace,
            name=parsed.name,
            weights=plan.planned_weights,
            pauses=sum(pauses),
            comparisons=tuple(found),
            notes=tuple(_notes(plan)),
        )


async def observe(request: ReleaseRequest) -> Observation:
    """Read what the release would find. Raises ApplicationError `Unavailable` or `Rejected`."""
    target = Target(namespace=request.namespace, name=request.name)
    try:
        seen = await read(
            Activity.OBSERVE,
            ObserveRequest(target=target, rollout=request.resolved().rollout),
            Observation,
            cluster_queue(request.cluster),
            "read the cluster",
        )
    except ActivityError as error:
        raise _failed(cause_of_call(error, f"cluster {request.cluster}"), ErrorType.UNAVAILABLE) from error
    if seen.failing:
        raise _failed(seen.failing, ErrorType.REJECTED)
    return seen


def _failed(message: str, kind: ErrorType) -> ApplicationError:
    return ApplicationError(message, type=kind, non_retryable=True)


def _compared(plan: Plan) -> list[_Compared]:
    """Metrics that compare, each once, however many gates measure it. Raises `InvalidSpec`."""
    found: dict[str, _Compared] = {}
    for gate, analysis in () if plan.stages else plan.gates:  # after a switch nothing is proven
        try:
            rules = RunRules.of(plan.analysis_spec(analysis))
        except (SpecError, ManifestError) as error:
            raise invalid(f"{gate}: {error}") from error
        metrics = [rule for rule in rules.metrics if rule.compares]
        for rule in metrics:
            key = json.dumps([dict(rule.document), dict(rules.secrets), len(metrics)], sort_keys=True, default=dict)
            found.setdefault(key, _Compared(rule, rules, len(metrics))).gates.append(gate)
    return list(found.values())


async def _forecast(plan: Plan, compared: _Compared) -> ComparisonForecast:
    """The forecast for one metric; without an answer of its source, the reason."""
    rule = compared.rule
    none = ComparisonForecast(metric=rule.name, gates=tuple(compared.gates), source=rule.source)
    try:
        started = await _begin(plan, compared)
    except ActivityError as error:
        refused = isinstance(error.cause, ApplicationError) and error.cause.type == ErrorType.REJECTED
        return none.model_copy(update={"error": cause_of_call(error, rule.source), "refused": refused})
    seconds = min(started.forecast.seconds or started.wanted.max_wait, started.wanted.max_wait)
    numbers = {
        "wanted": started.wanted,
        "forecast": started.forecast,
        "readings": PACE.readings(seconds, len(plan.planned_weights)),
        "queries": started.queries,
        "notes": started.notes,
    }
    return none.model_copy(update=numbers)


async def _begin(plan: Plan, compared: _Compared) -> ComparisonBegun:
    """The same call as at the beginning of a comparison. Raises ActivityError."""
    now, versions = workflow.now().timestamp(), plan.versions
    if plan.is_stable:
        versions = versions.model_copy(update={"canary": ANOTHER, "canary_version": ANOTHER})
    target = CompareTarget(
        namespace=plan.request.namespace,
        run=plan.request.name,
        metric=dict(compared.rule.document),
        secret_args={name: dict(reference) for name, reference in compared.rules.secrets.items()},
        **versions.model_dump(),
    )
    request = BeginComparison(
        target=target, at=now, first_traffic=now, weights=plan.planned_weights, metrics=compared.number
    )
    source = compared.rule.source
    summary = f"read the traffic for comparison {compared.rule.name}"
    return await read(Activity(f"begin_comparison_{source}"), request, ComparisonBegun, metrics_queue(source), summary)


def _notes(plan: Plan) -> Iterator[str]:
    """Sentences on why this version takes no steps."""
    if plan.is_first:
        yield "no version was promoted yet: the first one has nothing to be compared with, and takes no steps"
    elif plan.is_stable:
        yield "this version is the stable one: the forecast is for another version in its place"
    elif plan.is_rollback:
        yield "this version was promoted within the rollbackWindow: it gets 100 % without steps"

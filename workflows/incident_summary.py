"""First lines of an incident: what happened, why, what it cost, the state now, and what to do. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from tidegate.contract import Compensation, CompensationState, ReleaseStatus
from tidegate.manifests.durations import format_duration
from tidegate.report import explain
from tidegate.report.timeline import first_traffic
from workflows.plan import Plan


def incident_summary(plan: Plan, status: ReleaseStatus) -> str:
    """Five lines, each with its title; the longest is the reason, in the words of `tidegate explain`."""
    happened, _, why = explain(status).headline.partition(": ")
    return "\n".join(
        [
            f"What happened: {happened}{_step(status)}",
            f"Why: {why or status.cause or 'no reason is known'}",
            f"Cost: {_cost(status)}",
            f"Now: {_now(status)}",
            f"What to do: {_remedy(plan, status)}",
        ]
    )


def _step(status: ReleaseStatus) -> str:
    number = status.step_number
    return f", in step {number}/{len(status.steps)} ({status.steps[number - 1].text})" if number is not None else ""


def _cost(status: ReleaseStatus) -> str:
    """The highest weight, and the time for which the canary had any."""
    highest = max((row.canary for row in status.weights), default=0)
    span = _exposed(status)
    if not highest or span is None:
        return "the version got no traffic"
    began, ended = span
    seconds = timedelta(seconds=round((ended - began).total_seconds()))
    more = "" if status.actual_weight == 0 else " so far"
    return (
        f"up to {highest} % of the requests went to it, for {format_duration(seconds)}{more} "
        f"({began:%H:%M:%S} to {ended:%H:%M:%S} UTC)"
    )


def _exposed(status: ReleaseStatus) -> tuple[datetime, datetime] | None:
    """First time with traffic, and the time at which it had none again, or of the last change of a weight."""
    first = first_traffic(status)
    return (first, status.weights[-1].at) if first is not None else None


def _now(status: ReleaseStatus) -> str:
    if status.failing is not None:
        return f"{status.actual_weight} % of the traffic is still on it, and the way back is {status.failing}"
    if status.actual_weight:
        return f"{status.actual_weight} % of the traffic is still on it; the way back has begun"
    return "all traffic is on the stable version; the aborted version's pods go"


def _remedy(plan: Plan, status: ReleaseStatus) -> str:
    name, namespace = plan.request.name, plan.request.namespace
    if status.actual_weight or status.failing is not None:
        return f"mend what is refused, and watch: tidegate get rollout {name} -n {namespace}"
    failed = [each.name for each in status.compensations if each.state is CompensationState.FAILED]
    first = f"finish by hand: {', '.join(failed)}; then " if failed else ""
    git = " (a revert follows as a note)" if any(c.name is Compensation.REVERT for c in status.compensations) else ""
    why = f"tidegate explain {name} -n {namespace}"
    return f"{first}nothing for the traffic{git}; look at why with {why}, mend the version, and start a new release"

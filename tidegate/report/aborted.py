"""An abort in words: version, cause, cost, the state of the traffic, and what an operator has to do."""

from __future__ import annotations

from typing import NamedTuple

from tidegate.analysis.compare.measurement import FAILED_REQUESTS, REQUESTS, comparison_of
from tidegate.contract import CompensationState, Event, Observation, ReleaseStatus
from tidegate.report.ages import clock
from tidegate.report.comparisons import comparisons
from tidegate.report.explain import decisive_metric
from tidegate.report.gates import limit_text, newest_value, scope
from tidegate.report.timeline import abort_of, restored_at, weight_at
from tidegate.report.versions import new_version, reach


def abort_event(status: ReleaseStatus) -> Event | None:
    """The abort that the status is about; None where its version goes on, or ended well."""
    return abort_of(status) if status.aborting else None


def taken_back(status: ReleaseStatus, abort: Event, observation: Observation | None = None) -> str:
    """Version that was taken back, at which weight, and when."""
    return f"{new_version(status, observation)} {reach(status, weight_at(status, abort.at))}, {clock(abort.at)} UTC"


def abort_reason(status: ReleaseStatus, abort: Event) -> str:
    """Cause of an abort in one sentence, with the value against the limit where a gate caused it."""
    gate = next((each for each in status.analyses if abort.analysis and each.name == abort.analysis), None)
    metric = decisive_metric(gate.status) if gate is not None else None
    if gate is None or metric is None:
        return status.cause or abort.message
    if (judged := comparison_of(metric)) is not None:
        return f"{metric.name}: {judged.value}"
    exceeded = f": {metric.exceeded}" if metric.exceeded else ""
    return f"{metric.name} of {scope(gate)} is {newest_value(metric)}, it has to be {limit_text(metric)}{exceeded}"


def abort_cost(status: ReleaseStatus) -> str:
    """Requests that the version failed, where a comparison counted them; empty else."""
    counted = [
        judged.metadata for _, judged in comparisons(status) if {REQUESTS, FAILED_REQUESTS} <= judged.metadata.keys()
    ]
    if not counted:
        return ""
    return f"{int(counted[-1][FAILED_REQUESTS]):,} of its {int(counted[-1][REQUESTS]):,} counted requests failed"


class WayBack(NamedTuple):
    """State of the traffic after an abort."""

    text: str
    done: bool


def way_back(status: ReleaseStatus, abort: Event) -> WayBack:
    """State of the traffic, with the seconds from the verdict to the weight that was read back."""
    back = restored_at(status, abort.at)
    if back is not None:
        seconds = (back - abort.at).total_seconds()
        return WayBack(f"all on stable since {clock(back)} UTC, read back {seconds:.1f} s after the verdict", True)
    if status.actual_weight == 0:
        return WayBack("all on stable", True)
    return WayBack(f"{status.actual_weight} % still on the canary, on its way back", False)


def operator_tasks(status: ReleaseStatus) -> list[str]:
    """Compensations that failed, each as what an operator has to do."""
    return [
        f"an operator is needed: {each.name} failed: {each.detail}"
        for each in status.compensations
        if each.state is CompensationState.FAILED
    ]

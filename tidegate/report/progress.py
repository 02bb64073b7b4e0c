"""Steps of a release in few words: the current one, the share that is done, and the time that is left of all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tidegate.analysis.status import Phase
from tidegate.contract import AnalysisRef, ReleaseStatus, StepState, StepStatus
from tidegate.manifests.durations import pause_seconds
from tidegate.report.ages import age

_GATES: Final = ("prePromotionAnalysis", "postPromotionAnalysis")
_PAUSE: Final = "pause: "
_WEIGHT: Final = "setWeight: "


class CurrentStep(NamedTuple):
    """The current step as a sentence of three parts: `step 3 of 8: `, `analysis`, ` at 10 %`."""

    opening: str
    step: str = ""
    weight: str = ""


def current_step(status: ReleaseStatus) -> CurrentStep:
    """The step under way, or the one at which a version was taken back."""
    index, count = status.step_index, len(status.steps)
    if not count:
        return CurrentStep("no steps: the whole version at once")
    if index is None:
        return CurrentStep("before its first step")
    if index >= count:
        return CurrentStep(f"all {count} steps")
    opening = "stopped at step" if status.aborting else "step"
    weight = f" at {status.set_weight} %" if status.steps[index].text == "analysis" and not status.aborting else ""
    return CurrentStep(f"{opening} {index + 1} of {count}: ", short(status.steps[index]), weight)


def state_of_step(step: StepStatus, status: ReleaseStatus) -> StepState:
    """State of a step; the one that is next to begin counts as running."""
    if step.index == status.step_index and step.state is StepState.PENDING:
        return StepState.RUNNING
    return step.state


def short(step: StepStatus) -> str:
    """A step in few characters: `10 %`, `pause 5m`, `analysis`."""
    if step.text.startswith(_WEIGHT):
        return f"{step.text.removeprefix(_WEIGHT)} %"
    return step.text.replace(_PAUSE, "pause ")


def time_left(status: ReleaseStatus, now: datetime) -> str:
    """Time that the rest of the steps takes: `~9m left`, `9m+ left` where a part of it is not known; empty without any.

    A timed pause takes its duration, an analysis as long as an earlier one of this release, any other step no time. The
    time of a first analysis is not known, nor that of a pause that only an operator ends.
    """
    index = status.step_index
    if index is None or status.finished_at is not None or status.aborting or index >= len(status.steps):
        return ""
    parts = [_seconds(each, status, now) for each in status.steps[index:]]
    known = sum(each for each in parts if each is not None)
    if None not in parts and status.manual_pause is None:
        return f"~{age(timedelta(seconds=round(known)))} left"
    return f"{age(timedelta(seconds=round(known)))}+ left" if known >= 1 else ""


def share_done(status: ReleaseStatus, now: datetime) -> float:
    """Share of the steps that are done, 0 to 1; of a timed pause its part that has passed."""
    if status.step_index is None or not status.steps:
        return 0.0
    index = min(status.step_index, len(status.steps))
    part = 0.0
    if index < len(status.steps) and (step := status.steps[index]).text.startswith(_PAUSE) and step.started_at:
        part = min(max((now - step.started_at).total_seconds(), 0.0) / max(_duration(step), 1.0), 1.0)
    return (index + part) / len(status.steps)


def running(status: ReleaseStatus) -> list[AnalysisRef]:
    """Analysis runs of this version that are under way."""
    return [each for each in status.analyses if each.revision == status.revision and each.status.phase is Phase.RUNNING]


def _seconds(step: StepStatus, status: ReleaseStatus, now: datetime) -> float | None:
    """Seconds that a step still takes; None where that is not known."""
    spent = (now - step.started_at).total_seconds() if step.started_at is not None else 0.0
    if step.text.startswith(_PAUSE):
        return max(_duration(step) - spent, 0.0)
    if step.text == "analysis":
        whole = _analysis_seconds(status, step)
        return None if whole is None else max(whole - spent, 0.0)
    return None if step.text in ("pause", "experiment") or step.text.startswith(_GATES) else 0.0


def _duration(step: StepStatus) -> float:
    try:
        return float(pause_seconds(step.text.removeprefix(_PAUSE)))
    except ValueError:
        return 0.0


def _analysis_seconds(status: ReleaseStatus, step: StepStatus) -> float | None:
    """Seconds of the latest analysis of a step that went well; None before there was one."""
    took = [
        (each.finished_at - each.started_at).total_seconds()
        for each in status.steps
        if each.text == step.text and each.state is StepState.DONE and each.started_at and each.finished_at
    ]
    return took[-1] if took else None

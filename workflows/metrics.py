"""Prometheus metrics of releases, beside those of the SDK. A replay counts nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import AnalysisRef, Effect, FollowedUp, ReleaseStatus, StepState
    from tidegate.contract.metrics import (
        ANALYSIS_RUNS,
        FOLLOW_UPS,
        RELEASES_ENDED,
        RELEASES_STARTED,
        STEP_DURATION,
        VERDICT_TO_STABLE,
    )
    from tidegate.report.timeline import abort_of


def count_start() -> None:
    """Count a version that was admitted."""
    RELEASES_STARTED.add(workflow.metric_meter())


def count_end(outcome: str) -> None:
    """Count a release that has ended, by outcome (Healthy, RolloutAborted, ...)."""
    RELEASES_ENDED.add(workflow.metric_meter(), outcome=outcome)


def count_verdict(gate: AnalysisRef) -> None:
    """Count the verdict of an analysis run."""
    ANALYSIS_RUNS.add(workflow.metric_meter(), kind=gate.kind, phase=gate.status.phase)


def count_follow_up(effect: Effect, ended: FollowedUp) -> None:
    """Count the end of an effect, by its activity: the name of a notification is a text of the manifest."""
    FOLLOW_UPS.add(workflow.metric_meter(), effect=effect.activity, outcome=ended.state)


@contextmanager
def timed_step(kind: str) -> Iterator[None]:
    """Measure the time of a step, or a stage, of a kind within the block."""
    began = workflow.now()
    try:
        yield
    except (Exception, asyncio.CancelledError):  # not the end of a worker, which is none of the step
        _observe_step(kind, StepState.FAILED, began)
        raise
    _observe_step(kind, StepState.DONE, began)


def _observe_step(kind: str, state: StepState, began: datetime) -> None:
    STEP_DURATION.observe(workflow.metric_meter(), workflow.now() - began, step=kind, state=state)


def observe_way_back(status: ReleaseStatus) -> None:
    """Measure the time from the verdict, or from the abort where no verdict caused it, until now.

    Measures nothing for a version that was aborted before this run.
    """
    if (abort := abort_of(status)) is None:
        return
    gate = next((each for each in status.analyses if each.name == abort.analysis), None)
    decided = gate.status.completed_at if gate is not None else None
    cause = "other" if gate is None else "analysis"
    VERDICT_TO_STABLE.observe(workflow.metric_meter(), workflow.now() - (decided or abort.at), cause=cause)

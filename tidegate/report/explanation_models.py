"""The account of a release: query, value, verdict, and what the release did because of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from tidegate.analysis.status import MetricStatus, Phase
from tidegate.contract import AnalysisKind, Payload


class TimelineEntry(Payload):
    """One thing that a release did, or could not do (`bad`); `at` None when its time is not known."""

    at: datetime | None
    text: str
    bad: bool = False


class MetricExplanation(Payload):
    """Reason of a metric's phase, in one sentence; the measurements in `metric` are those that decided."""

    sentence: str
    metric: MetricStatus


class GateExplanation(Payload):
    """One analysis run.

    `step`, counted from 1, is its own; of a run in the background it is the one that was under way at its verdict.
    `weight` is the percentage of traffic that the canary had then, or has now; None where there is no release.
    """

    name: str
    workflow_id: str = ""
    kind: AnalysisKind | Literal[""] = ""  # empty when started alone
    step: int | None = None
    step_text: str = ""
    weight: int | None = None
    phase: Phase
    message: str = ""
    started_at: datetime | None = None
    completed_at: datetime | None = None
    metrics: tuple[MetricExplanation, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()


class Explanation(Payload):
    """Explanation of a release, or of an analysis run."""

    subject: str
    headline: str  # the explanation in one sentence
    phase: str
    decided_by: str = ""  # name of the analysis run that ended the release
    gates: tuple[GateExplanation, ...] = ()
    ending: tuple[TimelineEntry, ...] = ()  # the end, whatever the cause
    workflow_id: str
    run_id: str = ""

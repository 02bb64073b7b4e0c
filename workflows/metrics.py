"""Prometheus metrics of releases, beside those of the SDK. A replay counts nothing twice."""

from __future__ import annotations

from temporalio import workflow


def count_end(outcome: str) -> None:
    """Count a release that has ended: `tidegate_releases_ended_total`, by outcome (Healthy, RolloutAborted, ...)."""
    counter = workflow.metric_meter().create_counter("tidegate_releases_ended", "Releases that have ended, by outcome")
    counter.add(1, {"outcome": outcome})

"""metric_phase and ttl: what counters mean for a metric, and when a run may be forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.cases.family import Answer, Family, Input
from tests.cases.results import rules_of
from tidegate.analysis.status import Measurement, MetricStatus, Phase
from tidegate.analysis.ttl import expired

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COUNTERS = {
    "count": "count",
    "successful": "successful",
    "failed": "failed",
    "inconclusive": "inconclusive",
    "error": "error",
    "consecutiveError": "consecutive_error",
    "consecutiveSuccess": "consecutive_success",
}


def metric_phase(given: Input) -> Answer:
    result: dict[str, Any] = given["result"]
    status = MetricStatus(
        name=result["name"],
        phase=Phase(result["phase"] or Phase.PENDING),
        measurements=tuple(
            Measurement(
                phase=each["phase"], started_at=each.get("startedAt") or NOW, finished_at=each.get("finishedAt")
            )
            for each in result["measurements"] or []
        ),
        **{ours: result.get(argos, 0) for argos, ours in COUNTERS.items()},
    )
    return {"phase": str(rules_of(given["metric"]).phase(status, terminating=given["terminating"]))}


def ttl(given: Input) -> Answer:
    run, ago = given["run"], given.get("completed_ago")
    completed_at = None if ago is None else NOW - timedelta(seconds=ago)
    strategy = run["spec"].get("ttlStrategy") or {}
    return {"expired": expired(strategy, Phase(run["status"]["phase"]), completed_at, NOW)}


FAMILIES = (Family("metric_phase", metric_phase), Family("ttl", ttl))

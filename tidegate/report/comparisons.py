"""The comparisons of a release: what they say now, and what share of the traffic they see."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.analysis.compare.measurement import SEEN, WEIGHT, comparison_of
from tidegate.analysis.compare.phrases import percent
from tidegate.analysis.status import Measurement, MetricStatus
from tidegate.contract import ReleaseStatus


def comparisons(status: ReleaseStatus) -> Iterator[tuple[MetricStatus, Measurement]]:
    """Yield each metric of this version's gates that compares, with its newest judgement; the newest gate is last."""
    for gate in status.analyses:
        for metric in gate.status.metrics:
            if gate.revision == status.revision and (judged := comparison_of(metric)) is not None:
                yield metric, judged


def actual_weight(status: ReleaseStatus) -> str:
    """The canary's weight as the router has it, in percent, with the words for one that the router cannot confirm."""
    return f"{status.actual_weight} %" + ("" if status.weight_verified else " (asked, not verified)")


def traffic_seen(status: ReleaseStatus) -> str:
    """Percent of the requests that the canary is seen to answer at its weight; empty where none has seen it."""
    weight = f"{status.actual_weight / 100:.4g}"
    judged = [each.metadata for _, each in comparisons(status) if each.metadata.get(WEIGHT) == weight]
    seen = [metadata[SEEN] for metadata in judged if metadata.get(SEEN)]
    return percent(float(seen[-1])) if seen and status.actual_weight > 0 else ""

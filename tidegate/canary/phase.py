"""Phase and message of a Rollout: the one word that people, Argo CD and CI wait for.

Source: argo-rollouts, utils/rollout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final

from tidegate.canary.status import RolloutStatus
from tidegate.manifests.rollout import Rollout, RolloutSpec

WORKLOAD_GENERATION: Final = "rollout.argoproj.io/workload-generation"
INVALID_SPEC: Final = "InvalidSpec"
ALL_STEPS: Final = "waiting for all steps to complete"
_DEGRADED_REASONS: Final = ("RolloutAborted", "ProgressDeadlineExceeded")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")


class RolloutPhase(StrEnum):
    """What a Rollout comes to."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    DEGRADED = "Degraded"


def rollout_phase(rollout: Rollout) -> tuple[str, str]:
    """Phase and message for somebody who looks at the object: what its status says, once that is about this spec.

    The phase is a `RolloutPhase`, or whatever another controller stored. Raises ValueError for a status that cannot be
    read.
    """
    status = RolloutStatus.of(rollout)
    if waiting := next(_not_observed(rollout, status), ""):
        return RolloutPhase.PROGRESSING, waiting
    if status.phase:
        return status.phase, status.message
    return calculated_phase(rollout.spec, status)


def calculated_phase(spec: RolloutSpec, status: RolloutStatus) -> tuple[RolloutPhase, str]:
    """Phase and message for the one who writes the status: they follow from the rest of it."""
    for condition in status.conditions:
        if condition.type == INVALID_SPEC:
            return RolloutPhase.DEGRADED, f"{INVALID_SPEC}: {condition.message}"
        if condition.reason in _DEGRADED_REASONS:
            return RolloutPhase.DEGRADED, f"{condition.reason}: {condition.message}"
    if spec.paused:
        return RolloutPhase.PAUSED, "manually paused"
    if status.pause_conditions:
        return RolloutPhase.PAUSED, status.pause_conditions[0].reason
    missing = next(_missing(spec, status), "")
    return (RolloutPhase.PROGRESSING if missing else RolloutPhase.HEALTHY), missing


def _missing(spec: RolloutSpec, status: RolloutStatus) -> Iterator[str]:
    """What a Rollout that nothing holds lacks, the first first."""
    if spec.restart_at is not None and not _same_moment(spec.restart_at, status.restarted_at):
        yield "rollout is restarting"
    yield from missing_pods(status.updated_replicas, status.available_replicas, spec.wanted_replicas())
    canary = spec.strategy.canary
    if canary is None:
        return
    # With a router the old pods stay for a while after a promotion, which is no lack.
    if canary.traffic_routing is None and status.replicas > status.updated_replicas:
        yield "old replicas are pending termination"
    if not status.stable_rs or not status.fully_promoted:
        yield ALL_STEPS


def missing_pods(updated: int, available: int, wanted: int) -> Iterator[str]:
    """Which pods a Rollout lacks: `updated` are those of the version, `available` those of all versions."""
    if updated < wanted:
        yield "more replicas need to be updated"
    if available < updated:
        yield "updated replicas are still becoming available"


def _not_observed(rollout: Rollout, status: RolloutStatus) -> Iterator[str]:
    """Why the status is not yet about what the object says."""
    observed = _number(status.observed_generation)
    if observed is not None and observed < rollout.metadata.generation:
        yield "waiting for rollout spec update to be observed"
    if status.controller_pause and not status.pause_conditions:
        yield "waiting for rollout to unpause"
    wanted = _number(rollout.metadata.annotations.get(WORKLOAD_GENERATION, ""))
    seen = _number(status.workload_observed_generation)
    if rollout.spec.workload_ref is not None and None not in (wanted, seen) and wanted != seen:
        yield "waiting for rollout spec update to be observed for the reference workload"


def _number(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _same_moment(one: str, other: str | None) -> bool:
    return other is not None and datetime.fromisoformat(one) == datetime.fromisoformat(other)

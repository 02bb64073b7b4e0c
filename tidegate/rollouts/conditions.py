"""`.status.conditions` of a Rollout: what Argo CD, kubectl and people's alerts read.

Source: argo-rollouts, utils/conditions and rollout/sync: types, reasons and messages are Argo's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from tidegate.manifests.rollout import Rollout
from tidegate.rollouts.phase import INVALID_SPEC
from tidegate.rollouts.status import Condition, ConditionStatus, RolloutStatus


class ConditionType(StrEnum):
    """Subject of a condition."""

    PROGRESSING = "Progressing"
    AVAILABLE = "Available"
    PAUSED = "Paused"
    HEALTHY = "Healthy"
    COMPLETED = "Completed"
    REPLICA_FAILURE = "ReplicaFailure"


class Reason(StrEnum):
    """Why a condition is what it is."""

    ABORTED = "RolloutAborted"
    AVAILABLE = "AvailableReason"
    COMPLETED = "RolloutCompleted"
    CREATED = "NewReplicaSetCreated"
    DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    FOUND = "FoundNewReplicaSet"
    HEALTHY = "RolloutHealthy"
    INVALID_SPEC = "InvalidSpec"
    NEW_AVAILABLE = "NewReplicaSetAvailable"
    NOT_AVAILABLE = "ReplicaSetNotAvailable"
    PAUSED = "RolloutPaused"
    NOT_CREATED = "ReplicaSetCreateError"
    NOT_ROUTED = "TrafficRoutingError"
    REFUSED = "ReconciliationError"
    RESUMED = "RolloutResumed"
    RETRY = "RolloutRetry"
    UPDATED = "ReplicaSetUpdated"


REFUSALS: Final = (Reason.NOT_CREATED, Reason.NOT_ROUTED, Reason.REFUSED)
"""Which work the cluster refuses. Argo writes the second as an Event alone."""
_UNAVAILABLE: Final = "Rollout does not have minimum availability"
_STATUS: Final = {True: ConditionStatus.TRUE, False: ConditionStatus.FALSE, None: ConditionStatus.UNKNOWN}


@dataclass(frozen=True)
class ConditionInputs:
    """All that the conditions follow from, beside the status, at one time.

    `rollout` carries the status that was written last, `status` is the one that is about to be written, but for its
    conditions. `healthy` says that everything of this spec has arrived. `replica_set` is the version's, `created` when
    it was created just now. `abort_cause` is one sentence, empty when a person aborted. `late` says that
    `progressDeadlineSeconds` have gone by without any progress, `failing` what the cluster refuses, in its words, empty
    while it refuses nothing, and `refused` which work that is. `without_pods` is why the controller of a ReplicaSet can
    make no pods, empty where all can.
    """

    rollout: Rollout
    status: RolloutStatus
    healthy: bool
    replica_set: str
    revision: int
    now: datetime
    created: bool = False
    abort_cause: str = ""
    late: bool = False
    failing: str = ""
    refused: Reason = Reason.REFUSED
    without_pods: str = ""


def conditions(at: ConditionInputs) -> tuple[Condition, ...]:
    """The conditions of a moment. One that says the same as before keeps its times and its message.

    A spec that is being released is valid. Conditions of other types stay as they were. Raises ValueError for an
    earlier status that cannot be read.
    """
    before = RolloutStatus.of(at.rollout)
    table = {each.type: each for each in before.conditions if each.type != INVALID_SPEC}
    if not at.without_pods:
        table.pop(ConditionType.REPLICA_FAILURE, None)
    health = _health(at, known=ConditionType.HEALTHY in table)
    lost_health = health is not None and not health.holds and _holds(table.get(ConditionType.HEALTHY))
    written = {
        ConditionType.HEALTHY: health,
        ConditionType.PROGRESSING: _progressing(at, before, table.get(ConditionType.PROGRESSING), lost=lost_health),
        ConditionType.PAUSED: _pause(at, _holds(table.get(ConditionType.PAUSED))),
        ConditionType.AVAILABLE: _availability(at),
        ConditionType.COMPLETED: _Claim(at.status.completed, Reason.COMPLETED, Reason.COMPLETED),
        ConditionType.REPLICA_FAILURE: _replica_failure(at, table.get(ConditionType.REPLICA_FAILURE)),
    }
    for type_, claim in written.items():
        found = table.get(type_)
        if claim is not None and not claim.says_the_same_as(found):
            # What changed last stands last, as with Argo.
            table.pop(type_, None)
            table[type_] = claim.condition(type_, found, at.now)
    return tuple(table.values())


def rejection(before: RolloutStatus, message: str, now: datetime) -> tuple[Condition, ...]:
    """The conditions of a Rollout whose spec is not released: `InvalidSpec` says why, the others stay as they were."""
    found = next((each for each in before.conditions if each.type == INVALID_SPEC), None)
    claim = _Claim(True, Reason.INVALID_SPEC, message)
    if found is not None and found.message == message and claim.says_the_same_as(found):
        return before.conditions
    others = tuple(each for each in before.conditions if each.type != INVALID_SPEC)
    return (*others, claim.condition(INVALID_SPEC, found, now))


def progressed(before: RolloutStatus, after: RolloutStatus) -> bool:
    """True when a release moved: pods came up, old ones went, a step was done, a Service was switched, another version
    or other steps are under way.

    This is what `progressDeadlineSeconds` waits for.
    """
    old_pods = (before.replicas - before.updated_replicas, after.replicas - after.updated_replicas)
    steps = (before.current_step_index, after.current_step_index)
    return (
        after.updated_replicas != before.updated_replicas
        or old_pods[1] < old_pods[0]
        or after.ready_replicas > before.ready_replicas
        or after.available_replicas > before.available_replicas
        or after.stable_rs != before.stable_rs
        or _selectors(after) != _selectors(before)
        or after.current_step_hash != before.current_step_hash
        or (None not in steps and steps[0] != steps[1])
    )


def _selectors(status: RolloutStatus) -> tuple[str, str]:
    return status.blue_green.active_selector, status.blue_green.preview_selector


class _Claim(NamedTuple):
    """Desired content of a condition; `holds` None: unknown. `renewed` moves its time even when it says the same."""

    holds: bool | None
    reason: str
    message: str
    renewed: bool = False

    def says_the_same_as(self, found: Condition | None) -> bool:
        return not self.renewed and found is not None and (found.status, found.reason) == (self.status, self.reason)

    @property
    def status(self) -> ConditionStatus:
        return _STATUS[self.holds]

    def condition(self, type_: str, found: Condition | None, now: datetime) -> Condition:
        since = found.last_transition_time if found is not None and found.status == self.status else ""
        time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Condition.model_validate(
            {
                "type": str(type_),
                "status": self.status.value,
                "reason": str(self.reason),
                "message": str(self.message),
                "lastUpdateTime": time,
                "lastTransitionTime": since or time,
            }
        )


def _health(at: ConditionInputs, *, known: bool) -> _Claim | None:
    """Nothing before the first time that a Rollout is healthy."""
    if not _paused(at) and at.healthy:
        return _Claim(True, Reason.HEALTHY, "Rollout is healthy")
    return _Claim(False, Reason.HEALTHY, "Rollout is not healthy") if known else None


def _progressing(at: ConditionInputs, before: RolloutStatus, found: Condition | None, *, lost: bool) -> _Claim | None:
    """Held, let go, begun or under way, in this order; None leaves the time since which nothing moved as it is."""
    last = found.reason if found is not None else ""
    if at.status.abort:
        cause = f": {at.abort_cause}" if at.abort_cause else ""
        return _Claim(False, Reason.ABORTED, f"Rollout aborted update to revision {at.revision}{cause}")
    if last == Reason.ABORTED:
        return _Claim(None, Reason.RETRY, "Retrying Rollout after abort")
    if _paused(at):
        return _Claim(None, Reason.PAUSED, "Rollout is paused")
    if at.failing and not at.late:
        renewed = found is not None and found.message != at.failing
        return _Claim(False, at.refused, at.failing, renewed=renewed)
    if last in REFUSALS and not at.late:
        return _Claim(True, Reason.UPDATED, f'ReplicaSet "{at.replica_set}" is progressing.')
    if last == Reason.PAUSED:
        return _Claim(None, Reason.RESUMED, "Rollout is resumed")
    if at.created:
        return _Claim(True, Reason.CREATED, f'Created new replica set "{at.replica_set}"')
    if found is None:
        return _Claim(True, Reason.FOUND, f'Found new replica set "{at.replica_set}"')
    return _under_way(at, before, lost=lost)


def _under_way(at: ConditionInputs, before: RolloutStatus, *, lost: bool) -> _Claim | None:
    named = f'ReplicaSet "{at.replica_set}"'
    if at.healthy:
        return _Claim(True, Reason.NEW_AVAILABLE, f"{named} has successfully progressed.")
    if at.late:
        return _Claim(False, Reason.DEADLINE_EXCEEDED, f"{named} has timed out progressing.")
    if lost and at.status.completed:
        return _Claim(True, Reason.NOT_AVAILABLE, _UNAVAILABLE, renewed=True)
    if lost or progressed(before, at.status):
        return _Claim(True, Reason.UPDATED, f"{named} is progressing.", renewed=True)
    return None


def _pause(at: ConditionInputs, was_paused: bool) -> _Claim | None:
    """Nothing before the first pause, and nothing new after an abort, which drops every pause."""
    if at.status.abort or _paused(at) == was_paused:
        return None
    return _Claim(_paused(at), Reason.PAUSED, "Rollout is paused")


def _availability(at: ConditionInputs) -> _Claim:
    if at.status.available_replicas >= at.rollout.spec.wanted_replicas():
        return _Claim(True, Reason.AVAILABLE, "Rollout has minimum availability")
    return _Claim(False, Reason.AVAILABLE, _UNAVAILABLE)


def _replica_failure(at: ConditionInputs, found: Condition | None) -> _Claim | None:
    if not at.without_pods:
        return None
    reason, _, message = at.without_pods.partition(": ")
    return _Claim(True, reason, message, renewed=found is not None and found.message != message)


def _paused(at: ConditionInputs) -> bool:
    return bool(at.status.pause_conditions) or at.rollout.spec.paused


def _holds(found: Condition | None) -> bool:
    return found is not None and found.status == ConditionStatus.TRUE

"""Drills: a bad version is released on purpose, and it is seen whether a gate takes it back."""

from __future__ import annotations

from datetime import timedelta

from tidegate.client.client import TidegateClient
from tidegate.client.errors import HeldError, RefusedError, ReleaseError, StillRunningError
from tidegate.client.refs import ReleaseHandle, RolloutRef
from tidegate.client.repeats import is_version_of
from tidegate.contract import ErrorType, Payload, ReleaseRequest, ReleaseStatus
from tidegate.report.aborted import abort_reason
from tidegate.report.timeline import abort_of, first_traffic, restored_at, weight_at
from tidegate.rollouts.phase import RolloutPhase

RESTORE_TIMEOUT = timedelta(minutes=2)
_NOT_SEEN = "no gate took it back"


class Drilled(Payload):
    """Result of a drill; seconds are None where there was nothing to measure.

    `caught` is true when a gate took the version back, `reason` what it saw, or why it was none.
    """

    caught: bool
    reason: str
    gate: str = ""
    weight: int = 0  # percent of the traffic that the version had when it was taken back
    seen_seconds: float | None = None  # from its first traffic to the verdict
    back_seconds: float | None = None  # from the verdict until all traffic was read back on stable
    incident: str = ""
    run_id: str = ""


async def drill(
    client: TidegateClient, stable: ReleaseRequest, bad: ReleaseRequest, *, beside: bool, timeout: timedelta
) -> Drilled:
    """Release `bad`, see what becomes of it, and release `stable` again, which is what was there before.

    `beside` says that an analysis beside the steps may fail while the version is held. Raises `RefusedError` when
    `stable` is not the version that is promoted now, and a `TidegateError` when something is not back in its place.
    """
    rollout = RolloutRef(cluster=stable.cluster, namespace=stable.namespace, name=stable.name)
    await _check_rest(client, rollout, stable)
    handle = await client.start(bad)
    try:
        return judged(await _ended(client, handle, beside=beside, timeout=timeout))
    finally:
        # Also closes the incident, and leaves the object as it was found.
        await client.wait(await client.start(stable), timeout=RESTORE_TIMEOUT)


def judged(status: ReleaseStatus) -> Drilled:
    """Result of a drill of which that is the end."""
    abort = abort_of(status)
    if abort is None:
        return Drilled(caught=False, reason=f"{_NOT_SEEN}: {status.message}", run_id=status.run_id)
    first, back = first_traffic(status), restored_at(status, abort.at)
    return Drilled(
        caught=bool(abort.analysis),
        reason=abort_reason(status, abort) if abort.analysis else f"{_NOT_SEEN}: {status.cause}",
        gate=abort.analysis,
        weight=weight_at(status, abort.at),
        seen_seconds=(abort.at - first).total_seconds() if first is not None else None,
        back_seconds=(back - abort.at).total_seconds() if back is not None else None,
        incident=status.incident.number if status.incident is not None else "",
        run_id=status.run_id,
    )


async def _check_rest(client: TidegateClient, rollout: RolloutRef, stable: ReleaseRequest) -> None:
    """Raise RefusedError where a drill would be in the way of a release, or leave another version than it found."""
    status = await client.status(rollout)
    is_other = not is_version_of(stable, status)
    if status.finished_at is None or status.phase is not RolloutPhase.HEALTHY or is_other:
        state = "is another version than the manifests'" if is_other else f"is {status.phase}"
        message = f"{rollout.workflow_id}: the newest release {state}, and a drill disturbs none"
        raise RefusedError(
            message, "promote the version of the manifests first, or name its --image", ErrorType.REJECTED
        )


async def _ended(client: TidegateClient, handle: ReleaseHandle, *, beside: bool, timeout: timedelta) -> ReleaseStatus:
    """Status at the end; what no gate ended is aborted."""
    try:
        return (await client.wait(handle, timeout=timeout, until_held=not beside)).status
    except (HeldError, StillRunningError):
        await client.abort(handle.rollout, reason=f"drill: {_NOT_SEEN}")
        await client.until_restored(handle.rollout, handle.run_id, timeout=RESTORE_TIMEOUT)
        return await client.status(handle.rollout)
    except ReleaseError as error:
        if error.result is None:
            raise
        return error.result.status

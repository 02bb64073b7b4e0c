"""Requests in the `.status` of a Rollout object: abort, retry, promote, promote --full.

A field counts where the API server recorded another writer than a release (law 12).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.contract import Message, ObjectField, ReleaseStatus, RolloutObject, StepState, Update
from tidegate.report import pause_conditions
from tidegate.watch.commands import Command, EmitWarning, Release, SendUpdate
from tidegate.watch.request import is_external_write, is_recorded, mapping, writer_of


def status_commands(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release
) -> Iterator[Command]:
    """Commands from fields of `.status`: abort, which comes first, promote --full, or promote.

    A promotion counts for the version that the object named when it was patched: the one under way may be newer.
    """
    status = release.status
    if commands := tuple(abort_command(rollout, live, known, release)):
        yield from commands
        return
    if status.promoted_full or not _names(rollout, status):
        return
    if is_set(rollout, known, "promoteFull") and is_external_write(rollout, "promoteFull"):
        yield _promote_all(rollout, live, status, "promoteFull", full=True, field=ObjectField.PROMOTE_FULL)
    elif _jumps_to_the_end(rollout, known, status):
        yield _promote_all(rollout, live, status, "currentStepIndex", all_steps=True)
    elif (cause := _promoted(rollout, known, status)) is not None:
        name, started = cause
        message = Message(
            by=writer_of(rollout, "status", name), reason=f"status.{name}", versions=status.version_number
        )
        yield SendUpdate(status.run_id, Update.PROMOTE, f"promote-{live.uid}-{started}", message)
    elif is_set(rollout, known, "promoteFull"):
        yield from unrecorded(rollout, live, "promoteFull")
    elif known.status.get("currentStepIndex") is not None and _skips(rollout, status):
        yield from unrecorded(rollout, live, "currentStepIndex")


def _promote_all(
    rollout: Mapping[str, Any], live: RolloutObject, status: ReleaseStatus, name: str, **how: Any
) -> SendUpdate:
    """Promote past all steps, or with `full` past all gates, because a field of the status asks for it."""
    message = Message(
        by=writer_of(rollout, "status", name), reason=f"status.{name}", versions=status.version_number, **how
    )
    what = "full" if message.full else "all"
    return SendUpdate(status.run_id, Update.PROMOTE, f"promote-{what}-{live.uid}-{status.versions}", message)


def _names(rollout: Mapping[str, Any], status: ReleaseStatus) -> bool:
    """True when the object's `.status` names the version that the release brings out, or none."""
    found = mapping(rollout.get("status"))
    named = (found.get("currentPodHash"), found.get("currentStepHash"))
    return not named[0] or named == (status.desired_hash, status.step_hash)


def abort_command(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release
) -> Iterator[Command]:
    """The abort of the version under way, where an operator set it."""
    status = release.status
    if release.is_open and is_abort_set(rollout, live, known):
        message = Message(by=writer_of(rollout, "status", "abort"), reason="status.abort")
        yield SendUpdate(status.run_id, Update.ABORT, f"abort-{live.uid}-{status.versions}", message)


def is_abort_set(rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject) -> bool:
    """True when an operator set the abort since the release's first read."""
    return is_since(live, known) and is_set(rollout, known, "abort") and is_abort(rollout)


def is_set(rollout: Mapping[str, Any], known: RolloutObject, flag: str) -> bool:
    """True when a flag is set that was not at the release's first read, and that the release did not write since."""
    return mapping(rollout.get("status")).get(flag) is True and known.status.get(flag) is not True


def is_abort(rollout: Mapping[str, Any]) -> bool:
    """True when the abort flag is an operator's.

    Without a record of its writer, it is one unless `abortedAt` is set, which only releases write.
    """
    if is_recorded(rollout, "abort"):
        return is_external_write(rollout, "abort")
    return mapping(rollout.get("status")).get("abortedAt") is None


def is_taken_back(rollout: Mapping[str, Any]) -> bool:
    """True when an operator removed the abort, for another attempt.

    A release removes the flag, and never writes false. Where the flag is absent, `phase` is as the aborted release left
    it.
    """
    found = mapping(rollout.get("status"))
    if found.get("abort") is None:
        return found.get("phase") == "Degraded"
    return found.get("abort") is False and (is_external_write(rollout, "abort") or not is_recorded(rollout, "abort"))


def unrecorded(rollout: Mapping[str, Any], live: RolloutObject, field: str) -> Iterator[Command]:
    """A warning that a field without a recorded writer is no request: it must not bring more traffic (law 4)."""
    if not is_recorded(rollout, field):
        yield EmitWarning(
            f"unrecorded-{field}-{live.generation}-{live.template_hash}",
            f"status.{field} is not taken for an operator's request: the object keeps no record of who wrote it "
            "(metadata.managedFields); use tidegate promote",
        )


def _promoted(rollout: Mapping[str, Any], known: RolloutObject, status: ReleaseStatus) -> tuple[str, str] | None:
    """The field by which an operator promoted, and the start of the wait that it ends; None without a promotion.

    Argo's plugin clears the pause and moves the index in one patch where an analysis was inconclusive. The start is the
    pause's then, so that it is one promotion.
    """
    found, pause = mapping(rollout.get("status")), pause_conditions(status)
    skips = _skips(rollout, status) and is_external_write(rollout, "currentStepIndex")
    if pause is not None:
        # The release removes both at once: only another writer leaves `controllerPause` without its conditions.
        cleared = not found.get("pauseConditions") and found.get("controllerPause") is True
        if known.status.get("pauseConditions") == pause and (cleared or skips):
            return "pauseConditions", str(pause[0]["startTime"])
        return None
    index = status.step_index
    running = index is not None and index < len(status.steps) and status.steps[index].state is StepState.RUNNING
    if index is None or not running or known.status.get("currentStepIndex") != index or not skips:
        return None
    started = status.steps[index].started_at
    return "currentStepIndex", started.isoformat(timespec="microseconds") if started else str(index)


def _skips(rollout: Mapping[str, Any], status: ReleaseStatus) -> bool:
    """True when the index is beyond the release's step, which a release never writes."""
    index = mapping(rollout.get("status")).get("currentStepIndex")
    return isinstance(index, int) and status.step_index is not None and index > status.step_index


def _jumps_to_the_end(rollout: Mapping[str, Any], known: RolloutObject, status: ReleaseStatus) -> bool:
    """True for Argo's --skip-all-steps: the index is beyond all steps, and more than the current one was left."""
    if "currentStepIndex" not in known.status or not is_external_write(rollout, "currentStepIndex"):
        return False
    remaining, index = len(status.steps) - (status.step_index or 0), mapping(rollout["status"]).get("currentStepIndex")
    return _skips(rollout, status) and index == len(status.steps) and remaining > 1


def is_since(live: RolloutObject, known: RolloutObject) -> bool:
    """True when the object was read at or after the release's last write.

    The API server promises an order only within a cluster's storage, where versions are decimal numbers. Other versions
    are only compared for equality, as an old object must not count as a new one.
    """
    if not (live.resource_version.isdecimal() and known.resource_version.isdecimal()):
        return live.resource_version == known.resource_version
    return int(live.resource_version) >= int(known.resource_version)

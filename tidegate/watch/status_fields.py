"""What a person patched into the `.status` of a Rollout object: abort, the end of an abort, promote, promote --full.

A field counts where the API server records that somebody else than a release wrote it (law 12).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.contract import Message, ObjectField, ReleaseStatus, RolloutObject, StepState, Update
from tidegate.report import pause_conditions
from tidegate.watch.commands import Ask, EmitWarning, Release, SendUpdate
from tidegate.watch.request import is_recorded, is_word, mapping, writer_of


def asks_of_status(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release
) -> Iterator[Ask]:
    """What a person patched into `.status`: abort, which comes first, promote --full, or promote.

    A promotion counts for the version that the object named when it was said: the one under way may have come since.
    """
    status = release.status
    if asks := tuple(abort_asked(rollout, live, known, release)):
        yield from asks
        return
    if status.promoted_full or not _names(rollout, status):
        return
    to_the_end = _jumps_to_the_end(rollout, known, status)
    if to_the_end or (is_set(rollout, known, "promoteFull") and is_word(rollout, "promoteFull")):
        name = "currentStepIndex" if to_the_end else "promoteFull"
        field = None if to_the_end else ObjectField.PROMOTE_FULL
        by = writer_of(rollout, "status", name)
        said = Message(full=True, by=by, reason=f"status.{name}", versions=status.begun, field=field)
        yield SendUpdate(status.run_id, Update.PROMOTE, f"promote-full-{live.uid}-{status.versions}", said)
    elif (cause := _promoted(rollout, known, status)) is not None:
        name, moment = cause
        said = Message(by=writer_of(rollout, "status", name), reason=f"status.{name}", versions=status.begun)
        yield SendUpdate(status.run_id, Update.PROMOTE, f"promote-{live.uid}-{moment}", said)
    elif is_set(rollout, known, "promoteFull"):
        yield from unrecorded(rollout, live, "promoteFull")
    elif known.status.get("currentStepIndex") is not None and _skips(rollout, status):
        yield from unrecorded(rollout, live, "currentStepIndex")


def _names(rollout: Mapping[str, Any], status: ReleaseStatus) -> bool:
    """Whether the version that a release brings out is the one that the object's `.status` tells of, if of any."""
    said = mapping(rollout.get("status"))
    named = (said.get("currentPodHash"), said.get("currentStepHash"))
    return not named[0] or named == (status.desired_hash, status.step_hash)


def abort_asked(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release
) -> Iterator[Ask]:
    """The abort of the version under way, where a person set it."""
    status = release.status
    if release.is_open and is_abort_set(rollout, live, known):
        said = Message(by=writer_of(rollout, "status", "abort"), reason="status.abort")
        yield SendUpdate(status.run_id, Update.ABORT, f"abort-{live.uid}-{status.versions}", said)


def is_abort_set(rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject) -> bool:
    """Whether a person set the abort since the release looked first."""
    return is_since(live, known) and is_set(rollout, known, "abort") and is_abort(rollout)


def is_set(rollout: Mapping[str, Any], known: RolloutObject, flag: str) -> bool:
    """Whether a flag stands that did not when the release looked first, and that it did not write itself since."""
    return mapping(rollout.get("status")).get(flag) is True and known.status.get(flag) is not True


def is_abort(rollout: Mapping[str, Any]) -> bool:
    """Whether the flag is a person's.

    Where nobody recorded who wrote it, it is one unless its time stands beside it, which only releases write.
    """
    if is_recorded(rollout, "abort"):
        return is_word(rollout, "abort")
    return mapping(rollout.get("status")).get("abortedAt") is None


def is_taken_back(rollout: Mapping[str, Any]) -> bool:
    """Whether a person took the abort back, for another attempt.

    A release takes it away, and never says false; where it is gone, the rest stands as the aborted release left it.
    """
    found = mapping(rollout.get("status"))
    if found.get("abort") is None:
        return found.get("phase") == "Degraded"
    return found.get("abort") is False and (is_word(rollout, "abort") or not is_recorded(rollout, "abort"))


def unrecorded(rollout: Mapping[str, Any], live: RolloutObject, field: str) -> Iterator[Ask]:
    """Nothing gets more traffic because of a field that nobody is known to have written (law 4)."""
    if not is_recorded(rollout, field):
        yield EmitWarning(
            f"unrecorded-{field}-{live.generation}-{live.template_hash}",
            f"status.{field} is not taken for an operator's request: the object keeps no record of who wrote it "
            "(metadata.managedFields); say it with tidegate promote",
        )


def _promoted(rollout: Mapping[str, Any], known: RolloutObject, status: ReleaseStatus) -> tuple[str, str] | None:
    """The field by which somebody promoted, and the moment at which what ends by it began; None when nobody did.

    The plugin clears the pause and moves the index in one patch where an analysis was inconclusive: the moment is the
    pause's then, so that it is one promotion.
    """
    found, pause = mapping(rollout.get("status")), pause_conditions(status)
    skips = _skips(rollout, status) and is_word(rollout, "currentStepIndex")
    if pause is not None:
        # The release takes both away at once: only somebody else leaves `controllerPause` without its conditions.
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
    """Whether the index stands beyond where the release is, which it never writes itself."""
    index = mapping(rollout.get("status")).get("currentStepIndex")
    return isinstance(index, int) and status.step_index is not None and index > status.step_index


def _jumps_to_the_end(rollout: Mapping[str, Any], known: RolloutObject, status: ReleaseStatus) -> bool:
    """Argo's --skip-all-steps: beyond all steps, of which more than the one under way was left."""
    if "currentStepIndex" not in known.status or not is_word(rollout, "currentStepIndex"):
        return False
    left, index = len(status.steps) - (status.step_index or 0), mapping(rollout["status"]).get("currentStepIndex")
    return _skips(rollout, status) and index == len(status.steps) and left > 1


def is_since(live: RolloutObject, known: RolloutObject) -> bool:
    """Whether the object was seen at or after the release's last write.

    The API server promises an order only within a cluster's storage, where versions are decimal numbers; what is none
    is compared for nothing, as an old sighting taken for a new one would speak for nobody.
    """
    if not (live.version.isdecimal() and known.version.isdecimal()):
        return live.version == known.version
    return int(live.version) >= int(known.version)

"""What a Rollout object asks of its release: the object and the release's own account, compared.

The release writes `.status` as well, so a field of it speaks only where it differs both from what the release wrote
last and from how the release stands now. Every ask has an id made of what caused it, and so counts once however often,
and by however many, it is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.canary.restarts import restart_due
from tidegate.contract import PAUSED_BY_SPEC, ErrorType, Message, ReleaseStatus, RolloutObject, StepState, Update
from tidegate.doorway.asks import Ask, Decision, Note, Release, RunState, Start, Tell
from tidegate.doorway.request import writer_of
from tidegate.story import pause_conditions

DELETED: Final = "the Rollout was deleted"
STOPPED: Final = "recovery: its release was stopped from outside and could not undo anything"


def decide(rollout: Mapping[str, Any], release: Release | None, *, recheck: bool = False) -> Decision:
    """What an object asks of its newest release, None when there is none.

    `recheck` says that the object was looked at without having changed, which is when a release that was refused for
    what it names is tried again. Never raises, whatever stands in the object's spec and status.
    """
    live = RolloutObject.of(dict(rollout))
    if _mapping(rollout.get("metadata")).get("deletionTimestamp"):
        return decide_deleted(live.uid, release)
    if release is None:
        return _without_release(rollout, live)
    known = release.known
    if known is not None and known.uid and known.uid != live.uid:
        if release.state is RunState.RUNNING:
            return Decision(decide_deleted(known.uid, release).asks, look_again=True)
        return _start(live, "a new Rollout of that name")
    if known is None:
        return _beside_unknown(live, release) if release.state is not RunState.STOPPED else _start(live, STOPPED)
    if live.generation < known.generation:
        return Decision()  # an older sighting than the release has had itself
    if live.asks_for != known.asks_for:
        return _start(live, "another pod template or other steps")
    if release.state is RunState.STOPPED:
        return _start(live, STOPPED)
    if release.state is RunState.ENDED:
        return _after(rollout, live, known, release.status, recheck)
    return Decision(tuple(_to_running(rollout, live, known, release)))


def decide_deleted(uid: str, release: Release | None) -> Decision:
    """What follows for a release from the end of the object of that uid."""
    known = release.known if release is not None else None
    if release is None or known is None or not uid or known.uid != uid or not release.is_open:
        return Decision()
    said = Message(reason=DELETED)
    return Decision((Tell(release.status.run_id, Update.ABORT, f"deleted-{uid}", said),))


def _without_release(rollout: Mapping[str, Any], live: RolloutObject) -> Decision:
    """Temporal forgets a release some time after its end, and another controller may have been here before.

    A version that is stable needs no release, and one that was aborted gets no other attempt by itself.
    """
    status = _mapping(rollout.get("status"))
    settled = status.get("phase") == "Healthy" and status.get("stableRS") == live.pod_hash
    aborted = status.get("abort") is True and status.get("currentPodHash") == live.pod_hash
    observed = status.get("observedGeneration") == str(live.generation)
    if aborted or (settled and observed):
        return Decision()
    return _start(live, "no release of it is known")


def _beside_unknown(live: RolloutObject, release: Release) -> Decision:
    """The release saw no object: it is about to look, or it was asked for by another door before there was one."""
    status = release.status
    if release.state is RunState.RUNNING and not status.desired_hash:
        return Decision(look_again=True)
    if release.state is RunState.RUNNING and _brings_out(live, status):
        return Decision()
    return _start(live, "a Rollout that its last release did not know")


def _after(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, status: ReleaseStatus, recheck: bool
) -> Decision:
    """A release of this version has ended."""
    if status.phase == "Healthy":
        if live.generation > known.generation and _brings_out(live, status):
            return _start(live, "a spec that changed beside template and steps")
        return Decision(tuple(_restart(rollout, live)))
    if _was_refused(status):
        if live.generation > known.generation:
            return _start(live, "a corrected spec")
        return _start(live, "refused before, looked at again") if recheck else Decision()
    again = tuple(_again(rollout, live, known, status)) or tuple(_no_restart(rollout))
    if again or live.generation <= known.generation or not status.aborting:
        return Decision(again)
    cause = status.message.partition(f"revision {status.revision}: ")[2]
    return Decision((Start(f"{live.uid}-{live.generation}", cause, aborted=True),))


def _to_running(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release
) -> Iterator[Ask]:
    status = release.status
    if status.aborting:  # which has to come to its end first; whoever asks waits for that
        yield from _again(rollout, live, known, status)
        return
    if live.generation > known.generation and _brings_out(live, status):
        yield from _start(live, "a spec that changed beside template and steps").asks
    if release.is_open:
        if _is_since(live, known):
            yield from _from_status(rollout, live, known, release)
        yield from _pause(rollout, live, status)


def _again(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, status: ReleaseStatus
) -> Iterator[Ask]:
    """What brings an aborted version out all the same: promote --full, which skips its steps now, or a retry.

    The cause is what was said after the abort of that run, which had been asked for by the same spec.
    """
    found = _mapping(rollout.get("status"))
    if not _is_since(live, known):
        return
    if found.get("promoteFull") is True and known.status.get("promoteFull") is not True:
        by = writer_of(rollout, "status", "promoteFull")
        yield Start(f"promote-full-{live.uid}-{status.run_id}", "status.promoteFull", full=True, by=by)
    elif known.status.get("abort") is True and found.get("abort") is not True:
        yield Start(f"retry-{live.uid}-{status.run_id}", f"retry by {writer_of(rollout, 'status', 'abort')}")


def _pause(rollout: Mapping[str, Any], live: RolloutObject, status: ReleaseStatus) -> Iterator[Ask]:
    wanted, paused = _mapping(rollout.get("spec")).get("paused") is True, status.manual_pause
    said = Message(by=writer_of(rollout, "spec", "paused"), reason=PAUSED_BY_SPEC)
    about = f"{live.uid}-{live.generation}"
    if wanted and paused is None:
        yield Tell(status.run_id, Update.PAUSE, f"pause-{about}", said)
    elif not wanted and paused is not None and paused.reason == PAUSED_BY_SPEC:
        yield Tell(status.run_id, Update.RESUME, f"resume-{about}", said)


def _from_status(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release
) -> Iterator[Ask]:
    """What a person patched into `.status`: abort, which comes first, promote --full, or promote."""
    found, status = _mapping(rollout.get("status")), release.status
    if found.get("abort") is True and known.status.get("abort") is not True:
        said = Message(by=writer_of(rollout, "status", "abort"), reason="status.abort")
        yield Tell(status.run_id, Update.ABORT, f"abort-{live.uid}", said)
        return
    if status.promoted_full:
        return
    to_the_end = _jumps_to_the_end(found, known, status)
    if to_the_end or (found.get("promoteFull") is True and known.status.get("promoteFull") is not True):
        field = "currentStepIndex" if to_the_end else "promoteFull"
        said = Message(full=True, by=writer_of(rollout, "status", field), reason=f"status.{field}")
        yield Tell(status.run_id, Update.PROMOTE, f"promote-full-{live.uid}-{status.desired_hash}", said)
    elif (cause := _promoted(found, known, status)) is not None:
        field, moment = cause
        said = Message(by=writer_of(rollout, "status", field), reason=f"status.{field}")
        yield Tell(status.run_id, Update.PROMOTE, f"promote-{live.uid}-{moment}", said)


def _promoted(found: Mapping[str, Any], known: RolloutObject, status: ReleaseStatus) -> tuple[str, str] | None:
    """The field by which somebody promoted, and the moment at which what ends by it began; None when nobody did.

    The plugin clears the pause and moves the index in one patch where an analysis was inconclusive: the moment is the
    pause's then, so that it is one promotion.
    """
    pause = pause_conditions(status)
    if pause is not None:
        # The release takes both away at once: only somebody else leaves `controllerPause` without its conditions.
        cleared = not found.get("pauseConditions") and found.get("controllerPause") is True
        if known.status.get("pauseConditions") == pause and (cleared or _skips(found, status)):
            return "pauseConditions", str(pause[0]["startTime"])
        return None
    index = status.step_index
    running = index is not None and index < len(status.steps) and status.steps[index].state is StepState.RUNNING
    if index is None or not running or known.status.get("currentStepIndex") != index or not _skips(found, status):
        return None
    started = status.steps[index].started_at
    return "currentStepIndex", started.isoformat(timespec="microseconds") if started else str(index)


def _skips(found: Mapping[str, Any], status: ReleaseStatus) -> bool:
    """Whether the index stands beyond where the release is, which it never writes itself."""
    index = found.get("currentStepIndex")
    return isinstance(index, int) and status.step_index is not None and index > status.step_index


def _jumps_to_the_end(found: Mapping[str, Any], known: RolloutObject, status: ReleaseStatus) -> bool:
    """Argo's --skip-all-steps: beyond all steps, of which more than the one under way was left."""
    if "currentStepIndex" not in known.status:
        return False
    left = len(status.steps) - (status.step_index or 0)
    return _skips(found, status) and found.get("currentStepIndex") == len(status.steps) and left > 1


def _restart(rollout: Mapping[str, Any], live: RolloutObject) -> Iterator[Ask]:
    """Pods are restarted by a release; where none is under way, by one of the version that is stable already."""
    if at := restart_due(rollout):
        yield Start(f"restart-{live.uid}-{at.isoformat()}", "spec.restartAt")


def _no_restart(rollout: Mapping[str, Any]) -> Iterator[Ask]:
    if at := restart_due(rollout):
        yield Note(
            f"restart-{at.isoformat()}",
            f"spec.restartAt: {at.isoformat()}: this version was aborted, and a restart would be another attempt; "
            "the pods are restarted with the next release: retry this one, or go back to the stable version",
        )


def _start(live: RolloutObject, reason: str) -> Decision:
    return Decision((Start(f"{live.uid}-{live.generation}", reason),))


def _brings_out(live: RolloutObject, status: ReleaseStatus) -> bool:
    """Whether the release is about the version in the object: another door may have asked for another one."""
    return (status.desired_hash, status.step_hash) == live.asks_for


def _was_refused(status: ReleaseStatus) -> bool:
    """Whether it ended before it was admitted, with nothing touched."""
    return status.phase == "Degraded" and status.message.startswith(f"{ErrorType.INVALID_SPEC}:")


def _is_since(live: RolloutObject, known: RolloutObject) -> bool:
    """Whether the object was seen at or after the release's last write.

    The API server promises an order only within a cluster's storage, where versions are decimal numbers; what is none
    is compared for nothing, as an old sighting taken for a new one would speak for nobody.
    """
    if not (live.version.isdecimal() and known.version.isdecimal()):
        return live.version == known.version
    return int(live.version) >= int(known.version)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

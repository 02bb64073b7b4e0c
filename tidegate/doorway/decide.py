"""What a Rollout object asks of its release: the object and the release's own account, compared.

The release writes `.status` as well, so a field of it speaks only where it differs both from what the release wrote
last and from how the release stands now, and where the API server says that somebody else wrote it (law 12). Every ask
has an id made of what caused it, which is what the object asks for and what its release was doing then, and so counts
once however often, and by however many, it is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.canary.restarts import restart_due
from tidegate.contract import (
    PAUSED_BY_SPEC,
    Compensation,
    ErrorType,
    Message,
    ReleaseStatus,
    RolloutObject,
    StepState,
    Update,
)
from tidegate.doorway.asks import Ask, Decision, Leave, Note, Release, RunState, Start, Tell
from tidegate.doorway.request import is_recorded, is_word, writer_of
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
        return _start(live, release, "a new Rollout of that name")
    if known is None:
        return (
            _beside_unknown(live, release) if release.state is not RunState.STOPPED else _start(live, release, STOPPED)
        )
    if live.generation < known.generation:
        return Decision()  # an older sighting than the release has had itself
    if live.asks_for != known.asks_for:
        # A release that is being undone may be over before anything changes in the object once more.
        # What is asked for now may be refused: an abort is one of the version under way all the same, and comes first.
        asks = (
            *_abort(rollout, live, known, release),
            *_start(live, release, "another pod template or other steps").asks,
        )
        return Decision(asks, look_again=release.state is RunState.RUNNING and release.status.aborting)
    if release.is_left_undone:
        return _recover(live, release)
    if release.state is RunState.ENDED:
        return _after(rollout, live, known, release, recheck)
    return Decision(tuple(_to_running(rollout, live, known, release)), look_again=_may_be_new(rollout, known, release))


def _may_be_new(rollout: Mapping[str, Any], known: RolloutObject, release: Release) -> bool:
    """Whether an abort stands that stood before the version, as far as its release knows by now.

    It takes that one away before it gives the version any traffic; one that comes right after that looks the same to
    whoever asks the release in this moment.
    """
    stands = _mapping(rollout.get("status")).get("abort") is True
    return release.is_open and stands and known.status.get("abort") is True


def decide_deleted(uid: str, release: Release | None) -> Decision:
    """What follows from the end of the object of that uid: for its release, and then for what it had claimed.

    A release that is being undone still writes Services until the traffic is back.
    """
    if not uid:
        return Decision()
    known = release.known if release is not None else None
    if release is None or known is None or known.uid != uid or release.state is not RunState.RUNNING:
        return Decision((Leave(uid),))
    if release.is_open:
        said = Message(reason=DELETED)
        return Decision((Tell(release.status.run_id, Update.ABORT, f"deleted-{uid}", said),), look_again=True)
    back = any(each.name == Compensation.TRAFFIC and each.state != "running" for each in release.status.compensations)
    return Decision((Leave(uid),)) if back else Decision(look_again=True)


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
    return _start(live, None, "no release of it is known")


def _beside_unknown(live: RolloutObject, release: Release) -> Decision:
    """The release saw no object: it is about to look, or it was asked for by another door before there was one."""
    status = release.status
    if release.state is RunState.RUNNING and not status.desired_hash:
        return Decision(look_again=True)
    if release.state is RunState.RUNNING and _brings_out(live, status):
        return Decision()
    return _start(live, release, "a Rollout that its last release did not know")


def _recover(live: RolloutObject, release: Release) -> Decision:
    """Nobody looks after what the release did. A version that is not to be brought out any more is put back only."""
    status = release.status
    if status.aborting:
        return _start(live, release, _why_given_up(status), aborted=True)
    if release.state is RunState.STOPPED:
        return _start(live, release, STOPPED)
    if status.desired_hash and status.desired_hash == status.stable_hash:
        return _start(live, release, "recovery: its release ended after the promotion and did not finish")
    return _start(live, release, "its release ended before what it had done was undone", aborted=True)


def _why_given_up(status: ReleaseStatus) -> str:
    """The cause of an abort, as its message has it."""
    return status.message.partition(f"revision {status.revision}: ")[2]


def _after(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release, recheck: bool
) -> Decision:
    """A release of this version has ended."""
    status = release.status
    if status.phase == "Healthy":
        if live.generation > known.generation and _brings_out(live, status):
            return _start(live, release, "a spec that changed beside template and steps")
        return Decision(tuple(_restart(rollout, live, release)))
    if _was_refused(status):
        if live.generation > known.generation:
            return _start(live, release, "a corrected spec")
        return _start(live, release, "refused before, looked at again") if recheck else Decision()
    again = tuple(_again(rollout, live, known, release)) or tuple(_no_restart(rollout))
    if again or live.generation <= known.generation or not status.aborting:
        return Decision(again)
    return _start(live, release, _why_given_up(status), aborted=True)


def _to_running(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release
) -> Iterator[Ask]:
    status = release.status
    if status.aborting:  # which has to come to its end first; whoever asks waits for that
        yield from _again(rollout, live, known, release)
        return
    if live.generation > known.generation and _brings_out(live, status):
        yield from _start(live, release, "a spec that changed beside template and steps").asks
    if release.is_open:
        if _is_since(live, known):
            yield from _from_status(rollout, live, known, release)
        yield from _pause(rollout, live, status)


def _again(rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release) -> Iterator[Ask]:
    """What brings an aborted version out all the same: promote --full, which skips its steps now, or a retry.

    The cause is what was said after the abort of that run, which had been asked for by the same spec.
    """
    if not _is_since(live, known):
        return
    if _is_set(rollout, known, "promoteFull"):
        if is_word(rollout, "promoteFull"):
            by = writer_of(rollout, "status", "promoteFull")
            yield Start(f"promote-full-{live.uid}-{_moment(release)}", "status.promoteFull", full=True, by=by)
        yield from _unrecorded(rollout, live, "promoteFull")
    elif known.status.get("abort") is True and _is_taken_back(rollout):
        yield Start(f"retry-{live.uid}-{_moment(release)}", f"retry by {writer_of(rollout, 'status', 'abort')}")


def _is_taken_back(rollout: Mapping[str, Any]) -> bool:
    """Whether a person took the abort back, for another attempt.

    A release takes it away, and never says false; where it is gone, the rest stands as the aborted release left it.
    """
    found = _mapping(rollout.get("status"))
    if found.get("abort") is None:
        return found.get("phase") == "Degraded"
    return found.get("abort") is False and (is_word(rollout, "abort") or not is_recorded(rollout, "abort"))


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
    status = release.status
    if asks := tuple(_abort(rollout, live, known, release)):
        yield from asks
        return
    if status.promoted_full:
        return
    to_the_end = _jumps_to_the_end(rollout, known, status)
    if to_the_end or (_is_set(rollout, known, "promoteFull") and is_word(rollout, "promoteFull")):
        field = "currentStepIndex" if to_the_end else "promoteFull"
        said = Message(full=True, by=writer_of(rollout, "status", field), reason=f"status.{field}")
        yield Tell(status.run_id, Update.PROMOTE, f"promote-full-{live.uid}-{status.versions}", said)
    elif (cause := _promoted(rollout, known, status)) is not None:
        field, moment = cause
        said = Message(by=writer_of(rollout, "status", field), reason=f"status.{field}")
        yield Tell(status.run_id, Update.PROMOTE, f"promote-{live.uid}-{moment}", said)
    elif _is_set(rollout, known, "promoteFull"):
        yield from _unrecorded(rollout, live, "promoteFull")
    elif known.status.get("currentStepIndex") is not None and _skips(rollout, status):
        yield from _unrecorded(rollout, live, "currentStepIndex")


def _abort(rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release) -> Iterator[Ask]:
    """The abort of the version under way, where a person set it."""
    status = release.status
    if release.is_open and _is_since(live, known) and _is_set(rollout, known, "abort") and _is_abort(rollout):
        said = Message(by=writer_of(rollout, "status", "abort"), reason="status.abort")
        yield Tell(status.run_id, Update.ABORT, f"abort-{live.uid}-{status.versions}", said)


def _is_set(rollout: Mapping[str, Any], known: RolloutObject, flag: str) -> bool:
    """Whether a flag stands that did not when the release looked first, and that it did not write itself since."""
    return _mapping(rollout.get("status")).get(flag) is True and known.status.get(flag) is not True


def _is_abort(rollout: Mapping[str, Any]) -> bool:
    """Whether the flag is a person's.

    Where nobody recorded who wrote it, it is one unless its time stands beside it, which only releases write.
    """
    if is_recorded(rollout, "abort"):
        return is_word(rollout, "abort")
    return _mapping(rollout.get("status")).get("abortedAt") is None


def _unrecorded(rollout: Mapping[str, Any], live: RolloutObject, field: str) -> Iterator[Ask]:
    """Nothing gets more traffic because of a field that nobody is known to have written (law 4)."""
    if not is_recorded(rollout, field):
        yield Note(
            f"unrecorded-{field}-{live.generation}-{live.pod_hash}",
            f"status.{field} is not taken for a person's word: the object keeps no record of who wrote it "
            "(metadata.managedFields); say it with tidegate promote",
        )


def _promoted(rollout: Mapping[str, Any], known: RolloutObject, status: ReleaseStatus) -> tuple[str, str] | None:
    """The field by which somebody promoted, and the moment at which what ends by it began; None when nobody did.

    The plugin clears the pause and moves the index in one patch where an analysis was inconclusive: the moment is the
    pause's then, so that it is one promotion.
    """
    found, pause = _mapping(rollout.get("status")), pause_conditions(status)
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
    index = _mapping(rollout.get("status")).get("currentStepIndex")
    return isinstance(index, int) and status.step_index is not None and index > status.step_index


def _jumps_to_the_end(rollout: Mapping[str, Any], known: RolloutObject, status: ReleaseStatus) -> bool:
    """Argo's --skip-all-steps: beyond all steps, of which more than the one under way was left."""
    if "currentStepIndex" not in known.status or not is_word(rollout, "currentStepIndex"):
        return False
    left, index = len(status.steps) - (status.step_index or 0), _mapping(rollout["status"]).get("currentStepIndex")
    return _skips(rollout, status) and index == len(status.steps) and left > 1


def _restart(rollout: Mapping[str, Any], live: RolloutObject, release: Release) -> Iterator[Ask]:
    """Pods are restarted by a release; where none is under way, by one of the version that is stable already."""
    at, done = restart_due(rollout), release.status.restarted_at
    if at is not None and (done is None or done < at):
        yield Start(f"restart-{live.uid}-{at.isoformat()}-{_moment(release)}", "spec.restartAt")


def _no_restart(rollout: Mapping[str, Any]) -> Iterator[Ask]:
    if at := restart_due(rollout):
        yield Note(
            f"restart-{at.isoformat()}",
            f"spec.restartAt: {at.isoformat()}: this version was aborted, and a restart would be another attempt; "
            "the pods are restarted with the next release: retry this one, or go back to the stable version",
        )


def _start(live: RolloutObject, release: Release | None, reason: str, *, aborted: bool = False) -> Decision:
    return Decision((Start(_cause(live, release), reason, aborted=aborted),))


def _cause(live: RolloutObject, release: Release | None) -> str:
    """What the object asks for, and after what.

    A generation does not say it: the template of a Deployment changes without it. Neither does what is asked for: it
    may be asked for again after something else, by the same run.
    """
    asked = f"{live.uid}-{live.generation}-{live.pod_hash}-{live.step_hash}"
    return asked if release is None else f"{asked}-{_moment(release)}"


def _moment(release: Release) -> str:
    """Where in the life of a Rollout something was asked for: in or after which run, and which version of it.

    What a run turned down while it was ending, or could not take up any more, it remembers after its end.
    """
    where = "in" if release.state is RunState.RUNNING else "after"
    return f"{where}-{release.status.run_id}-{release.status.versions}"


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

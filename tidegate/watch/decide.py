"""What a Rollout object asks of its release: the object and the release's own account, compared.

The release writes `.status` as well, so a field of it speaks only where it differs both from what the release wrote
last and from how the release stands now, and where the API server says that somebody else wrote it (law 12). Every ask
has an id made of what caused it, which is what the object asks for and what its release was doing then, and so counts
once however often, and by however many, it is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.canary.phase import RolloutPhase
from tidegate.canary.restarts import restart_due
from tidegate.canary.version import is_current
from tidegate.contract import (
    Compensation,
    CompensationState,
    Message,
    ObjectField,
    ReleaseStatus,
    RolloutObject,
    Update,
)
from tidegate.manifests.workload import reference_of
from tidegate.watch.commands import Ask, Decision, EmitWarning, Leave, Release, RunState, SendUpdate, StartRelease
from tidegate.watch.request import is_word, mapping, spec_written_at, writer_of
from tidegate.watch.status_fields import (
    abort_asked,
    asks_of_status,
    is_abort,
    is_abort_set,
    is_set,
    is_since,
    is_taken_back,
    unrecorded,
)

DELETED: Final = "the Rollout was deleted"
ABORTED: Final = "it was aborted by a release that is not known any more"
STOPPED: Final = "recovery: its release was stopped from outside and could not undo anything"


def decide(rollout: Mapping[str, Any], release: Release | None, *, recheck: bool = False) -> Decision:
    """What an object asks of its newest release, None when there is none.

    `recheck` says that the object was looked at without having changed, which is when a release that was refused for
    what it names is tried again. Never raises, whatever stands in the object's spec and status.
    """
    live = RolloutObject.of(dict(rollout))
    if mapping(rollout.get("metadata")).get("deletionTimestamp"):
        return decide_deleted(live.uid, release)
    if release is None:
        return _without_release(rollout, live)
    known = release.known
    if known is not None and known.uid and known.uid != live.uid:
        if release.state is RunState.RUNNING:
            return Decision(decide_deleted(known.uid, release).asks, look_again=True)
        return _start(live, release, "a new Rollout of that name")
    if known is None and release.state is RunState.STOPPED:
        return _after_silence(rollout, live, release)
    if known is None:
        return _beside_unknown(live, release)
    if live.generation < known.generation:
        return Decision()  # an older sighting than the release has had itself
    if live.asks_for != known.asks_for:
        # A release that is being undone may be over before anything changes in the object once more.
        # What is asked for now may be refused: an abort is one of the version under way all the same, and comes first.
        asks = (
            *abort_asked(rollout, live, known, release),
            *_start(live, release, "another pod template or other steps").asks,
            *(asks_of_status(rollout, live, known, release) if _is_overtaken(rollout, release) else ()),
        )
        return Decision(asks, look_again=release.state is RunState.RUNNING and release.status.aborting)
    if release.is_left_undone:
        return _recover(rollout, live, known, release)
    if release.state is RunState.ENDED:
        return _after(rollout, live, known, release, recheck)
    return Decision(tuple(_to_running(rollout, live, known, release)), look_again=_may_be_new(rollout, known, release))


def _is_overtaken(rollout: Mapping[str, Any], release: Release) -> bool:
    """Whether another client asked for the version under way after the spec was written: it does not make way."""
    written, asked = spec_written_at(rollout), release.status.asked_at
    if written is None or asked is None or reference_of(rollout) is not None:
        return False
    return release.is_open and not release.status.aborting and asked > written


def _may_be_new(rollout: Mapping[str, Any], known: RolloutObject, release: Release) -> bool:
    """Whether an abort stands that stood before the version, as far as its release knows by now.

    It takes that one away before it gives the version any traffic; one that comes right after that looks the same to
    whoever asks the release in this moment.
    """
    stands = mapping(rollout.get("status")).get("abort") is True
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
        return Decision((SendUpdate(release.status.run_id, Update.ABORT, f"deleted-{uid}", said),), look_again=True)
    back = any(
        each.name == Compensation.TRAFFIC and each.state is not CompensationState.RUNNING
        for each in release.status.compensations
    )
    return Decision((Leave(uid),)) if back else Decision(look_again=True)


def _without_release(rollout: Mapping[str, Any], live: RolloutObject) -> Decision:
    """Temporal forgets a release some time after its end, and another controller may have been here before.

    A version that is stable needs no release. One that was aborted gets no other attempt by itself; what else its spec
    says since, such as a number of pods, is carried out.
    """
    status = mapping(rollout.get("status"))
    converged = status.get("phase") == "Healthy" and status.get("stableRS") == status.get("currentPodHash")
    observed = status.get("observedGeneration") == str(live.generation)
    if is_current(rollout) and status.get("abort") is True:
        return Decision() if observed else _start(live, None, ABORTED, aborted=True)
    if is_current(rollout) and converged and observed:
        return Decision()
    return _start(live, None, "no release of it is known")


def _beside_unknown(live: RolloutObject, release: Release) -> Decision:
    """The release saw no object: it is about to look, or it was asked for by another client before there was one."""
    status = release.status
    if release.state is RunState.RUNNING and not status.desired_hash:
        return Decision(look_again=True)
    if release.state is RunState.RUNNING and _brings_out(live, status):
        return Decision()
    return _start(live, release, "a Rollout that its last release did not know")


def _recover(rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release) -> Decision:
    """Nobody looks after what the release did. A version that is not to be brought out any more is put back only.

    What a person said of it since, nobody could hear: that is heard now.
    """
    if not release.status.aborting and is_abort_set(rollout, live, known):
        return _start_and_abort(live, release)
    again = tuple(_again(rollout, live, known, release))
    return Decision(
        again if any(isinstance(ask, StartRelease) for ask in again) else (*again, *_recovery(live, release).asks)
    )


def _recovery(live: RolloutObject, release: Release) -> Decision:
    status = release.status
    if status.aborting:
        return _start(live, release, status.cause, aborted=True)
    if release.state is RunState.STOPPED:
        return _start(live, release, STOPPED)
    if status.desired_hash and status.desired_hash == status.stable_hash:
        return _start(live, release, "recovery: its release ended after the promotion and did not finish")
    return _start(live, release, "its release ended before what it had done was undone", aborted=True)


def _start_and_abort(live: RolloutObject, release: Release) -> Decision:
    """Start over, and say the abort that stands: traffic, pods, incident and revert follow as on any abort."""
    return Decision((StartRelease(_cause(live, release), STOPPED, unheard=("abort",)),), look_again=True)


def _after_silence(rollout: Mapping[str, Any], live: RolloutObject, release: Release) -> Decision:
    """A release was stopped, and cannot tell what it heard. An abort of a version that was not given up was not."""
    found = mapping(rollout.get("status"))
    if found.get("abort") is True and found.get("phase") != "Degraded" and is_abort(rollout):
        return _start_and_abort(live, release)
    return _start(live, release, STOPPED)


def _after(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release, recheck: bool
) -> Decision:
    """A release of this version has ended."""
    status = release.status
    if status.phase is RolloutPhase.HEALTHY:
        if live.generation > known.generation and _brings_out(live, status):
            return _start(live, release, "a spec that changed beside template and steps")
        return Decision(tuple(_restart(rollout, live, release)))
    if status.is_refused:
        if live.generation > known.generation:
            return _start(live, release, "a corrected spec")
        return _start(live, release, "refused before, looked at again") if recheck else Decision()
    again = tuple(_again(rollout, live, known, release)) or tuple(_no_restart(rollout))
    if again or live.generation <= known.generation or not status.aborting:
        return Decision(again)
    return _start(live, release, status.cause, aborted=True)


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
        if is_since(live, known):
            yield from asks_of_status(rollout, live, known, release)
        yield from _pause(rollout, live, status)


def _again(rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release) -> Iterator[Ask]:
    """What brings an aborted version out all the same: promote --full, which skips its steps now, or a retry.

    The cause is what was said after the abort of that run, which had been asked for by the same spec.
    """
    if not is_since(live, known):
        return
    if is_set(rollout, known, "promoteFull"):
        if is_word(rollout, "promoteFull"):
            by = writer_of(rollout, "status", "promoteFull")
            yield StartRelease(
                f"promote-full-{live.uid}-{_moment(release)}", ObjectField.PROMOTE_FULL, full=True, by=by
            )
        yield from unrecorded(rollout, live, "promoteFull")
    elif known.status.get("abort") is True and is_taken_back(rollout):
        yield StartRelease(f"retry-{live.uid}-{_moment(release)}", f"retry by {writer_of(rollout, 'status', 'abort')}")


def _pause(rollout: Mapping[str, Any], live: RolloutObject, status: ReleaseStatus) -> Iterator[Ask]:
    wanted, paused = mapping(rollout.get("spec")).get("paused") is True, status.manual_pause
    said = Message(by=writer_of(rollout, "spec", "paused"), reason=ObjectField.PAUSED, field=ObjectField.PAUSED)
    about = f"{live.uid}-{live.generation}"
    if wanted and paused is None:
        yield SendUpdate(status.run_id, Update.PAUSE, f"pause-{about}", said)
    elif not wanted and paused is not None and paused.field is ObjectField.PAUSED:
        yield SendUpdate(status.run_id, Update.RESUME, f"resume-{about}", said)


def _restart(rollout: Mapping[str, Any], live: RolloutObject, release: Release) -> Iterator[Ask]:
    """Pods are restarted by a release; where none is under way, by one of the version that is stable already."""
    at, done = restart_due(rollout), release.status.restarted_at
    if at is not None and (done is None or done < at):
        yield StartRelease(f"restart-{live.uid}-{at.isoformat()}-{_moment(release)}", "spec.restartAt")


def _no_restart(rollout: Mapping[str, Any]) -> Iterator[Ask]:
    if at := restart_due(rollout):
        yield EmitWarning(
            f"restart-{at.isoformat()}",
            f"spec.restartAt: {at.isoformat()}: this version was aborted, and a restart would be another attempt; "
            "the pods are restarted with the next release: retry this one, or go back to the stable version",
        )


def _start(live: RolloutObject, release: Release | None, reason: str, *, aborted: bool = False) -> Decision:
    return Decision((StartRelease(_cause(live, release), reason, aborted=aborted),))


def _cause(live: RolloutObject, release: Release | None) -> str:
    """What the object asks for, and after what.

    A generation does not say it: the template of a Deployment changes without it. Neither does what is asked for: it
    may be asked for again after something else, by the same run.
    """
    asked = f"{live.uid}-{live.generation}-{live.template_hash}-{live.step_hash}"
    return asked if release is None else f"{asked}-{_moment(release)}"


def _moment(release: Release) -> str:
    """Where in the life of a Rollout something was asked for: in or after which run, and which version of it.

    What a run turned down while it was ending, or could not take up any more, it remembers after its end.
    """
    where = "in" if release.state is RunState.RUNNING else "after"
    return f"{where}-{release.status.run_id}-{release.status.versions}"


def _brings_out(live: RolloutObject, status: ReleaseStatus) -> bool:
    """Whether the release is about the version in the object: another client may have asked for another one."""
    return status.version == live.asks_for

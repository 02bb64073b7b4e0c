"""Decides what a Rollout object requests of its release, from the object and the release's status.

The release writes `.status` as well. So a field of it is a request only where it differs both from the release's last
write and from the release's state, and where the API server recorded another writer (law 12). Every command has an id
made of its cause: the requested version, and the state of the release at that time. So it counts once, however often
and by however many processes it is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

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
from tidegate.rollouts.phase import RolloutPhase
from tidegate.rollouts.restarts import restart_due
from tidegate.rollouts.version import is_current
from tidegate.watch.commands import (
    Command,
    Decision,
    EmitWarning,
    Release,
    ReleaseClaims,
    RunState,
    SendUpdate,
    StartRelease,
)
from tidegate.watch.request import is_external_write, mapping, spec_written_at, writer_of
from tidegate.watch.status_fields import (
    abort_command,
    is_abort,
    is_abort_set,
    is_set,
    is_since,
    is_taken_back,
    status_commands,
    unrecorded,
)

DELETED: Final = "the Rollout was deleted"
ABORTED: Final = "it was aborted by a release that is not known any more"
STOPPED: Final = "recovery: its release was stopped from outside and could not undo anything"


def decide(rollout: Mapping[str, Any], release: Release | None, *, recheck: bool = False) -> Decision:
    """Commands of an object for its latest release, None when there is none.

    `recheck` is set when the object did not change: then a rejected release that names missing objects is tried again.
    Never raises, whatever is in the object's spec and status.
    """
    live = RolloutObject.of(dict(rollout))
    if mapping(rollout.get("metadata")).get("deletionTimestamp"):
        return decide_deleted(live.uid, release)
    if release is None:
        return _without_release(rollout, live)
    known = release.known
    if known is not None and known.uid and known.uid != live.uid:
        if release.state is RunState.RUNNING:
            return Decision(decide_deleted(known.uid, release).commands, requeue=True)
        return _start(live, release, "a new Rollout of that name")
    if known is None and release.state is RunState.STOPPED:
        return _after_silence(rollout, live, release)
    if known is None:
        return _beside_unknown(live, release)
    if live.generation < known.generation:
        return Decision()  # an older object than the release has read
    if live.version != known.version:
        # A release that is being aborted may be over before anything changes in the object once more.
        # The newer version may be rejected: an abort is for the version under way all the same, and comes first.
        commands = (
            *abort_command(rollout, live, known, release),
            *_start(live, release, "another pod template or other steps").commands,
            *(status_commands(rollout, live, known, release) if _is_overtaken(rollout, release) else ()),
        )
        return Decision(commands, requeue=release.state is RunState.RUNNING and release.status.aborting)
    if release.needs_recovery:
        return _recover(rollout, live, known, release)
    if release.state is RunState.ENDED:
        return _after(rollout, live, known, release, recheck)
    return Decision(tuple(_to_running(rollout, live, known, release)), requeue=_may_be_new(rollout, known, release))


def _is_overtaken(rollout: Mapping[str, Any], release: Release) -> bool:
    """True when another client requested the version under way after the spec was written: it is not superseded."""
    written, requested = spec_written_at(rollout), release.status.requested_at
    if written is None or requested is None or reference_of(rollout) is not None:
        return False
    return release.is_open and not release.status.aborting and requested > written


def _may_be_new(rollout: Mapping[str, Any], known: RolloutObject, release: Release) -> bool:
    """True when an abort flag is set that the release read with its request.

    The release removes that flag before it gives the version any traffic. A flag that is set right after that looks the
    same in the release's status until then.
    """
    is_set_now = mapping(rollout.get("status")).get("abort") is True
    return release.is_open and is_set_now and known.status.get("abort") is True


def decide_deleted(uid: str, release: Release | None) -> Decision:
    """Commands after the deletion of the object of that uid: for its release, and then for the objects it had claimed.

    A release that is being aborted still writes Services until the traffic is back.
    """
    if not uid:
        return Decision()
    known = release.known if release is not None else None
    if release is None or known is None or known.uid != uid or release.state is not RunState.RUNNING:
        return Decision((ReleaseClaims(uid),))
    if release.is_open:
        message = Message(reason=DELETED)
        return Decision((SendUpdate(release.status.run_id, Update.ABORT, f"deleted-{uid}", message),), requeue=True)
    back = any(
        each.name == Compensation.TRAFFIC and each.state is not CompensationState.RUNNING
        for each in release.status.compensations
    )
    return Decision((ReleaseClaims(uid),)) if back else Decision(requeue=True)


def _without_release(rollout: Mapping[str, Any], live: RolloutObject) -> Decision:
    """Decision without a release: Temporal has deleted it, or another controller was here before.

    A stable version needs no release. An aborted version gets no other attempt by itself; the rest of its spec, such as
    the number of pods, is carried out.
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
    """Decision for a release without an object: it is about to read it, or another client requested it before there was
    one.
    """
    status = release.status
    if release.state is RunState.RUNNING and not status.desired_hash:
        return Decision(requeue=True)
    if release.state is RunState.RUNNING and _brings_out(live, status):
        return Decision()
    return _start(live, release, "a Rollout that its last release did not know")


def _recover(rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release) -> Decision:
    """Decision for a release that left traffic behind. A version that is no longer requested is only put back.

    Requests that were patched meanwhile count now.
    """
    if not release.status.aborting and is_abort_set(rollout, live, known):
        return _start_and_abort(live, release)
    again = tuple(_again(rollout, live, known, release))
    return Decision(
        again if any(isinstance(each, StartRelease) for each in again) else (*again, *_recovery(live, release).commands)
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
    """Start again with the abort that is set: traffic, pods, incident and revert follow as on any abort."""
    return Decision((StartRelease(_cause(live, release), STOPPED, ignored_flags=("abort",)),), requeue=True)


def _after_silence(rollout: Mapping[str, Any], live: RolloutObject, release: Release) -> Decision:
    """Decision for a stopped release without an object. An abort flag on a version that was not aborted is still a
    request.
    """
    found = mapping(rollout.get("status"))
    if found.get("abort") is True and found.get("phase") != "Degraded" and is_abort(rollout):
        return _start_and_abort(live, release)
    return _start(live, release, STOPPED)


def _after(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release, recheck: bool
) -> Decision:
    """Decision for a release of this version that has ended."""
    status = release.status
    if status.phase is RolloutPhase.HEALTHY:
        if live.generation > known.generation and _brings_out(live, status):
            return _start(live, release, "a spec that changed beside template and steps")
        return Decision(tuple(_restart(rollout, live, release)))
    if status.is_refused:
        if live.generation > known.generation:
            return _start(live, release, "a corrected spec")
        return _start(live, release, "refused before, checked again") if recheck else Decision()
    again = tuple(_again(rollout, live, known, release)) or tuple(_no_restart(rollout))
    if again or live.generation <= known.generation or not status.aborting:
        return Decision(again)
    return _start(live, release, status.cause, aborted=True)


def _to_running(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release
) -> Iterator[Command]:
    status = release.status
    if status.aborting:  # which has to end first; the request waits for that
        yield from _again(rollout, live, known, release)
        return
    if live.generation > known.generation and _brings_out(live, status):
        yield from _start(live, release, "a spec that changed beside template and steps").commands
    if release.is_open:
        if is_since(live, known):
            yield from status_commands(rollout, live, known, release)
        yield from _pause(rollout, live, status)


def _again(
    rollout: Mapping[str, Any], live: RolloutObject, known: RolloutObject, release: Release
) -> Iterator[Command]:
    """Start an aborted version again: by promote --full, which skips its steps, or by a retry.

    The cause is a patch after the abort of that run, which was requested with the same spec.
    """
    if not is_since(live, known):
        return
    if is_set(rollout, known, "promoteFull"):
        if is_external_write(rollout, "promoteFull"):
            by = writer_of(rollout, "status", "promoteFull")
            yield StartRelease(
                f"promote-full-{live.uid}-{_run_key(release)}", ObjectField.PROMOTE_FULL, full=True, by=by
            )
        yield from unrecorded(rollout, live, "promoteFull")
    elif known.status.get("abort") is True and is_taken_back(rollout):
        yield StartRelease(f"retry-{live.uid}-{_run_key(release)}", f"retry by {writer_of(rollout, 'status', 'abort')}")


def _pause(rollout: Mapping[str, Any], live: RolloutObject, status: ReleaseStatus) -> Iterator[Command]:
    is_paused, paused = mapping(rollout.get("spec")).get("paused") is True, status.manual_pause
    message = Message(by=writer_of(rollout, "spec", "paused"), reason=ObjectField.PAUSED, field=ObjectField.PAUSED)
    about = f"{live.uid}-{live.generation}"
    if is_paused and paused is None:
        yield SendUpdate(status.run_id, Update.PAUSE, f"pause-{about}", message)
    elif not is_paused and paused is not None and paused.field is ObjectField.PAUSED:
        yield SendUpdate(status.run_id, Update.RESUME, f"resume-{about}", message)


def _restart(rollout: Mapping[str, Any], live: RolloutObject, release: Release) -> Iterator[Command]:
    """Start a release for `spec.restartAt`, of the stable version where no release is under way."""
    at, restarted = restart_due(rollout), release.status.restarted_at
    if at is not None and (restarted is None or restarted < at):
        yield StartRelease(f"restart-{live.uid}-{at.isoformat()}-{_run_key(release)}", "spec.restartAt")


def _no_restart(rollout: Mapping[str, Any]) -> Iterator[Command]:
    if at := restart_due(rollout):
        yield EmitWarning(
            f"restart-{at.isoformat()}",
            f"spec.restartAt: {at.isoformat()}: this version was aborted, and a restart would be another attempt; "
            "the pods are restarted with the next release: retry this one, or go back to the stable version",
        )


def _start(live: RolloutObject, release: Release | None, reason: str, *, aborted: bool = False) -> Decision:
    return Decision((StartRelease(_cause(live, release), reason, aborted=aborted),))


def _cause(live: RolloutObject, release: Release | None) -> str:
    """Id of a requested version in the state of its release.

    A generation is not enough: the template of a Deployment changes without it. Nor is the version: it may be requested
    again after another one, by the same run.
    """
    version = f"{live.uid}-{live.generation}-{live.template_hash}-{live.step_hash}"
    return version if release is None else f"{version}-{_run_key(release)}"


def _run_key(release: Release) -> str:
    """Id of a time in the life of a Rollout: in or after which run, and which version of it.

    A run keeps its status after its end. So a request that it rejected while it was ending is another one after it.
    """
    where = "in" if release.state is RunState.RUNNING else "after"
    return f"{where}-{release.status.run_id}-{release.status.versions}"


def _brings_out(live: RolloutObject, status: ReleaseStatus) -> bool:
    """True when the release is about the version in the object; another client may have requested another one."""
    return status.version == live.version

"""State of a release now, in words and in the order of questions: phase, times, weights, wait, commands, pods, events.

The screen of a terminal and the web page show the same words.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from tidegate.contract import Event, Observation, ReleaseStatus, Waiting
from tidegate.manifests.plain_text import one_line
from tidegate.report.ages import age, clock, since
from tidegate.report.comparisons import actual_weight, traffic_seen
from tidegate.report.gates import scope
from tidegate.report.progress import running, time_left
from tidegate.report.versions import replica_sets, role, switched, versions
from tidegate.rollouts.phase import RolloutPhase
from tidegate.rollouts.replica_sets import ReplicaSetState

# The bar and the counts of pods show these.
_SHOWN_ELSEWHERE: Final = ("RolloutStepCompleted", "SwitchService", "NewReplicaSetCreated")
_RUN: Final = "AnalysisRun"
_COMMIT: Final = 8


def effective_phase(status: ReleaseStatus) -> RolloutPhase:
    """Phase of a release; Paused also while an operator's pause holds it between two steps."""
    held = status.manual_pause is not None and status.phase is RolloutPhase.PROGRESSING
    return RolloutPhase.PAUSED if held else status.phase


def times(status: ReleaseStatus, now: datetime) -> Iterator[str]:
    """Yield the time since the beginning and the time left; after the end how long it took, and when that was."""
    if status.finished_at is not None:
        yield f"took {age(status.finished_at - status.started_at)}"
        yield f"ended {since(status.finished_at, now)} ago"
        return
    yield since(status.started_at, now)
    if left := time_left(status, now):
        yield left


def origin(status: ReleaseStatus) -> str:
    """The person or system that released a version, and the commit: `by ci, commit a1b2c3d4`."""
    by = f"by {one_line(status.by)}" if status.by else ""
    commit = f"commit {one_line(status.source.commit)[:_COMMIT]}" if status.source.commit else ""
    return ", ".join(filter(None, (by, commit)))


def weights(status: ReleaseStatus, observation: Observation | None = None) -> Iterator[tuple[str, str]]:
    """Yield the weight as requested, as set and as seen; after a good end the one weight that there is.

    For blue-green the versions behind the active Service and behind the preview.
    """
    if (is_switched := switched(status, status.actual_weight)) is not None:
        before, after = versions(status, observation)
        yield "active", after if is_switched else before or "-"
        if not is_switched and not status.aborting:
            yield "preview", after
        return
    if status.finished_at is not None and not status.aborting:
        yield "weight", actual_weight(status)
        return
    yield "weight asked", f"{status.set_weight} %"
    yield "set", actual_weight(status)
    if seen := traffic_seen(status):
        yield "seen", seen


def paused_by(status: ReleaseStatus) -> str:
    """Operator and reason of a manual pause; empty without one."""
    paused = status.manual_pause
    if paused is None:
        return ""
    return (paused.by or "an operator") + (f": {paused.reason}" if paused.reason else "")


def waiting_for(waiting: Waiting, now: datetime) -> str:
    """The wait of a release with its end: `pods to go: 12s left, until 03:20:38 UTC`."""
    if waiting.until is None:
        return waiting.what
    left = f"{age(waiting.until - now)} left" if waiting.until > now else "due now"
    return f"{waiting.what}: {left}, until {clock(waiting.until)} UTC"


def verbs(status: ReleaseStatus) -> tuple[str, ...]:
    """Commands that have an effect now, the likeliest first."""
    if status.aborting:
        return ("explain", "retry") if status.finished_at is not None else ("explain",)
    if status.finished_at is not None:
        return ("explain", "undo")
    if status.manual_pause is not None:
        return ("resume", "abort", "explain")
    if status.phase is RolloutPhase.PAUSED:
        return ("promote", "abort", "explain")
    return ("abort", "pause", "promote", "explain") if running(status) else ("abort", "pause", "explain")


def command(verb: str, status: ReleaseStatus) -> str:
    """A command about this Rollout, as it can be copied."""
    namespace = f" -n {one_line(status.namespace)}" if status.namespace != "default" else ""
    cluster = f" --cluster {one_line(status.cluster)}" if status.cluster != "default" else ""
    return f"tidegate {verb} {one_line(status.name)}{namespace}{cluster}"


class PodCount(NamedTuple):
    """Pods of one version: its part in the release, and its ReplicaSet."""

    name: str
    replica_set: ReplicaSetState

    @property
    def text(self) -> str:
        """Ready pods of all: `2/3`."""
        return f"{min(self.replica_set.ready, self.replica_set.current)}/{self._whole}"

    @property
    def complete(self) -> bool:
        """True when every pod that should be there is ready, and no other."""
        return self.replica_set.ready == self.replica_set.desired == self.replica_set.current

    @property
    def going(self) -> bool:
        """True while pods of it go."""
        return self.replica_set.desired < self.replica_set.current

    @property
    def _whole(self) -> int:
        return max(self.replica_set.desired, self.replica_set.current)


def pod_counts(status: ReleaseStatus, observation: Observation | None = None) -> list[PodCount]:
    """Pods of each version that has any.

    Counts are the release's own once something has happened since the cluster was observed.
    """
    old = observation is not None and any(each.at > observation.at for each in status.events)
    return [
        PodCount(role(each, status) or f"old (revision {each.revision})", each)
        for each in replica_sets(status, None if old else observation)
        if each.desired or each.current
    ]


def shown_events(status: ReleaseStatus) -> list[Event]:
    """Events that nothing else shows, the newest last."""
    return [each for each in status.events if each.warning or each.reason not in _SHOWN_ELSEWHERE]


def event_text(event: Event, status: ReleaseStatus) -> str:
    """An event on one line; that of an analysis run with the part of the release that it watches."""
    gate = next((each for each in status.analyses if event.analysis and each.name == event.analysis), None)
    if gate is not None and event.reason.startswith(_RUN):
        return f"analysis of {scope(gate)}: {event.reason.removeprefix(_RUN)}"
    return one_line(event.message)

"""Payloads of the effects of a decision."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from tidegate.analysis.status import Phase
from tidegate.contract.facts import Facts, Graph
from tidegate.contract.names import Activity
from tidegate.contract.payload import Document, Payload


class IncidentRef(Payload):
    """The ServiceNow incident of an aborted release."""

    number: str
    sys_id: str
    url: str
    created: bool = True  # False: an earlier attempt opened it


class Point(Payload):
    """One reading of a gate."""

    at: datetime
    value: float | None  # None where there was no number
    verdict: Phase


class LimitKind(StrEnum):
    """The condition of a metric that a limit belongs to."""

    SUCCESS = "success"
    FAILURE = "failure"


class Limit(Payload):
    """A number that a condition compares readings with."""

    text: str  # for operators
    value: float
    kind: LimitKind | None = None


class Curve(Payload):
    """Readings of one metric of a gate over time, the oldest first."""

    gate: str
    metric: str
    points: tuple[Point, ...]
    limits: tuple[Limit, ...] = ()


class ComparedPoint(Payload):
    """One reading of one event of a comparison. Rates are percent of the requests since the reading before it.

    `harm` and `proof` are ln E of all readings until then.
    """

    at: datetime
    canary: float | None  # None where there were no requests
    stable: float | None
    harm: float
    proof: float


class ComparedEvent(Payload):
    """Readings of one event of a comparison, the oldest first, with what would decide.

    The canary is tolerated up to `times` x stable + `plus` percent. The limits are values of ln E.
    """

    name: str
    points: tuple[ComparedPoint, ...]
    times: float
    plus: float
    harm_limit: float
    proof_limit: float


class ComparedCurves(Payload):
    """A comparison of a gate over time; the first event is the one that its sentence is about."""

    gate: str
    metric: str
    events: tuple[ComparedEvent, ...]


class Chart(Payload):
    """Data of the chart of a release."""

    title: str
    curves: tuple[Curve, ...] = ()
    comparisons: tuple[ComparedCurves, ...] = ()
    weights: tuple[tuple[datetime, int], ...] = ()  # from that time on, percent of the traffic on the canary


class IncidentNote(Payload):
    """A work note of the incident of that correlation id."""

    correlation_id: str
    event: str  # id of the note: it is written once
    text: str


class EffectName(StrEnum):
    """Names of effects. A notification has the name of its trigger."""

    INCIDENT = "incident"
    REVERT = "git revert"
    NOTE = "note"
    RESTORED = "note restored"
    INCIDENTS_RESOLVED = "incidents resolved"
    CHANGE_OPENED = "change opened"
    CHANGE_CLOSED = "change closed"


class Effect(Payload):
    """One activity call after a decision, with the note that the incident gets after it."""

    name: str  # an `EffectName`, or that of a notification
    activity: Activity
    request: Document  # payload of the activity
    note: IncidentNote | None = None  # the message of the activity's answer is added to it

    @classmethod
    def of(cls, name: str, activity: Activity, request: Payload, note: IncidentNote | None = None) -> Effect:
        """An effect with the payload that the activity takes."""
        return cls(name=name, activity=activity, request=request.model_dump(mode="json"), note=note)


class FollowUpRequest(Payload):
    """The effects of one decision."""

    release: str = ""  # workflow id; empty when no release made the decision
    run_id: str = ""
    effects: tuple[Effect, ...]


class EffectState(StrEnum):
    """The end of an effect."""

    DONE = "done"
    SKIPPED = "skipped"  # its system is not configured
    FAILED = "failed"  # an operator is needed


class FollowedUp(Payload):
    """The end of the effect of that name."""

    name: str
    state: EffectState
    message: str = ""  # for operators
    answer: Any = None  # of the activity


class IncidentRequest(Payload):
    """An incident. There is one for each correlation id, however often it is requested."""

    correlation_id: str  # (rollout, revision, run, event)
    short_description: str
    summary: str = ""  # first lines of the description: what happened, why, what it cost, the state now, what to do
    description: str
    facts: Facts = Facts()
    fields: dict[str, str] = Field(default_factory=dict)  # column -> template, from the Rollout's annotations
    graphs: tuple[Graph, ...] = ()  # of the gates' metrics
    attachments: Document = Field(default_factory=dict)  # file name -> JSON document
    chart: Chart | None = None  # attached as an image


class RevertMode(StrEnum):
    """The way of a revert into the repository."""

    PUSH = "push"  # onto the branch itself
    BRANCH = "branch"  # as a branch of its own, for a pull request


class ImageChange(Payload):
    """Images of one container: that of the release, and the one before."""

    container: str
    bad: str
    good: str


class RevertRequest(Payload):
    """Put earlier images back into the manifest in Git. `release` and `run` are the cause: one commit for both."""

    repository: str
    branch: str = "main"
    path: str = "."  # the manifest's folder or file in the repository
    namespace: str
    rollout: str
    workload: str = ""  # the Deployment in the Rollout's workloadRef, empty without one
    revision: int
    images: tuple[ImageChange, ...]
    release: str
    run: str
    reason: str
    commit: str = ""  # that the release was built from, where it is known
    mode: str = ""  # a `RevertMode`; empty: by the worker's setting


class RevertResult(Payload):
    """The commit of a revert."""

    message: str  # for operators
    commit: str = ""  # on `branch`; empty when there was nothing to put back
    branch: str = ""
    created: bool = False  # False: an earlier attempt pushed it

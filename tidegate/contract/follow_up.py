"""Payloads of what follows a decision."""

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
    """The ServiceNow incident of an aborted release; `created` False when an earlier attempt had opened it."""

    number: str
    sys_id: str
    url: str
    created: bool = True


class Point(Payload):
    """One reading of a gate; `value` is None where there was no number."""

    at: datetime
    value: float | None
    verdict: Phase


class LimitKind(StrEnum):
    """Which condition of a metric a limit belongs to."""

    SUCCESS = "success"
    FAILURE = "failure"


class Limit(Payload):
    """A number that a condition compares readings with; `text` says so to people."""

    text: str
    value: float
    kind: LimitKind | None = None


class Curve(Payload):
    """Readings of one metric of a gate over time, the oldest first."""

    gate: str
    metric: str
    points: tuple[Point, ...]
    limits: tuple[Limit, ...] = ()


class Chart(Payload):
    """What a picture of a release shows; `weights` are percent of the traffic on the canary, from each moment on."""

    title: str
    curves: tuple[Curve, ...]
    weights: tuple[tuple[datetime, int], ...] = ()


class IncidentNote(Payload):
    """What to add to the work notes of the incident of that cause. `event` is what it tells of: one note, ever."""

    correlation_id: str
    event: str
    text: str


class EffectName(StrEnum):
    """What people call an effect. A notification has the name of its trigger."""

    INCIDENT = "incident"
    REVERT = "git revert"
    NOTE = "note"
    RESTORED = "note restored"
    INCIDENTS_RESOLVED = "incidents resolved"
    CHANGE_OPENED = "change opened"
    CHANGE_CLOSED = "change closed"


class Effect(Payload):
    """One thing that follows a decision: an activity, what it is given, and the note that an incident gets after it.

    `name` is an `EffectName`, or that of a notification. The note gets the message of the activity's answer, if it has
    one.
    """

    name: str
    activity: Activity
    request: Document
    note: IncidentNote | None = None

    @classmethod
    def of(cls, name: str, activity: Activity, request: Payload, note: IncidentNote | None = None) -> Effect:
        """With the payload that the activity takes."""
        return cls(name=name, activity=activity, request=request.model_dump(mode="json"), note=note)


class FollowUpRequest(Payload):
    """The effects of one decision; `release` is the workflow id of the release whose run made it, if one did."""

    release: str = ""
    run_id: str = ""
    effects: tuple[Effect, ...]


class EffectState(StrEnum):
    """How an effect ended."""

    DONE = "done"
    SKIPPED = "skipped"  # nobody set its system up
    FAILED = "failed"  # a person is needed


class FollowedUp(Payload):
    """How the effect of that name ended; `answer` is the activity's, `message` is for people."""

    name: str
    state: EffectState
    message: str = ""
    answer: Any = None


class IncidentRequest(Payload):
    """What an incident says. `correlation_id` is (rollout, revision, event): one incident, however often asked for.

    `fields` are columns and their templates as the Rollout's annotations ask for them; `graphs` show what gates saw.
    """

    correlation_id: str
    short_description: str
    description: str
    facts: Facts = Facts()
    fields: dict[str, str] = Field(default_factory=dict)
    graphs: tuple[Graph, ...] = ()
    attachments: Document = Field(default_factory=dict)  # file name -> JSON document
    chart: Chart | None = None  # attached as a picture


class RevertMode(StrEnum):
    """How a revert reaches the repository."""

    PUSH = "push"  # onto the branch itself
    BRANCH = "branch"  # as a branch of its own, for a pull request


class ImageChange(Payload):
    """The image that a release brought into a container, and the one that was there before."""

    container: str
    bad: str
    good: str


class RevertRequest(Payload):
    """Put images back where Git says what is to run. `release` and `run` are the cause: one commit for both.

    `path` is the manifest's folder or file in the repository, `workload` the name of the Deployment that lends the
    Rollout its template, empty where none does. `commit` is what the release was built from, where that is known. An
    empty `mode` leaves it to the worker's setting, otherwise it is a `RevertMode`.
    """

    repository: str
    branch: str = "main"
    path: str = "."
    namespace: str
    rollout: str
    workload: str = ""
    revision: int
    images: tuple[ImageChange, ...]
    release: str
    run: str
    reason: str
    commit: str = ""
    mode: str = ""


class RevertResult(Payload):
    """What was done: `commit` stands on `branch` of the repository; empty when there was nothing to put back.

    `created` False: an earlier attempt had pushed it. `message` says it to people.
    """

    message: str
    commit: str = ""
    branch: str = ""
    created: bool = False

"""Result of a release for a program: outcome, reason, readings, incident and links. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from pydantic import Field

from tidegate.analysis.status import Phase
from tidegate.client.errors import (
    CompensationError,
    InconclusiveError,
    InvalidSpecError,
    ReleaseError,
    RolledBackError,
    StoppedError,
    SupersededError,
)
from tidegate.contract import IncidentRef, Payload, ReleaseStatus
from tidegate.report import explain
from tidegate.report.links import run_url


class ReleaseOutcome(StrEnum):
    """End of a release, or the state in which only an operator can end its wait."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    INCONCLUSIVE = "inconclusive"
    HELD = "held"
    REFUSED = "refused"
    SUPERSEDED = "superseded"
    STOPPED = "stopped"
    COMPENSATION_FAILED = "compensation failed"


_OUTCOMES: Final[tuple[tuple[type[ReleaseError], ReleaseOutcome], ...]] = (
    (CompensationError, ReleaseOutcome.COMPENSATION_FAILED),
    (StoppedError, ReleaseOutcome.STOPPED),
    (InvalidSpecError, ReleaseOutcome.REFUSED),
    (SupersededError, ReleaseOutcome.SUPERSEDED),
    (InconclusiveError, ReleaseOutcome.INCONCLUSIVE),
    (RolledBackError, ReleaseOutcome.ROLLED_BACK),
    (ReleaseError, ReleaseOutcome.ROLLED_BACK),
)


class GateReading(Payload):
    """Newest reading of one metric of a gate. `value` is as it was stored, empty without one."""

    gate: str
    metric: str
    phase: Phase
    value: str = ""
    sentence: str  # why the metric is in this phase


class ReleaseLinks(Payload):
    """Addresses of a release; those that are not known are empty."""

    run: str = ""  # in the Temporal UI
    incident: str = ""
    ci: str = ""


class Released(Payload):
    """Result of `release`; `status` is None where nothing more than the reason is known."""

    outcome: ReleaseOutcome
    reason: str
    remedy: str = ""
    images: dict[str, str] = Field(default_factory=dict)
    revision: int = 0
    weight: int = 0  # percent of traffic on the released version, as read back
    readings: tuple[GateReading, ...] = ()
    incident: IncidentRef | None = None
    links: ReleaseLinks = ReleaseLinks()
    status: ReleaseStatus | None = None

    @property
    def promoted(self) -> bool:
        """True when the version has all of the traffic."""
        return self.outcome is ReleaseOutcome.PROMOTED


def outcome_of(error: ReleaseError) -> ReleaseOutcome:
    """ReleaseOutcome of a release that ended with an error."""
    return next(outcome for kind, outcome in _OUTCOMES if isinstance(error, kind))


def released(
    outcome: ReleaseOutcome, status: ReleaseStatus | None, reason: str = "", *, remedy: str = "", temporal_ui: str = ""
) -> Released:
    """Result of a release with that status; `temporal_ui` is the address of the Temporal UI with its namespace."""
    if status is None:
        return Released(outcome=outcome, reason=reason, remedy=remedy)
    incident, run = status.incident, (status.workflow_id, status.run_id)
    return Released(
        outcome=outcome,
        reason=reason or explain(status).headline,
        remedy=remedy,
        images=status.images,
        revision=status.revision,
        weight=status.actual_weight,
        readings=tuple(_readings(status)),
        incident=incident,
        links=ReleaseLinks(
            run=run_url(temporal_ui, *run) if temporal_ui else "",
            incident=incident.url if incident is not None else "",
            ci=status.source.ci_url,
        ),
        status=status,
    )


def _readings(status: ReleaseStatus) -> Iterator[GateReading]:
    for gate in explain(status).gates:
        for each in gate.metrics:
            newest = each.metric.measurements[-1:]
            yield GateReading(
                gate=gate.name,
                metric=each.metric.name,
                phase=each.metric.phase,
                value=newest[0].value if newest else "",
                sentence=each.sentence,
            )

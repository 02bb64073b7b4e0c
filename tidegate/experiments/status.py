"""`.status` of an Experiment in Argo's fields, read and written. Source: argo-rollouts, ExperimentStatus."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from tidegate.analysis.status import Phase
from tidegate.rollouts.experiment_sets import ExperimentSet


class _Field(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class TemplateCode(StrEnum):
    """State of one template of an experiment (Argo's words)."""

    PROGRESSING = "Progressing"
    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    ERROR = "Error"

    @property
    def completed(self) -> bool:
        """True when nothing more will change."""
        return self not in (TemplateCode.PROGRESSING, TemplateCode.RUNNING)


class TemplateStatus(_Field):
    """One template: its pods, and since when they are what they are."""

    name: str
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    collision_count: int | None = None
    status: TemplateCode | None = None
    message: str = ""
    last_transition_time: AwareDatetime | None = None
    service_name: str = ""
    pod_template_hash: str = ""

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """The numbers of pods, whose change is progress."""
        return self.replicas, self.updated_replicas, self.ready_replicas, self.available_replicas

    def counting(self, one: ExperimentSet | None) -> TemplateStatus:
        """The same with the pods and the Service of its ReplicaSet, None where there is none.

        As in Argo the hash is given where there is a Service.
        """
        service = one.service if one is not None else ""
        return self.model_copy(
            update={
                "replicas": one.current if one is not None else 0,
                "updated_replicas": one.current if one is not None else 0,
                "ready_replicas": one.ready if one is not None else 0,
                "available_replicas": one.available if one is not None else 0,
                "service_name": service,
                "pod_template_hash": one.hash if one is not None and service else "",
            }
        )


class RunStatus(_Field):
    """One analysis: the name of its run and its phase, both empty before it has started."""

    name: str
    analysis_run: str = ""
    phase: Phase | None = None
    message: str = ""

    @property
    def is_open(self) -> bool:
        """True when it runs."""
        return self.phase is not None and not self.phase.completed


class ExperimentCondition(_Field):
    """One condition."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_update_time: AwareDatetime
    last_transition_time: AwareDatetime


class ExperimentStatus(_Field):
    """`.status`; `phase` is None before the first look at the cluster."""

    phase: Phase | None = None
    message: str = ""
    available_at: AwareDatetime | None = None
    template_statuses: tuple[TemplateStatus, ...] = ()
    analysis_runs: tuple[RunStatus, ...] = ()
    conditions: tuple[ExperimentCondition, ...] = Field(default=())

    @property
    def is_over(self) -> bool:
        """True when the outcome is decided."""
        return self.phase is not None and self.phase.completed

    def template(self, name: str) -> TemplateStatus | None:
        """Status of one template."""
        return next((each for each in self.template_statuses if each.name == name), None)

    @classmethod
    def read(cls, status: object) -> ExperimentStatus:
        """`.status` of an object; one that cannot be read, or an empty one, says nothing.

        A run that had not ended when it was written is awaited no more, and starts anew.
        """
        given = {key: value for key, value in status.items() if value != ""} if isinstance(status, Mapping) else {}
        runs = given.get("analysisRuns")
        if isinstance(runs, list):
            given["analysisRuns"] = [
                {key: value for key, value in each.items() if value != ""} if isinstance(each, Mapping) else each
                for each in runs
            ]
        try:
            found = cls.model_validate(given)
        except ValidationError:
            return cls()
        ended = tuple(each for each in found.analysis_runs if each.phase is not None and each.phase.completed)
        return found.model_copy(update={"analysis_runs": ended})

    def to_wire(self) -> dict[str, Any]:
        """`.status` as Go writes it: times to the second, what is empty left out but for the numbers of pods."""
        return _given(
            phase=str(self.phase or ""),
            message=self.message,
            availableAt=_time(self.available_at),
            templateStatuses=[_template(each) for each in self.template_statuses],
            analysisRuns=[
                {"name": each.name, "analysisRun": each.analysis_run, "phase": str(each.phase or "")}
                | _given(message=each.message)
                for each in self.analysis_runs
            ],
            conditions=[
                {
                    "type": each.type,
                    "status": each.status,
                    "reason": each.reason,
                    "message": each.message,
                    "lastUpdateTime": _time(each.last_update_time),
                    "lastTransitionTime": _time(each.last_transition_time),
                }
                for each in self.conditions
            ],
        )


def _template(each: TemplateStatus) -> dict[str, Any]:
    return {
        "name": each.name,
        "replicas": each.replicas,
        "updatedReplicas": each.updated_replicas,
        "readyReplicas": each.ready_replicas,
        "availableReplicas": each.available_replicas,
        **_given(
            collisionCount=each.collision_count,
            status=str(each.status or ""),
            message=each.message,
            lastTransitionTime=_time(each.last_transition_time),
            serviceName=each.service_name,
            podTemplateHash=each.pod_template_hash,
        ),
    }


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _time(timestamp: datetime | None) -> str | None:
    return timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if timestamp is not None else None

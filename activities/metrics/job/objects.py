"""Jobs as objects: built from a metric and labelled as by Argo, read back with the verdict of their end. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from activities.kubernetes.client import JOBS, Object
from tidegate.analysis.reading import Verdict
from tidegate.analysis.status import Phase
from tidegate.contract import Owner
from tidegate.manifests.providers.job import Job

RUN_UID: Final = "analysisrun.argoproj.io/uid"
RUN_NAME: Final = "analysisrun.argoproj.io/name"
METRIC_NAME: Final = "analysisrun.argoproj.io/metric-name"
POD_LABEL: Final = "job-name"
"""Label that every version of Kubernetes gives to the pods of a Job: its name."""

FIRST_POLL: Final = timedelta(seconds=2)
LONGEST_WAIT: Final = timedelta(seconds=30)
# A container in one of these states does not start, and a Job without a deadline waits for it for ever.
_NEVER_STARTS: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})


class ObjectError(ValueError):
    """An object from the API is not of the requested kind."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)

    @classmethod
    def read(cls, found: Any) -> Self:
        """Raises ObjectError that names the field."""
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ObjectError(f"Kubernetes API: the answer is no {cls.__name__}: {where}: {first['msg']}") from error


class _Metadata(_Part):
    name: str
    uid: str
    creation_timestamp: AwareDatetime
    deletion_timestamp: AwareDatetime | None = None
    labels: dict[str, str] | None = None


class _Condition(_Part):
    type: str
    status: str
    reason: str = ""
    message: str = ""


class _JobStatus(_Part):
    conditions: tuple[_Condition, ...] | None = None
    active: int = 0
    ready: int = 0
    succeeded: int = 0
    failed: int = 0


class SeenJob(_Part):
    """A Job as the API shows it."""

    metadata: _Metadata
    status: _JobStatus = _JobStatus()

    def belongs_to(self, run_uid: str) -> bool:
        """True when it was created for this run."""
        return (self.metadata.labels or {}).get(RUN_UID) == run_uid

    @property
    def being_deleted(self) -> bool:
        """True when it is being deleted, so that it will have no end."""
        return self.metadata.deletion_timestamp is not None

    @property
    def has_idle_pods(self) -> bool:
        """True when there are pods that are not up."""
        return self.status.active > self.status.ready

    @property
    def verdict(self) -> Verdict | None:
        """Verdict of its end; None before it. With both conditions set, it failed."""
        ended = {each.type: each for each in self.status.conditions or () if each.status == "True"}
        name = self.metadata.name
        if failed := ended.get("Failed"):
            why = ": ".join(filter(None, (failed.reason, failed.message)))
            message = failed.message or failed.reason
            return Verdict(phase=Phase.FAILED, message=message, reason=f"Job {name} failed: {why}")
        if "Complete" in ended:
            return Verdict(phase=Phase.SUCCESSFUL, reason=f"Job {name} completed")
        return None

    def next_poll(self, now: datetime) -> datetime:
        """Time of the next poll: after as long as it has existed already, which doubles the wait each time."""
        return now + min(max(now - self.metadata.creation_timestamp, FIRST_POLL), LONGEST_WAIT)

    @property
    def progress(self) -> str:
        """Its progress in one sentence."""
        counts = self.status.model_dump(exclude={"conditions"})
        pods = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "none yet"
        return f"Job {self.metadata.name} is under way; pods: {pods}"


class _Waiting(_Part):
    reason: str = ""
    message: str = ""


class _State(_Part):
    waiting: _Waiting | None = None


class _Container(_Part):
    name: str = ""
    image: str = ""
    state: _State | None = None

    @property
    def never_starts(self) -> str:
        """Reason why it does not start, empty when it may."""
        waiting = self.state.waiting if self.state else None
        if waiting is None or waiting.reason not in _NEVER_STARTS:
            return ""
        why = ": ".join(filter(None, (waiting.reason, waiting.message)))
        return f"container {self.name} does not start with image {self.image}: {why}"


class _PodStatus(_Part):
    init_container_statuses: tuple[_Container, ...] | None = None
    container_statuses: tuple[_Container, ...] | None = None


class _Pod(_Part):
    status: _PodStatus = _PodStatus()

    @property
    def containers(self) -> tuple[_Container, ...]:
        """All of them, in the order in which they start."""
        return (*(self.status.init_container_statuses or ()), *(self.status.container_statuses or ()))


def never_starts(pods: Iterable[Object]) -> str:
    """Reason why a container of these pods does not start, empty when each may. Raises ObjectError for no pod."""
    containers = (container for pod in pods for container in _Pod.read(pod).containers)
    return next(filter(None, (container.never_starts for container in containers)), "")


def build(settings: Job, name: str, namespace: str, *, run: str, uid: str, metric: str, owner: Owner | None) -> Object:
    """The Job of one measurement. What Argo writes in labels and annotations wins over the manifest's."""
    metadata: Object = {
        "name": name,
        "namespace": namespace,
        "labels": {**settings.metadata.labels, RUN_UID: uid},
        "annotations": {**settings.metadata.annotations, RUN_NAME: run, METRIC_NAME: metric},
    }
    if owner is not None:
        reference = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
        metadata["ownerReferences"] = [{**reference, "controller": True}]
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": metadata,
        # A Rollout outlives its runs: with no end of their own, their Jobs would pile up beside it.
        "spec": {**settings.spec.to_wire(), "ttlSecondsAfterFinished": settings.spec.kept_seconds},
    }

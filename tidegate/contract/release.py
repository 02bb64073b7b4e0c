"""What a release is asked for, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import Field
from pydantic_core import PydanticSerializationError

from tidegate.analysis.status import AnalysisStatus
from tidegate.contract.cluster import ReplicaSetState, WorkloadTemplate
from tidegate.contract.failing import Failing
from tidegate.contract.follow_up import IncidentRef
from tidegate.contract.messages import Message
from tidegate.contract.names import ClusterName, NamespaceName, ObjectName
from tidegate.contract.payload import Document, Payload, Words
from tidegate.contract.rollout_object import RolloutObject
from tidegate.manifests.limits import excess_text, excesses
from tidegate.manifests.workload import needs_template

MAX_TEMPLATES: Final = 100
MAX_REQUEST_BYTES: Final = 1024 * 1024  # it travels twice in a call of at most 4 MiB (gRPC's default)
LIMITS_REMEDY: Final = "docs/rollouts.md has the limits of an object"
_SHOWN_EXCESSES: Final = 5


class Source(Payload):
    """Where a release came from; every field is for people and for the incident."""

    repository: Words = ""
    commit: Words = ""
    ci_url: Words = ""


class ReleaseRequest(Payload):
    """Input of the release workflow and of its `release` update.

    `rollout` is the Rollout manifest as JSON, `templates` the AnalysisTemplates given with it; templates that it names
    and that are not given are read from the cluster. `full` promotes it past all steps and gates at once, which is a
    word of the person in `by`; `aborted` that this version was given up and stays so, for `reason`: the cluster follows
    the rest of the spec. `workload` is what the manifest's workloadRef named, where somebody has looked.
    """

    cluster: ClusterName = "default"
    namespace: NamespaceName
    name: ObjectName
    rollout: Document
    workload: WorkloadTemplate | None = None
    templates: tuple[Document, ...] = ()
    by: Words = ""
    reason: Words = ""
    full: bool = False
    aborted: bool = False
    source: Source = Source()

    def resolved(self) -> ReleaseRequest:
        """With the pod template of the workload in the manifest, where the manifest leaves it to one."""
        if self.workload is None or not needs_template(self.rollout):
            return self
        return self.model_copy(update={"rollout": self.workload.lent_to(self.rollout)})

    def excess(self) -> str:
        """What of it is more than a release takes; empty when nothing is. Takes bounded time."""
        found = [excess_text(each) for each in excesses(self.resolved().rollout)]
        if len(self.templates) > MAX_TEMPLATES:
            found.append(f"{len(self.templates)} templates are more than {MAX_TEMPLATES}, the most that are taken")
        for template in self.templates[:MAX_TEMPLATES]:
            name = (template.get("metadata") or {}).get("name")
            found += [f"AnalysisTemplate {name!r}: {excess_text(each)}" for each in excesses(template)]
        try:
            if not found and len(self.model_dump_json()) > MAX_REQUEST_BYTES:
                found.append(f"the Rollout and its templates are larger than {MAX_REQUEST_BYTES // 1024} KiB together")
        except PydanticSerializationError as error:
            found.append(f"it cannot be written as JSON: {error}")
        return "; ".join(found[:_SHOWN_EXCESSES])


class Waiting(Payload):
    """What a release waits for (law 5). `until` None means: until a person acts."""

    what: str
    since: datetime
    until: datetime | None = None
    who: str


class StepState(StrEnum):
    """Progress of one step."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class StepStatus(Payload):
    """One entry of `spec.strategy.canary.steps`; `text` is Argo's one-line form such as `setWeight: 20`."""

    index: int
    text: str
    state: StepState = StepState.PENDING
    started_at: datetime | None = None
    finished_at: datetime | None = None


class WeightStatus(Payload):
    """One weight that was written and read back: percent of traffic on the canary, and when."""

    at: datetime
    canary: int
    reason: str


class AnalysisRef(Payload):
    """An analysis run of this release: where to look, and what it said last."""

    workflow_id: str
    name: str
    kind: str  # Step | Background | Experiment | Bake
    step: int | None = None
    revision: int
    status: AnalysisStatus


class Event(Payload):
    """Something a person would want to know happened; `reason` in Argo's event words.

    `analysis` is the name of the analysis run that it is about, or whose verdict brought it about.
    """

    at: datetime
    reason: str
    message: str
    warning: bool = False
    analysis: str = ""


class Compensation(StrEnum):
    """What follows an abort."""

    TRAFFIC = "traffic to stable"
    SCALE = "canary pods down"
    INCIDENT = "incident"
    REVERT = "git revert"


class CompensationStatus(Payload):
    """One thing that must follow an abort, how it stands (pending, running, done, skipped or failed), and since when.

    Skipped is what nobody set up, as `detail` says.
    """

    name: str
    state: str = "pending"
    detail: str = ""
    at: datetime | None = None


class ReplicaCounts(Payload):
    """The Rollout's replica counts, as in its status."""

    desired: int = 0
    current: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0

    @classmethod
    def of(cls, sets: Iterable[ReplicaSetState], hash_: str, replicas: int) -> ReplicaCounts:
        """Pods of all versions, `updated` those of the version of that hash, `replicas` being spec.replicas."""
        found = tuple(sets)
        return cls(
            desired=replicas,
            current=sum(each.current for each in found),
            updated=sum(each.current for each in found if each.hash == hash_),
            ready=sum(each.ready for each in found),
            available=sum(each.available for each in found),
        )


class ReleaseStatus(Payload):
    """Answer of the `status` query: everything that a release knows without asking anybody."""

    workflow_id: str
    run_id: str
    first_run_id: str = ""  # of the run that this one is a reset of: what was done before is known by it
    cluster: str
    namespace: str
    name: str
    phase: str  # Progressing | Paused | Healthy | Degraded
    message: str = ""
    started_at: datetime
    finished_at: datetime | None = None
    step_index: int | None = None
    steps: tuple[StepStatus, ...] = ()
    set_weight: int = 0
    actual_weight: int = 0
    waiting: Waiting | None = None
    failing: Failing | None = None  # what the cluster refuses now, None while it takes what it is told
    paused_at: datetime | None = None  # begin of the pause, while the phase is Paused
    manual_pause: Message | None = None  # who asked for a pause that was not ended yet
    promoted_full: bool = False
    restarting: bool = False  # whether pods are being replaced as spec.restartAt asks
    restarted_at: datetime | None = None  # the newest spec.restartAt that was seen to
    desired_hash: str = ""
    step_hash: str = ""
    stable_hash: str = ""
    revision: int = 0
    images: dict[str, str] = Field(default_factory=dict)
    counts: ReplicaCounts = ReplicaCounts()
    replica_sets: tuple[ReplicaSetState, ...] = ()  # newest first, as of the last activity that read them; no pods
    weights: tuple[WeightStatus, ...] = ()
    analyses: tuple[AnalysisRef, ...] = ()
    events: tuple[Event, ...] = ()
    warnings: tuple[str, ...] = ()
    compensations: tuple[CompensationStatus, ...] = ()
    incident: IncidentRef | None = None
    by: str = ""
    source: Source = Source()
    object: RolloutObject | None = None  # None: there is none, or it was not looked for yet
    versions: int = 0  # how many this run has taken on, the one under way included
    requests: tuple[str, ...] = ()  # ids of the updates by which this version was asked for, the newest last

    @property
    def aborting(self) -> bool:
        """Whether it was given up: what it did is being undone, or was."""
        return self.phase == "Degraded" and bool(self.compensations)

    @property
    def held(self) -> bool:
        """Whether only a person can end what the release waits for."""
        return self.phase == "Paused" and self.waiting is not None and self.waiting.until is None


class ReleaseResult(Payload):
    """Result of a release that ended well; one that did not fails with an `ErrorType` and this as its details."""

    outcome: str  # Healthy | RolloutAborted | ...
    message: str
    revision: int
    hash: str
    status: ReleaseStatus

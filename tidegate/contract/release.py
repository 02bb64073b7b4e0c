"""Payloads of a release: its request, its status and its result."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field
from pydantic_core import PydanticSerializationError

from tidegate.analysis.status import AnalysisStatus
from tidegate.contract.cluster import WorkloadTemplate
from tidegate.contract.failing import Failing
from tidegate.contract.follow_up import EffectName, IncidentRef
from tidegate.contract.messages import Message, ObjectField
from tidegate.contract.names import AnalysisKind, ClusterName, ErrorType, NamespaceName, ObjectName, StrategyName
from tidegate.contract.payload import Document, Payload, PlainText
from tidegate.contract.rollout_object import RolloutObject
from tidegate.manifests.limits import excess_text, excesses
from tidegate.manifests.workload import needs_template
from tidegate.rollouts.phase import RolloutPhase
from tidegate.rollouts.replica_sets import ReplicaSetState
from tidegate.rollouts.version import Version

MAX_TEMPLATES: Final = 100
MAX_REQUEST_BYTES: Final = 1024 * 1024  # it is twice in a call of at most 4 MiB (gRPC's default)
LIMITS_REMEDY: Final = "docs/rollouts.md has the limits of an object"
_SHOWN_EXCESSES: Final = 5


class Source(Payload):
    """Origin of a release, for operators and for the incident."""

    repository: PlainText = ""
    commit: PlainText = ""
    ci_url: PlainText = ""


class ReleaseRequest(Payload):
    """Input of the release workflow and of its `release` update."""

    cluster: ClusterName = "default"
    namespace: NamespaceName
    name: ObjectName
    rollout: Document  # the manifest
    workload: WorkloadTemplate | None = None  # of the manifest's workloadRef, where it was read
    templates: tuple[Document, ...] = ()  # AnalysisTemplates; others that the manifest names are read from the cluster
    by: PlainText = ""
    reason: PlainText = ""
    full: bool = False  # promote past all steps and gates at once
    field: ObjectField | None = None  # of the object, where it requests the promotion
    aborted: bool = False  # the version stays aborted, for `reason`; the rest of the spec is carried out
    requested_at: AwareDatetime | None = (
        None  # of the first attempt, where an earlier one was rejected for a short time
    )
    source: Source = Source()

    def resolved(self) -> ReleaseRequest:
        """The request with the workload's pod template in the manifest, where the manifest has a workloadRef."""
        if self.workload is None or not needs_template(self.rollout):
            return self
        return self.model_copy(update={"rollout": self.workload.filled_in(self.rollout)})

    def excess(self) -> str:
        """Limits that the request exceeds, as one text; empty without any. Takes bounded time."""
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
    """The current wait of a release (law 5)."""

    what: str
    since: datetime
    until: datetime | None = None  # None: until `what` is there, or, where only an operator ends it, until one acts
    who: str  # can end it
    only_operator: bool = False  # nothing but an operator ends it well; a limit, where there is one, aborts

    @property
    def end(self) -> str:
        """The end of the wait in words; empty with a time."""
        if self.until is not None:
            return ""
        return "an operator acts" if self.only_operator else "it is there"


class StepState(StrEnum):
    """Progress of one step."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class StepStatus(Payload):
    """One entry of `spec.strategy.canary.steps`, or one stage of a blue-green release."""

    index: int
    text: str  # Argo's one-line form, such as `setWeight: 20`; that of a stage is ours
    state: StepState = StepState.PENDING
    started_at: datetime | None = None
    finished_at: datetime | None = None


class WeightStatus(Payload):
    """One weight that was written and read back: percent of traffic on the canary, and when."""

    at: datetime
    canary: int
    reason: str


class AnalysisRef(Payload):
    """An analysis run of this release, with its latest status."""

    workflow_id: str
    name: str
    kind: AnalysisKind
    step: int | None = None
    revision: int
    status: AnalysisStatus


class Event(Payload):
    """An event of a release, with Argo's reason where Argo has one."""

    at: datetime
    reason: str
    message: str
    warning: bool = False
    analysis: str = ""  # name of the analysis run that it is about, or whose verdict caused it


class Compensation(StrEnum):
    """The compensations of an abort."""

    TRAFFIC = "traffic to stable"
    SCALE = "canary pods down"
    INCIDENT = EffectName.INCIDENT.value
    REVERT = EffectName.REVERT.value


class CompensationState(StrEnum):
    """Progress of a compensation."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"  # its system is not configured
    FAILED = "failed"  # an operator is needed


class CompensationStatus(Payload):
    """One compensation and its state."""

    name: Compensation
    state: CompensationState = CompensationState.PENDING
    detail: str = ""  # for operators
    at: datetime | None = None


class PauseReason(StrEnum):
    """Reason of phase Paused. The values are the reasons of Argo's pause conditions (argo-rollouts, PauseReason)."""

    STEP = "CanaryPauseStep"
    BLUE_GREEN = "BlueGreenPause"
    ANALYSIS = "InconclusiveAnalysisRun"
    EXPERIMENT = "InconclusiveExperiment"
    EXTERNAL_CHANGE = "ForeignWeights"  # an external editor keeps writing the weights; Argo has no reason for it
    MANUAL = "manually paused"  # by an operator: no pause condition, only Argo's message (utils/rollout)


class ReplicaCounts(Payload):
    """Replica counts of the Rollout, as in its status."""

    desired: int = 0
    current: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0

    @classmethod
    def of(cls, sets: Iterable[ReplicaSetState], hash_: str, replicas: int) -> ReplicaCounts:
        """Counts of all versions, `updated` those of the version of that hash, `replicas` being spec.replicas."""
        found = tuple(sets)
        return cls(
            desired=replicas,
            current=sum(each.current for each in found),
            updated=sum(each.current for each in found if each.hash == hash_),
            ready=sum(each.ready for each in found),
            available=sum(each.available for each in found),
        )


class ReleaseStatus(Payload):
    """Answer of the `status` query: the whole state of a release."""

    workflow_id: str
    run_id: str
    first_run_id: str = ""  # of the run before any reset: effects have it in their ids
    cluster: str
    namespace: str
    name: str
    phase: RolloutPhase
    message: str = ""  # for operators: no decision reads it
    pause: PauseReason | None = None  # why the phase is Paused, None while it is not
    aborting: bool = False  # the abort has started, or is done
    ended_by: ErrorType | None = None  # None while it goes on and after a good end
    cause: str = ""  # of `ended_by`, in one sentence
    started_at: datetime
    requested_at: datetime | None = None  # of the version, or of the newer one that is about to take over
    finished_at: datetime | None = None
    strategy: StrategyName = StrategyName.CANARY
    step_index: int | None = None
    steps: tuple[StepStatus, ...] = ()
    set_weight: int = 0
    actual_weight: int = 0
    weight_verified: bool = True  # False where the router cannot say that the weight is in force
    waiting: Waiting | None = None
    failing: Failing | None = None  # current rejection by the cluster
    paused_at: datetime | None = None  # start of the pause, while the phase is Paused
    manual_pause: Message | None = None  # an operator's pause that was not resumed yet
    promoted_full: bool = False
    promotion_reason: str = ""  # why the version became the stable one, in Argo's words; empty before that
    restarting: bool = False  # pods are being replaced by spec.restartAt
    restarted_at: datetime | None = None  # the latest spec.restartAt that was carried out
    desired_hash: str = ""  # label of the version's ReplicaSet
    template_hash: str = ""  # of the pod template without defaults; `desired_hash` may be that of an older form
    collision_count: int | None = None  # None: no two templates of the Rollout ever had one hash
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
    object: RolloutObject | None = None  # None: there is none, or it was not read yet
    versions: int = 0  # count of the versions of this run, with one that was only read so far
    version_number: int = 0  # number of the version that this status is about
    requests: tuple[str, ...] = ()  # ids of the updates that requested this version, the latest last

    @property
    def version(self) -> Version:
        """The version that the status is about."""
        return Version(self.template_hash, self.step_hash)

    @property
    def is_refused(self) -> bool:
        """True when the version was rejected for its spec, before anything was written."""
        return self.ended_by is ErrorType.INVALID_SPEC

    @property
    def complaint(self) -> str:
        """`; compensation failed: NAMES` where an operator is needed, and the unfinished ones; empty without either."""
        named = {CompensationState.FAILED: "compensation failed", CompensationState.RUNNING: "not done yet"}
        lists = {
            text: ", ".join(row.name for row in self.compensations if row.state is state)
            for state, text in named.items()
        }
        return "".join(f"; {text}: {names}" for text, names in lists.items() if names)

    @property
    def held(self) -> bool:
        """True when only an operator can end the wait: it has no limit, or an operator has paused the release."""
        waiting = self.waiting
        if self.phase is not RolloutPhase.PAUSED or waiting is None or not waiting.only_operator:
            return False
        return waiting.until is None or self.manual_pause is not None

    @property
    def is_restored(self) -> bool:
        """True when an abort has put the traffic back, could not, or had none to put back."""
        traffic = next((each for each in self.compensations if each.name is Compensation.TRAFFIC), None)
        ended = traffic is not None and traffic.state in (CompensationState.DONE, CompensationState.FAILED)
        return ended or self.finished_at is not None

    @property
    def step_number(self) -> int | None:
        """Number of the step under way, from 1, and the last one after all; None without steps."""
        return min(self.step_index + 1, len(self.steps)) if self.steps and self.step_index is not None else None

    @property
    def paused_by(self) -> str:
        """Operator and reason of a manual pause; empty without one."""
        message = self.manual_pause
        if message is None:
            return ""
        return ": ".join(filter(None, (message.by or "somebody", message.reason)))


class ReleaseResult(Payload):
    """Result of a release that ended well. A failed one has an `ErrorType` and this as its details."""

    outcome: str  # Healthy | RolloutAborted | ...
    message: str
    revision: int
    hash: str
    status: ReleaseStatus

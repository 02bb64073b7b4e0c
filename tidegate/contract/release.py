"""What a release is asked for, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field
from pydantic_core import PydanticSerializationError

from tidegate.analysis.status import AnalysisStatus
from tidegate.canary.phase import RolloutPhase
from tidegate.canary.replica_sets import ReplicaSetState
from tidegate.canary.version import Version
from tidegate.contract.cluster import WorkloadTemplate
from tidegate.contract.failing import Failing
from tidegate.contract.follow_up import EffectName, IncidentRef
from tidegate.contract.messages import Message, ObjectField
from tidegate.contract.names import AnalysisKind, ClusterName, ErrorType, NamespaceName, ObjectName
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
    and that are not given are read from the cluster. `full` promotes it past all steps and gates at once, which the
    person in `by` asks for, by a `field` of the object where one is named. `aborted` says that this version was given
    up and stays so, for `reason`: the cluster follows the rest of the spec. `workload` is what the manifest's
    workloadRef named, where somebody has looked. `asked_at` is when it was asked for first, where that was before the
    request: one that was turned down for a moment comes again.
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
    field: ObjectField | None = None
    aborted: bool = False
    asked_at: AwareDatetime | None = None
    source: Source = Source()

    def resolved(self) -> ReleaseRequest:
        """With the pod template of the workload in the manifest, where the manifest leaves it to one."""
        if self.workload is None or not needs_template(self.rollout):
            return self
        return self.model_copy(update={"rollout": self.workload.filled_in(self.rollout)})

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
    """What a release waits for (law 5). `until` None means: until an operator acts."""

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
    kind: AnalysisKind
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
    INCIDENT = EffectName.INCIDENT.value
    REVERT = EffectName.REVERT.value


class CompensationState(StrEnum):
    """Progress of a compensation."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"  # nobody set its system up
    FAILED = "failed"  # a person is needed


class CompensationStatus(Payload):
    """One thing that must follow an abort, how it stands, and since when. `detail` is for people."""

    name: Compensation
    state: CompensationState = CompensationState.PENDING
    detail: str = ""
    at: datetime | None = None


class PauseReason(StrEnum):
    """Why the phase is Paused. The values are the reasons of Argo's pause conditions (argo-rollouts, PauseReason)."""

    STEP = "CanaryPauseStep"
    ANALYSIS = "InconclusiveAnalysisRun"
    EXPERIMENT = "InconclusiveExperiment"
    EXTERNAL_CHANGE = "ForeignWeights"  # somebody else keeps writing the weights; Argo has no word for it
    MANUAL = "manually paused"  # a person asked for it: no pause condition, only Argo's message (utils/rollout)


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
    phase: RolloutPhase
    message: str = ""  # for people: no decision reads it
    pause: PauseReason | None = None  # why the phase is Paused, None while it is not
    aborting: bool = False  # it was given up: what it did is being undone, or was
    ended_by: ErrorType | None = None  # why it was given up or refused, None while it goes on and after a good end
    cause: str = ""  # of `ended_by`, in one sentence
    started_at: datetime
    asked_at: datetime | None = None  # when the version was asked for, the newer one where one is about to take over
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
    promotion_reason: str = ""  # why the version became the stable one, in Argo's words; empty before that
    restarting: bool = False  # whether pods are being replaced as spec.restartAt asks
    restarted_at: datetime | None = None  # the newest spec.restartAt that was seen to
    desired_hash: str = ""  # label of the version's ReplicaSet
    template_hash: str = ""  # of what its pod template means; `desired_hash` may be of an older way to write it
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
    object: RolloutObject | None = None  # None: there is none, or it was not looked for yet
    versions: int = 0  # how many this run has taken on, the one that it has only looked at so far included
    begun: int = 0  # which of them it is that the rest of this tells of
    requests: tuple[str, ...] = ()  # ids of the updates by which this version was asked for, the newest last

    @property
    def version(self) -> Version:
        """The version that it is about."""
        return Version(self.template_hash, self.step_hash)

    @property
    def is_refused(self) -> bool:
        """Whether the version was turned down for what its spec says, before anything of it was done."""
        return self.ended_by is ErrorType.INVALID_SPEC

    @property
    def complaint(self) -> str:
        """`; compensation failed: NAMES` where a person is needed, and what is not done yet; empty without either."""
        named = {CompensationState.FAILED: "compensation failed", CompensationState.RUNNING: "not done yet"}
        lists = {
            text: ", ".join(row.name for row in self.compensations if row.state is state)
            for state, text in named.items()
        }
        return "".join(f"; {text}: {names}" for text, names in lists.items() if names)

    @property
    def held(self) -> bool:
        """Whether only a person can end what the release waits for."""
        return self.phase is RolloutPhase.PAUSED and self.waiting is not None and self.waiting.until is None


class ReleaseResult(Payload):
    """Result of a release that ended well; one that did not fails with an `ErrorType` and this as its details."""

    outcome: str  # Healthy | RolloutAborted | ...
    message: str
    revision: int
    hash: str
    status: ReleaseStatus

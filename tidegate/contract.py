"""Names and payloads that cross a process boundary: workflows, messages, activities, task queues, errors.

`workflows` and `activities` know each other only through this module; a CI job imports it through `tidegate.client`.
Payloads are frozen pydantic models with plain JSON on the wire. They carry no secret: a Secret or Vault path is named,
its content is read inside the activity that uses it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from temporalio.common import SearchAttributeKey

from tidegate.analysis.reading import Reading
from tidegate.analysis.status import AnalysisStatus

Document = dict[str, Any]  # a manifest or another JSON object, as it was sent: unknown fields are kept

# --------------------------------------------------------------------------------------------------------------- names

ROLLOUT_WORKFLOW = "Rollout"
ANALYSIS_WORKFLOW = "AnalysisRun"

RELEASES_QUEUE = "tidegate-releases"  # workflows
METRICS_QUEUE = "tidegate-metrics"  # analysis providers; rate-limited for the whole organisation
FOLLOW_UP_QUEUE = "tidegate-follow-up"  # ServiceNow and whatever else tells people


def cluster_queue(cluster: str) -> str:
    """Task queue of the activities that touch one Kubernetes cluster: `tidegate-cluster-<cluster>`."""
    return f"tidegate-cluster-{cluster}"


def rollout_id(cluster: str, namespace: str, name: str) -> str:
    """Workflow id of a Rollout's releases; being unique, it is also the lock: one release at a time."""
    return f"rollout/{cluster}/{namespace}/{name}"


def analysis_id(cluster: str, namespace: str, run: str) -> str:
    """Workflow id of an analysis run, `run` being the name Argo gives the AnalysisRun object."""
    return f"analysis/{cluster}/{namespace}/{run}"


class Signal(StrEnum):
    """Messages to a release. Each takes one optional JSON object; a bare signal is valid (law 8)."""

    PROMOTE = "promote"  # {full?, by?, reason?}
    ABORT = "abort"  # {by?, reason?}
    PAUSE = "pause"  # {by?, reason?}
    RESUME = "resume"  # {by?, reason?}
    MEASURED = "measured"  # an analysis run tells its release that a verdict changed: AnalysisStatus
    TERMINATE = "terminate"  # a release tells its analysis run to end with what it has


class Query(StrEnum):
    """Questions that a running or closed workflow answers."""

    STATUS = "status"  # ReleaseStatus of a release, AnalysisStatus of an analysis run


class Update(StrEnum):
    """Messages that answer at once whether they were accepted; all but `release` mirror a signal."""

    RELEASE = "release"  # ReleaseRequest -> Accepted: start, or tell the running release of a newer revision
    PROMOTE = "promote"
    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"


class Activity(StrEnum):
    """Activity names. One class for each outside system implements them."""

    OBSERVE = "observe"  # ObserveRequest -> Observation
    CREATE_REPLICA_SET = "create_replica_set"  # CreateReplicaSet -> ReplicaSetState
    SCALE_REPLICA_SET = "scale_replica_set"  # ScaleReplicaSet -> ReplicaSetState
    AWAIT_REPLICA_SET = "await_replica_set"  # AwaitReplicaSet -> ReplicaSetState
    RETIRE_REPLICA_SETS = "retire_replica_sets"  # RetireReplicaSets -> list[str]: names scaled down or deleted
    POINT_SERVICES = "point_services"  # PointServices -> None
    MARK_STABLE = "mark_stable"  # MarkStable -> None
    PUBLISH_STATUS = "publish_status"  # PublishStatus -> None
    SHIFT_TRAFFIC = "shift_traffic"  # ShiftTraffic -> TrafficState
    POINT_SUBSETS = "point_subsets"  # PointSubsets -> None
    RESTORE_STABLE = "restore_stable"  # RestoreStable -> TrafficState
    MEASURE_DATADOG = "measure_datadog"  # MeasureRequest -> list[Reading]
    OPEN_INCIDENT = "open_incident"  # IncidentRequest -> IncidentRef


class ErrorType(StrEnum):
    """`ApplicationError.type` of everything that Tidegate raises on purpose; each says whether a retry helps."""

    INVALID_SPEC = "InvalidSpec"  # never: the manifest or a referenced object has to change first
    ROLLOUT_ABORTED = "RolloutAborted"  # a new release: this version was judged, or a person stopped it
    ROLLOUT_INCONCLUSIVE = "RolloutInconclusive"  # a new release: nobody answered the hold in time
    STALE_WRITE = "StaleWrite"  # never: a later write of the same or a newer release stands
    NOT_READY = "NotReady"  # yes: pods are not available at the needed count
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"  # never by itself: pods did not come in time
    CONFLICT = "Conflict"  # yes: the object changed between read and write
    NOT_FOUND = "NotFound"  # never: the named object does not exist
    UNAVAILABLE = "Unavailable"  # yes: transport failure or 5xx of an outside system
    RATE_LIMITED = "RateLimited"  # yes, after `next_retry_delay`
    UNAUTHORIZED = "Unauthorized"  # once, after the credential was read again
    REJECTED = "Rejected"  # never: the outside system refused the request for what it says


# Typed search attributes; to be registered once for each Temporal namespace.
SEARCH_NAMESPACE = SearchAttributeKey.for_keyword("TidegateNamespace")
SEARCH_SERVICE = SearchAttributeKey.for_keyword("TidegateService")
SEARCH_PHASE = SearchAttributeKey.for_keyword("TidegatePhase")
SEARCH_WEIGHT = SearchAttributeKey.for_int("TidegateWeight")
SEARCH_REVISION = SearchAttributeKey.for_int("TidegateRevision")
SEARCH_ATTRIBUTES = (SEARCH_NAMESPACE, SEARCH_SERVICE, SEARCH_PHASE, SEARCH_WEIGHT, SEARCH_REVISION)


class Payload(BaseModel):
    """Base of every payload: immutable; fields that a newer sender adds are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")


# ------------------------------------------------------------------------------------------------------------- release


class Source(Payload):
    """Where a release came from; every field is for people and for the incident."""

    repository: str = ""
    commit: str = ""
    ci_url: str = ""


class ReleaseRequest(Payload):
    """Input of the release workflow and of its `release` update.

    `rollout` is the Rollout manifest as JSON, `templates` the AnalysisTemplates given with it; templates that it names
    and that are not given are read from the cluster.
    """

    cluster: str = "default"
    namespace: str
    name: str
    rollout: Document
    templates: tuple[Document, ...] = ()
    by: str = ""
    reason: str = ""
    source: Source = Source()


class Message(Payload):
    """What a person says with promote, abort, pause or resume."""

    full: bool = False
    by: str = ""
    reason: str = ""


class Accepted(Payload):
    """Answer of an update: what will happen now, in one sentence."""

    message: str
    run_id: str = ""


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
    kind: str  # Step | Background
    step: int | None = None
    revision: int
    status: AnalysisStatus


class Event(Payload):
    """Something a person would want to know happened; `reason` in Argo's event words."""

    at: datetime
    reason: str
    message: str
    warning: bool = False


class CompensationStatus(Payload):
    """One thing that must follow an abort, and how it went: pending, running, done or failed."""

    name: str
    state: str = "pending"
    detail: str = ""


class IncidentRef(Payload):
    """The ServiceNow incident of an aborted release; `created` False when an earlier attempt had opened it."""

    number: str
    sys_id: str
    url: str
    created: bool = True


class ReplicaCounts(Payload):
    """The Rollout's replica counts, as in its status."""

    desired: int = 0
    current: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0


class PodState(Payload):
    """One pod, as much of it as the tree shows."""

    name: str
    phase: str
    ready: bool
    restarts: int = 0
    created_at: datetime | None = None
    message: str = ""


class ReplicaSetState(Payload):
    """One ReplicaSet of the Rollout; `desired` is its spec.replicas, the other counts its status."""

    name: str
    hash: str
    revision: int
    desired: int
    current: int = 0
    ready: int = 0
    available: int = 0
    images: dict[str, str] = Field(default_factory=dict)  # container -> image
    created_at: datetime | None = None
    scale_down_at: datetime | None = None
    promoted_at: datetime | None = None
    pods: tuple[PodState, ...] = ()


class ReleaseStatus(Payload):
    """Answer of the `status` query: everything that a release knows without asking anybody."""

    workflow_id: str
    run_id: str
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
    desired_hash: str = ""
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


class ReleaseResult(Payload):
    """Result of a release that ended well; one that did not fails with an `ErrorType` and this as its details."""

    outcome: str  # Healthy | RolloutAborted | ...
    message: str
    revision: int
    hash: str
    status: ReleaseStatus


# ------------------------------------------------------------------------------------------------------------- cluster


class Fence(Payload):
    """Fencing token of a write to the cluster: (start of the release in ms since 1970, number of the write).

    It is stored on the object beside what is written, as annotation `tidegate.io/fence: <epoch>.<sequence>`. A write
    whose token is lower than the stored one is refused with `StaleWrite` (law 3).
    """

    epoch: int
    sequence: int

    def __str__(self) -> str:
        """Form of the annotation."""
        return f"{self.epoch}.{self.sequence}"


class Target(Payload):
    """The Rollout that a cluster activity works on."""

    namespace: str
    name: str


class ObserveRequest(Payload):
    """What to read before a release, or for a look: the Rollout's own objects and those that it names."""

    target: Target
    rollout: Document = Field(default_factory=dict)  # empty: as it stands in the cluster
    pods: bool = False


class RouteState(Payload):
    """Weights of one edited route of a VirtualService, read back: percent by destination role."""

    virtual_service: str
    namespace: str
    route: str
    stable: int
    canary: int


class TrafficState(Payload):
    """What the mesh was told last: the routes as read back, and the canary's share in percent."""

    canary: int
    routes: tuple[RouteState, ...] = ()


class Observation(Payload):
    """The cluster's side of a Rollout at one moment."""

    at: datetime
    rollout: Document | None = None  # the object in the cluster, None when there is none
    stable_hash: str = ""
    replica_sets: tuple[ReplicaSetState, ...] = ()  # newest revision first
    services: dict[str, Document | None] = Field(default_factory=dict)  # by name; None: not found
    virtual_services: dict[str, Document | None] = Field(default_factory=dict)  # by `name.namespace`
    templates: tuple[Document, ...] = ()
    traffic: TrafficState | None = None


class CreateReplicaSet(Payload):
    """Create the ReplicaSet of a pod template with no pods, or find it: the name is the id of the effect."""

    target: Target
    rollout: Document
    hash: str
    revision: int
    owner_uid: str = ""
    fence: Fence


class ScaleReplicaSet(Payload):
    """Set spec.replicas of one ReplicaSet. `scale_down_at` records a delayed scale-down beside it."""

    target: Target
    replica_set: str
    replicas: int
    fence: Fence
    scale_down_at: datetime | None = None


class AwaitReplicaSet(Payload):
    """Wait until a ReplicaSet has `available` available pods; fails after `deadline_seconds` without progress."""

    target: Target
    replica_set: str
    available: int
    deadline_seconds: int


class PointServices(Payload):
    """Set `rollouts-pod-template-hash` in the selectors of the named Services: service -> hash."""

    target: Target
    selectors: dict[str, str]
    fence: Fence


class MarkStable(Payload):
    """Record that a revision was fully promoted."""

    target: Target
    replica_set: str
    hash: str
    fence: Fence


class RetireReplicaSets(Payload):
    """Scale every other ReplicaSet to 0 and delete the oldest beyond `keep` (revisionHistoryLimit)."""

    target: Target
    except_hashes: tuple[str, ...]
    keep: int
    fence: Fence


class PublishStatus(Payload):
    """Write `.status` of the Rollout object, when there is one."""

    target: Target
    status: Document


class Istio(Payload):
    """Where the traffic of a Rollout is split: the routing part of the spec, in the form that the activity needs."""

    stable_service: str
    canary_service: str
    virtual_services: tuple[Document, ...]  # {name, routes?, tlsRoutes?, tcpRoutes?}
    destination_rule: Document | None = None  # {name, canarySubsetName, stableSubsetName}

    @classmethod
    def of(cls, rollout: Document) -> Istio | None:
        """The Istio part of a Rollout's canary strategy, or None when Istio does not route its traffic."""
        canary = ((rollout.get("spec") or {}).get("strategy") or {}).get("canary") or {}
        istio = (canary.get("trafficRouting") or {}).get("istio")
        if not istio:
            return None
        single = istio.get("virtualService")
        return cls(
            stable_service=canary.get("stableService", ""),
            canary_service=canary.get("canaryService", ""),
            virtual_services=tuple(istio.get("virtualServices") or ([single] if single else [])),
            destination_rule=istio.get("destinationRule"),
        )


class ShiftTraffic(Payload):
    """Send `weight` percent to the canary, provided that `replica_set` has `needed` available pods (law 1)."""

    target: Target
    istio: Istio
    weight: int
    replica_set: str
    needed: int
    fence: Fence


class PointSubsets(Payload):
    """Label the subsets of a DestinationRule with `rollouts-pod-template-hash`: subset name -> hash."""

    target: Target
    destination_rule: str
    hashes: dict[str, str]
    fence: Fence


class RestoreStable(Payload):
    """The traffic part of an abort: all weight to stable, read back, then the canary Service to the stable hash."""

    target: Target
    istio: Istio
    stable_hash: str
    fence: Fence


# ------------------------------------------------------------------------------------------------------------ analysis


class AnalysisRequest(Payload):
    """Input of an analysis run: Argo's AnalysisRun spec with metrics, bound args, dryRun, measurementRetention."""

    cluster: str = "default"
    namespace: str
    name: str
    spec: Document
    kind: str = ""  # Step | Background | "" when started alone
    release_id: str = ""  # workflow id of the release to tell of changed verdicts


class AnalysisResult(Payload):
    """Result of an analysis run. A failed gate is a result, not an error: the release decides what follows."""

    status: AnalysisStatus


class MeasureRequest(Payload):
    """One measurement of each of `metrics` (Argo's metric objects of one provider, args substituted except secrets)."""

    namespace: str
    run: str
    metrics: tuple[Document, ...]
    secret_args: dict[str, dict[str, str]] = Field(default_factory=dict)  # arg name -> {name, key} of a Secret


MeasureResult = list[Reading]


# ----------------------------------------------------------------------------------------------------------- follow-up


class IncidentRequest(Payload):
    """What an incident says. `correlation_id` is (rollout, revision, event): one incident, however often asked for."""

    correlation_id: str
    short_description: str
    description: str
    urgency: int = 2
    impact: int = 2
    attachments: Document = Field(default_factory=dict)  # file name -> JSON document


def parse_message(value: Any) -> Message:
    """Read the argument of a signal, whatever it is (law 8): an object, a string taken as the reason, or nothing.

    Never raises. Unknown fields are ignored, fields of a wrong type are taken as their text; `full` is true only for
    true, "true", "yes" and 1.
    """
    if isinstance(value, Message):
        return value
    if isinstance(value, str):
        return Message(reason=value[:1000])
    if not isinstance(value, dict):
        return Message()
    full = value.get("full")
    return Message(
        full=full is True or full == 1 or str(full).strip().lower() in ("true", "yes"),
        by=_text(value.get("by")),
        reason=_text(value.get("reason")),
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:1000]

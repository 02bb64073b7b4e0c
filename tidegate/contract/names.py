"""Names of workflows, messages, activities, task queues, errors and search attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator
from temporalio.common import Priority, SearchAttributeKey

ROLLOUT_WORKFLOW = "Rollout"
ANALYSIS_WORKFLOW = "AnalysisRun"
FOLLOW_UP_WORKFLOW = "FollowUp"
ROLLBACK_WORKFLOW = "Rollback"
LET_GO_WORKFLOW = "LetGo"
FORECAST_WORKFLOW = "Forecast"
BACKTEST_WORKFLOW = "Backtest"
DOCTOR_WORKFLOW = "Doctor"
EXPERIMENT_WORKFLOW = "Experiment"

RELEASES_QUEUE = "tidegate"  # workflows
FOLLOW_UP_QUEUE = "tidegate.follow-up"  # ServiceNow, Git and notifications
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_LABEL = 63
_LONGEST_SUBDOMAIN = 253
# Order in which Temporal hands out the tasks of a queue: aborts, releases, the rest.
ABORT_PRIORITY = Priority(priority_key=1)
RELEASE_PRIORITY = Priority(priority_key=2)
BACKGROUND_PRIORITY = Priority(priority_key=4)
_CLUSTER = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def fair(priority: Priority, namespace: str) -> Priority:
    """The priority with a fair share for a namespace: Temporal takes tasks of the namespaces in turn.

    Workflows and activities that a workflow starts inherit it. Source: Temporal's documentation of task queue fairness.
    """
    return replace(priority, fairness_key=namespace)


def check_cluster(name: str) -> str:
    """`name` itself. Raises ValueError when it cannot be that of a cluster, whose task queue is `tidegate.<name>`."""
    if not _CLUSTER.fullmatch(name):
        raise ValueError("give 1 to 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends")
    if name in ("follow-up", *(each.removeprefix("measure_") for each in Activity)):
        raise ValueError("give a cluster another name: the task queue of this one is that of something else")
    return name


ClusterName = Annotated[str, AfterValidator(check_cluster)]


def check_namespace(name: str) -> str:
    """`name` itself. Raises ValueError when no Kubernetes namespace can have it (RFC 1123, label)."""
    if not _LABEL.fullmatch(name) or len(name) > _LONGEST_LABEL:
        raise ValueError(
            f"give the name of a Kubernetes namespace: 1 to {_LONGEST_LABEL} lower case letters, digits and '-', "
            "with a letter or digit at both ends"
        )
    return name


def check_name(name: str) -> str:
    """`name` itself. Raises ValueError when no Rollout or analysis run can have it (RFC 1123, subdomain)."""
    if not _SUBDOMAIN.fullmatch(name) or len(name) > _LONGEST_SUBDOMAIN:
        raise ValueError(
            f"give the name of a Kubernetes object: 1 to {_LONGEST_SUBDOMAIN} lower case letters, digits, '-' and '.', "
            "with a letter or digit at both ends and around each '.'"
        )
    return name


NamespaceName = Annotated[str, AfterValidator(check_namespace)]
ObjectName = Annotated[str, AfterValidator(check_name)]


def _check_run(name: str) -> str:
    # A run's name begins with that of its Rollout and is longer; what is too long for an object has no object.
    if not _SUBDOMAIN.fullmatch(name) or len(name) > 2 * _LONGEST_SUBDOMAIN:
        check_name(name)
    return name


RunName = Annotated[str, AfterValidator(_check_run)]


def cluster_queue(cluster: str) -> str:
    """Task queue of the activities that touch one Kubernetes cluster: `tidegate.<cluster>`."""
    return f"tidegate.{cluster}"


def metrics_queue(provider: str) -> str:
    """Task queue of one metric provider: `tidegate.<provider>`.

    Each has its own, because Temporal's rate limit is one for each task queue and budgets are not shared.
    """
    return f"tidegate.{provider}"


def rollout_id(cluster: str, namespace: str, name: str) -> str:
    """Workflow id of a Rollout's releases; being unique, it is also the lock: one release at a time."""
    return f"rollout/{cluster}/{namespace}/{name}"


def analysis_id(cluster: str, namespace: str, run: str) -> str:
    """Workflow id of an analysis run, `run` being the name Argo gives the AnalysisRun object."""
    return f"analysis/{cluster}/{namespace}/{run}"


def rollback_id(cluster: str, namespace: str, name: str) -> str:
    """Workflow id of a rollback of a Rollout; one at a time."""
    return f"roll-back/{cluster}/{namespace}/{name}"


def experiment_id(cluster: str, namespace: str, name: str, uid: str) -> str:
    """Workflow id of an Experiment object, `uid` being its own: another object of that name is another experiment."""
    return f"{experiments_of(cluster, namespace, name)}{uid}"


def experiments_of(cluster: str, namespace: str = "", name: str = "") -> str:
    """Prefix of the workflow ids of the Experiments of a cluster, a namespace or a name."""
    return "".join(f"{part}/" for part in ("experiment", cluster, namespace, name) if part)


def let_go_id(cluster: str, namespace: str, name: str, uid: str) -> str:
    """Workflow id of the release of a deleted Rollout's objects, `uid` being the Rollout's: it runs once."""
    return f"let-go/{cluster}/{namespace}/{name}/{uid}"


def forecast_id(cluster: str, namespace: str, name: str, number: str) -> str:
    """Workflow id of a forecast for a release; `number` tells it from the others, as it changes nothing."""
    return f"forecast/{cluster}/{namespace}/{name}/{number}"


def backtest_id(namespace: str, name: str, number: str) -> str:
    """Workflow id of a backtest by the comparisons of a template or Rollout; `number` tells it from the others."""
    return f"backtest/{namespace}/{name}/{number}"


def doctor_id(cluster: str, namespace: str, number: str) -> str:
    """Workflow id of a check of the outside systems; `number` tells it from the others, as it changes nothing."""
    return f"doctor/{cluster}/{namespace}/{number}"


def follow_up_id(release: str, revision: int, run_id: str, decision: str) -> str:
    """Workflow id of the follow-up of a decision of a run of a release, whose workflow id is `release`."""
    return f"{follow_ups_of(release)}{revision}/{run_id}/{decision}"


def follow_ups_of(workflow_id: str) -> str:
    """Prefix of the workflow ids of all follow-ups of the workflow of that id."""
    return f"follow-up/{workflow_id.removeprefix('rollout/')}/"


class Signal(StrEnum):
    """Messages to a release. Each takes one optional JSON object; a bare signal is valid (law 8)."""

    PROMOTE = "promote"  # {full?, by?, reason?}
    ABORT = "abort"  # {by?, reason?}
    PAUSE = "pause"  # {by?, reason?}
    RESUME = "resume"  # {by?, reason?}
    MEASURED = "measured"  # from an analysis run to who started it, on a changed verdict: AnalysisStatus
    FOLLOWED_UP = "followed_up"  # from a follow-up, on the end of an effect: FollowedUp
    SETTLE = "settle"  # to an analysis run: end with a verdict, after another reading of metrics without one
    TERMINATE = "terminate"  # to an analysis run or an experiment: end with the measurements so far
    WEIGHTS = "weights"  # to an analysis run: the weights that took effect: WeightsChanged


class Query(StrEnum):
    """Queries that a running or closed workflow answers."""

    STATUS = "status"  # ReleaseStatus, AnalysisStatus of an analysis run, ExperimentReport of an experiment


class Update(StrEnum):
    """Messages with an answer; all but `release` mirror a signal."""

    RELEASE = "release"  # ReleaseRequest -> Accepted: start, or supersede the version of the running release
    PROMOTE = "promote"
    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"


class Activity(StrEnum):
    """Activity names. One class for each outside system implements them."""

    OBSERVE = "observe"  # ObserveRequest -> Observation
    RECONCILE = "reconcile"  # Reconcile -> Reconciled
    AWAIT_CHANGE = "await_change"  # AwaitChange -> None
    REFUSE = "refuse"  # Rejection -> RolloutObject, None when there is no such object
    RESTART_PODS = "restart_pods"  # RestartPods -> RestartedPods
    CHOOSE_REVISION = "choose_revision"  # RollbackRequest -> RollbackResult
    ROLLBACK = "roll_back"  # PutBack -> None
    LET_GO = "let_go"  # LetGo -> LeftAlone
    RECONCILE_EXPERIMENT = "reconcile_experiment"  # ExperimentPass -> ExperimentSeen
    AWAIT_EXPERIMENT = "await_experiment"  # AwaitExperiment -> None
    RESTORE_STABLE = "restore_stable"  # RestoreStable -> TrafficState
    SELECT_STABLE = "select_stable"  # SelectStable -> SelectedStable
    # MeasureRequest -> list[Reading]: `measure_` and the key of a provider in manifests
    MEASURE_DATADOG = "measure_datadog"
    MEASURE_PROMETHEUS = "measure_prometheus"
    MEASURE_WEB = "measure_web"
    MEASURE_JOB = "measure_job"
    # By the source of the counts, each on its task queue: BeginComparison -> ComparisonBegun, and
    # CompareRequest -> CompareReadings
    BEGIN_COMPARISON_DATADOG = "begin_comparison_datadog"
    COMPARE_DATADOG = "compare_datadog"
    BEGIN_COMPARISON_PROMETHEUS = "begin_comparison_prometheus"
    COMPARE_PROMETHEUS = "compare_prometheus"
    # The same for a backtest: FindChanges -> VersionHistory, JudgeChange -> PastChange, JudgeStable -> StableJudged
    FIND_CHANGES_DATADOG = "find_changes_datadog"
    JUDGE_CHANGE_DATADOG = "judge_change_datadog"
    JUDGE_STABLE_DATADOG = "judge_stable_datadog"
    FIND_CHANGES_PROMETHEUS = "find_changes_prometheus"
    JUDGE_CHANGE_PROMETHEUS = "judge_change_prometheus"
    JUDGE_STABLE_PROMETHEUS = "judge_stable_prometheus"
    END_JOBS = "end_jobs"  # EndJobs -> None
    OPEN_INCIDENT = "open_incident"  # IncidentRequest -> IncidentRef
    NOTE_INCIDENT = "note_incident"  # IncidentNote -> None
    RESOLVE_INCIDENTS = "resolve_incidents"  # ResolveIncidents -> ResolvedIncidents
    OPEN_CHANGE = "open_change"  # OpenChange -> ChangeRef
    CLOSE_CHANGE = "close_change"  # CloseChange -> ChangeRef
    REVERT_COMMIT = "revert_commit"  # RevertRequest -> RevertResult
    # CheckSystems -> Checks, each on the task queue of the workers that reach those systems
    CHECK_CLUSTER = "check_cluster"
    CHECK_DATADOG = "check_datadog"
    CHECK_PROMETHEUS = "check_prometheus"
    CHECK_FOLLOW_UP = "check_follow_up"
    SEND_NOTIFICATION = "send_notification"  # Notification -> NotificationSent


class AnalysisKind(StrEnum):
    """The part of a release that an analysis run belongs to."""

    STEP = "Step"
    BACKGROUND = "Background"
    EXPERIMENT = "Experiment"
    BAKE = "Bake"
    PRE_PROMOTION = "PrePromotion"
    POST_PROMOTION = "PostPromotion"


class StrategyName(StrEnum):
    """A strategy, by its field in `spec.strategy`."""

    CANARY = "canary"
    BLUE_GREEN = "blueGreen"

    @classmethod
    def of(cls, rollout: Mapping[str, Any]) -> StrategyName:
        """The strategy of a manifest, the canary where it names none."""
        given = (rollout.get("spec") or {}).get("strategy") or {}
        return cls.BLUE_GREEN if given.get(cls.BLUE_GREEN) is not None and not given.get(cls.CANARY) else cls.CANARY


class ErrorType(StrEnum):
    """`ApplicationError.type` of all deliberate errors; each comment says whether a retry helps."""

    INVALID_SPEC = "InvalidSpec"  # never: the manifest or a referenced object has to change first
    ROLLOUT_ABORTED = "RolloutAborted"  # a new release: this version was judged, or an operator aborted it
    ROLLOUT_INCONCLUSIVE = "RolloutInconclusive"  # a new release: the hold limit was over
    STALE_WRITE = "StaleWrite"  # never: a later write of the same or a newer release was there
    NOT_CHANGED = "NotChanged"  # yes: a wait for a change goes on so
    NOT_READY = "NotReady"  # yes: pods are not available at the needed count
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"  # never by itself: pods did not come in time
    CONFLICT = "Conflict"  # yes: the object changed between read and write
    DELETED = "Deleted"  # never: the Rollout of the release is gone
    NOT_FOUND = "NotFound"  # never: the named object does not exist
    UNAVAILABLE = "Unavailable"  # yes: transport failure or 5xx of an outside system
    RATE_LIMITED = "RateLimited"  # yes, after `next_retry_delay`
    UNAUTHORIZED = "Unauthorized"  # once, after the credential was read again
    NOT_CONFIGURED = "NotConfigured"  # never: this system is not configured; its effects are skipped
    SUPERSEDED = "Superseded"  # never: another version was requested after this one
    REJECTED = "Rejected"  # never: the outside system rejected the content of the request


# Typed search attributes; to be registered once for each Temporal namespace.
SEARCH_NAMESPACE = SearchAttributeKey.for_keyword("TidegateNamespace")
SEARCH_SERVICE = SearchAttributeKey.for_keyword("TidegateService")
SEARCH_PHASE = SearchAttributeKey.for_keyword("TidegatePhase")
SEARCH_WEIGHT = SearchAttributeKey.for_int("TidegateWeight")
SEARCH_REVISION = SearchAttributeKey.for_int("TidegateRevision")
SEARCH_VERSION = SearchAttributeKey.for_keyword("TidegateVersion")  # tags of the images
SEARCH_BY = SearchAttributeKey.for_keyword("TidegateBy")  # the person or system that asked for the version
SEARCH_WAITING_FOR = SearchAttributeKey.for_keyword("TidegateWaitingFor")  # the kind of wait; see `FOR_AN_OPERATOR`
SEARCH_OUTCOME = SearchAttributeKey.for_keyword("TidegateOutcome")  # `Healthy` or an `ErrorType`; unset before the end
SEARCH_ATTRIBUTES = (
    SEARCH_NAMESPACE,
    SEARCH_SERVICE,
    SEARCH_PHASE,
    SEARCH_WEIGHT,
    SEARCH_REVISION,
    SEARCH_VERSION,
    SEARCH_BY,
    SEARCH_WAITING_FOR,
    SEARCH_OUTCOME,
)
MEMO_LABELS = "labels"  # field of the memo: the labels of the Rollout
LONGEST_KEYWORD = 200  # characters; Temporal's SQL stores take 255
FOR_AN_OPERATOR = "an operator"  # value of `TidegateWaitingFor` while nobody else can end the wait well

"""Payloads of a reconcile pass."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

from pydantic import Field

from tidegate.canary.experiments import wanted_sets
from tidegate.contract.parsed_rollout import ParsedRollout
from tidegate.contract.payload import Document, Payload
from tidegate.contract.release import AnalysisRef, Event
from tidegate.contract.rollout_object import RolloutObject
from tidegate.contract.traffic import ExternalChange, TrafficState
from tidegate.contract.writes import Fence, Target
from tidegate.manifests.steps import ExperimentStep
from tidegate.rollouts.conditions import Reason
from tidegate.rollouts.experiment_sets import WantedSet
from tidegate.rollouts.replica_sets import ReplicaSetState


class DesiredState(Payload):
    """The desired state of the cluster: with the Rollout's spec it decides pods, Services and weights."""

    hash: str  # of the version that is being released
    stable_hash: str = ""  # of the version that was promoted last; empty before the first promotion
    index: int | None = None  # how many steps are complete (Argo's currentStepIndex); None without steps
    aborted: bool = False
    full: bool = False  # an operator promoted past the remaining steps
    promoting: bool = False  # blue-green: the version is to get the traffic as soon as it has its pods
    held: bool = False  # blue-green: Services are left alone, as the Rollout is paused
    undecided: bool = False  # blue-green: an inconclusive analysis holds, and with it all older versions
    experiment: bool = (
        False  # the step under way is an experiment, and its ReplicaSets are wanted; no others of its kind
    )

    @property
    def is_certain(self) -> bool:
        """True when it is retried until it succeeds: the way back, and the state after a promotion."""
        return self.aborted or self.hash == self.stable_hash


class ExperimentSetState(Payload):
    """One template of an experiment in the cluster: its pods, its Service and its share of the traffic."""

    template: str
    replica_set: str
    hash: str  # value of `rollouts-pod-template-hash` on its pods
    current: int = 0
    available: int = 0
    complete: bool = False  # pods, Service and share of the traffic are all there


class AnalysisRunUpdate(Payload):
    """The latest state of an analysis run, for its AnalysisRun object."""

    run: AnalysisRef
    spec: Document
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Unpublished(Payload):
    """Events and AnalysisRun objects that are still to be published."""

    run_id: str  # of the release
    first: int = 0  # number of the first of `events` within the run: the id of the effect (law 6)
    events: tuple[Event, ...] = ()
    runs: tuple[AnalysisRunUpdate, ...] = ()
    current: tuple[str, ...] = ()  # names of all analysis runs of the release, which no limit deletes


class StatusReport(Payload):
    """The report of a release for the Rollout's `.status` and for Kubernetes Events, given to a pass."""

    status: Document = Field(default_factory=dict)  # fields of `.status` that are not there yet
    message: str = ""  # of `.status.message`; empty while the pods say it all
    late: bool = False  # nothing has moved for longer than progressDeadlineSeconds
    abort_cause: str = ""
    unpublished: Unpublished | None = None
    # Rejections that the release knows. A pass that meets nothing else does not return: it tries
    # again until it can be carried out.
    failing: tuple[str, ...] = ()
    refused: Reason = Reason.REFUSED  # the work of the latest of `failing`
    # Writer and time of each flag that is to be removed. A later write of the same flag is a new request.
    set_by: dict[str, str] = Field(default_factory=dict)


class OfRollout(Payload):
    """A request about a Rollout, with its release's own manifest.

    A copy keeps the parsed values, so replace the manifest or desired state before anything is parsed.
    """

    target: Target
    rollout: Document

    @cached_property
    def manifest(self) -> ParsedRollout:
        """The manifest, parsed once. Raises ValueError when it cannot be parsed."""
        return ParsedRollout.read(self.rollout)


class Reconcile(OfRollout):
    """One pass: compare the cluster with the desired state, and change it where it differs."""

    revision: int
    desired: DesiredState
    at: datetime  # the release's clock, by which deadlines are set and found to have passed
    owner_uid: str = ""
    traffic: TrafficState | None = None  # as the pass before left it; a difference is an external change
    report: StatusReport = StatusReport()
    moves: bool = True  # False: only read and publish
    fence: Fence
    since: int = 0  # number of the first write after the last pass whose end is not known; 0: there is none
    # Newest resourceVersions of the pass before. Empty where the release has written anything since, or may have.
    seen: dict[str, str] = Field(default_factory=dict)
    # The release goes on and reports again as soon as the state is reached: what there is to tell is left to that pass.
    awaited: bool = False

    @cached_property
    def experiment(self) -> ExperimentStep:
        """The experiment that is to stand, one without templates outside an experiment step and after an abort."""
        desired, steps = self.desired, self.manifest.steps
        is_over = not desired.experiment or desired.aborted or desired.full
        if is_over or desired.index is None or desired.index >= len(steps):
            return ExperimentStep()
        return steps[desired.index].experiment or ExperimentStep()

    @cached_property
    def wanted_sets(self) -> tuple[WantedSet, ...]:
        """The ReplicaSets of that experiment."""
        name = f"{self.target.name}-{self.desired.hash}-{self.revision}-{self.desired.index}"
        return wanted_sets(self.experiment, name)


class Reconciled(Payload):
    """The cluster after a pass, and the changes of the pass."""

    at: datetime
    replicas: int = 0
    replica_sets: tuple[ReplicaSetState, ...] = ()  # newest revision first
    selectors: dict[str, str] = Field(default_factory=dict)  # Service, or `<rule>/<subset>` -> hash that it selects
    traffic: TrafficState | None = None
    experiment: tuple[ExperimentSetState, ...] = ()  # templates of the experiment under way
    converged: bool = False  # pods, Services and weights are as desired
    not_ready_reason: str = ""  # which pods are missing
    requeue_at: datetime | None = None  # when a deadline on a ReplicaSet makes another pass necessary
    state_digest: str = ""  # changes with whatever a pass would act on; empty: the cluster could not be read
    events: tuple[Event, ...] = ()  # what the pass did, in Argo's words
    external_changes: tuple[ExternalChange, ...] = ()  # that the pass put right
    flags_taken: tuple[
        str, ...
    ] = ()  # flags that the pass removed before it acted: one set from then on is an operator's
    published: bool = True  # the status was written, or there is no object
    events_published: bool = True  # the same for Events and AnalysisRun objects
    object: RolloutObject | None = None  # the Rollout after the pass
    failing: str = ""  # the rejection that ended the pass, in the cluster's words
    refused: Reason = Reason.REFUSED  # the work that was rejected
    # Newest resourceVersions that the pass has read or written: nothing older may decide on the next action.
    seen: dict[str, str] = Field(default_factory=dict)
    run_id: str = ""  # of the run that has seen them
    left: bool = False  # status, Events and AnalysisRun objects were left to the next pass


class AwaitChange(OfRollout):
    """Wait until a cluster has another state than that of `state_digest`; a long attempt fails with `NotChanged`."""

    state_digest: str
    seen: dict[str, str] = Field(default_factory=dict)  # resourceVersions of the pass that made the digest


class RestartPods(OfRollout):
    """Replace the pods of a Rollout that were created before `at`."""

    at: datetime
    failing: tuple[str, ...] = ()  # known rejections: they are retried, only another one is returned


class RestartedPods(Payload):
    """Result of a restart: all pods are new, or a rejection has begun or ended."""

    done: bool = False
    failing: str = ""

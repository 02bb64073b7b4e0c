"""Payloads of the pass that brings a cluster into the shape that a release's place asks for."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tidegate.contract.cluster import ReplicaSetState
from tidegate.contract.payload import Document, Payload
from tidegate.contract.release import AnalysisRef, Event
from tidegate.contract.rollout_object import RolloutObject
from tidegate.contract.traffic import ForeignEdit, TrafficState
from tidegate.contract.writes import Fence, Target


class Place(Payload):
    """Where a release stands: with the Rollout's spec it decides what pods, Services and weights are to be.

    `hash` is the version that is being brought out, `stable_hash` the one that was promoted last, empty before the
    first promotion. `index` counts the completed steps (Argo's currentStepIndex), None where there are none. `full`
    means that a person promoted past the steps. `experiment` says that the ReplicaSets of the step under way, which is
    an experiment, are to stand; any others of an experiment go.
    """

    hash: str
    stable_hash: str = ""
    index: int | None = None
    aborted: bool = False
    full: bool = False
    experiment: bool = False

    @property
    def is_certain(self) -> bool:
        """Whether it is to be reached however long that takes: the way back, and what follows a promotion."""
        return self.aborted or self.hash == self.stable_hash


class ExperimentSetState(Payload):
    """One template of an experiment as it stands: its pods, and whether Service and share of the traffic do too.

    `hash` is the value of `rollouts-pod-template-hash` on its pods.
    """

    template: str
    replica_set: str
    hash: str
    current: int = 0
    available: int = 0
    complete: bool = False


class RunNews(Payload):
    """An analysis run of the release as it stands now; `spec` and the rest are those of its AnalysisRun object."""

    run: AnalysisRef
    spec: Document
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Tell(Payload):
    """What people with kubectl do not see yet: Events, and AnalysisRun objects.

    `run_id` is the release's run, `first` the number of the first of `events` in it: the id of the effect (law 6).
    `current` are the names of all of the release's analysis runs, which no limit takes away.
    """

    run_id: str
    first: int = 0
    events: tuple[Event, ...] = ()
    runs: tuple[RunNews, ...] = ()
    current: tuple[str, ...] = ()


class Account(Payload):
    """What a release says of itself with a pass.

    `status` are the fields of the Rollout's `.status` that do not stand there yet, `message` is its message, empty
    while the pods say it all. For its conditions, `late` says that nothing has moved for too long, and `abort_cause`
    why the version was given up. `tell` is for others who look. `failing` is what it knows that the cluster refuses: a
    pass that meets nothing else comes back no more, but is tried again until it can be carried out.
    """

    status: Document = Field(default_factory=dict)
    message: str = ""
    late: bool = False
    abort_cause: str = ""
    tell: Tell | None = None
    failing: tuple[str, ...] = ()


class Reconcile(Payload):
    """One pass. `at` is the release's clock, by which deadlines are set and found to have passed.

    `traffic` is what the pass before left: what stands otherwise now was changed by somebody else. Without `moves` it
    only looks, and tells.
    """

    target: Target
    rollout: Document
    revision: int
    place: Place
    at: datetime
    owner_uid: str = ""
    traffic: TrafficState | None = None
    account: Account = Account()
    moves: bool = True
    fence: Fence


class Reconciled(Payload):
    """What stands after a pass.

    `settled` says that pods, Services and weights are as the place asks for, `missing` which pods are not. `resume_at`
    is when a deadline on a ReplicaSet makes another pass necessary. `picture` changes whenever something does that a
    pass would look at. `experiment` are the templates of the experiment under way. `events` are what the pass did, in
    Argo's words; `foreign` what somebody else had changed and the pass put right. `flags_taken` are the flags that the
    pass took away before its moves: one that stands from then on is a person's. `published` says that the status was
    written, or that there is nobody to tell, `told` the same of the rest; `object` is the Rollout after that.
    `failing` is what the cluster refused before the pass was at its end, in its words; where it could not even be
    looked at, there is no picture.
    """

    at: datetime
    replicas: int = 0
    replica_sets: tuple[ReplicaSetState, ...] = ()  # newest revision first
    selectors: dict[str, str] = Field(default_factory=dict)  # Service, or `<rule>/<subset>` -> hash that it selects
    traffic: TrafficState | None = None
    experiment: tuple[ExperimentSetState, ...] = ()
    settled: bool = False
    missing: str = ""
    resume_at: datetime | None = None
    picture: str = ""
    events: tuple[Event, ...] = ()
    foreign: tuple[ForeignEdit, ...] = ()
    flags_taken: tuple[str, ...] = ()
    published: bool = True
    told: bool = True
    object: RolloutObject | None = None
    failing: str = ""


class AwaitChange(Payload):
    """Wait until a cluster no longer looks like `picture`; fails with the retryable `NotChanged` while it does."""

    target: Target
    rollout: Document
    picture: str


class RestartPods(Payload):
    """Replace the pods of a Rollout that were created before `at`.

    `failing` is what the release knows that the cluster refuses: of that it hears no more, and it is tried again.
    """

    target: Target
    rollout: Document
    at: datetime
    failing: tuple[str, ...] = ()


class RestartedPods(Payload):
    """What came of a restart: all pods are new, or the cluster refuses something, or does no longer what it refused."""

    done: bool = False
    failing: str = ""

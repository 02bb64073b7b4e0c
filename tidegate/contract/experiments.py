"""Payloads of an Experiment object: its workflow, one pass over its objects, the wait for a change of them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tidegate.contract.names import ClusterName, NamespaceName, ObjectName
from tidegate.contract.payload import Document, Payload
from tidegate.contract.reconcile import AnalysisRunUpdate
from tidegate.contract.release import Event
from tidegate.contract.writes import Fence, Target
from tidegate.rollouts.experiment_sets import ExperimentSet


class ExperimentRequest(Payload):
    """Input of the workflow of one Experiment object; another object of that name has another `uid`."""

    cluster: ClusterName = "default"
    namespace: NamespaceName
    name: ObjectName
    uid: str = Field(min_length=1, max_length=100)


class ExperimentReport(Payload):
    """Answer of the `status` query of an experiment, and the result of its workflow."""

    cluster: str
    namespace: str
    name: str
    uid: str
    status: Document = Field(default_factory=dict)  # `.status` in Argo's fields
    waiting_for: str = ""  # empty once it is over
    until: datetime | None = None  # when the wait ends by itself
    left: str = ""  # why it was left before the end: the object was deleted, or given to another controller


class OfExperiment(Payload):
    """The Experiment that a cluster activity works on; `templates` are the names that its templates have or had."""

    target: Target
    uid: str
    templates: tuple[str, ...] = ()


class ExperimentPass(OfExperiment):
    """One pass: bring the ReplicaSets to where the experiment is, then write what there is to be written.

    Without a `spec` nothing is moved, without a `status` nothing written: that is the first look.
    """

    at: datetime
    fence: Fence
    run_id: str  # of the workflow
    spec: Document = Field(default_factory=dict)  # the spec that is carried out: the last valid one
    spec_digest: str = ""  # of the spec that was read last, which is not returned again
    up: bool = False  # the ReplicaSets are to have their pods; else they go, after the delay
    status: Document = Field(default_factory=dict)  # `.status`
    first: int = 0  # number of the first of `events` within the run: the id of the effect (law 6)
    events: tuple[Event, ...] = ()
    runs: tuple[AnalysisRunUpdate, ...] = ()
    with_analysis_templates: bool = False


class RefusedTemplate(Payload):
    """A rejection by the cluster of one template; `final`: it will not be tried again."""

    template: str
    message: str
    final: bool = False


class ExperimentSeen(Payload):
    """Result of a pass."""

    gone: str = ""  # why there is nothing to be done for the object any more; nothing else counts then
    spec: Document | None = None  # where it is another one than that of `spec_digest`
    spec_digest: str = ""
    labels: dict[str, str] = Field(default_factory=dict)  # of the object
    status: Document | None = None  # as it was found, at the first look alone
    has_status: bool = False  # as it was found
    sets: tuple[ExperimentSet, ...] = ()
    analysis_templates: tuple[Document, ...] | None = None  # those that its analyses lead to, where they were asked for
    refused: tuple[RefusedTemplate, ...] = ()
    state_digest: str = ""
    seen: dict[str, str] = Field(default_factory=dict)  # resourceVersions, for the wait


class AwaitExperiment(OfExperiment):
    """Wait until an Experiment or what it owns has another state than that of `state_digest`, as `AwaitChange`."""

    state_digest: str
    seen: dict[str, str] = Field(default_factory=dict)

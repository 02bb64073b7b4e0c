"""Payloads of the activities that read and change the objects of one Rollout in its cluster."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import Field

from tidegate.contract.payload import Document, Payload
from tidegate.contract.traffic import TrafficState
from tidegate.contract.writes import Fence, Target
from tidegate.manifests.steps import PodTemplateMetadata
from tidegate.manifests.workload import resolved


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
    # Read for one pass, and no part of a history: whether pods were counted since its last change, and what its role
    # put on its pods, None while some are still to follow.
    counted: bool = Field(default=True, exclude=True)
    ephemeral: PodTemplateMetadata | None = Field(default_factory=PodTemplateMetadata, exclude=True)
    pods: tuple[PodState, ...] = ()


class WorkloadTemplate(Payload):
    """The Deployment that a Rollout's workloadRef names, as it stood: `template` and `selector` are its spec's."""

    name: str
    generation: int
    template: Document
    selector: Document

    def lent_to(self, rollout: Document) -> Document:
        """A Rollout that takes its pod template from here, with that template."""
        return resolved(rollout, self.template, self.selector)


class ObserveRequest(Payload):
    """What to read before a release, or for a look: the Rollout's own objects and those that it names."""

    target: Target
    rollout: Document = Field(default_factory=dict)  # empty: as it stands in the cluster
    pods: bool = False


class Observation(Payload):
    """The cluster's side of a Rollout at one moment."""

    at: datetime
    rollout: Document | None = None  # the object in the cluster, with its workload's template; None when there is none
    workload: WorkloadTemplate | None = None  # None: the Rollout has a template, or names nothing that is there
    stable_hash: str = ""
    replica_sets: tuple[ReplicaSetState, ...] = ()  # newest revision first
    standing: dict[str, dict[str, str]] = Field(default_factory=dict)  # ReplicaSet with pods -> labels of its pods
    services: dict[str, Document | None] = Field(default_factory=dict)  # by name; None: not found
    virtual_services: dict[str, Document | None] = Field(default_factory=dict)  # by `name.namespace`
    templates: tuple[Document, ...] = ()
    traffic: TrafficState | None = None
    bake: timedelta | None = None  # of a Rollout that does not say how long its bake is; None: it has none
    analysis_runs: tuple[str, ...] = ()  # names of the AnalysisRun objects that belong to the object in the cluster


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


class Refusal(Payload):
    """Say in `.status` of the Rollout object of that uid why the spec of that generation is not released."""

    target: Target
    uid: str
    generation: int
    message: str

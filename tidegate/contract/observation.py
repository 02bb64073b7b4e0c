"""Payloads of a read of the cluster, before a release or beside it."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import Field

from tidegate.contract.cluster import WorkloadTemplate
from tidegate.contract.payload import Document, Payload
from tidegate.contract.published import PublishEvents
from tidegate.contract.rollout_object import RolloutObject
from tidegate.contract.traffic import TrafficState
from tidegate.contract.writes import Target
from tidegate.rollouts.replica_sets import ReplicaSetState


class Meanwhile(Payload):
    """`.status.message` for the object that requested a version, while the cluster cannot be read."""

    requested: RolloutObject
    message: str


class ObserveRequest(Payload):
    """A read of the Rollout's own objects and of those that it names."""

    target: Target
    rollout: Document = Field(default_factory=dict)  # empty: as it stands in the cluster
    pods: bool = False
    # Rejections that a release knows: they are retried, only another one is returned. None: each one is returned.
    failing: tuple[str, ...] | None = None
    # For kubectl, until the read succeeds.
    publish: PublishEvents | None = None
    meanwhile: Meanwhile | None = None


class Observation(Payload):
    """The cluster's side of a Rollout at one time; with `failing`, all other fields are empty."""

    at: datetime
    rollout: Document | None = None  # the object in the cluster, with its workload's template; None when there is none
    workload: WorkloadTemplate | None = None  # None: the Rollout has a template, or names nothing that is there
    stable_hash: str = ""
    adopted: str = ""  # hash in the label of the ReplicaSet that the requested template has, or is to get
    collision_count: int | None = None  # with which that was hashed
    replica_sets: tuple[ReplicaSetState, ...] = ()  # newest revision first
    standing: dict[str, dict[str, str]] = Field(default_factory=dict)  # ReplicaSet with pods -> labels of its pods
    services: dict[str, Document | None] = Field(default_factory=dict)  # by name; None: not found
    routed: dict[str, Document | None] = Field(default_factory=dict)  # a router's objects, by `Kind/name.namespace`
    templates: tuple[Document, ...] = ()
    traffic: TrafficState | None = None
    bake: timedelta | None = None  # the cluster's default; None: it has none
    failing: str = ""  # the rejection of the read
    analysis_runs: tuple[str, ...] = ()  # names of the AnalysisRun objects that belong to the object in the cluster
    analyses_left: tuple[str, ...] = ()  # those of them that have no verdict
    seen: dict[str, str] = Field(default_factory=dict)  # this and the next as those of a pass
    run_id: str = ""

"""Payloads of the activities that read and change the objects of one Rollout in its cluster."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tidegate.contract.payload import Document, Payload
from tidegate.contract.writes import Target
from tidegate.manifests.steps import PodTemplateMetadata
from tidegate.manifests.workload import API_VERSION, KIND, resolved


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
    # put on its pods, None while some are still to follow. `no_pods` is why its controller can make none, in the
    # server's words, `fence` epoch and number of the last write to it.
    counted: bool = Field(default=True, exclude=True)
    no_pods: str = Field(default="", exclude=True)
    fence: tuple[int, int] = Field(default=(0, 0), exclude=True)
    ephemeral: PodTemplateMetadata | None = Field(default_factory=PodTemplateMetadata, exclude=True)
    pods: tuple[PodState, ...] = ()


class WorkloadTemplate(Payload):
    """The Deployment that a Rollout's workloadRef names, as it stood: `template` and `selector` are its spec's."""

    name: str
    generation: int
    template: Document
    selector: Document

    def filled_in(self, rollout: Document) -> Document:
        """A Rollout that takes its pod template from here, with that template."""
        return resolved(rollout, self.template, self.selector)

    def as_object(self) -> Document:
        """The Deployment, as far as it was looked at."""
        spec = {"template": self.template, "selector": self.selector}
        return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": self.name}, "spec": spec}


class Rejection(Payload):
    """Say in `.status` of the Rollout object of that uid why the spec of that generation is not released."""

    target: Target
    uid: str
    generation: int
    message: str

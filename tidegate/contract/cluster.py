"""Payloads of the activities that read and change the objects of one Rollout in its cluster."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tidegate.contract.payload import Document, Payload
from tidegate.contract.writes import Target
from tidegate.manifests.steps import PodTemplateMetadata
from tidegate.manifests.workload import API_VERSION, KIND, resolved


class PodState(Payload):
    """One pod, with the fields that the tree shows."""

    name: str
    phase: str
    ready: bool
    restarts: int = 0
    created_at: datetime | None = None
    message: str = ""


class ReplicaSetState(Payload):
    """One ReplicaSet of the Rollout."""

    name: str
    hash: str
    revision: int
    desired: int  # spec.replicas; the other counts are of its status
    current: int = 0
    ready: int = 0
    available: int = 0
    images: dict[str, str] = Field(default_factory=dict)  # container -> image
    created_at: datetime | None = None
    scale_down_at: datetime | None = None
    promoted_at: datetime | None = None
    # Read for one pass, and no part of a history.
    counted: bool = Field(default=True, exclude=True)  # pods were counted since its last change
    no_pods: str = Field(default="", exclude=True)  # why its controller can create none, in the server's words
    fence: tuple[int, int] = Field(default=(0, 0), exclude=True)  # epoch and number of the last write to it
    # Metadata that its role put on its pods, None while some pods still lack it.
    ephemeral: PodTemplateMetadata | None = Field(default_factory=PodTemplateMetadata, exclude=True)
    pods: tuple[PodState, ...] = ()


class WorkloadTemplate(Payload):
    """The Deployment in a Rollout's workloadRef, as of one read."""

    name: str
    generation: int
    template: Document  # spec.template
    selector: Document  # spec.selector

    def filled_in(self, rollout: Document) -> Document:
        """A Rollout with a workloadRef, with the pod template filled in."""
        return resolved(rollout, self.template, self.selector)

    def as_object(self) -> Document:
        """The Deployment, with the fields that were read."""
        spec = {"template": self.template, "selector": self.selector}
        return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": self.name}, "spec": spec}


class Rejection(Payload):
    """Write to `.status` of the Rollout object of that uid why the spec of that generation is not released."""

    target: Target
    uid: str
    generation: int
    message: str

"""Payloads of the activities that read and change the objects of one Rollout in its cluster."""

from __future__ import annotations

from tidegate.contract.payload import Document, Payload
from tidegate.contract.writes import Target
from tidegate.manifests.workload import API_VERSION, KIND, resolved


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

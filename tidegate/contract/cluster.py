"""Payloads of the activities that read and change the objects of one Rollout in its cluster."""

from __future__ import annotations

from tidegate.contract.payload import Document, Payload
from tidegate.contract.writes import Target
from tidegate.manifests.workload import API_VERSION, KIND, resolved


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

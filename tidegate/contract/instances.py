"""Which controller instance acts on a Rollout: the rule by which those of Argo Rollouts share a cluster.

Source: argo-rollouts, utils/controller (InstanceIDRequirement) and controller (GetLeaderElectionLeaseLockName). A
controller with an instance id lists the Rollouts whose label has that id, one without an id those without the label.
The leader of each holds a Lease whose name ends with the id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

INSTANCE_LABEL: Final = "argo-rollouts.argoproj.io/controller-instance-id"
_LEASE: Final = "argo-rollouts-controller-lock"


@dataclass(frozen=True)
class ControllerInstance:
    """One instance; an empty `id` acts on the Rollouts without the label."""

    id: str = ""

    @property
    def lease(self) -> str:
        """Name of the Lease that the leader of Argo's controllers with this id holds."""
        return f"{_LEASE}-{self.id}" if self.id else _LEASE

    def acts_on(self, rollout: Mapping[str, Any]) -> bool:
        """True for a Rollout object of this instance."""
        return _label_of(rollout) == (self.id or None)

    def rejection(self, rollout: Mapping[str, Any]) -> str:
        """Text that says why this instance leaves a Rollout or Experiment alone; empty for one of its own."""
        if self.acts_on(rollout):
            return ""
        found = _label_of(rollout)
        theirs = f"that of instance {found!r}" if found is not None else "that of the instance without an id"
        kind = rollout.get("kind") or "Rollout"
        own = repr(self.id) if self.id else "one without an id"
        return (
            f"metadata.labels['{INSTANCE_LABEL}']: the controller of this {kind} is {theirs}, and here is {own}: "
            "change the label, or TIDEGATE_KUBERNETES__INSTANCE_ID"
        )


DEFAULT_INSTANCE: Final = ControllerInstance()
"""The one that acts on Rollouts without the label."""


def _label_of(rollout: Mapping[str, Any]) -> str | None:
    metadata = rollout.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    value = labels.get(INSTANCE_LABEL) if isinstance(labels, Mapping) else None
    return None if value is None else str(value)

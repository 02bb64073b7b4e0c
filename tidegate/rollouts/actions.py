"""Actions of a pass: one change of one object each. The rules of a strategy choose them, a pass carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tidegate.manifests.steps import PodTemplateMetadata

SUBSET = "/"  # between a DestinationRule and its subset, in the name of a selector


@dataclass(frozen=True)
class CreateReplicaSet:
    """Create the version's ReplicaSet, without pods; one that stands takes the number of the release instead."""


@dataclass(frozen=True)
class SetSelector:
    """Make a Service, or a subset of a DestinationRule, select the pods of a hash."""

    selector: str
    hash: str


@dataclass(frozen=True)
class SetWeight:
    """Send `weight` of the traffic to the canary and the rest to stable.

    The pods that both sides must have available when it is written.
    """

    weight: int
    canary_pods: int
    stable_pods: int


@dataclass(frozen=True)
class MarkPromoted:
    """Record on a ReplicaSet that its version was promoted."""

    name: str


@dataclass(frozen=True)
class ScaleReplicaSet:
    """Give a ReplicaSet another number of pods. Without any its deadline says nothing, unless `keeps_deadline`."""

    name: str
    replicas: int
    keeps_deadline: bool = False


@dataclass(frozen=True)
class SetScaleDownDeadline:
    """Record when the pods of a ReplicaSet may go; None: they are needed again."""

    name: str
    at: datetime | None


@dataclass(frozen=True)
class DeleteReplicaSet:
    """Delete a ReplicaSet without pods that the history has no room for."""

    name: str


@dataclass(frozen=True)
class SetMetadata:
    """Put the labels and annotations of its role on the pods of a ReplicaSet, and take off those of the one before."""

    name: str
    metadata: PodTemplateMetadata


@dataclass(frozen=True)
class ClearSelector:
    """Let a Service or a subset that is named no more select pods of any version again."""

    selector: str


@dataclass(frozen=True)
class ScaleWorkload:
    """Give the Deployment whose place the Rollout takes another number of pods."""

    name: str
    replicas: int


Action = (
    CreateReplicaSet
    | SetSelector
    | SetWeight
    | MarkPromoted
    | ScaleReplicaSet
    | SetScaleDownDeadline
    | DeleteReplicaSet
    | SetMetadata
    | ScaleWorkload
    | ClearSelector
)

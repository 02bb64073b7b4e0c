"""ReplicaSets of an experiment: as they are to be, as they were read, and the moves that bring them there. Pure.

An experiment step of a Rollout and an Experiment object have these in common. Source: argo-rollouts, experiments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class WantedSet:
    """One template of an experiment, as it is to be: `name` is that of its ReplicaSet.

    `service` is the name of the Service in front of it, empty without one. In a Rollout `spec_ref` is the version that
    it runs, and `weight` its share of the traffic in percent.
    """

    name: str
    template: str
    spec_ref: str = ""
    replicas: int = 1
    service: str = ""
    weight: int = 0


@dataclass(frozen=True)
class ExperimentSet:
    """One ReplicaSet of an experiment as it was read: pods desired, created and available; its Service, empty if none.

    `scale_down_at` is when it may go, None while that is not decided; `no_pods` why its pods cannot be created, in the
    server's words.
    """

    name: str
    template: str
    hash: str
    desired: int
    current: int
    available: int
    service: str = ""
    scale_down_at: datetime | None = None
    ready: int = 0
    no_pods: str = ""


@dataclass(frozen=True)
class Raise:
    """Create the ReplicaSet of a template, without pods."""

    wanted: WantedSet


@dataclass(frozen=True)
class Resize:
    """Give a ReplicaSet its pods."""

    name: str
    replicas: int


@dataclass(frozen=True)
class Expose:
    """Create the Service in front of a ReplicaSet."""

    wanted: WantedSet


@dataclass(frozen=True)
class KeepUntil:
    """Record when a ReplicaSet may go; None: it is needed again."""

    name: str
    at: datetime | None


@dataclass(frozen=True)
class Withdraw:
    """Delete a Service that nothing leads to."""

    name: str


@dataclass(frozen=True)
class Remove:
    """Delete a ReplicaSet with its pods."""

    name: str


ExperimentMove = Raise | Resize | Expose | KeepUntil | Withdraw | Remove


def raising(wanted: WantedSet, one: ExperimentSet | None) -> Iterator[ExperimentMove]:
    """Moves that give a template its ReplicaSet, pods and Service; `one` is what exists of it."""
    if one is None:
        yield Raise(wanted)
        return
    if one.scale_down_at is not None:
        yield KeepUntil(one.name, None)
    if one.desired != wanted.replicas:
        yield Resize(one.name, wanted.replicas)
    if wanted.service and not one.service:
        yield Expose(wanted)

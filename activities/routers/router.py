"""The interface of a router: which objects split a Rollout's traffic, and what each of them becomes for a weight.

A router decides only what changes. `activities.routers.traffic` counts pods before a write, writes under a fence, reads
back and goes back to stable, for all routers alike. Source of the operations: Flagger, pkg/router, and argo-rollouts,
rollout/trafficrouting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pydantic import JsonValue
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import Object, Reader, Resource
from activities.kubernetes.json_patch import Operation
from activities.routers.required_pods import RequiredPods
from tidegate.contract import (
    Document,
    ErrorType,
    ManagedRouteState,
    RemovedDestination,
    RouteState,
    TrafficState,
)
from tidegate.manifests.steps import SetHeaderRoute, SetMirrorRoute

ManagedStep = SetHeaderRoute | SetMirrorRoute


@dataclass(frozen=True)
class ExperimentWeight:
    """Share of the traffic, in percent, that an experiment's Service gets from stable's share."""

    service: str
    weight: int
    pods: RequiredPods | None = None  # that must be available when it is written; None: nobody counts
    ports: tuple[Mapping[str, JsonValue], ...] = ()  # of its Service, where the router asks for them


class RouteChange(NamedTuple):
    """Change of one object, and fields that must not be taken for an external change."""

    operations: list[Operation]
    removed: tuple[RemovedDestination, ...] = ()
    converged: frozenset[str] = frozenset()  # routes that stand as wanted, or that this change adds or removes itself


@dataclass(frozen=True)
class RoutedState:
    """Weights and managed routes by one object, as it was read.

    Attributes:
        converged: a write of the weights that are in force would change nothing.
        verified: the data plane has acknowledged them, as far as the object can say.
    """

    rows: tuple[RouteState, ...]
    managed: tuple[ManagedRouteState, ...] = ()
    converged: bool = True
    verified: bool = True


class RoutedObject(Protocol):
    """One object that splits traffic, and the rules for it. Pure.

    Every rule raises `InvalidSpec` for an object that cannot be understood.
    """

    @property
    def resource(self) -> Resource:
        """Kind of the object."""

    @property
    def namespace(self) -> str:
        """Namespace of the object."""

    @property
    def name(self) -> str:
        """Name of the object."""

    @property
    def fields(self) -> Sequence[Sequence[str]]:
        """Paths of the fields that split the traffic, in the form of managedFields without `f:`."""

    def shift(self, found: Object, weight: int, experiments: Sequence[ExperimentWeight]) -> RouteChange:
        """Change that gives the canary its weight, and stable what is left."""

    def set_route(self, found: Object, step: ManagedStep, canary_host: str) -> RouteChange:
        """Change that adds, replaces or removes the managed route of a step."""

    def restore(self, found: Object) -> RouteChange:
        """Change that leads everything to stable, without a managed route."""

    def read(self, found: Object | None) -> RoutedState:
        """Weights and managed routes that are in force. Raises `NotFound` where the object has to be there."""

    def body(self, weight: int) -> Object | None:
        """The object to create where there is none; None where a release never creates it."""

    def event(self, weight: int, *, created: bool) -> tuple[str, str] | None:
        """Reason and text of the Event for a write of a weight, as Argo's router tells it; None where it tells none."""


class Router(Protocol):
    """A router of one Rollout's traffic."""

    async def objects(self, reader: Reader, *, back: bool = False) -> Sequence[RoutedObject]:
        """Objects that split the traffic, in the order in which they are written.

        `back` asks for what the way back to stable needs, and for nothing more.
        """

    async def canary_host(self, reader: Reader) -> str:
        """Host to which a managed route sends requests; empty: as the route that is split writes it."""

    async def with_ports(self, reader: Reader, experiments: Sequence[ExperimentWeight]) -> Sequence[ExperimentWeight]:
        """Experiments with the ports of their Services, where the router needs them."""

    async def observe(self, reader: Reader) -> Mapping[str, Document | None]:
        """Objects that the Rollout names, by `Kind/name.namespace`; None for what does not exist."""


def traffic_state(states: Sequence[RoutedState], maximum: int) -> TrafficState:
    """Traffic by the states of all objects; the canary's share is the largest where they differ."""
    rows = tuple(row for each in states for row in each.rows)
    return TrafficState(
        canary=max((row.canary for row in rows), default=0),
        maximum=maximum,
        routes=rows,
        managed=tuple(managed for each in states for managed in each.managed),
        converged=all(each.converged for each in states),
        verified=all(each.verified for each in states),
    )


def invalid(message: str) -> ApplicationError:
    """The error for a manifest that has to change before a retry can help."""
    return ApplicationError(message, type=ErrorType.INVALID_SPEC, non_retryable=True)


def missing(resource: Resource, name: str) -> ApplicationError:
    """The error for an object that does not exist, in the words of an API server."""
    return ApplicationError(f'{resource.plural}.{resource.group} "{name}" not found', type=ErrorType.NOT_FOUND)

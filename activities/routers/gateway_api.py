"""The Gateway API as a router: routes that the Rollout names, or that its selectors find.

Source: rollouts-plugin-trafficrouter-gatewayapi, pkg/plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from activities.kubernetes.client import (
    GRPC_ROUTES,
    HTTP_ROUTES,
    SERVICES,
    TCP_ROUTES,
    TLS_ROUTES,
    Object,
    Reader,
    Resource,
)
from activities.kubernetes.json_patch import annotate, difference
from activities.routers.router import ExperimentWeight, ManagedStep, RouteChange, RoutedState, invalid, missing
from tidegate.contract import Document, ManagedRouteState, RouteState, Routing
from tidegate.manifests.gateway_api import KINDS, GatewayApi, NamedRoute
from tidegate.manifests.rollout import MAX_WEIGHT
from tidegate.manifests.steps import SetMirrorRoute
from tidegate.manifests.validation.routers import NO_ROUTES
from tidegate.routers import gateway_api, header_rules
from tidegate.routers.gateway_api import Backends, Share, SplitError

RESOURCES: Final[Mapping[str, Resource]] = {
    each.kind: each for each in (HTTP_ROUTES, GRPC_ROUTES, TCP_ROUTES, TLS_ROUTES)
}
EXPERIMENTS: Final = "tidegate.io/experiments"  # annotation: Services of experiments that a release added to a route
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class RoutedRoute:
    """One route, as `RoutedObject` says."""

    route: NamedRoute
    routing: Routing
    settings: GatewayApi
    namespace: str
    own: str  # the Rollout's namespace

    @property
    def resource(self) -> Resource:
        """Kind of the route."""
        return RESOURCES[self.route.kind]

    @property
    def name(self) -> str:
        """Name of the route."""
        return self.route.name

    @property
    def fields(self) -> Sequence[Sequence[str]]:
        """The rules."""
        return [("spec", "rules")]

    @property
    def backends(self) -> Backends:
        """Sides of the Rollout."""
        return Backends(self.routing.stable_service, self.routing.canary_service, self.own)

    def shift(self, found: Object, weight: int, experiments: Sequence[ExperimentWeight]) -> RouteChange:
        """Weights of every rule that leads to both sides, and shares of experiments, in an HTTPRoute alone."""
        return self._understood(lambda: self._shift(found, weight, experiments))

    def _shift(self, found: Object, weight: int, experiments: Sequence[ExperimentWeight]) -> RouteChange:
        if weight > MAX_WEIGHT:
            raise SplitError(f"weight {weight} is beyond {MAX_WEIGHT}: weights are percent")
        port = gateway_api.stable_port(found, self.route.kind, self.backends)
        shares = [
            Share(each.service, each.weight, gateway_api.experiment_port(each.ports, port))
            for each in experiments
            if each.weight and self.route.kind == HTTP_ROUTES.kind
        ]
        changed = gateway_api.shifted(found, self.backends, weight, experiments=shares, known=_experiments(found))
        return self._change(found, gateway_api.labelled(changed, self.settings.label, weight), shares)

    def set_route(self, found: Object, step: ManagedStep, canary_host: str) -> RouteChange:
        """Header rules of a step; nothing in a route that takes none. Raises `InvalidSpec` for a mirror."""
        if isinstance(step, SetMirrorRoute):
            raise invalid(f"route {step.name!r}: a mirror route is not supported with the Gateway API")
        if not self.route.takes_headers:
            return RouteChange([])
        if step.name not in self.routing.managed_routes:
            raise invalid(f"route {step.name!r} is not one of trafficRouting.managedRoutes: add it there")
        changed = self._understood(
            lambda: header_rules.with_header_rules(found, self.route.kind, self.backends, step, self._owners(found))
        )
        return self._change(found, changed)._replace(converged=frozenset({step.name}))

    def restore(self, found: Object) -> RouteChange:
        """All weight to stable, experiments and header rules away.

        A rule without the canary needs no weight. One that leads to the canary alone is its author's: by then the
        canary Service leads to stable.
        """
        cleared = header_rules.without_header_rules(found, self._owners(found))
        changed = gateway_api.shifted(cleared, self.backends, 0, known=_experiments(found))
        change = self._change(found, gateway_api.labelled(changed, self.settings.label, 0), [])
        return change._replace(converged=frozenset(self.routing.managed_routes))

    def read(self, found: Object | None) -> RoutedState:
        """Rows of the rules that are split, and the header routes that stand."""
        if found is None:
            raise missing(self.resource, self.name)
        rows = tuple(self._rows(found))
        owners = dict.fromkeys(each for each in self._owners(found) if each)
        return RoutedState(
            rows=rows,
            managed=tuple(
                ManagedRouteState(kind=self.route.kind, name=self.name, namespace=self.namespace, route=each)
                for each in owners
            ),
            converged=not rows or self._is_converged(found, rows),
            verified=_is_accepted(found),
        )

    def body(self, weight: int) -> None:
        """A release creates no route."""

    def event(self, weight: int, *, created: bool) -> None:
        """The plugin tells no Event."""

    def _is_converged(self, found: Object, rows: Sequence[RouteState]) -> bool:
        experiments = [ExperimentWeight(name, share) for name, share in rows[0].others.items()]
        return not self.shift(found, max(row.canary for row in rows), experiments).operations

    def _rows(self, found: Object) -> Iterator[RouteState]:
        for each in gateway_api.shares(found, self.backends, _experiments(found)):
            yield RouteState(
                kind=self.route.kind,
                name=self.name,
                namespace=self.namespace,
                route=each.rule,
                stable=each.stable,
                canary=each.canary,
                others=dict(each.experiments),
            )

    def _owners(self, found: Object) -> list[str]:
        rules = len(found["spec"].get("rules") or [])
        if not self.route.takes_headers:
            return [""] * rules
        names, steps = self.routing.managed_routes, self.routing.header_routes
        return header_rules.owners_of(found, self.backends, steps, names)

    def _change(self, found: Object, changed: Object, experiments: Sequence[Share] | None = None) -> RouteChange:
        operations = [
            *difference(_labels(found), _labels(changed), "/metadata"),
            *difference(found["spec"], changed["spec"], "/spec"),
        ]
        if experiments is not None:
            names = ",".join(each.service for each in experiments)
            if names != ",".join(_experiments(found)):
                operations += annotate(found, {EXPERIMENTS: names or None})
        return RouteChange(operations)

    def _understood(self, work: Callable[[], _Result]) -> _Result:
        try:
            return work()
        except SplitError as error:
            raise invalid(f"{self.route.kind} {self.name}: {error}") from error


@dataclass(frozen=True)
class GatewayRouter:
    """Router of a Rollout with routes of the Gateway API, as `Router` says."""

    routing: Routing
    settings: GatewayApi
    own: str

    @property
    def namespace(self) -> str:
        """Namespace of the routes, one for all."""
        return self.settings.namespace or self.own

    async def objects(self, reader: Reader, *, back: bool = False) -> Sequence[RoutedRoute]:
        """Routes by name and by selector, each once, kind by kind. Raises `InvalidSpec` where there is none."""
        named = [route for kind in KINDS for route in [*self.settings.named_of(kind), *await self._found(reader, kind)]]
        routes: dict[tuple[str, str], NamedRoute] = {}
        for each in named:
            known = routes.get((each.kind, each.name))
            if known is None or (each.takes_headers and not known.takes_headers):
                routes[each.kind, each.name] = each
        if not routes and not back:
            raise invalid(NO_ROUTES)
        return [RoutedRoute(each, self.routing, self.settings, self.namespace, self.own) for each in routes.values()]

    async def canary_host(self, reader: Reader) -> str:
        """The canary Service; a rule names it as the rule beside it does."""
        return self.routing.canary_service

    async def with_ports(self, reader: Reader, experiments: Sequence[ExperimentWeight]) -> list[ExperimentWeight]:
        """Experiments with the ports of their Services. Raises `NotFound` for a Service that there is not."""
        found: list[ExperimentWeight] = []
        for each in experiments:
            service = await reader.find(SERVICES, self.own, each.service)
            if service is None:
                raise missing(SERVICES, each.service)
            found.append(replace(each, ports=tuple(service["spec"].get("ports") or ())))
        return found

    async def observe(self, reader: Reader) -> Mapping[str, Document | None]:
        """The routes that are there, and None for those that are named and are not."""
        found: dict[str, Document | None] = {}
        for each in await self.objects(reader, back=True):
            document = await reader.find(each.resource, each.namespace, each.name)
            found[f"{each.route.kind}/{each.name}.{each.namespace}"] = document
        return found

    async def _found(self, reader: Reader, kind: str) -> list[NamedRoute]:
        """Routes of a kind that its selector finds, by name."""
        if (selector := self.settings.selector_of(kind)) is None:
            return []
        listed = await reader.select(RESOURCES[kind], self.namespace, selector.match_labels)
        names = [each["metadata"]["name"] for each in listed if selector.matches(each["metadata"].get("labels") or {})]
        return [NamedRoute(kind, name, takes_headers=False) for name in sorted(names)]


def _experiments(found: Object) -> list[str]:
    """Services of experiments that a release added to a route."""
    text = str((found["metadata"].get("annotations") or {}).get(EXPERIMENTS, ""))
    return [each for each in text.split(",") if each]


def _labels(route: Object) -> Object:
    return {"labels": route["metadata"]["labels"]} if "labels" in route["metadata"] else {}


def _is_accepted(found: Object) -> bool:
    """True when each Gateway that reports the route has accepted it as it is now; without a report none has."""
    generation = found["metadata"].get("generation") or 0
    parents = (found.get("status") or {}).get("parents") or []
    accepted = [
        any(
            each.get("type") == "Accepted"
            and each.get("status") == "True"
            and (each.get("observedGeneration") or 0) >= generation
            for each in parent.get("conditions") or []
        )
        for parent in parents
    ]
    return bool(accepted) and all(accepted)

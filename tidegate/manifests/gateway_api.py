"""Settings of Argo's plugin for the Gateway API, `trafficRouting.plugins["argoproj-labs/gatewayAPI"]`.

Source: rollouts-plugin-trafficrouter-gatewayapi, pkg/plugin. A single route counts as an entry with header routes,
after the list of its kind; a route found by label never gets one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tidegate.manifests.model import Items, OpenModel
from tidegate.manifests.selector import LabelSelector

PLUGIN: Final = "argoproj-labs/gatewayAPI"
IN_PROGRESS_KEY: Final = "rollouts.argoproj.io/gatewayapi-canary"
IN_PROGRESS_VALUE: Final = "in-progress"
# Kinds of route in the order in which they are written, each with the prefix of its settings.
KINDS: Final = {"HTTPRoute": "http", "GRPCRoute": "grpc", "TCPRoute": "tcp", "TLSRoute": "tls"}
WITH_HEADERS: Final = ("HTTPRoute", "GRPCRoute")  # kinds that can have header routes


class GatewayRoute(OpenModel):
    """One entry of a list of routes."""

    name: str = ""
    use_header_routes: bool = False


class NamedRoute(NamedTuple):
    """A route that a Rollout names: its kind and name, and True when its header routes are a release's."""

    kind: str
    name: str
    takes_headers: bool


class GatewayApi(OpenModel):
    """Routes whose weights a release sets; other fields are ignored, as by the plugin."""

    http_route: str = ""
    grpc_route: str = ""
    tcp_route: str = ""
    tls_route: str = ""
    http_routes: Items[GatewayRoute] = ()
    grpc_routes: Items[GatewayRoute] = ()
    tcp_routes: Items[GatewayRoute] = ()
    tls_routes: Items[GatewayRoute] = ()
    http_route_selector: LabelSelector | None = None
    grpc_route_selector: LabelSelector | None = None
    tcp_route_selector: LabelSelector | None = None
    tls_route_selector: LabelSelector | None = None
    namespace: str = ""
    disable_in_progress_label: bool = False
    in_progress_label_key: str = ""
    in_progress_label_value: str = ""

    def named(self) -> tuple[NamedRoute, ...]:
        """Routes by their names, in the order in which they are written."""
        return tuple(route for kind in KINDS for route in self.named_of(kind))

    def named_of(self, kind: str) -> tuple[NamedRoute, ...]:
        """Routes of one kind by their names."""
        prefix = KINDS[kind]
        single: str = getattr(self, f"{prefix}_route")
        listed: tuple[GatewayRoute, ...] = getattr(self, f"{prefix}_routes")
        entries = [*((each.name, each.use_header_routes) for each in listed), *([(single, True)] if single else [])]
        return tuple(NamedRoute(kind, name, flag and kind in WITH_HEADERS) for name, flag in entries)

    def selector_of(self, kind: str) -> LabelSelector | None:
        """Selector of the routes of one kind."""
        selector: LabelSelector | None = getattr(self, f"{KINDS[kind]}_route_selector")
        return selector

    @property
    def is_empty(self) -> bool:
        """True when it leads to no route."""
        return not self.named() and all(self.selector_of(kind) is None for kind in KINDS)

    @property
    def label(self) -> tuple[str, str] | None:
        """Key and value of the label of a route whose canary has traffic; None: no label is touched."""
        if self.disable_in_progress_label:
            return None
        return self.in_progress_label_key or IN_PROGRESS_KEY, self.in_progress_label_value or IN_PROGRESS_VALUE

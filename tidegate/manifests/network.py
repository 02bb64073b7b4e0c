"""Services and the objects of routers: the parts that a release reads; everything else is kept as it is."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from tidegate.manifests.model import Items, ObjectMeta, OpenModel

MANAGED_BY = "argo-rollouts.argoproj.io/managed-by-rollouts"
HASH_LABEL = "rollouts-pod-template-hash"


class ServiceSpec(OpenModel):
    """Spec of a Service, with its selector."""

    selector: Mapping[str, str] = {}


class Service(OpenModel):
    """A core/v1 Service."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec = ServiceSpec()


class Destination(OpenModel):
    """Host, and subset of a DestinationRule, that a route leads to."""

    host: str = ""
    subset: str = ""


class RouteDestination(OpenModel):
    """Destination with its share of the route's traffic in percent."""

    destination: Destination = Destination()
    weight: int = 0


class L4Match(OpenModel):
    """Match of a TLS or TCP route."""

    port: int = 0
    sni_hosts: Items[str] = ()


class Delegate(OpenModel):
    """Another VirtualService that a route leads to, in the namespace of the first where it names none."""

    name: str = ""
    namespace: str = ""


class HttpRoute(OpenModel):
    """An HTTP route; `name` is what a Rollout refers to, `mirror` where copies of its requests go."""

    name: str = ""
    delegate: Delegate | None = None
    route: Items[RouteDestination] = ()
    mirror: Mapping[str, JsonValue] | None = None


class L4Route(OpenModel):
    """A TLS or TCP route."""

    match: Items[L4Match] = ()
    route: Items[RouteDestination] = ()


class VirtualServiceSpec(OpenModel):
    """Routes of a VirtualService."""

    http: Items[HttpRoute] = ()
    tls: Items[L4Route] = ()
    tcp: Items[L4Route] = ()


class VirtualService(OpenModel):
    """A VirtualService of networking.istio.io."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualServiceSpec = VirtualServiceSpec()


class Subset(OpenModel):
    """Named part of a host's pods."""

    name: str = ""
    labels: Mapping[str, str] = {}


class DestinationRuleSpec(OpenModel):
    """Subsets of a host."""

    host: str = ""
    subsets: Items[Subset] = ()


class DestinationRule(OpenModel):
    """A DestinationRule of networking.istio.io."""

    metadata: ObjectMeta = ObjectMeta()
    spec: DestinationRuleSpec = DestinationRuleSpec()


class RouterObject(OpenModel):
    """An Ingress, or a route of the Gateway API."""

    metadata: ObjectMeta = ObjectMeta()
    spec: Mapping[str, JsonValue] = {}

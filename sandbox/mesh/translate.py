"""Kubernetes objects, and those of routers, as one Envoy configuration: a pure function of the objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import lcm

from pydantic import JsonValue

from sandbox.documents import Document, Key, items, mapping, metadata
from sandbox.mesh.gateway_routes import as_virtual_service
from sandbox.mesh.ingresses import as_virtual_services
from sandbox.mesh.matches import ANY, UnsupportedError, route_match
from sandbox.mesh.names import ClusterName
from sandbox.mesh.snapshot import (
    CLUSTER_DOMAIN,
    Backends,
    Destination,
    Snapshot,
    backends,
    has_subset,
)
from tidegate.manifests.durations import parse_duration

Weighted = tuple[Destination, int]

MAX_TOTAL_WEIGHT = 2**32 - 1
MILLION = 1_000_000
ROUTE_FIELDS = {"name", "match", "route", "timeout", "mirror", "mirrors", "mirrorPercentage", "mirror_percent"}
DESTINATION_FIELDS = {"destination", "weight"}
# Requests that never reached a pod are tried on another one, as Istio's sidecars do.
RETRIES: Document = {
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 2,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": "5",
}


@dataclass(frozen=True)
class MeshConfig:
    """What Envoy is to do: pods by cluster, routes by host, and what of the objects could not be honoured."""

    clusters: Backends
    virtual_hosts: tuple[Document, ...]
    warnings: tuple[str, ...] = ()


def translate(snapshot: Snapshot) -> MeshConfig:
    """Translate all objects. Anything that is not understood is left out and named in `warnings`; nothing raises."""
    return _Translation(snapshot).run()


class _Translation:
    """One run over a snapshot, collecting clusters and warnings as routes mention them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._clusters: Backends = {}
        self._hosts: list[Document] = []
        self._taken: set[str] = set()
        self._warnings: list[str] = []

    def run(self) -> MeshConfig:
        for key, virtual_service in sorted(self._snapshot.virtual_services.items(), key=_age):
            self._virtual_service(key, virtual_service, "VirtualService")
        for key, route in sorted(self._snapshot.http_routes.items(), key=_age):
            self._virtual_service(key, as_virtual_service(key, route), "HTTPRoute")
        for key, ingress in as_virtual_services(self._snapshot.ingresses):
            self._virtual_service(key, ingress, "Ingress")
        for key in sorted(self._snapshot.services):
            self._service(key)
        return MeshConfig(self._clusters, tuple(self._hosts), tuple(self._warnings))

    def _virtual_service(self, key: Key, document: Document, kind: str) -> None:
        spec = mapping(document.get("spec"))
        where = f"{kind} {key[0]}/{key[1]}"
        self._warn(where, [f"field {name}" for name in ("tcp", "tls") if spec.get(name)])
        hosts = spec.get("hosts")
        names = [host for host in hosts if isinstance(host, str)] if isinstance(hosts, list) else []
        domains = [domain for host in names for domain in _domains(key[0], host)]
        routes = [
            route
            for number, http in enumerate(items(spec.get("http")))
            for route in self._http_route(key[0], http, f"{where}, http[{number}]")
        ]
        name = f"{key[0]}/{key[1]}" if kind == "VirtualService" else f"{kind}/{key[0]}/{key[1]}/{','.join(names)}"
        self._host(name, domains, routes, where)

    def _service(self, key: Key) -> None:
        """A Service is reachable by its name; where a VirtualService has taken the name, its clusters still stand."""
        action = self._action([(Destination(key[0], key[1]), 1)])
        name = f"service/{key[0]}/{key[1]}"
        self._host(name, _domains(*key), [{"match": ANY, "route": action}], where=None)

    def _host(self, name: str, domains: Iterable[str], routes: list[Document], where: str | None) -> None:
        """Add a virtual host. Envoy refuses a domain that stands twice, so the first one that names it has it."""
        free: list[JsonValue] = []
        for domain in dict.fromkeys(domains):
            if domain not in self._taken:
                self._taken.add(domain)
                free.append(domain)
            elif where is not None:
                self._warn(where, [f"host {domain}, which an older object has"])
        if free:
            self._hosts.append({"name": name, "domains": free, "routes": list[JsonValue](routes)})

    def _http_route(self, namespace: str, http: Document, where: str) -> list[Document]:
        """One Envoy route for each entry of `match` (any of them may hold), in order."""
        self._warn(where, [f"field {name}" for name in sorted(http.keys() - ROUTE_FIELDS)])
        weighted = self._destinations(namespace, http, where)
        result: Document = {}
        if weighted:
            result["route"] = self._route_action(namespace, http, weighted, where)
        else:
            self._warn(where, ["a route without any destination of weight above 0: it answers 503"])
            result["direct_response"] = {"status": 503}
        routes: list[Document] = []
        for number, match in enumerate(items(http.get("match")) or [{}]):
            try:
                routes.append({"match": route_match(match), **result})
            except UnsupportedError as error:
                self._warn(f"{where}.match[{number}]", [str(error)])
        return routes

    def _destinations(self, namespace: str, http: Document, where: str) -> list[Weighted]:
        route = items(http.get("route"))
        result: list[Weighted] = []
        for number, entry in enumerate(route):
            self._warn(
                f"{where}.route[{number}]", [f"field {name}" for name in sorted(entry.keys() - DESTINATION_FIELDS)]
            )
            weight = entry.get("weight", 100 if len(route) == 1 else 0)
            if not isinstance(weight, int) or weight < 0:
                self._warn(f"{where}.route[{number}]", [f"weight {weight!r}"])
            elif weight > 0:
                result.append((self._destination(namespace, mapping(entry.get("destination")), where), weight))
        return result

    def _destination(self, namespace: str, document: Document, where: str) -> Destination:
        port = mapping(document.get("port")).get("number")
        destination = Destination(
            namespace,
            str(document.get("host") or ""),
            str(document.get("subset") or ""),
            port if isinstance(port, int) else None,
        )
        if not has_subset(self._snapshot, destination):
            self._warn(where, [f"subset {destination.subset} of {destination.host}, which no DestinationRule defines"])
        return destination

    def _route_action(self, namespace: str, http: Document, weighted: Sequence[Weighted], where: str) -> Document:
        action = self._action(weighted)
        timeout = http.get("timeout")
        if isinstance(timeout, str):
            try:
                action["timeout"] = f"{parse_duration(timeout).total_seconds():g}s"
            except ValueError as error:
                self._warn(where, [f"timeout: {error}"])
        mirrors = self._mirrors(namespace, http, where)
        if mirrors:
            action["request_mirror_policies"] = mirrors
        return action

    def _action(self, weighted: Sequence[Weighted]) -> Document:
        """Send to the destinations by weight, without a time limit unless the route sets one (Istio's default)."""
        entries: list[JsonValue] = [
            {"name": str(name), "weight": weight} for name, weight in split(weighted, self._backends).items()
        ]
        return {"weighted_clusters": {"clusters": entries}, "timeout": "0s", "retry_policy": RETRIES}

    def _mirrors(self, namespace: str, http: Document, where: str) -> list[JsonValue]:
        """Mirror policies: one for each pod hash of a mirror, sampled by its share, so that the total is as asked."""
        asked: list[tuple[Document, JsonValue]] = []
        if mapping(http.get("mirror")):
            percentage = mapping(http.get("mirrorPercentage")).get("value", http.get("mirror_percent", 100))
            asked.append((mapping(http.get("mirror")), percentage))
        asked.extend(
            (mapping(mirror.get("destination")), mapping(mirror.get("percentage")).get("value", 100))
            for mirror in items(http.get("mirrors"))
        )
        policies: list[JsonValue] = []
        for document, percentage in asked:
            if not isinstance(percentage, int | float) or not 0 <= percentage <= 100:
                self._warn(where, [f"mirror percentage {percentage!r}"])
                continue
            shares = split([(self._destination(namespace, document, where), 1)], self._backends)
            total = sum(shares.values())
            for name, share in shares.items():
                numerator = round(percentage / 100 * share / total * MILLION)
                fraction: Document = {"default_value": {"numerator": numerator, "denominator": "MILLION"}}
                policies.append({"cluster": str(name), "runtime_fraction": fraction})
        return policies

    def _backends(self, destination: Destination) -> Backends:
        found = backends(self._snapshot, destination)
        self._clusters.update(found)
        return found

    def _warn(self, where: str, what: Iterable[str]) -> None:
        self._warnings.extend(f"{where}: not honoured: {each}" for each in what)


def split(weighted: Sequence[Weighted], find: Callable[[Destination], Backends]) -> dict[ClusterName, int]:
    """Integer weights of clusters: each destination's weight shared among its pod hashes by their ready addresses.

    The proportions are exact: every weight is multiplied by the least common multiple of the address counts. Only when
    that exceeds what Envoy can hold are they rounded (a weight above 0 stays above 0).
    """
    found = [(find(destination), weight) for destination, weight in weighted]
    counts = [max(1, sum(map(len, each.values()))) for each, _ in found]
    scale = lcm(*counts)
    result: dict[ClusterName, int] = {}
    for (each, weight), count in zip(found, counts, strict=True):
        for name, addresses in each.items():
            share = weight * max(len(addresses), 1) * (scale // count)
            result[name] = result.get(name, 0) + share
    total = sum(result.values())
    if total > MAX_TOTAL_WEIGHT:
        room = MAX_TOTAL_WEIGHT - len(result)
        result = {name: max(1, share * room // total) for name, share in result.items()}
    return result


def _age(entry: tuple[Key, Document]) -> tuple[str, Key]:
    """Sort key: the oldest VirtualService first, as in Istio."""
    return str(metadata(entry[1]).get("creationTimestamp") or ""), entry[0]


def _domains(namespace: str, host: str) -> list[str]:
    """All names under which a host is asked for; one that is no name of a Service in the cluster stands for itself."""
    if host.endswith("." + CLUSTER_DOMAIN):
        name, _, rest = host.removesuffix("." + CLUSTER_DOMAIN).partition(".")
        return _domains(rest, name)
    if "." in host or host == "*":
        return [host]
    qualified = f"{host}.{namespace}"
    return [host, qualified, f"{qualified}.svc", f"{qualified}.{CLUSTER_DOMAIN}"]

"""The Kubernetes objects that a mesh configuration is made of, and how destinations are looked up among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sandbox.documents import Document, Key, items, mapping, metadata, texts
from sandbox.mesh.names import HASH_LABEL, ClusterName, service_tag

Address = tuple[str, int]  # IP, port

CLUSTER_DOMAIN = "svc.cluster.local"


@dataclass(frozen=True)
class Snapshot:
    """The objects at one moment, each kind by (namespace, name), as plain JSON."""

    services: Mapping[Key, Document] = field(default_factory=dict)
    endpoints: Mapping[Key, Document] = field(default_factory=dict)
    pods: Mapping[Key, Document] = field(default_factory=dict)
    virtual_services: Mapping[Key, Document] = field(default_factory=dict)
    destination_rules: Mapping[Key, Document] = field(default_factory=dict)
    http_routes: Mapping[Key, Document] = field(default_factory=dict)
    ingresses: Mapping[Key, Document] = field(default_factory=dict)


@dataclass(frozen=True)
class Destination:
    """A Service port, or a subset of it: `host` may be short (resolved in `namespace`) or fully qualified."""

    namespace: str
    host: str
    subset: str = ""
    port: int | None = None


Backends = dict[ClusterName, tuple[Address, ...]]


def service_key(namespace: str, host: str) -> Key:
    """(namespace, name) of the Service that a host names, be it `name`, `name.ns`, `name.ns.svc` or fully qualified."""
    name, _, rest = host.partition(".")
    if not rest:
        return namespace, name
    return rest.removesuffix("." + CLUSTER_DOMAIN).removesuffix(".svc"), name


def backends(snapshot: Snapshot, destination: Destination) -> Backends:
    """The ready addresses of a destination, by the hash of their pods.

    A destination without any (or of a Service or subset that does not exist) is one backend without addresses, under
    the hash that its selector asks for: requests to it fail, and the failures are counted where they belong.
    """
    key = service_key(destination.namespace, destination.host)
    service = mapping(snapshot.services.get(key, {}).get("spec"))
    port, port_name = _port(service, destination.port)
    wanted = _subset_labels(snapshot, destination, key)
    found: dict[ClusterName, list[Address]] = {}
    for address, pod_labels in _ready(snapshot, key, port_name):
        if wanted is None or not wanted.items() <= pod_labels.items():
            continue
        tag = service_tag(pod_labels, key[1])
        name = ClusterName(tag, pod_labels.get(HASH_LABEL, ""), *key, port, destination.subset)
        found.setdefault(name, []).append(address)
    if not found:
        selector = texts(service.get("selector")) | (wanted or {})
        tag = service_tag(selector, key[1])
        found = {ClusterName(tag, selector.get(HASH_LABEL, ""), *key, port, destination.subset): []}
    return {name: tuple(sorted(addresses)) for name, addresses in sorted(found.items())}


def has_subset(snapshot: Snapshot, destination: Destination) -> bool:
    """Whether a DestinationRule defines the destination's subset."""
    return _subset_labels(snapshot, destination, service_key(destination.namespace, destination.host)) is not None


def _port(service: Document, wanted: int | None) -> tuple[int, str]:
    """Number and name of the Service's port `wanted`, of its first one when none is."""
    ports = items(service.get("ports"))
    chosen = next((port for port in ports if wanted in (None, port.get("port"))), {})
    number = chosen.get("port")
    return number if isinstance(number, int) else wanted or 0, str(chosen.get("name") or "")


def _subset_labels(snapshot: Snapshot, destination: Destination, service: Key) -> dict[str, str] | None:
    """Labels that the destination's pods must have; None when no DestinationRule of the Service defines its subset."""
    if not destination.subset:
        return {}
    for (namespace, _), rule in sorted(snapshot.destination_rules.items()):
        spec = mapping(rule.get("spec"))
        if service_key(namespace, str(spec.get("host") or "")) != service:
            continue
        for subset in items(spec.get("subsets")):
            if subset.get("name") == destination.subset:
                return texts(subset.get("labels"))
    return None


def _ready(snapshot: Snapshot, service: Key, port_name: str) -> Iterator[tuple[Address, dict[str, str]]]:
    """Each ready address of the Service with the labels of its pod."""
    for subset in items(snapshot.endpoints.get(service, {}).get("subsets")):
        ports = items(subset.get("ports"))
        port = next((each.get("port") for each in ports if str(each.get("name") or "") == port_name), None)
        if not isinstance(port, int):
            continue
        for address in items(subset.get("addresses")):
            pod = snapshot.pods.get((service[0], str(mapping(address.get("targetRef")).get("name"))), {})
            pod_labels = texts(metadata(pod).get("labels"))
            yield (str(address.get("ip")), port), pod_labels

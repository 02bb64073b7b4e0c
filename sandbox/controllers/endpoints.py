"""The endpoints controller: which addresses a Service leads to, as Endpoints and as EndpointSlices."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sandbox.controllers.loop import Controller, Item, item_of
from sandbox.controllers.pods import is_finished, is_terminating, ready_since
from sandbox.kubernetes_api.cluster import Ref
from sandbox.kubernetes_api.kinds import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES, Kind
from sandbox.kubernetes_api.managed_fields import Writer
from sandbox.kubernetes_api.objects import Object, labels, lookup, meta, owner_reference
from sandbox.kubernetes_api.store import Change

HOST_PORT = "sandbox.tidegate.io/host-port"
"""Annotation of a pod that says on which port of its address it really listens: all pods share one address here."""

_WRITER = Writer("endpoint-controller", "v1")
_SLICE_WRITER = Writer("endpointslice-controller", "discovery.k8s.io/v1")
_SERVICE_NAME = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


class _Port(NamedTuple):
    name: str
    port: int
    protocol: str

    def dump(self) -> dict[str, Any]:
        return {"port": self.port, "protocol": self.protocol} | ({"name": self.name} if self.name else {})


class _Address(NamedTuple):
    """One pod behind a Service."""

    ip: str
    pod: Object
    ready: bool

    @property
    def target(self) -> dict[str, Any]:
        metadata = meta(self.pod)
        return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


_Groups = Mapping[tuple[_Port, ...], list[_Address]]
"""Addresses by the ports they are reached at: with a port of its own, each pod is a group."""


class EndpointsController(Controller):
    """Keeps the Endpoints and EndpointSlices of every Service that has a selector."""

    kind = SERVICES

    def affected(self, change: Change) -> Iterable[Item]:
        """A Service itself; for a pod the Services that select it, or did."""
        if change.kind is SERVICES:
            yield item_of(change.object)
        elif change.kind is PODS:
            for service in self.store.select(SERVICES, meta(change.object)["namespace"]):
                if any(_selects(service, pod) for pod in (change.object, change.previous) if pod is not None):
                    yield item_of(service)

    def reconcile(self, item: Item) -> None:
        """Write what the Service's pods say; remove it with the Service."""
        service = self.store.get(SERVICES, *item)
        if service is None:
            if self.store.get(ENDPOINTS, *item) is not None:
                self.cluster.delete(Ref(ENDPOINTS, *item))
            return  # the slices go with their owner
        if not lookup(service, "spec", "selector"):
            return  # whoever made it looks after its endpoints
        groups = self._groups(service)
        self._write(ENDPOINTS, _endpoints(service, groups), _WRITER)
        wanted = {meta(obj)["name"]: obj for obj in _slices(service, groups)}
        for obj in self.store.select(ENDPOINT_SLICES, item.namespace):
            if labels(obj).get(_SERVICE_NAME) == item.name and meta(obj)["name"] not in wanted:
                self.cluster.delete(Ref(ENDPOINT_SLICES, *item_of(obj)))
        for obj in wanted.values():
            self._write(ENDPOINT_SLICES, obj, _SLICE_WRITER)

    def _groups(self, service: Object) -> _Groups:
        groups: dict[tuple[_Port, ...], list[_Address]] = {}
        anyhow = bool(lookup(service, "spec", "publishNotReadyAddresses"))
        for pod in self.store.select(PODS, meta(service)["namespace"]):
            ip = lookup(pod, "status", "podIP")
            if ip and _selects(service, pod) and not is_finished(pod):
                ready = anyhow or (ready_since(pod) is not None and not is_terminating(pod))
                groups.setdefault(tuple(_ports(service, pod)), []).append(_Address(ip, pod, ready))
        return groups

    def _write(self, kind: Kind, wanted: Object, writer: Writer) -> None:
        namespace, name = item_of(wanted)
        if self.store.get(kind, namespace, name) is None:
            self.cluster.create(kind, wanted, writer, namespace=namespace)
            return

        def replaced(live: Object) -> Object:
            return {**wanted, "metadata": {**meta(live), **wanted["metadata"]}}

        self.cluster.patch(Ref(kind, namespace, name), replaced, writer)


def _selects(service: Object, pod: Object) -> bool:
    selector = lookup(service, "spec", "selector")
    return bool(selector) and selector.items() <= labels(pod).items()


def _ports(service: Object, pod: Object) -> Iterator[_Port]:
    own = (meta(pod).get("annotations") or {}).get(HOST_PORT, "")
    for port in lookup(service, "spec", "ports") or []:
        target = int(own) if own.isdecimal() else _resolved(port.get("targetPort", port["port"]), pod)
        if target is not None:
            yield _Port(port.get("name", ""), target, port.get("protocol", "TCP"))


def _resolved(target: int | str, pod: Object) -> int | None:
    """A target port as a number: itself, or that of the container port of this name."""
    if isinstance(target, int):
        return target
    for container in lookup(pod, "spec", "containers") or []:
        for port in container.get("ports") or []:
            if port.get("name") == target:
                return int(port["containerPort"])
    return None


def _endpoints(service: Object, groups: _Groups) -> Object:
    subsets = []
    for ports, addresses in groups.items():
        lists: dict[str, list[Object]] = {}
        for address in addresses:
            if address.ready or not is_terminating(address.pod):
                name = "addresses" if address.ready else "notReadyAddresses"
                lists.setdefault(name, []).append({"ip": address.ip, "targetRef": address.target})
        if lists and ports:
            subsets.append({**lists, "ports": [port.dump() for port in ports]})
    namespace, name = item_of(service)
    obj: Object = {"metadata": {"namespace": namespace, "name": name, "labels": labels(service)}}
    return obj | ({"subsets": subsets} if subsets else {})


def _slices(service: Object, groups: _Groups) -> Iterator[Object]:
    namespace, name = item_of(service)
    for ports, addresses in groups.items():
        digest = hashlib.sha256(repr(ports).encode()).hexdigest()[:5]
        yield {
            "metadata": {
                "namespace": namespace,
                "name": f"{name}-{digest}",
                "labels": {_SERVICE_NAME: name, _MANAGED_BY: "endpointslice-controller.k8s.io"},
                "ownerReferences": [owner_reference(service)],
            },
            "addressType": "IPv4",
            "ports": [port.dump() for port in ports],
            "endpoints": [
                {
                    "addresses": [address.ip],
                    "conditions": {
                        "ready": address.ready,
                        "serving": ready_since(address.pod) is not None,
                        "terminating": is_terminating(address.pod),
                    },
                    "targetRef": address.target,
                }
                for address in addresses
            ],
        }

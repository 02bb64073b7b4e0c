"""Kubernetes objects made by hand, as small as the mesh lets them be."""

from __future__ import annotations

from pydantic import JsonValue

from sandbox.documents import Document
from sandbox.mesh.names import HASH_LABEL
from sandbox.mesh.snapshot import Address, Snapshot

NAMESPACE = "payments"


def meta(name: str, **fields: JsonValue) -> Document:
    return {"name": name, "namespace": NAMESPACE, **fields}


def service(name: str, **selector: str) -> Document:
    ports: list[JsonValue] = [{"port": 80, "targetPort": 8080}]
    return {"metadata": meta(name), "spec": {"selector": {"app": "checkout", **selector}, "ports": ports}}


def virtual_service(*http: Document, name: str = "checkout-vsvc", hosts: tuple[str, ...] = ("checkout",)) -> Document:
    return {"metadata": meta(name), "spec": {"hosts": [*hosts], "http": [*http]}}


def route(host: str, weight: int | None = None, subset: str | None = None) -> Document:
    destination: Document = {"host": host} if subset is None else {"host": host, "subset": subset}
    return {"destination": destination} if weight is None else {"destination": destination, "weight": weight}


def split_by_weight(canary: int) -> Document:
    """The VirtualService of a canary release at `canary` percent."""
    return virtual_service(
        {"name": "primary", "route": [route("checkout-stable", 100 - canary), route("checkout-canary", canary)]}
    )


class World:
    """Objects that make a Snapshot."""

    def __init__(self) -> None:
        self.services: dict[tuple[str, str], Document] = {}
        self.endpoints: dict[tuple[str, str], Document] = {}
        self.pods: dict[tuple[str, str], Document] = {}
        self.virtual_services: dict[tuple[str, str], Document] = {}
        self.destination_rules: dict[tuple[str, str], Document] = {}
        self.http_routes: dict[tuple[str, str], Document] = {}
        self.ingresses: dict[tuple[str, str], Document] = {}

    def add_service(self, name: str, pods: dict[str, list[Address]], **selector: str) -> None:
        """A Service whose ready pods have these hashes and addresses."""
        self.services[NAMESPACE, name] = service(name, **selector)
        self.set_endpoints(name, pods)

    def set_endpoints(self, name: str, pods: dict[str, list[Address]]) -> None:
        subsets: list[JsonValue] = []
        for pod_hash, addresses in pods.items():
            for ip, port in addresses:
                pod = f"pod-{pod_hash}-{port}"
                labels: Document = {"app": "checkout", **({HASH_LABEL: pod_hash} if pod_hash else {})}
                self.pods[NAMESPACE, pod] = {"metadata": meta(pod, labels=labels)}
                address: Document = {"ip": ip, "targetRef": {"kind": "Pod", "name": pod}}
                subsets.append({"addresses": [address], "ports": [{"port": port}]})
        self.endpoints[NAMESPACE, name] = {"metadata": meta(name), "subsets": subsets}

    def set_routes(self, document: Document) -> None:
        self.virtual_services[NAMESPACE, "checkout-vsvc"] = document

    def add_subsets(self, host: str, **hashes: str) -> None:
        subsets: list[JsonValue] = [{"name": name, "labels": {HASH_LABEL: value}} for name, value in hashes.items()]
        self.destination_rules[NAMESPACE, "rule"] = {
            "metadata": meta("rule"),
            "spec": {"host": host, "subsets": subsets},
        }

    def snapshot(self) -> Snapshot:
        return Snapshot(
            self.services,
            self.endpoints,
            self.pods,
            self.virtual_services,
            self.destination_rules,
            self.http_routes,
            self.ingresses,
        )


def local(*ports: int) -> list[Address]:
    return [("127.0.0.1", port) for port in ports]

"""The Rollouts of a run: three steps with short pauses, with Istio or without a router."""

from __future__ import annotations

from typing import Any, Final

from activities.kubernetes.client import ROLLOUTS, SERVICES, VIRTUAL_SERVICES, Object, Resource

NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace")
REPLICAS: Final = 4
_STEPS: Final = ({"setWeight": 25}, {"pause": {"duration": "5s"}}, {"setWeight": 50}, {"pause": {"duration": "5s"}})


def name_of(number: int) -> str:
    """Name of one Rollout."""
    return f"r{number:04}"


def image_of(version: int) -> str:
    """The image of a version, counted from 1."""
    return f"registry.example/app:{version}"


def namespace(name: str) -> Object:
    """A namespace of that name."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def rollout(name: str, *, replicas: int = REPLICAS, istio: bool = False) -> list[tuple[Resource, Object]]:
    """One Rollout in its first version, after what it names; each with its kind."""
    labels = {"app": name}
    canary: dict[str, Any] = {"steps": [*_STEPS, {"setWeight": 75}]}
    beside: list[tuple[Resource, Object]] = []
    if istio:
        stable, new = f"{name}-stable", f"{name}-canary"
        canary |= {"stableService": stable, "canaryService": new}
        canary["trafficRouting"] = {"istio": {"virtualService": {"name": name}}}
        ports = [{"port": 80, "targetPort": 8080}]
        beside = [(SERVICES, _object(SERVICES, host, {"selector": labels, "ports": ports})) for host in (stable, new)]
        route = [{"destination": {"host": stable}, "weight": 100}, {"destination": {"host": new}, "weight": 0}]
        virtual = {"hosts": [name], "http": [{"name": "primary", "route": route}]}
        beside.append((VIRTUAL_SERVICES, _object(VIRTUAL_SERVICES, name, virtual)))
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "app", "image": image_of(1), "ports": [{"containerPort": 8080}]}]},
        },
        "strategy": {"canary": canary},
    }
    return [*beside, (ROLLOUTS, _object(ROLLOUTS, name, spec))]


def _object(resource: Resource, name: str, spec: Object) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}, "spec": spec}

"""A Rollout with what it needs around it, and what is seen of it from outside."""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Callable
from typing import Any

from activities.kubernetes.client import EVENTS, PODS, REPLICA_SETS, ROLLOUTS, SERVICES, VIRTUAL_SERVICES, Object
from tests.kubernetes.plane import Plane

IMAGE = "registry.k8s.io/pause"
STEPS: list[Object] = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]
# The template has what API servers and CRDs fill in beside it: the protocol of a port, the version of a field's path.
CONTAINER: Object = {
    "name": "app",
    "image": f"{IMAGE}:3.6",
    "ports": [{"containerPort": 80}],
    "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}},
}
_numbers = itertools.count(1)


def version(number: int) -> str:
    """An image of that version; one from 6 to 10 exists."""
    return f"{IMAGE}:3.{number}"


def rollout(name: str, steps: list[Object], **canary: Any) -> Object:
    """A Rollout behind Istio, of two pods; its first version is 3.6."""
    routing = {"istio": {"virtualService": {"name": name}}}
    services = {"stableService": f"{name}-stable", "canaryService": f"{name}-canary"}
    return {
        "apiVersion": ROLLOUTS.api_version,
        "kind": ROLLOUTS.kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [copy.deepcopy(CONTAINER)]}},
            "strategy": {"canary": {**services, "trafficRouting": routing, "steps": steps, **canary}},
        },
    }


class App:
    """One Rollout of a name that no other has."""

    def __init__(self, plane: Plane, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace
        self.name = f"app{next(_numbers)}-{uuid.uuid4().hex[:4]}"
        self.where = (namespace, self.name)

    def manifest(self, steps: list[Object] | None = None, **canary: Any) -> Object:
        """Its Rollout, with its namespace."""
        found = rollout(self.name, STEPS if steps is None else steps, **canary)
        found["metadata"]["namespace"] = self.namespace
        return found

    def around(self) -> list[Object]:
        """Its Services and its VirtualService."""
        services = [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": f"{self.name}-{role}", "namespace": self.namespace},
                "spec": {"selector": {"app": self.name}, "ports": [{"port": 80}]},
            }
            for role in ("stable", "canary")
        ]
        routes = [
            {"destination": {"host": f"{self.name}-{role}"}, "weight": weight}
            for role, weight in (("stable", 100), ("canary", 0))
        ]
        mesh = {
            "apiVersion": VIRTUAL_SERVICES.api_version,
            "kind": VIRTUAL_SERVICES.kind,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"hosts": [self.name], "http": [{"name": "primary", "route": routes}]},
        }
        return [*services, mesh]

    async def create(self, manifest: Object | None = None) -> None:
        """Make all of it."""
        await self.plane.create([*self.around(), manifest or self.manifest()])

    # ----------------------------------------------------------------------------------------------------- what is seen

    async def object(self) -> Object:
        """The Rollout."""
        return await self.plane.cluster.get(ROLLOUTS, *self.where)

    async def status(self) -> Object:
        """Its status."""
        return dict((await self.object()).get("status") or {})

    async def until(self, holds: Callable[[Object], Any], seconds: float = 60.0) -> Object:
        """Its status as soon as it speaks of the spec that stands, and that holds."""

        def arrived(found: Object) -> bool:
            status = found.get("status") or {}
            return status.get("observedGeneration") == str(found["metadata"]["generation"]) and bool(holds(status))

        return dict((await self.plane.wait(ROLLOUTS, *self.where, arrived, seconds))["status"])

    async def healthy(self) -> Object:
        """Once its version is stable and complete."""
        return await self.until(lambda s: s.get("phase") == "Healthy" and s["stableRS"] == s["currentPodHash"] != "")

    async def paused_at(self, index: int) -> Object:
        """Once it waits for a person in that step."""
        return await self.until(
            lambda s: s.get("phase") == "Paused" and s.get("pauseConditions") and s.get("currentStepIndex") == index
        )

    async def aborted(self) -> Object:
        """Once the abort is through: said, and no traffic is left on the canary."""
        found = await self.until(lambda s: s.get("phase") == "Degraded" and s.get("abort"))
        await self.weight_is(0)
        return found

    async def weights(self) -> list[int]:
        """Of stable and canary."""
        return _weights(await self.plane.cluster.get(VIRTUAL_SERVICES, *self.where))

    async def weight_is(self, canary: int) -> None:
        """Wait until the canary has so many percent."""
        await self.plane.wait(VIRTUAL_SERVICES, *self.where, lambda vs: _weights(vs) == [100 - canary, canary])

    async def sets(self) -> dict[str, Object]:
        """Its ReplicaSets by hash."""
        found = await self.plane.cluster.select(REPLICA_SETS, self.namespace, {"app": self.name})
        return {each["metadata"]["labels"]["rollouts-pod-template-hash"]: each for each in found}

    async def pods(self) -> set[str]:
        """Names of its pods that are not going."""
        found = await self.plane.cluster.select(PODS, self.namespace, {"app": self.name})
        return {each["metadata"]["name"] for each in found if not each["metadata"].get("deletionTimestamp")}

    async def selected(self) -> dict[str, str]:
        """The hash that each of its Services selects."""
        services = {role: f"{self.name}-{role}" for role in ("stable", "canary")}
        found = {role: await self.plane.cluster.get(SERVICES, self.namespace, name) for role, name in services.items()}
        return {role: str(each["spec"]["selector"].get("rollouts-pod-template-hash")) for role, each in found.items()}

    async def warnings(self, reason: str) -> list[str]:
        """Messages of its Warning Events of a reason."""
        return [
            str(each["message"])
            for each in await self.plane.cluster.select(EVENTS, self.namespace, {})
            if each["involvedObject"]["name"] == self.name and (each["type"], each["reason"]) == ("Warning", reason)
        ]

    async def warned(self, reason: str, words: str, seconds: float = 30.0) -> None:
        """Wait for a Warning Event of that reason with those words."""

        async def holds() -> bool:
            return any(words in each for each in await self.warnings(reason))

        await self.plane.until(holds, seconds, lambda: f"no Warning {reason} of {self.name} says {words!r}")

    async def patch(self, patch: str, *more: str) -> None:
        """Merge something into the object."""
        await self.plane.kubectl(
            "patch", "rollouts.argoproj.io", self.name, "-n", self.namespace, "--type=merge", "-p", patch, *more
        )


def condition(status: Object, type_: str = "Progressing") -> Object:
    """A condition of a status, empty when there is none."""
    return next((dict(each) for each in status.get("conditions") or [] if each["type"] == type_), {})


def _weights(virtual_service: Object) -> list[int]:
    return [int(each.get("weight", 0)) for each in virtual_service["spec"]["http"][0]["route"]]

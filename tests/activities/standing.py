"""Rollouts that stand in the embedded API server, and a worker's cache of them, in this process and in virtual time."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

from activities.kubernetes.client import WORKER_AGENT
from activities.kubernetes.informers import Cache
from activities.reconcile.cluster_state import Snapshots
from activities.reconcile.waits import Waits
from sandbox.kubernetes_api import KubernetesApi
from sandbox.kubernetes_api.cluster import Ref
from sandbox.kubernetes_api.kinds import KINDS, REPLICA_SETS, VIRTUAL_SERVICES
from sandbox.kubernetes_api.managed_fields import Writer
from sandbox.kubernetes_api.status import ApiError
from tests.virtual.temporal.chances import Chances
from tests.virtual.wire import Wire
from tidegate.contract import AwaitChange, Target

NAMESPACE = "default"
WRITER = Writer("somebody", "v1")
BY_NAME = {kind.kind: kind for kind in KINDS}


def rollout(name: str) -> dict[str, Any]:
    labels = {"app": name}
    canary = {
        "stableService": f"{name}-stable",
        "canaryService": f"{name}-canary",
        "trafficRouting": {"istio": {"virtualService": {"name": name}}},
        "steps": [{"setWeight": 20}, {"pause": {}}],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "img:1"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template, "strategy": {"canary": canary}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


class Standing:
    """Rollouts in one namespace, a worker's cache, and waits as releases wait. Its API server may listen, too."""

    def __init__(self, *names: str, rates: dict[str, float] | None = None) -> None:
        self.api = KubernetesApi(gate=self._gate)
        self.chances = Chances(7, rates)
        self.wire = Wire(self.api, WORKER_AGENT, self.chances)
        self.cache = Cache(self.wire)
        self.waits = Waits(self.wire, self.cache)
        self.away = False
        self.asked: list[tuple[float, str, str]] = []
        for name in names:
            self._create(name)

    async def _gate(self, call: Any) -> None:
        self.asked.append((asyncio.get_running_loop().time(), call.verb, call.resource))
        if self.away:
            raise ApiError(503, "ServiceUnavailable", "away")

    def _create(self, name: str) -> None:
        ports = {"selector": {"app": name}, "ports": [{"port": 80}]}
        route = [{"destination": {"host": f"{name}-{side}"}, "weight": 50} for side in ("stable", "canary")]
        routes = {"hosts": [name], "http": [{"route": route}]}
        wanted = [("Service", f"{name}-stable", ports), ("Service", f"{name}-canary", ports)]
        wanted += [("VirtualService", name, routes)]
        for kind, called, spec in wanted:
            body = {"metadata": {"name": called, "namespace": NAMESPACE}, "spec": deepcopy(spec)}
            self.api.cluster.create(BY_NAME[kind], body, WRITER, namespace=NAMESPACE)
        self.api.cluster.create(BY_NAME["Rollout"], rollout(name), WRITER, namespace=NAMESPACE)

    async def close(self) -> None:
        await self.cache.close()
        await self.wire.close()

    def shift(self, name: str, weight: int) -> None:
        """Somebody writes weights."""

        def edit(found: Any) -> Any:
            changed = deepcopy(found)
            changed["spec"]["http"][0]["route"][0]["weight"] = 100 - weight
            changed["spec"]["http"][0]["route"][1]["weight"] = weight
            return changed

        self.api.cluster.patch(Ref(VIRTUAL_SERVICES, NAMESPACE, name), edit, WRITER)

    def make_set(self, name: str, hash_: str) -> None:
        """A version, whose pod nobody makes."""
        labels = {"app": name, "rollouts-pod-template-hash": hash_}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "img:1"}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        metadata = {"name": f"{name}-{hash_}", "namespace": NAMESPACE, "labels": labels}
        self.api.cluster.create(REPLICA_SETS, {"metadata": metadata, "spec": spec}, WRITER, namespace=NAMESPACE)

    def refuse_pods(self, replica_set: str, words: str) -> None:
        """The ReplicaSet controller says that it cannot make any."""
        said = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": words}

        def edit(found: Any) -> Any:
            return {**found, "status": {**found.get("status", {}), "conditions": [said]}}

        writer = Writer("replicaset-controller", "apps/v1", "status")
        self.api.cluster.patch(Ref(REPLICA_SETS, NAMESPACE, replica_set), edit, writer)

    async def state_digest(self, name: str) -> str:
        """What a pass would leave behind."""
        steady = Wire(self.api, WORKER_AGENT, Chances(1))
        return (await Snapshots(steady, self.about(name, "")).snapshot()).state_digest()

    @staticmethod
    def about(name: str, state_digest: str) -> AwaitChange:
        """What a release asks."""
        return AwaitChange(
            target=Target(namespace=NAMESPACE, name=name), rollout=rollout(name), state_digest=state_digest
        )

    async def changed(self, name: str, state_digest: str) -> None:
        """Wait as a release waits."""
        await self.waits.changed(self.about(name, state_digest))

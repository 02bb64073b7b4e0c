"""Releases of a blue-green Rollout in the embedded world: a good version, and some that fail after their switch."""

from __future__ import annotations

import time
from typing import Any, Final

from temporalio.client import Client

from sandbox.account import failing_verdict
from sandbox.demo import EXAMPLES, REGISTRY
from sandbox.kubernetes_api import Change
from sandbox.kubernetes_api.kinds import SERVICES
from sandbox.processes import until
from sandbox.world import World
from tidegate.client import ReleaseError, RolloutRef, TidegateClient
from tidegate.contract import ReleaseRequest, ReleaseResult, ReleaseStatus
from tidegate.manifests.documents import load

BASKET: Final = RolloutRef(cluster="default", namespace="payments", name="basket")
RATE: Final = 200.0
GATE: Final = {
    "templates": [{"templateName": "checkout-canary-datadog"}],
    "args": [
        {"name": "service-name", "value": BASKET.name},
        {"name": "canary-hash", "valueFrom": {"podTemplateHashValue": "Latest"}},
    ],
}


class Baskets:
    """The releases of one world."""

    def __init__(self, world: World, temporal: Client) -> None:
        """Begin without a Rollout; `switched_at` is when the API server last stored the active Service."""
        self._world = world
        self._temporal = temporal
        self._client = TidegateClient(temporal)
        self._templates = tuple(template.raw for template in load([EXAMPLES / "checkout" / "fast"]).templates)
        self.switched_at = 0.0
        world.kubernetes.store.subscribe(self._note)

    def _note(self, change: Change) -> None:
        if change.kind is SERVICES and change.object["metadata"]["name"] == BASKET.name:
            self.switched_at = time.time()

    async def prepare(self) -> None:
        """Bring out the first version, and let requests come."""
        await self._world.apply([service(name) for name in (BASKET.name, f"{BASKET.name}-preview")])
        await self._released("1.0.0")
        await self._world.start_load(RATE, BASKET.name)

        async def served() -> bool:
            return len(self._world.telemetry.hashes(BASKET.name)) > 0

        await until(served, 30.0, "traffic of the first version")

    async def good(self) -> tuple[int, tuple[int, ...]]:
        """Release a good version; the history events of the release, and of each of its analysis runs."""
        status = await self._released("1.1.0", postPromotionAnalysis=GATE)
        if status.phase != "Healthy":
            raise SystemExit(f"the good version ended {status.phase}: {status.message}")
        runs = [each.workflow_id for each in status.analyses]
        return await self._events(status.workflow_id), tuple([await self._events(each) for each in runs])

    async def bad(self, number: int) -> float:
        """Release a bad version; milliseconds from the verdict after its switch to the Service that is back."""
        status = await self._released(f"1.2.{number}-bad", postPromotionAnalysis=GATE)
        verdict = failing_verdict(status)
        if verdict is None:
            raise SystemExit(f"the bad version went back without a failing reading: {status.message}")
        return 1000 * (self.switched_at - verdict.timestamp())

    async def _released(self, tag: str, **strategy: Any) -> ReleaseStatus:
        rollout = rollout_of(tag, strategy)
        await self._world.apply([rollout])
        request = ReleaseRequest(
            namespace=BASKET.namespace, name=BASKET.name, rollout=rollout, templates=self._templates, by="a benchmark"
        )
        return (await self._ended(request)).status

    async def _ended(self, request: ReleaseRequest) -> ReleaseResult:
        try:
            return await self._client.wait(await self._client.start(request))
        except ReleaseError as error:
            if error.result is None:
                raise
            return error.result

    async def _events(self, workflow_id: str) -> int:
        return (await self._temporal.get_workflow_handle(workflow_id).describe()).history_length


def service(name: str) -> dict[str, Any]:
    """A Service for all of its pods."""
    spec = {"selector": {"app": BASKET.name}, "ports": [{"port": 80, "targetPort": 8080}]}
    metadata = {"name": name, "namespace": BASKET.namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def rollout_of(tag: str, strategy: dict[str, Any]) -> dict[str, Any]:
    """The Rollout with an image of the checkout, and more fields of its strategy."""
    blue_green = {
        "activeService": BASKET.name,
        "previewService": f"{BASKET.name}-preview",
        "scaleDownDelaySeconds": 2,
        "abortScaleDownDelaySeconds": 2,
    }
    container = {"name": BASKET.name, "image": f"{REGISTRY}/checkout:{tag}", "ports": [{"containerPort": 8080}]}
    labels = {"app": BASKET.name}
    spec = {
        "replicas": 3,
        "selector": {"matchLabels": labels},
        "strategy": {"blueGreen": blue_green | strategy},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    metadata = {"name": BASKET.name, "namespace": BASKET.namespace}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata, "spec": spec}

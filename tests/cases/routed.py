"""What the families of NGINX and of the Gateway API share: one router of one Rollout against the embedded API."""

from __future__ import annotations

import copy
import re
from typing import Any, Final

from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import FENCE_ANNOTATION, Object
from activities.routers.choice import read_traffic
from activities.routers.required_pods import RequiredPods
from activities.routers.router import ExperimentWeight
from activities.routers.traffic import RouteWrite
from sandbox.kubernetes_api import Change
from tests.activities.mesh import Mesh
from tests.cases.family import Answer, Input
from tidegate.contract import Routing, Target, TrafficState
from tidegate.manifests.rollout import Rollout
from tidegate.manifests.steps import SetHeaderRoute, SetMirrorRoute

CANARY_SET: Final = "canary-with-pods"
# What our messages say before Argo's text: which object it is about.
PREFIX: Final = re.compile(r"^((HTTP|GRPC|TCP|TLS)Route \S+: |Kubernetes API: GET \S+: 404 )")


class Stage:
    """The objects of a case in an API server, what its operations came to, and what each of them wrote."""

    def __init__(self, given: Input, mesh: Mesh, kinds: dict[str, str]) -> None:
        """`kinds` are those of the objects that a case gives, by the key under which it does."""
        self.given, self.mesh, self._kinds = given, mesh, kinds
        metadata = given["rollout"]["metadata"]
        self.target = Target(namespace=metadata.get("namespace", "default"), name=metadata["name"])
        self.uid = str(metadata.get("uid", ""))
        routing = Routing.of(Rollout.model_validate(given["rollout"]).canary)
        assert routing is not None
        self.routing = routing
        self.events: list[str] = []
        self._written: list[Change] = []

    async def place(self) -> None:
        self.mesh.put("Rollout", self.given["rollout"], self.target.namespace)
        for key, kind in self._kinds.items():
            for found in self.given.get(key) or []:
                for owner in found["metadata"].get("ownerReferences") or []:  # what nobody owns any more is deleted
                    metadata = {"name": owner["name"], "uid": owner["uid"]}
                    self.mesh.put("Rollout", {"metadata": metadata}, self.target.namespace)
                self.mesh.put(kind, found, self.target.namespace)
        await self.mesh.replica_set(
            CANARY_SET, wanted=1, available=1, hash_="experiment", namespace=self.target.namespace
        )
        self.mesh.api.store.subscribe(self._note)

    async def play(self) -> list[Answer]:
        """Run the operations; the answer of each."""
        return [await self._answer(operation) for operation in self.given["ops"]]

    async def _answer(self, operation: dict[str, Any]) -> Answer:
        self._written.clear()
        answer: dict[str, Any] = {}
        try:
            answer |= await self.run(operation) or {}
        except ApplicationError as error:
            answer["error"] = PREFIX.sub("", error.message)
        return answer | {"writes": [each for change in self._written if (each := self.written(change))]}

    def written(self, change: Change) -> Any:
        """A write as the case tells it, nothing for one that counts for nothing."""
        raise NotImplementedError

    async def run(self, operation: dict[str, Any]) -> Answer | None:
        """Carry out one operation."""
        [(what, value)] = [(key, value) for key, value in operation.items() if key not in ("additional", "status")]
        write = RouteWrite(self.target, self.routing, self.mesh.fence(), owner_uid=self.uid)
        pods = RequiredPods(CANARY_SET, 1)
        if what == "setWeight":
            shares = [
                ExperimentWeight(service=each["serviceName"], weight=each["weight"])
                for each in operation.get("additional") or []
            ]
            traffic = await self.mesh.traffic.set_weight(write, value, canary=pods, experiments=shares)
            self.events += [f"{reason}: {text}" for reason, text in traffic.events]
        elif what == "removeManagedRoutes":
            for each in (await self.traffic()).managed:
                await self.mesh.traffic.set_managed_route(write, SetHeaderRoute(name=each.route), pods)
        elif what in ("setHeaderRoute", "setMirrorRoute"):
            step = SetHeaderRoute if what == "setHeaderRoute" else SetMirrorRoute
            given = value if isinstance(value, dict) else {"name": "m", "match": [{}]}
            await self.mesh.traffic.set_managed_route(write, step.model_validate(given), pods)
        elif what == "verifyWeight":
            return {"verified": True} if (await self.traffic()).verified else None
        return None

    async def traffic(self) -> TrafficState:
        found = await read_traffic(self.mesh.cluster, self.routing, self.target)
        assert found is not None
        return found

    def _note(self, change: Change) -> None:
        self._written.append(change)


def without_fence(found: Object) -> Object:
    """The object without what a release notes in it for itself."""
    plain = copy.deepcopy(found)
    annotations = plain["metadata"].get("annotations") or {}
    annotations.pop(FENCE_ANNOTATION, None)
    return plain

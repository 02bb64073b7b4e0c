"""istio: the real activities against the embedded Kubernetes API, and what stands in it afterwards."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError

from activities.cluster import DESTINATION_RULES, FENCE_ANNOTATION, VIRTUAL_SERVICES, Object
from sandbox.kubernetes_api.kinds import KINDS
from tests.activities.mesh import Mesh, serving
from tests.cases.family import Answer, Family, Input, equal
from tidegate.contract import (
    ErrorType,
    ExperimentWeight,
    Istio,
    PointSubsets,
    RemoveManagedRoutes,
    SetManagedRoute,
    ShiftTraffic,
    Target,
    TrafficState,
)

CANARY_SET: Final = "canary-with-pods"
# What our messages say before Argo's text: which object it is about.
PREFIX: Final = re.compile(r"^(VirtualService \S+: |Kubernetes API: GET \S+: 404 )")
NOT_FOUND_EVENTS: Final = {"virtualservices": "VirtualServiceNotFound", "destinationrules": "DestinationRuleNotFound"}


class Stage:
    """The objects of a case in an API server, and what its operations came to."""

    def __init__(self, given: Input, mesh: Mesh) -> None:
        self.given = given
        self.mesh = mesh
        metadata = given["rollout"]["metadata"]
        self.target = Target(namespace=metadata.get("namespace", "default"), name=metadata["name"])
        istio = Istio.of(given["rollout"])
        assert istio is not None
        self.istio = istio
        self.updates = 0
        self.events: list[str] = []

    async def place(self) -> None:
        for found in self.given.get("virtualservices") or []:
            self.put("VirtualService", found)
        if rule := self.given.get("destinationrule"):
            self.put("DestinationRule", rule)
        sets = [*(self.given.get("replicasets") or []), {"name": CANARY_SET, "hash": "pods", "spec": 1, "available": 1}]
        for each in sets:
            await self.mesh.replica_set(
                each["name"],
                wanted=each["spec"],
                available=each.get("available", 0),
                hash_=each["hash"],
                namespace=self.target.namespace,
            )

    def put(self, name: str, body: Object) -> None:
        """As it is: no webhook stood before the objects of a case."""
        kind = next(kind for kind in KINDS if kind.kind == name)
        metadata = {"namespace": self.target.namespace, "uid": f"uid-{body['metadata']['name']}", **body["metadata"]}
        stored = {**body, "apiVersion": kind.stored_version, "kind": kind.kind, "metadata": metadata}
        self.mesh.api.store.put(kind, stored)

    async def play(self) -> str:
        """Run the operations; the text of the error that ended them, or nothing."""
        try:
            for operation in self.given["ops"]:
                await self.run(operation)
        except ApplicationError as error:
            text = PREFIX.sub("", error.message)
            if error.type == ErrorType.NOT_FOUND:
                self.events.append(NOT_FOUND_EVENTS[text.partition(".")[0]])
            return text
        return ""

    async def run(self, operation: dict[str, Any]) -> None:
        [(what, value)] = operation.items()
        if what == "updateHash":
            await self.update_hash(value["canary"], value["stable"])
        else:
            state = await self.change(what, value)
            self.updates += len(state.updated)
            self.events += ["Updated VirtualService"] * len(state.updated)

    async def change(self, what: str, value: Any) -> TrafficState:
        common: dict[str, Any] = {"target": self.target, "istio": self.istio, "fence": self.mesh.fence()}
        if what == "removeManagedRoutes":
            return await self.mesh.traffic.remove_managed_routes(RemoveManagedRoutes(**common))
        common["replica_set"] = CANARY_SET
        if what == "setWeight":
            shares = [
                ExperimentWeight(service=each["serviceName"], weight=each["weight"])
                for each in self.given.get("additional") or []
            ]
            return await self.mesh.traffic.shift_traffic(
                ShiftTraffic(**common, weight=value, needed=1, experiments=shares)
            )
        step = {"setHeaderRoute": "header", "setMirrorRoute": "mirror"}[what]
        return await self.mesh.traffic.set_managed_route(SetManagedRoute(**common, **{step: value}))

    async def update_hash(self, canary: str, stable: str) -> None:
        rule = self.istio.destination_rule
        if rule is None:
            return
        # With Services the pods are told apart by them; after an abort only those that get the traffic matter.
        judged = {stable} if self.given["rollout"].get("status", {}).get("abort") else {stable, canary}
        bare = not (self.istio.stable_service or self.istio.canary_service)
        sets = [each["name"] for each in self.given.get("replicasets") or [] if each["hash"] in judged]
        state = await self.mesh.traffic.point_subsets(
            PointSubsets(
                target=self.target,
                destination_rule=rule["name"],
                hashes={rule["canarySubsetName"]: canary, rule["stableSubsetName"]: stable},
                experiments={
                    each["serviceName"]: each.get("podTemplateHash", "") for each in self.given.get("additional") or []
                },
                keep=rule.get("additionalSubsetNames") or (),
                after=sets if bare else (),
                fence=self.mesh.fence(),
            )
        )
        self.updates += state.updated
        self.events += ["UpdatedDestinationRule"] * state.updated

    async def stands(self) -> Answer:
        found = [
            await self.mesh.cluster.get(
                VIRTUAL_SERVICES,
                each["metadata"].get("namespace", self.target.namespace),
                each["metadata"]["name"],
            )
            for each in self.given.get("virtualservices") or []
        ]
        answer: dict[str, Any] = {"virtualservices": {each["metadata"]["name"]: each["spec"] for each in found}}
        if rule := self.given.get("destinationrule"):
            stored = await self.mesh.cluster.get(DESTINATION_RULES, self.target.namespace, rule["metadata"]["name"])
            annotations = dict(stored["metadata"].get("annotations") or {})
            annotations.pop(FENCE_ANNOTATION, None)
            answer["destinationrule"] = {"annotations": annotations, "spec": stored["spec"]}
        return answer


def istio(given: Input) -> Answer:
    async def play() -> Answer:
        async with serving() as mesh:
            stage = Stage(given, mesh)
            await stage.place()
            error = await stage.play()
            return {"error": error, "updates": stage.updates, "events": stage.events, **await stage.stands()}

    with capture_logs():
        return asyncio.run(play())


def same(expected: Answer, actual: Answer) -> bool:
    """Whether the answers agree; Argo's error may name the verb that met it first."""
    wanted, found = expected.get("error", ""), actual.get("error", "")
    if bool(wanted) != bool(found) or not wanted.endswith(found):
        return False
    return equal({**expected, "error": ""}, {**actual, "error": ""})


def quirk(given: Input) -> str:
    routing = given["rollout"]["spec"]["strategy"]["canary"]["trafficRouting"]
    settings = routing["istio"].get("virtualServices") or []
    if len(settings) > 1 and istio(given)["error"]:
        return "no VirtualService is written before all were found and understood: half a split is worse than none"
    if not all(map(_has_route, given.get("virtualservices") or [])):
        return "a VirtualService without a route is refused: no weight of it could be set"
    kinds = [next(iter(operation)) for operation in given["ops"]]
    single = routing["istio"].get("virtualService") or {}
    if "setMirrorRoute" in kinds[:-1] and kinds[-1] == "setWeight" and not single.get("routes"):
        return "the weights of the route that is mirrored follow too, not those of its mirror alone"
    if any(_does_nothing(given, index) for index in range(len(kinds))):
        return "a managed route that stands or is gone already is not written again"
    return ""


def _has_route(virtual_service: Object) -> bool:
    return any((virtual_service.get("spec") or {}).get(protocol) for protocol in ("http", "tls", "tcp"))


def _does_nothing(given: Input, index: int) -> bool:
    """Whether an operation sets a managed route to what it is, or removes one that is not there."""
    [(kind, value)] = given["ops"][index].items()
    if kind not in ("setHeaderRoute", "setMirrorRoute"):
        return False
    before = [operation.get(kind) for operation in given["ops"][:index]]
    last = next((each for each in reversed(before) if each and each["name"] == value["name"]), {"name": value["name"]})
    return bool(last == value)


FAMILIES = (Family("istio", istio, same, quirk),)

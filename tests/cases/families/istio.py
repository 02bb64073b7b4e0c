"""istio: the writes of a pass against the embedded Kubernetes API, and what stands in it afterwards."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any, Final

from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import DESTINATION_RULES, FENCE_ANNOTATION, VIRTUAL_SERVICES, Object
from activities.kubernetes.informers import Cache
from activities.kubernetes.replica_sets import HASH_LABEL
from activities.reconcile.apply import ActionExecutor, ReconcileResult
from activities.reconcile.cluster_state import Snapshots
from activities.reconcile.experiments import Experiments
from activities.reconcile.rollout_objects import Kubernetes
from activities.routers.required_pods import RequiredPods
from activities.routers.router import ExperimentWeight
from activities.routers.traffic import RouteWrite
from tests.activities.mesh import Mesh, serving
from tests.cases.family import Answer, Family, Input, equal
from tidegate.canary.position import CanaryState
from tidegate.canary.reconcile import next_action
from tidegate.contract import DesiredState, ErrorType, Reconcile, Routing, Target, TrafficState
from tidegate.manifests.rollout import Rollout
from tidegate.manifests.steps import SetHeaderRoute, SetMirrorRoute
from tidegate.rollouts.actions import SetSelector
from tidegate.rollouts.cluster_state import Weights

CANARY_SET: Final = "canary-with-pods"
NOT_CREATED: Final = "new"  # hash of a canary without pods, of which a case says nothing
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
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
        istio = Routing.of(Rollout.model_validate(given["rollout"]).canary)
        assert istio is not None
        self.istio = istio
        self.updates = 0
        self.events: list[str] = []

    async def place(self) -> None:
        for found in self.given.get("virtualservices") or []:
            self.mesh.put("VirtualService", found, self.target.namespace)
        if rule := self.given.get("destinationrule"):
            self.mesh.put("DestinationRule", rule, self.target.namespace)
        await self.mesh.replica_set(
            CANARY_SET, wanted=1, available=1, hash_="experiment", namespace=self.target.namespace
        )

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
        elif what == "removeManagedRoutes":
            await self.remove_managed_routes()
        else:
            self.updated(await self.change(what, value))

    def updated(self, state: TrafficState) -> None:
        self.updates += len(state.updated)
        self.events += ["Updated VirtualService"] * len(state.updated)

    async def change(self, what: str, value: Any) -> TrafficState:
        write = RouteWrite(self.target, self.istio, self.mesh.fence())
        canary = RequiredPods(CANARY_SET, 1)
        if what == "setWeight":
            shares = [
                ExperimentWeight(service=each["serviceName"], weight=each["weight"])
                for each in self.given.get("additional") or []
            ]
            return await self.mesh.traffic.set_weight(write, value, canary=canary, experiments=shares)
        step = {"setHeaderRoute": SetHeaderRoute, "setMirrorRoute": SetMirrorRoute}[what].model_validate(value)
        return await self.mesh.traffic.set_managed_route(write, step, canary)

    async def remove_managed_routes(self) -> None:
        """As a pass does it where no step asks for a route any more: one after the other."""
        request, executor, done = self.request("C", "C"), self.executor(), ReconcileResult(self.request("C", "C"))
        while await executor.routes({}, request, await Snapshots(self.mesh.cluster, request).snapshot(), done):
            assert done.traffic is not None
            self.updated(done.traffic)

    async def update_hash(self, canary: str, stable: str) -> None:
        """As a pass does it for versions that stand so: each selector by itself, once it may be switched.

        What a case does not say of their pods is that they are all there. Each subset is written by itself; they count
        as one write here, as Argo writes both at once.
        """
        canary = canary or NOT_CREATED
        given = {each["hash"]: each for each in self.given.get("replicasets") or []}
        for hash_ in (canary, stable):
            whole = {"spec": int(hash_ != NOT_CREATED), "available": int(hash_ != NOT_CREATED)}
            pods = given.get(hash_, whole)
            self.mesh.put(
                "ReplicaSet", self.replica_set(hash_, pods["spec"], pods.get("available", 0)), self.target.namespace
            )
        request, executor, switched = self.request(canary, stable), self.executor(), False
        rules = request.manifest.rules
        while True:
            snapshot = await Snapshots(self.mesh.cluster, request).snapshot()
            state = CanaryState(
                request.manifest.model.canary, 1, canary, stable, index=0, weights=Weights(0, 100, canary)
            )
            action = next_action(state, snapshot.cluster_state, rules, NOW)
            if not isinstance(action, SetSelector):
                break
            await executor.make(action, request, snapshot, ReconcileResult(request))
            switched = True
        self.updates += switched
        self.events += ["UpdatedDestinationRule"] * switched

    def replica_set(self, hash_: str, wanted: int, available: int) -> Object:
        labels = {HASH_LABEL: hash_}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        return {
            "metadata": {"name": f"{self.target.name}-{hash_}", "labels": labels, "generation": 1},
            "spec": {"replicas": wanted, "selector": {"matchLabels": labels}, "template": template},
            "status": {
                "replicas": available,
                "readyReplicas": available,
                "availableReplicas": available,
                "observedGeneration": 1,
            },
        }

    def request(self, canary: str, stable: str) -> Reconcile:
        desired = DesiredState(hash=canary, stable_hash=stable, index=0)
        return Reconcile(
            target=self.target,
            rollout=self.given["rollout"],
            revision=0,
            desired=desired,
            at=NOW,
            fence=self.mesh.fence(),
        )

    def executor(self) -> ActionExecutor:
        cluster = self.mesh.cluster
        kubernetes = Kubernetes(cluster, Cache(cluster))
        return ActionExecutor(cluster, kubernetes, self.mesh.traffic, Experiments(cluster, kubernetes))

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
    if "pingPong" in given["rollout"]["spec"]["strategy"]["canary"]:
        return "ping-pong is rejected before anything is written"
    if not all(map(_has_route, given.get("virtualservices") or [])):
        return "a VirtualService without a route is refused: no weight of it could be set"
    kinds = [next(iter(operation)) for operation in given["ops"]]
    single = routing["istio"].get("virtualService") or {}
    if "setMirrorRoute" in kinds[:-1] and kinds[-1] == "setWeight" and not single.get("routes"):
        return "the weights of the route that is mirrored follow too, not those of its mirror alone"
    if any(_does_nothing(given, index) for index in range(len(kinds))):
        return "a managed route that is there or is gone already is not written again"
    return _quirk_of_subsets(given, routing["istio"].get("destinationRule") or {}) if "updateHash" in kinds else ""


def _quirk_of_subsets(given: Input, setting: dict[str, Any]) -> str:
    if given.get("destinationrule") is None:
        return "a missing DestinationRule is rejected before a version begins"
    names = {subset["name"] for subset in (given.get("destinationrule") or {}).get("spec", {}).get("subsets") or []}
    if names - {setting.get("canarySubsetName"), setting.get("stableSubsetName")}:
        return "a subset of the DestinationRule that is neither side's stays"
    if any(not 0 < each["spec"] <= each.get("available", 0) for each in given.get("replicasets") or []):
        return "a subset is labelled once the pods of its version are available"
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

"""What a Rollout may look like: the manifests of a schedule, drawn by chance or spelled out."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from typing import Any

from tests.virtual.cluster import NAMESPACE
from tidegate.contract import Document

BAD = frozenset({"v3", "v5"})  # their metrics are above what fails
UNCLEAR, UNMEASURED = "v6", "v7"  # between success and failure; without any data
UNPROVEN = BAD | {UNCLEAR, UNMEASURED}
TAGS = ("v1", "v2", "v3", "v4", "v5", "v6", "v7")

GATED: list[Document] = [
    {"setWeight": 20},
    {"pause": {"duration": "10s"}},
    {"analysis": {"templates": [{"templateName": "gate"}]}},
    {"setWeight": 60},
    {"pause": {}},
]
SHORT: list[Document] = GATED[:3]
UNGATED: list[Document] = [{"setWeight": 20}, {"pause": {"duration": "40s"}}, {"setWeight": 60}, {"pause": {}}]
SCALED: list[Document] = [
    {"setCanaryScale": {"replicas": 2}},
    {"setWeight": 10},
    {"analysis": {"templates": [{"templateName": "gate"}]}},
    {"setCanaryScale": {"matchTrafficWeight": True}},
    {"setWeight": 50},
    {"pause": {"duration": "15s"}},
]
MANAGED: list[Document] = [
    {"setCanaryScale": {"replicas": 1}},
    {"setHeaderRoute": {"name": "hdr", "match": [{"headerName": "agent", "headerValue": {"exact": "f"}}]}},
    {"analysis": {"templates": [{"templateName": "gate"}]}},
    {"setHeaderRoute": {"name": "hdr"}},
    {"setCanaryScale": {"matchTrafficWeight": True}},
    {"setWeight": 40},
    {"pause": {"duration": "10s"}},
]
COMPARED: list[Document] = [
    {"setWeight": 10},
    {
        "experiment": {
            "duration": "20s",
            "templates": [{"name": "baseline", "specRef": "stable"}, {"name": "trial", "specRef": "canary"}],
            "analyses": [{"name": "compare", "templateName": "gate"}],
        }
    },
    {"setWeight": 50},
    {"pause": {"duration": "10s"}},
]
STEPS = {
    "gated": GATED,
    "short": SHORT,
    "ungated": UNGATED,
    "scaled": SCALED,
    "managed": MANAGED,
    "compared": COMPARED,
}
BACKGROUND = {"templates": [{"templateName": "background"}], "startingStep": 1}


ROUTERS: dict[str, Document] = {
    "gateway": {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "route"}}},
    "ingress": {"nginx": {"stableIngress": "web"}},
}


@dataclass(frozen=True)
class Shape:
    """A Rollout and what it stands on.

    `routing` is `host`, `subset`, `none`, `active` for blue-green, or a key of `ROUTERS`; `spec` and `canary` are
    fields of `spec` and of the strategy.
    """

    routing: str = "host"
    steps: str = "gated"
    background: bool = False
    bake: str = ""
    workload: str = ""  # scaleDown of a workloadRef
    canary: Document = field(default_factory=dict)
    spec: Document = field(default_factory=dict)

    @classmethod
    def drawn(cls, chance: random.Random) -> Shape:
        """Any shape, the plain ones more often than the others."""
        routing = chance.choices(["host", "subset", "none"], [6, 2, 2])[0]
        steps = ["gated", "short", "ungated", "scaled", "managed", "compared"]
        if routing == "none":
            name = chance.choices(["gated", "short", "ungated"], [4, 1, 2])[0]
        else:
            name = chance.choices(steps, [6, 1, 2, 1, 1, 1])[0]
        background = name == "ungated" or chance.random() < 0.2
        canary: Document = {}
        if routing != "none" and chance.random() < 0.2:
            canary["dynamicStableScale"] = True
            canary["abortScaleDownDelaySeconds"] = chance.choice([0, 15])
        elif routing != "none" and chance.random() < 0.1:
            canary["scaleDownDelaySeconds"] = chance.choice([0, 5, 60])
        if routing == "none" and chance.random() < 0.5:
            canary |= chance.choice([{"maxSurge": 0, "maxUnavailable": 1}, {"maxSurge": 1, "maxUnavailable": 0}])
        spec: Document = {}
        if chance.random() < 0.15:
            spec |= {"progressDeadlineSeconds": 40, "progressDeadlineAbort": chance.random() < 0.5}
        if chance.random() < 0.1:
            spec |= {"rollbackWindow": {"revisions": 2}}
        return cls(
            routing=routing,
            steps=name,
            background=background,
            bake="20s" if chance.random() < 0.15 else "",
            workload=chance.choice(["never", "onsuccess", "progressively"]) if chance.random() < 0.12 else "",
            canary=canary,
            spec=spec,
        )

    @classmethod
    def drawn_blue_green(cls, chance: random.Random) -> Shape:
        """Any shape with a blue-green strategy."""
        gate = {"templates": [{"templateName": "gate"}]}
        strategy: Document = {}
        if chance.random() < 0.7:
            strategy["prePromotionAnalysis"] = gate
        if chance.random() < 0.5:
            strategy["postPromotionAnalysis"] = gate
        strategy |= chance.choice([{}, {}, {"autoPromotionEnabled": False}, {"autoPromotionSeconds": 15}])
        strategy |= chance.choice([{}, {}, {"previewReplicaCount": 1}, {"previewReplicaCount": 7}])
        strategy |= chance.choice([{}, {}, {"scaleDownDelaySeconds": 60}, {"scaleDownDelayRevisionLimit": 1}])
        strategy |= chance.choice([{}, {}, {"abortScaleDownDelaySeconds": 5}])
        spec: Document = {}
        if chance.random() < 0.15:
            spec |= {"progressDeadlineSeconds": 40, "progressDeadlineAbort": chance.random() < 0.5}
        if chance.random() < 0.2:
            spec |= {"rollbackWindow": {"revisions": 2}}
        return cls(routing="active", canary=strategy, spec=spec)

    @property
    def is_scaled(self) -> bool:
        """Whether somebody says how many pods the canary has, whatever its weight."""
        if self.routing == "active":
            return False
        return any("setCanaryScale" in step for step in STEPS[self.steps])

    def is_judged(self, steps: str) -> bool:
        """Whether with these steps an analysis has to be successful before a version gets everything."""
        if self.routing == "active":
            return "prePromotionAnalysis" in self.canary
        return self.background or any("analysis" in step or "experiment" in step for step in STEPS[steps])

    def rollout(self, tag: str = "v1") -> Document:
        """The manifest."""
        canary: Document = {"steps": copy.deepcopy(STEPS[self.steps]), **self.canary}
        if self.routing == "host":
            canary |= {"canaryService": "canary", "stableService": "stable"}
            canary["trafficRouting"] = {"istio": {"virtualService": {"name": "vs"}}}
        elif self.routing == "subset":
            rule = {"name": "dr", "canarySubsetName": "new", "stableSubsetName": "old"}
            canary["trafficRouting"] = {"istio": {"virtualService": {"name": "vs"}, "destinationRule": rule}}
        elif self.routing in ROUTERS:
            canary |= {
                "canaryService": "canary",
                "stableService": "stable",
                "trafficRouting": dict(ROUTERS[self.routing]),
            }
        else:
            canary |= {"canaryService": "canary", "stableService": "stable"}
        if self.steps == "managed":
            canary["trafficRouting"]["managedRoutes"] = [{"name": "hdr"}]
        if self.background:
            canary["analysis"] = copy.deepcopy(BACKGROUND)
        metadata: Document = {"name": "demo", "namespace": NAMESPACE}
        if self.bake:
            metadata["annotations"] = {"tidegate.io/bake": self.bake, "tidegate.io/bake-templates": "background"}
        strategy: Document = {"canary": canary}
        if self.routing == "active":
            services = {"activeService": "active", "previewService": "preview"}
            strategy = {"blueGreen": {**services, **copy.deepcopy(self.canary)}}
        spec: Document = {"replicas": 5, "strategy": strategy, **self.spec}
        if self.workload:
            spec["workloadRef"] = {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": "legacy",
                "scaleDown": self.workload,
            }
        else:
            spec |= _pods(tag)
        return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata, "spec": spec}

    def surroundings(self) -> list[Document]:
        """What stands before the Rollout does."""
        objects: list[Document] = [_template("gate", count=1), _template("background", interval="10s")]
        if self.routing == "subset":
            objects.append(_service("app"))
            subsets = [{"name": name, "labels": {"app": "x"}} for name in ("old", "new")]
            objects.append(_istio("DestinationRule", "dr", {"host": "app", "subsets": subsets}))
            places: list[Document] = [{"host": "app", "subset": name} for name in ("old", "new")]
        elif self.routing == "active":
            objects += [_service("active"), _service("preview")]
        else:
            objects += [_service("stable"), _service("canary")]
            places = [{"host": "stable"}, {"host": "canary"}]
        if self.routing == "gateway":
            objects.append(_http_route())
        elif self.routing == "ingress":
            objects.append(_ingress())
        elif self.routing in ("host", "subset"):
            rows = [{"destination": place, "weight": share} for place, share in zip(places, (100, 0), strict=True)]
            objects.append(_istio("VirtualService", "vs", {"hosts": ["demo"], "http": [{"route": rows}]}))
        if self.workload:
            objects.append(self.deployment("v1"))
        return objects

    def deployment(self, tag: str) -> Document:
        """Where the pod template of a workloadRef stands."""
        metadata = {"name": "legacy", "namespace": NAMESPACE}
        spec = {"replicas": 5 if self.workload != "never" else 0, **_pods(tag)}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _pods(tag: str) -> Document:
    containers = [{"name": "c", "image": f"img:{tag}"}]
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": containers}}
    return {"selector": {"matchLabels": {"app": "x"}}, "template": template}


def _template(name: str, **metric: Any) -> Document:
    provider = {"web": {"url": "http://x"}}
    judged = {"successCondition": "result < 0.2", "failureCondition": "result > 0.8"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"metrics": [{"name": "m", "provider": provider, **judged, **metric}]},
    }


def _service(name: str) -> Document:
    spec = {"selector": {"app": "x"}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _http_route() -> Document:
    references = [{"name": name, "port": 80, "weight": weight} for name, weight in (("stable", 100), ("canary", 0))]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "route", "namespace": NAMESPACE},
        "spec": {"rules": [{"backendRefs": references}]},
    }


def _ingress() -> Document:
    backend = {"service": {"name": "stable", "port": {"number": 80}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {
            "rules": [{"host": "a", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
        },
    }


def _istio(kind: str, name: str, spec: Document) -> Document:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "networking.istio.io/v1beta1", "kind": kind, "metadata": metadata, "spec": spec}

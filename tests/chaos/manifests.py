"""The objects of the services that a chaos run releases."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from tidegate.manifests.bake import BAKE

NAMESPACE = "payments"
CHANNEL = "releases"
REPLICAS = 3
IMAGE = "registry.internal/payments/checkout"
Document = dict[str, Any]


class Shape(StrEnum):
    """Where a Rollout keeps its template, what splits its traffic, and what comes after its steps."""

    PLAIN = "plain"  # two Services
    SUBSETS = "subsets"  # one Service, with a DestinationRule
    WORKLOAD = "workload"  # two Services, and the template in a Deployment
    BAKE = "bake"  # two Services, and a bake, which needs an analysis in the background
    SWITCHED = "switched"  # blue-green: an active Service and a preview

    @classmethod
    def of(cls, name: str) -> Shape:
        """The shape of the Rollout of that name."""
        return cls(name.rstrip("0123456789"))


def manifest_path(name: str) -> str:
    """Where the Rollout stands in Git."""
    return str(PurePosixPath("apps", name, "rollout.yaml"))


def sides(name: str) -> tuple[str, str]:
    """What gets the traffic of the stable version and of the canary, as `Life.routes` names it."""
    return (f"{name}/stable", f"{name}/canary") if Shape.of(name) is Shape.SUBSETS else _services(name)


def is_switched(name: str) -> bool:
    """True for a Rollout with a blue-green strategy, whatever else may be called so."""
    return name.rstrip("0123456789") == Shape.SWITCHED


def resting_routes(name: str) -> list[tuple[str, int]]:
    """Routes without a release: all of the traffic to the first side, as `Life.routes` has them."""
    stable, canary = sides(name)
    return [(stable, 100)] if is_switched(name) else [(stable, 100), (canary, 0)]


def _services(name: str) -> tuple[str, str]:
    return (name, f"{name}-preview") if is_switched(name) else (f"{name}-stable", f"{name}-canary")


def around(name: str, provider: str) -> list[Document]:
    """What stands around a Rollout before its first release; `provider` is where its gate asks."""
    subsets = Shape.of(name) is Shape.SUBSETS
    route = [
        {"destination": _destination(side), "weight": weight}
        for side, weight in zip(sides(name), (100, 0), strict=True)
    ]
    return [
        *(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": host, "namespace": NAMESPACE},
                "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
            }
            for host in ((name,) if subsets else _services(name))
        ),
        *([] if is_switched(name) else [_virtual_service(name, route)]),
        *([_destination_rule(name)] if subsets else []),
        _template(f"{name}-gate", provider, count=2),
        _template(f"{name}-guard", provider),
    ]


def _virtual_service(name: str, route: list[Document]) -> Document:
    return {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"hosts": [name], "http": [{"name": "primary", "route": route}]},
    }


def _destination(side: str) -> Document:
    host, _, subset = side.partition("/")
    return {"host": host, "subset": subset} if subset else {"host": host}


def _destination_rule(name: str) -> Document:
    return {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "DestinationRule",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"host": name, "subsets": [{"name": each, "labels": {"app": name}} for each in ("stable", "canary")]},
    }


def _template(name: str, provider: str, **metric: int) -> Document:
    """An analysis that asks every second; without a `count` it goes on until somebody ends it."""
    web = {"url": provider + "/verdict/{{args.hash}}", "timeoutSeconds": 1, "jsonPath": "{$.ok}"}
    asked = {
        "name": "ok",
        "interval": "1s",
        "successCondition": "result == true",
        "failureLimit": 0,
        "consecutiveErrorLimit": 10_000,  # a provider that is away says nothing of a version
        "provider": {"web": web},
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"args": [{"name": "hash"}], "metrics": [asked | metric]},
    }


def version(name: str, tag: str, repository: str, *, held: bool = False, guarded: bool = False) -> tuple[Document, ...]:
    """A version as Git has it: the Rollout, after the Deployment where that has the template.

    With `held` it waits at 60 % for a person, with `guarded` it is analysed in the background as well.
    """
    whole = rollout(name, tag, repository, held=held, guarded=guarded)
    if Shape.of(name) is not Shape.WORKLOAD:
        return (whole,)
    lent = {field: whole["spec"].pop(field) for field in ("selector", "template")}
    whole["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"replicas": 0, **lent},
    }
    return deployment, whole


def image_tag(documents: Iterable[Document]) -> str:
    """Image tag of the one among a version's documents that has the template."""
    [template] = [each["spec"]["template"] for each in documents if "template" in each["spec"]]
    return str(template["spec"]["containers"][0]["image"]).rpartition(":")[2]


def _blue_green(name: str, gate: Document, *, held: bool) -> Document:
    """The strategy with a gate before its switch, and one after it."""
    active, preview = _services(name)
    return {
        "blueGreen": {
            "activeService": active,
            "previewService": preview,
            "autoPromotionEnabled": not held,
            "scaleDownDelaySeconds": 1,
            "abortScaleDownDelaySeconds": 1,
            "prePromotionAnalysis": gate,
            "postPromotionAnalysis": gate,
        }
    }


def _canary(name: str, gate: Document, guard: Document, *, held: bool, guarded: bool) -> Document:
    steps = [
        {"setWeight": 20},
        {"pause": {"duration": "1s"}},
        {"analysis": gate},
        {"setWeight": 60},
        {"pause": {} if held else {"duration": "1s"}},
    ]
    shape, (stable_service, canary_service) = Shape.of(name), _services(name)
    routing: Document = {"virtualService": {"name": name, "routes": ["primary"]}}
    services = {"canaryService": canary_service, "stableService": stable_service}
    if shape is Shape.SUBSETS:
        routing["destinationRule"] = {"name": name, "stableSubsetName": "stable", "canarySubsetName": "canary"}
        services = {}
    return {
        "canary": {
            **services,
            "scaleDownDelaySeconds": 1,
            "abortScaleDownDelaySeconds": 1,
            "trafficRouting": {"istio": routing},
            "steps": steps,
            **({"analysis": {"startingStep": 1, **guard}} if guarded or shape is Shape.BAKE else {}),
        }
    }


def rollout(name: str, tag: str, repository: str, *, held: bool = False, guarded: bool = False) -> Document:
    """The Rollout of a version, with the template in it."""
    arguments = [{"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}]
    gate, guard = ({"templates": [{"templateName": f"{name}-{kind}"}], "args": arguments} for kind in ("gate", "guard"))
    if is_switched(name):
        strategy = _blue_green(name, gate, held=held)
    else:
        strategy = _canary(name, gate, guard, held=held, guarded=guarded)
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5}
    container = {
        "name": "checkout",
        "image": f"{IMAGE}:{tag}",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "CHECKOUT_LATENCY_MS", "value": "10"}],
        "readinessProbe": probe,
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "annotations": {
                "tidegate.io/git-repository": repository,
                "tidegate.io/git-path": str(PurePosixPath(manifest_path(name)).parent),
                "notifications.argoproj.io/subscribe.on-rollout-aborted.slack": CHANNEL,
                **({BAKE: "2s"} if Shape.of(name) is Shape.BAKE else {}),
            },
        },
        "spec": {
            "replicas": REPLICAS,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
            "strategy": strategy,
        },
    }

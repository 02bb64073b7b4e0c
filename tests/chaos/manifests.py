"""The objects of the services that a chaos run releases."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

NAMESPACE = "payments"
CHANNEL = "releases"
REPLICAS = 3
IMAGE = "registry.internal/payments/checkout"
Document = dict[str, Any]


def manifest_path(name: str) -> str:
    """Where the Rollout stands in Git."""
    return str(PurePosixPath("apps", name, "rollout.yaml"))


def around(name: str, provider: str) -> list[Document]:
    """What stands around a Rollout before its first release; `provider` is where its gate asks."""
    services = [f"{name}-{role}" for role in ("stable", "canary")]
    route = [{"destination": {"host": host}, "weight": weight} for host, weight in zip(services, (100, 0), strict=True)]
    return [
        *(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": host, "namespace": NAMESPACE},
                "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
            }
            for host in services
        ),
        {
            "apiVersion": "networking.istio.io/v1beta1",
            "kind": "VirtualService",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"hosts": [name], "http": [{"name": "primary", "route": route}]},
        },
        _template(f"{name}-gate", provider, count=2),
        _template(f"{name}-guard", provider),
    ]


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


def rollout(name: str, tag: str, repository: str, *, held: bool = False, guarded: bool = False) -> Document:
    """A Rollout; with `held` it waits at 60 % for a person, with `guarded` it is analysed in the background as well."""
    arguments = [{"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}]
    gate, guard = ({"templates": [{"templateName": f"{name}-{kind}"}], "args": arguments} for kind in ("gate", "guard"))
    steps = [
        {"setWeight": 20},
        {"pause": {"duration": "1s"}},
        {"analysis": gate},
        {"setWeight": 60},
        {"pause": {} if held else {"duration": "1s"}},
    ]
    canary = {
        "canaryService": f"{name}-canary",
        "stableService": f"{name}-stable",
        "scaleDownDelaySeconds": 1,
        "abortScaleDownDelaySeconds": 1,
        "trafficRouting": {"istio": {"virtualService": {"name": name, "routes": ["primary"]}}},
        "steps": steps,
        **({"analysis": {"startingStep": 1, **guard}} if guarded else {}),
    }
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
            },
        },
        "spec": {
            "replicas": REPLICAS,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
            "strategy": {"canary": canary},
        },
    }

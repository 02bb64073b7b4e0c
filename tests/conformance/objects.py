"""What rows are about: addresses in the row's namespace, and objects."""

from __future__ import annotations

from typing import Any

from tests.conformance.asking import Object

CORE = "/api/v1/namespaces/$ns"
APPS = "/apis/apps/v1/namespaces/$ns"
BATCH = "/apis/batch/v1/namespaces/$ns"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/$ns"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

CONFIGS = f"{CORE}/configmaps"
PODS = f"{CORE}/pods"
SERVICES = f"{CORE}/services"
SETS = f"{APPS}/replicasets"
DEPLOYMENTS = f"{APPS}/deployments"
JOBS = f"{BATCH}/jobs"
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/$ns/rollouts"
RUNS = "/apis/argoproj.io/v1alpha1/namespaces/$ns/analysisruns"
ROUTES = "/apis/networking.istio.io/v1/namespaces/$ns/virtualservices"

CONTAINER: Object = {"name": "app", "image": "app:1"}


def config(name: str, /, data: Object | None = None, **metadata: Any) -> Object:
    """A ConfigMap."""
    named: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}
    return named if data is None else {**named, "data": data}


def template(labels: Object | None = None, **spec: Any) -> Object:
    """A pod template of one container."""
    return {"metadata": {"labels": labels or {"app": "web"}}, "spec": {"containers": [CONTAINER], **spec}}


def workload(kind: str, name: str, /, **spec: Any) -> Object:
    """A ReplicaSet or Deployment of no pods; the controllers leave a paused Deployment alone."""
    selector = {"matchLabels": {"app": "web"}}
    paused = {"paused": True} if kind == "Deployment" else {}
    body = {"replicas": 0, "selector": selector, "template": template(), **paused, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": body}


def pod(name: str, /, **spec: Any) -> Object:
    """A Pod without a token in it."""
    body = {"containers": [CONTAINER], "automountServiceAccountToken": False, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}


def rollout(name: str, /, **spec: Any) -> Object:
    """A Rollout that nobody works on."""
    body = {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"canary": {}},
        "template": template(),
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name},
        "spec": {**body, **spec},
    }


def run(name: str, /) -> Object:
    """An AnalysisRun that nobody works on."""
    metric = {"name": "up", "provider": {"web": {"url": "http://localhost/"}}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": name},
        "spec": {"metrics": [metric]},
    }


def routes(name: str, /, stable: int = 100, canary: int = 0) -> Object:
    """A VirtualService of two destinations."""
    weights = {"stable": stable, "canary": canary}
    shares = [{"destination": {"host": host}, "weight": weight} for host, weight in weights.items()]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name},
        "spec": {"hosts": ["web"], "http": [{"name": "primary", "route": shares}]},
    }


def service(name: str, /, **spec: Any) -> Object:
    """A Service of one port."""
    body = {"ports": [{"port": 80}], "selector": {"app": "web"}, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body}


def with_metadata(obj: Object, **metadata: Any) -> Object:
    """The same with more metadata."""
    return {**obj, "metadata": {**obj["metadata"], **metadata}}

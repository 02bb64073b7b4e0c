"""An embedded Kubernetes API server: what kubectl and the official clients need, in one process, without a cluster."""

from sandbox.kubernetes_api.audit import Call
from sandbox.kubernetes_api.run import serve_api
from sandbox.kubernetes_api.server import KubernetesApi
from sandbox.kubernetes_api.store import Change, Store

__all__ = ["Call", "Change", "KubernetesApi", "Store", "serve_api"]

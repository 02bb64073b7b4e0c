"""Rights that a worker needs in a cluster: those of `deploy/kustomize`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

Rules = tuple[tuple[str, str, tuple[str, ...]], ...]
READ: Final = ("get", "list", "watch")
# Group, resource, verbs: of the role that a team binds in its namespace.
IN_NAMESPACE: Final = (
    ("argoproj.io", "rollouts", (*READ, "patch")),
    ("argoproj.io", "rollouts/status", ("patch",)),
    ("argoproj.io", "rollouts/finalizers", ("update",)),
    ("argoproj.io", "analysistemplates", ("get",)),
    ("argoproj.io", "analysisruns", ("get", "list", "create", "patch", "delete")),
    ("argoproj.io", "experiments", (*READ, "patch")),
    ("argoproj.io", "experiments/finalizers", ("update",)),
    ("apps", "replicasets", (*READ, "create", "patch", "delete")),
    ("apps", "deployments", (*READ, "patch")),
    ("", "pods", ("get", "list", "patch", "delete")),
    ("", "services", (*READ, "create", "patch", "delete")),
    ("", "events", ("create",)),
    ("batch", "jobs", ("get", "create", "delete")),
)
# Of the same role, by the component of `deploy/kustomize` that grants them.
OF_ROUTERS: Final = {
    "istio": (
        ("networking.istio.io", "virtualservices", (*READ, "patch")),
        ("networking.istio.io", "destinationrules", (*READ, "patch")),
    ),
    "gateway-api": (
        ("gateway.networking.k8s.io", "httproutes", (*READ, "patch")),
        ("gateway.networking.k8s.io", "grpcroutes", (*READ, "patch")),
        ("gateway.networking.k8s.io", "tcproutes", (*READ, "patch")),
        ("gateway.networking.k8s.io", "tlsroutes", (*READ, "patch")),
    ),
    "nginx": (("networking.k8s.io", "ingresses", (*READ, "create", "patch")),),
}
# Of the role for what belongs to no namespace.
OF_CLUSTER: Final = (("argoproj.io", "clusteranalysistemplates", ("get",)),)


class Right(NamedTuple):
    """One verb on one resource, in RBAC's words; no namespace is cluster scope."""

    group: str
    resource: str
    verb: str
    namespace: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")


def rights(namespace: str) -> Iterator[Right]:
    """Yield everything that a worker does for releases in a namespace, whatever splits their traffic."""
    yield from _rights(IN_NAMESPACE, namespace)
    yield from _rights(OF_CLUSTER, "")


def router_rights(router: str, namespace: str) -> Iterator[Right]:
    """Yield everything that a worker does with a router, a key of `OF_ROUTERS`, in a namespace."""
    yield from _rights(OF_ROUTERS[router], namespace)


def _rights(rules: Rules, scope: str) -> Iterator[Right]:
    for group, resource, verbs in rules:
        yield from (Right(group, resource, verb, scope) for verb in verbs)

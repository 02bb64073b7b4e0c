"""Rights that a worker needs in a cluster: those of the roles in `deploy/kustomize/base/cluster/rbac-worker.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

READ: Final = ("get", "list", "watch")
# Group, resource, verbs: of the role that a team binds in its namespace.
IN_NAMESPACE: Final = (
    ("argoproj.io", "rollouts", (*READ, "patch")),
    ("argoproj.io", "rollouts/status", ("patch",)),
    ("argoproj.io", "rollouts/finalizers", ("update",)),
    ("argoproj.io", "analysistemplates", ("get",)),
    ("argoproj.io", "analysisruns", ("get", "list", "create", "patch", "delete")),
    ("apps", "replicasets", (*READ, "create", "patch", "delete")),
    ("apps", "deployments", (*READ, "patch")),
    ("", "pods", ("get", "list", "patch", "delete")),
    ("", "services", (*READ, "create", "patch", "delete")),
    ("", "events", ("create",)),
    ("batch", "jobs", ("get", "create", "delete")),
    ("networking.istio.io", "virtualservices", (*READ, "patch")),
    ("networking.istio.io", "destinationrules", (*READ, "patch")),
)
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
    """Yield everything that a worker does for releases in a namespace."""
    for scope, rules in ((namespace, IN_NAMESPACE), ("", OF_CLUSTER)):
        for group, resource, verbs in rules:
            yield from (Right(group, resource, verb, scope) for verb in verbs)

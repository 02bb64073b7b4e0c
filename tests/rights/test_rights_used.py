"""What the roles grant is what was used: to be run after all other tests, with the audit log that they wrote.

`make test` does both. Each kind of request that a worker or a watcher made of an embedded API server is in the log.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sandbox.kubernetes_api.audit import VARIABLE
from tests.deploy.manifests import DEPLOY, of_kind, render

Right = tuple[str, str, str]
# By the client in the audit log: the roles that its service account is bound to.
ROLES = {
    "tidegate-worker": {"tidegate-cluster", "tidegate-cluster-templates"},
    "tidegate-watcher": {"tidegate-watcher", "tidegate-watcher-argo-lease"},
}
# Those of a worker and of a watcher with all that an overlay can add.
OVERLAYS = ("single-cluster-all-routers", "single-cluster-beside-argo")
# Asked for by an admission plugin of API servers, OwnerReferencesPermissionEnforcement, of whoever creates what blocks
# the deletion of its owner; no request of its own names it.
IMPLIED = {("argoproj.io", f"{plural}/finalizers", "update") for plural in ("rollouts", "experiments")}

# What every account may ask (ClusterRole system:basic-user of Kubernetes): whether it may do something.
OF_EVERYBODY = {("authorization.k8s.io", "selfsubjectaccessreviews", "create")}


def used(client: str) -> set[Right]:
    """Group, resource and verb of everything that a client asked for."""
    named = os.environ.get(VARIABLE)
    if not named:
        pytest.skip(f"{VARIABLE} names no audit log: make test writes one")
    entries = [json.loads(line) for line in Path(named).read_text().splitlines()]
    assert entries, "nobody asked anything of an API server"
    return {
        (each["group"], "/".join(filter(None, (each["resource"], each["subresource"]))), each["verb"])
        for each in entries
        if each["client"] == client
    }


def granted(client: str) -> set[Right]:
    overlays = DEPLOY / "kustomize" / "overlays"
    rendered = [each for name in OVERLAYS for each in render(overlays / name)]
    roles = of_kind(rendered, "ClusterRole", "Role")
    return {
        (group, resource, verb)
        for role in roles
        if role["metadata"]["name"] in ROLES[client]
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("client", sorted(ROLES))
def test_what_is_used_is_granted(client: str) -> None:
    assert used(client) - granted(client) - OF_EVERYBODY == set()


@pytest.mark.parametrize("client", sorted(ROLES))
def test_what_is_granted_is_used(client: str) -> None:
    assert granted(client) - used(client) - IMPLIED == set()

"""What Tidegate's roles never hold, whatever else they come to hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from activities.kubernetes.rights import OF_ROUTERS, rights, router_rights
from tests.deploy.manifests import DEPLOY, Object, documents, of_kind, render

OVERLAYS = DEPLOY / "kustomize" / "overlays"
OVERLAY = [
    each for name in ("single-cluster-all-routers", "single-cluster-beside-argo") for each in render(OVERLAYS / name)
]
ROLES = of_kind(OVERLAY, "Role", "ClusterRole")
# With any of these one could become somebody else, or run something on the cluster.
NEVER = {"secrets", "serviceaccounts", "serviceaccounts/token", "nodes", "pods/exec", "pods/attach", "pods/portforward"}
CREATES = {"replicasets", "services", "events", "analysisruns", "jobs", "ingresses"}


def grants() -> Iterator[tuple[str, str, str, str]]:
    """Role, group, resource and verb of everything that is granted."""
    for role in ROLES:
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        yield role["metadata"]["name"], group, resource, verb


def test_there_are_roles() -> None:
    assert {role["metadata"]["name"] for role in ROLES} == {
        "tidegate-cluster",
        "tidegate-cluster-templates",
        "tidegate-watcher",
        "tidegate-watcher-argo-lease",
    }


@pytest.mark.parametrize("grant", sorted(grants()), ids=".".join)
def test_a_grant_is_harmless(grant: tuple[str, str, str, str]) -> None:
    role, group, resource, verb = grant
    assert "*" not in grant
    assert resource not in NEVER
    assert group != "rbac.authorization.k8s.io"
    if not resource.endswith("/finalizers"):  # which is no write: it lets what an object owns hold its deletion
        assert verb not in ("escalate", "bind", "impersonate", "deletecollection", "update")
    if verb == "create":
        assert resource in CREATES
    if role.startswith("tidegate-watcher"):
        assert verb in ("get", "list", "watch") or (resource, verb) == ("events", "create")


def test_doctor_asks_for_what_the_roles_grant() -> None:
    granted = {grant[1:] for grant in grants() if not grant[0].startswith("tidegate-watcher")}
    asked = [*rights("payments"), *(each for router in OF_ROUTERS for each in router_rights(router, "payments"))]
    assert {(each.group, each.resource, each.verb) for each in asked} == granted


@pytest.mark.parametrize("router", sorted(OF_ROUTERS))
def test_a_router_is_granted_by_its_component_alone(router: str) -> None:
    base = documents(DEPLOY / "kustomize" / "base" / "cluster" / "rbac-worker.yaml")
    held = {
        (group, resource)
        for role in of_kind(base, "ClusterRole")
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    own = {(group, resource) for group, resource, _ in OF_ROUTERS[router]}
    assert not held & own
    component = yaml.safe_load((DEPLOY / "kustomize" / "components" / router / "kustomization.yaml").read_text())
    [rule] = [each["value"] for patch in component["patches"] for each in yaml.safe_load(patch["patch"])]
    granted = {(group, resource) for group in rule["apiGroups"] for resource in rule["resources"]}
    assert granted == own


def bound() -> list[Object]:
    return of_kind(OVERLAY, "RoleBinding", "ClusterRoleBinding")


def test_nothing_that_writes_is_bound_everywhere() -> None:
    everywhere = {obj["roleRef"]["name"] for obj in bound() if obj["kind"] == "ClusterRoleBinding"}
    assert everywhere == {"tidegate-cluster-templates"}
    assert {verb for role, _, _, verb in grants() if role in everywhere} == {"get"}


def test_each_role_is_bound_to_its_own_process_alone() -> None:
    for obj in bound():
        (subject,) = obj["subjects"]
        assert subject["namespace"] == "tidegate"
        assert obj["roleRef"]["name"].startswith(subject["name"])

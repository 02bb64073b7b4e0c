"""Lint of VirtualServices: what Argo takes and a release cannot do, or does not mean, at lint and at start alike."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import Finding, Severity
from tidegate.manifests.lint import check_release, lint

ERROR, WARNING = Severity.ERROR, Severity.WARNING
CODES = ("mesh", "delegate-route", "foreign-host")
NAME = "spec.strategy.canary.trafficRouting.istio.virtualService.name"


def rollout(virtual_service: str = "shop", namespace: str = "payments", **istio: Any) -> dict[str, Any]:
    routing = {"istio": istio or {"virtualService": {"name": virtual_service}}}
    metadata = {"name": "shop", **({"namespace": namespace} if namespace else {})}
    canary = {"stableService": "stable", "canaryService": "canary", "trafficRouting": routing}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"app": "x"}}, "template": template, "strategy": {"canary": canary}}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata, "spec": spec}


def to(*hosts: str) -> dict[str, Any]:
    return {"route": [{"destination": {"host": host}, "weight": 100 * (not index)} for index, host in enumerate(hosts)]}


def found(given: dict[str, Any], namespace: str, **spec: Any) -> list[Finding]:
    """What lint says, which has to be what a start says."""
    virtual_service = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": {"hosts": ["shop"], **spec},
    }
    at_lint = [each for each in lint(from_objects([given, virtual_service])) if each.code in CODES]
    observed = {f"VirtualService/shop.{namespace}": virtual_service}
    at_start = [each for each in check_release(given, [], {}, observed) if each.code in CODES]
    assert at_lint == at_start
    return at_lint


FULL = "canary.payments.svc.cluster.local"


@pytest.mark.parametrize(
    "hosts",
    [
        ("stable", "canary"),
        ("stable.payments", "canary.payments.svc"),
        ("stable.payments.svc.cluster.local", FULL),
        ("stable", f"{FULL}."),
    ],
)
def test_a_host_of_the_same_namespace_is_what_is_meant(hosts: tuple[str, str]) -> None:
    assert found(rollout(), "payments", http=[to(*hosts)]) == []


@pytest.mark.parametrize(
    ("canary", "severity", "namespace"),
    [
        ("canary.other", ERROR, "other"),
        ("canary.other.svc.cluster.local", ERROR, "other"),
        ("canary.example.com", ERROR, "no Service of this cluster"),
        ("canary", WARNING, "edge"),
    ],
)
def test_a_side_in_another_namespace_is_named(canary: str, severity: Severity, namespace: str) -> None:
    [finding] = found(rollout("shop.edge"), "edge", http=[to("stable.payments", canary)])
    assert (finding.code, finding.severity, finding.path) == ("foreign-host", severity, NAME)
    assert f"canary host {canary} is" in finding.message
    assert namespace in finding.message
    assert finding.remedy == f"write {FULL}"


def test_each_side_in_another_namespace_is_named() -> None:
    assert len(found(rollout("shop.edge"), "edge", http=[to("stable", "canary")])) == 2


def test_a_rollout_that_leaves_its_namespace_open_is_not_judged_by_one() -> None:
    objects = [rollout(namespace=""), {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}]
    objects[1] |= {"metadata": {"name": "shop"}, "spec": {"hosts": ["h"], "http": [to("stable.a", "canary.b")]}}
    assert [each for each in lint(from_objects(objects)) if each.code in CODES] == []


@pytest.mark.parametrize(
    ("delegate", "meant"),
    [({"name": "routes", "namespace": "payments"}, "routes.payments"), ({"name": "routes"}, "routes.edge")],
)
def test_a_route_that_delegates_names_where_the_weights_are(delegate: dict[str, str], meant: str) -> None:
    [finding] = found(rollout("shop.edge"), "edge", http=[{"delegate": delegate}])
    assert (finding.code, finding.severity, finding.path) == ("delegate-route", ERROR, NAME)
    assert finding.remedy == f"name {meant} here"


def test_a_delegating_route_beside_the_one_that_is_named_is_nobodys_business() -> None:
    given = rollout(virtualService={"name": "shop", "routes": ["main"]})
    routes = [{"name": "api", "delegate": {"name": "api"}}, {"name": "main", **to("stable", "canary")}]
    assert found(given, "payments", http=routes) == []


@pytest.mark.parametrize("spec", [{"http": []}, {"tls": []}, {"http": [], "tcp": []}])
def test_a_virtual_service_without_a_route_is_refused(spec: dict[str, Any]) -> None:
    [finding] = found(rollout(), "payments", **spec)
    assert (finding.code, finding.severity) == ("mesh", ERROR)
    assert "no route whose weights could be set" in finding.message


def test_a_route_that_leads_to_a_side_twice_is_refused() -> None:
    [finding] = found(rollout(), "payments", http=[to("stable", "canary", "canary.payments")])
    assert (finding.code, finding.severity) == ("mesh", ERROR)
    assert "leads to canary more than once" in finding.message


def test_no_virtual_service_is_no_routing() -> None:
    [finding] = found(rollout(virtualServices=[]), "payments", http=[to("stable", "canary")])
    assert (finding.code, finding.severity) == ("mesh", ERROR)
    assert finding.path.endswith("istio.virtualServices")

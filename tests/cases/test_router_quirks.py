"""Where a router is not written as Argo writes it, a difference in a case is named, and only there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cases.families.gateway_api import quirk as quirk_of_routes
from tests.cases.families.nginx import quirk as quirk_of_ingresses

HEADER = {"name": "hdr", "match": [{"headerName": "a", "headerValue": {"exact": "x"}}]}
BOTH = [{"name": "stable", "port": 80}, {"name": "canary", "port": 80}]


def routes(*ops: dict[str, Any], references: list[dict[str, Any]] | None = None, **settings: Any) -> dict[str, Any]:
    plugins = {"argoproj-labs/gatewayAPI": settings or {"httpRoute": "r"}}
    routing = {"plugins": plugins, "managedRoutes": [{"name": "hdr"}, {"name": "more"}]}
    canary = {"canaryService": "canary", "stableService": "stable", "trafficRouting": routing}
    rollout = {"metadata": {"name": "x", "namespace": "default"}, "spec": {"strategy": {"canary": canary}}}
    rule = {"backendRefs": references or BOTH}
    route = {"metadata": {"name": "r", "namespace": "default"}, "spec": {"rules": [rule]}}
    return {"rollout": rollout, "httproutes": [route], "ops": list(ops)}


def with_timeouts(given: dict[str, Any]) -> dict[str, Any]:
    given["httproutes"][0]["spec"]["rules"][0]["timeouts"] = {"request": "1s"}
    return given


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (routes({"setWeight": 30}), ""),
        (routes({"setHeaderRoute": HEADER}, {"setWeight": 30}), ""),
        (routes({"setWeight": 250}), "beyond 100 is refused"),
        (routes({"setWeight": 30}, {"setWeight": 30}), "not written again"),
        (routes({"setMirrorRoute": True}), "a mirror step is refused"),
        (routes({"verifyWeight": 30}), "once each Gateway has accepted"),
        (routes({"setHeaderRoute": {**HEADER, "name": "new"}}), "not among managedRoutes"),
        (with_timeouts(routes({"setHeaderRoute": HEADER})), "keeps timeouts"),
        (
            routes(
                {"setHeaderRoute": HEADER}, {"setHeaderRoute": {**HEADER, "name": "more"}}, {"removeManagedRoutes": 1}
            ),
            "one by one",
        ),
        (routes({"setWeight": 0, "additional": [{"serviceName": "e", "weight": 5}]}), "an experiment's share"),
        (routes({"setWeight": 30}, references=[*BOTH, {"name": "canary", "namespace": "far"}]), "no Service of the"),
        (routes({"setWeight": 30}, references=BOTH[:1]), "stable Service alone is left alone"),
        (routes({"setWeight": 30}, httpRoutes=[{"name": "r"}, {"name": "gone"}]), "half a split"),
    ],
)
def test_only_a_wanted_difference_of_a_router_is_named(given: dict[str, Any], why: str) -> None:
    found = quirk_of_routes(given)
    assert why in found
    assert bool(found) == bool(why)


def path(service: str) -> dict[str, Any]:
    return {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}


def ingresses(*rules: dict[str, Any], nginx: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    routing = {"nginx": nginx or {"stableIngress": "main"}}
    canary = {"canaryService": "canary", "stableService": "stable", "trafficRouting": routing}
    given = rules or ({"host": "a", "http": {"paths": [path("stable")]}},)
    found = {"metadata": {"name": "main"}, "spec": {"rules": list(given)}}
    return {"rollout": {"spec": {"strategy": {"canary": canary}}}, "ingresses": [found], "ops": [], **more}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (ingresses(), ""),
        (ingresses(nginx={"stableIngress": "main", "additionalIngressAnnotations": {"canary-by-header": "X"}}), ""),
        (ingresses(stale_cache=True), "no cache that is behind"),
        (ingresses(nginx={"stableIngresses": ["main", "more"]}), "half a split"),
        (
            ingresses(nginx={"stableIngress": "main", "additionalIngressAnnotations": {"a.b/c": "1"}}),
            "a domain of its own",
        ),
        (ingresses({"host": "a", "http": {"paths": [path("stable"), path("other")]}}), "only paths to the stable"),
        (ingresses({"host": "a", "http": {"paths": [path("stable")]}}, {"host": "b"}), "a rule without paths"),
    ],
)
def test_only_a_wanted_difference_of_nginx_is_named(given: dict[str, Any], why: str) -> None:
    found = quirk_of_ingresses(given)
    assert why in found
    assert bool(found) == bool(why)

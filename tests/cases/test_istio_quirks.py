"""Where traffic is not moved as Argo does, a difference in a case is named, and only there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cases.families.istio import quirk

HEADER = {"name": "hdr", "match": [{"headerName": "agent", "headerValue": {"exact": "x"}}]}
SIDES = [{"destination": {"host": "stable"}, "weight": 100}, {"destination": {"host": "canary"}, "weight": 0}]
VIRTUAL_SERVICE = {
    "metadata": {"name": "vs", "namespace": "default"},
    "spec": {"hosts": ["h"], "http": [{"route": SIDES}]},
}


def case(*ops: dict[str, Any], **istio: Any) -> dict[str, Any]:
    routing = {"istio": istio or {"virtualService": {"name": "vs"}}, "managedRoutes": [{"name": "hdr"}]}
    canary = {"canaryService": "canary", "stableService": "stable", "trafficRouting": routing}
    rollout = {"metadata": {"name": "r", "namespace": "default"}, "spec": {"strategy": {"canary": canary}}}
    return {"rollout": rollout, "virtualservices": [VIRTUAL_SERVICE], "ops": list(ops)}


def hashes(*more: dict[str, Any], pods: int = 1) -> dict[str, Any]:
    rule = {"name": "dr", "canarySubsetName": "new", "stableSubsetName": "old"}
    subsets = [{"name": "new"}, {"name": "old"}, *more]
    given = case({"updateHash": {"canary": "C", "stable": "S"}}, virtualService={"name": "vs"}, destinationRule=rule)
    sets = [{"name": "c", "hash": "C", "spec": pods, "available": pods}]
    return {**given, "destinationrule": {"spec": {"subsets": subsets}}, "replicasets": sets}


def ping_pong() -> dict[str, Any]:
    given = case({"setWeight": 30})
    given["rollout"]["spec"]["strategy"]["canary"]["pingPong"] = {"pingService": "a", "pongService": "b"}
    return given


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (case({"setHeaderRoute": HEADER}, {"setHeaderRoute": HEADER}), "not written again"),
        (case({"setHeaderRoute": {"name": "hdr"}}), "not written again"),
        (case({"setHeaderRoute": HEADER}, {"setHeaderRoute": {"name": "hdr"}}), ""),
        (case({"setMirrorRoute": {"name": "hdr", "match": [{}]}}, {"setWeight": 30}), "follow too"),
        (case({"setWeight": 30}, virtualServices=[{"name": "vs"}, {"name": "gone"}]), "half a split"),
        (case({"setWeight": 30}, virtualServices=[{"name": "vs"}]), ""),
        (case({"setWeight": 30}), ""),
        (ping_pong(), "ping-pong is rejected"),
        (hashes({"name": "zzz"}), "neither side's stays"),
        (hashes(pods=0), "once the pods of its version are available"),
        (hashes(), ""),
        ({**case({"setWeight": 30}), "virtualservices": [{"metadata": {"name": "vs"}, "spec": {}}]}, "without a route"),
    ],
)
def test_only_a_wanted_difference_is_named(given: dict[str, Any], why: str) -> None:
    found = quirk(given)
    assert why in found
    assert bool(found) == bool(why)

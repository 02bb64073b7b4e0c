"""What leads to the pods of a version is switched only where that sends nothing to the wrong ones."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.unit.canary.stage import ROUTED, position, replica_set
from tidegate.canary.managed_routes import wanted_routes
from tidegate.canary.reconcile import Rules, next_action
from tidegate.rollouts.actions import SetSelector, SetWeight
from tidegate.rollouts.cluster_state import ClusterState, Weights

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Rules(("stable",), ("canary",), history=2)
SETS = (replica_set("C", 4, revision=2), replica_set("S", 4, promoted_at=NOW))
ABORTED = position(ROUTED, 25, 50, replicas=4, sent=0, aborted=True)


def test_an_aborted_version_is_led_to_by_nothing_again() -> None:
    """Somebody gave the canary Service a share when it led to stable already."""
    seen = ClusterState(SETS, {"stable": "S", "canary": "S"}, Weights(7, 93, "S"))
    assert isinstance(next_action(ABORTED, seen, RULES, NOW), SetWeight)


def test_the_weight_goes_before_the_selector() -> None:
    shared = ClusterState(SETS, {"stable": "S", "canary": "C"}, Weights(25, 75, "C"))
    assert isinstance(next_action(ABORTED, shared, RULES, NOW), SetWeight)
    alone = ClusterState(SETS, {"stable": "S", "canary": "C"}, Weights(0, 100, "C"))
    assert next_action(ABORTED, alone, RULES, NOW) == SetSelector("canary", "S")


def test_a_route_by_a_selector_that_is_gone_is_no_route() -> None:
    header = {"setHeaderRoute": {"name": "beta", "match": [{"headerName": "x-beta", "headerValue": {"exact": "1"}}]}}
    at = position(ROUTED, 25, header, replicas=4, index=1, sent=25)
    there = ClusterState(SETS, {"stable": "S", "canary": "C"}, Weights(25, 75, "C"))
    assert wanted_routes(at, there, RULES.canary, NOW) == {"beta": 1}
    gone = ClusterState(SETS, {"stable": "S"}, Weights(25, 75, "C"))
    assert wanted_routes(at, gone, RULES.canary, NOW) == {}

"""Where pods are not scaled as Argo does, a difference in a case is named, and only there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cases.families.canary import LARGER, LAST_POD, NO_TRAFFIC, STUCK, quirk
from tests.unit.canary.stage import DYNAMIC, ROUTED

NO_SURGE = {"maxSurge": 0, "maxUnavailable": 1}


def pods(hash_: str, wanted: int, available: int) -> dict[str, Any]:
    return {"name": hash_, "hash": hash_, "spec": wanted, "available": available}


def case(
    strategy: dict[str, Any],
    of_canary: int,
    of_stable: int,
    *steps: dict[str, Any],
    index: int = 0,
    others: tuple[dict[str, Any], ...] = (),
    **status: Any,
) -> dict[str, Any]:
    return {
        "rollout": {
            "spec": {"replicas": 10, "strategy": {"canary": {**strategy, "steps": list(steps)}}},
            "status": {"stableRS": "S", "currentPodHash": "C", "currentStepIndex": index, **status},
        },
        "canary": pods("C", of_canary, of_canary),
        "stable": pods("S", of_stable, of_stable),
        "others": others,
    }


def sent(percent: int) -> dict[str, Any]:
    return {"weights": {"canary": {"weight": percent, "podTemplateHash": "C"}, "stable": {"weight": 100 - percent}}}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (case(NO_SURGE, 0, 10, {"setWeight": 95}), LAST_POD),
        (case(NO_SURGE, 0, 9, {"setWeight": 90}), ""),
        (case({"maxSurge": 1}, 0, 9, {"setWeight": 95}), ""),
        (case(NO_SURGE, 0, 8, {"setWeight": 50}, others=(pods("O", 2, 0),)), STUCK),
        (case(ROUTED, 5, 10, {"setWeight": 50}, abort=True), ""),
        (case(DYNAMIC, 5, 10, {"setWeight": 20}, {"setWeight": 50}, abort=True, canary=sent(0)), NO_TRAFFIC),
        (case(DYNAMIC, 5, 5, {"setWeight": 20}, {"setWeight": 50}, abort=True, canary=sent(50)), ""),
        (case(DYNAMIC, 8, 8, {"setCanaryScale": {"weight": 80}}, {"setWeight": 20}, index=1), LARGER),
        (case(DYNAMIC, 8, 8, {"setCanaryScale": {"weight": 20}}, {"setWeight": 20}, index=1), ""),
    ],
)
def test_only_a_wanted_difference_in_pods_is_named(given: dict[str, Any], why: str) -> None:
    assert quirk(given) == why

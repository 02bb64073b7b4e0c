"""What leads to the pods of a version is switched only where that sends nothing to the wrong ones."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.unit.canary.stage import ROUTED, position
from tidegate.canary.passes import Rules, Select, Shift, next_move
from tidegate.canary.position import Weights
from tidegate.canary.scene import Scene, Standing

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Rules(("stable",), ("canary",), history=2)
SETS = (Standing("shop-C", "C", 2, 4, 4, 4), Standing("shop-S", "S", 1, 4, 4, 4, promoted=True))
ABORTED = position(ROUTED, 25, 50, replicas=4, sent=0, aborted=True)


def test_an_aborted_version_is_led_to_by_nothing_again() -> None:
    """Somebody gave the canary Service a share when it led to stable already."""
    seen = Scene(SETS, {"stable": "S", "canary": "S"}, Weights(7, 93, "S"))
    assert isinstance(next_move(ABORTED, seen, RULES, NOW), Shift)


def test_the_weight_goes_before_the_selector() -> None:
    shared = Scene(SETS, {"stable": "S", "canary": "C"}, Weights(25, 75, "C"))
    assert isinstance(next_move(ABORTED, shared, RULES, NOW), Shift)
    alone = Scene(SETS, {"stable": "S", "canary": "C"}, Weights(0, 100, "C"))
    assert next_move(ABORTED, alone, RULES, NOW) == Select("canary", "S")

"""Drill: release of a version that is bad on purpose, changed so that it can never be promoted.

An exercise has the steps of its Rollout up to a weight, then a pause that nothing but an abort ends. So it is the gates
that are tried, and where none of them fails the version still goes no further, also when the drill itself is gone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from tidegate.manifests.annotations import HOLD_LIMIT, IMPACT, URGENCY
from tidegate.manifests.bake import BAKE
from tidegate.manifests.durations import format_duration

DRILL: Final = "tidegate.io/drill"  # annotation: CONTAINER=IMAGE of a version that is bad on purpose; the consent
EXERCISE: Final = "tidegate.io/exercise"  # annotation of what a drill releases
DEFAULT_WEIGHT: Final = 25
_GATES: Final = ("analysis", "experiment")
# What an exercise leaves out: reverts, changes and messages are for releases, a bake is after the last step.
_LEFT_OUT: Final = (
    DRILL,
    "notifications.argoproj.io/",
    BAKE,
    "tidegate.io/git-",
    "tidegate.io/servicenow-change",
)
_LOWEST: Final = {URGENCY: "3", IMPACT: "3"}


class NoDrillError(ValueError):
    """A Rollout of which no drill is made. The message says why, `remedy` what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def drill_images(rollout: dict[str, Any]) -> dict[str, str]:
    """Container -> image of the version that is bad on purpose. Raises NoDrillError where the Rollout names none."""
    text = str((rollout["metadata"].get("annotations") or {}).get(DRILL, ""))
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    images = {name.strip(): image.strip() for name, _, image in pairs}
    if not images or not all(name and image for name, image in images.items()):
        given = f"the annotation {DRILL} is {text!r}" if text else f"it has no annotation {DRILL}"
        raise NoDrillError(given, f"name a version that is bad on purpose: {DRILL}: CONTAINER=IMAGE")
    return images


def exercise(rollout: dict[str, Any], weight: int, limit: timedelta) -> dict[str, Any]:
    """The Rollout of a drill: up to a weight in percent, then held for `limit` at most, after which it aborts.

    Raises NoDrillError where no gate could see the version, or all of the traffic would be on it.
    """
    changed = copy.deepcopy(rollout)
    strategy = changed["spec"]["strategy"]
    if (blue_green := strategy.get("blueGreen")) is not None:
        _hold_the_preview(blue_green)
    else:
        strategy["canary"] = _held_canary(strategy.get("canary") or {}, weight)
    annotations = changed["metadata"].get("annotations") or {}
    kept = {name: value for name, value in annotations.items() if not name.startswith(_LEFT_OUT)}
    changed["metadata"]["annotations"] = {**kept, **_LOWEST, EXERCISE: "true", HOLD_LIMIT: format_duration(limit)}
    return changed


def watches_beside(rollout: dict[str, Any]) -> bool:
    """True when an analysis runs beside the steps: it may fail while the exercise is held."""
    return bool((rollout["spec"]["strategy"].get("canary") or {}).get("analysis"))


def _hold_the_preview(blue_green: dict[str, Any]) -> None:
    if not blue_green.get("prePromotionAnalysis"):
        message = "it has no prePromotionAnalysis, and after the switch everybody would get the bad version"
        raise NoDrillError(message, "add prePromotionAnalysis: a drill tries the gate before the switch")
    blue_green["autoPromotionEnabled"] = False
    blue_green.pop("autoPromotionSeconds", None)


def _held_canary(canary: dict[str, Any], weight: int) -> dict[str, Any]:
    steps = list(_steps_up_to(canary.get("steps") or [], weight))
    if not any(step.get("setWeight") or step.get("setHeaderRoute") or step.get("experiment") for step in steps):
        message = f"it has no step at which a version gets up to {weight} % of the traffic"
        raise NoDrillError(message, "add a step `setWeight`, or allow more with --weight")
    if not canary.get("analysis") and not any(name in step for step in steps for name in _GATES):
        message = f"no analysis watches a version at up to {weight} % of the traffic"
        raise NoDrillError(message, "add strategy.canary.analysis, or an analysis step; or allow more with --weight")
    return {**canary, "steps": [*steps, {"pause": {}}]}


def _steps_up_to(steps: list[dict[str, Any]], weight: int) -> Iterator[dict[str, Any]]:
    """Yield the steps before the first that goes beyond a weight; pauses for a person are passed over."""
    for step in steps:
        if int(step.get("setWeight") or 0) > weight:
            return
        if "pause" not in step or (step["pause"] or {}).get("duration"):
            yield step

"""Edits of the seed's Rollout: other steps and routes, and fields of its canary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Edit = Callable[[dict[str, Any]], None]
HEADER = {"setHeaderRoute": {"name": "hdr", "match": [{"headerName": "agent", "headerValue": {"exact": "f"}}]}}
MIRROR = {"setMirrorRoute": {"name": "mir", "match": [{"path": {"prefix": "/"}}], "percentage": 10}}


def canary_of(rollout: dict[str, Any]) -> dict[str, Any]:
    canary: dict[str, Any] = rollout["spec"]["strategy"]["canary"]
    return canary


def with_steps(*steps: dict[str, Any], **canary: Any) -> Edit:
    def edit(rollout: dict[str, Any]) -> None:
        canary_of(rollout).pop("analysis", None)
        canary_of(rollout).update(steps=list(steps), **canary)

    return edit


HALF = with_steps({"setWeight": 50}, {"pause": {}})


def with_routes(*steps: dict[str, Any]) -> Edit:
    def edit(rollout: dict[str, Any]) -> None:
        with_steps(*steps)(rollout)
        canary_of(rollout)["trafficRouting"]["managedRoutes"] = [{"name": "hdr"}, {"name": "mir"}]

    return edit


def without_router(rollout: dict[str, Any]) -> None:
    with_steps({"setWeight": 25}, {"pause": {}}, {"setWeight": 50})(rollout)
    del canary_of(rollout)["trafficRouting"]


def blue_green(**fields: Any) -> Edit:
    """The Services of the seed's canary in their new roles, and its gate after the switch."""

    def edit(rollout: dict[str, Any]) -> None:
        canary = canary_of(rollout)
        gate = next(step["analysis"] for step in canary["steps"] if "analysis" in step)
        roles = {"activeService": canary["stableService"], "previewService": canary["canaryService"]}
        rollout["spec"]["strategy"] = {"blueGreen": {**roles, "postPromotionAnalysis": gate, **fields}}

    return edit

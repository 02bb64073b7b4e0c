"""Which header and mirror routes are to stand at a release's position.

Source: argo-rollouts, setHeaderRoute and setMirrorRoute. A route stands from its step on until a later step takes it
away; none does after the last step's promotion, after an abort, or while nothing leads to an available canary pod; it
goes before the last pod does (law 2). A step before the first pods is not lost, as it is there: its route comes with
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from tidegate.canary.position import CanaryState
from tidegate.canary.reconcile import roles
from tidegate.canary.scaling import goal
from tidegate.manifests.steps import CanaryStep
from tidegate.rollouts.cluster_state import ClusterState


def wanted_routes(
    at: CanaryState, cluster_state: ClusterState, canary_selectors: tuple[str, ...], now: datetime
) -> Mapping[str, int] | None:
    """Name of each route that is to stand -> index of the step that asks for it; None: as they are, for now.

    `canary_selectors` are the names of the selectors that lead to the canary: a route leads to what they select.
    """
    canary = cluster_state.of(at.desired_hash)
    if not at.takes_steps or at.aborted or at.index is None or canary is None:
        return {}
    if not cluster_state.counted:
        return None
    if not canary.available:
        return {}
    if not goal(at, roles(at, cluster_state, now)).canary:
        return {}
    if not cluster_state.leads_to(canary_selectors, at.desired_hash):
        return {}
    wanted: dict[str, int] = {}
    for index, step in enumerate(at.strategy.steps[: at.index + 1]):
        name, matches = _route(step)
        if matches:
            wanted[name] = index
        else:
            wanted.pop(name, None)
    return wanted


def _route(step: CanaryStep) -> tuple[str, bool]:
    route = step.set_header_route or step.set_mirror_route
    return (route.name, bool(route.match)) if route is not None else ("", False)

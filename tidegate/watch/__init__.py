"""The Rollout object as a way to its release: what an object asks for, decided from it and the release alone. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.deferred import deferred

if TYPE_CHECKING:
    from tidegate.watch.commands import (
        Command,
        Decision,
        EmitWarning,
        Release,
        ReleaseClaims,
        RunState,
        SendUpdate,
        StartRelease,
    )
    from tidegate.watch.decisions import decide, decide_deleted
    from tidegate.watch.experiments import needs_workflow
    from tidegate.watch.request import release_request
    from tidegate.watch.services import decide_services, service_names

__all__ = [
    "Command",
    "Decision",
    "EmitWarning",
    "Release",
    "ReleaseClaims",
    "RunState",
    "SendUpdate",
    "StartRelease",
    "decide",
    "decide_deleted",
    "decide_services",
    "needs_workflow",
    "release_request",
    "service_names",
]

__getattr__ = deferred(__name__)

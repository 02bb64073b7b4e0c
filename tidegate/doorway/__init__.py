"""The Rollout object as a door to its release: what an object asks for, decided from it and the release alone. Pure."""

from tidegate.doorway.asks import Ask, Decision, Leave, Note, Release, RunState, Start, Tell
from tidegate.doorway.decide import decide, decide_deleted
from tidegate.doorway.request import release_request
from tidegate.doorway.services import decide_services, service_names

__all__ = [
    "Ask",
    "Decision",
    "Leave",
    "Note",
    "Release",
    "RunState",
    "Start",
    "Tell",
    "decide",
    "decide_deleted",
    "decide_services",
    "release_request",
    "service_names",
]

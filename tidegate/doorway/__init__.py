"""The Rollout object as a door to its release: what an object asks for, decided from it and the release alone. Pure."""

from tidegate.doorway.asks import Ask, Decision, Note, Release, RunState, Start, Tell
from tidegate.doorway.decide import decide, decide_deleted
from tidegate.doorway.request import release_request

__all__ = [
    "Ask",
    "Decision",
    "Note",
    "Release",
    "RunState",
    "Start",
    "Tell",
    "decide",
    "decide_deleted",
    "release_request",
]

"""The Events that a release publishes about its Rollout for people with kubectl; nothing decides by them."""

from __future__ import annotations

from pydantic import Field

from tidegate.contract.payload import Payload
from tidegate.contract.release import Event
from tidegate.contract.writes import Target


class PublishEvents(Payload):
    """Write Events about the Rollout; those that stand already are left as they are.

    `run` is the id of the release's workflow run, `first` the number of the first of `events` among all of that run:
    together with `uid` they are the id of the effect (law 6).
    """

    target: Target
    uid: str = Field(min_length=1)
    run: str
    first: int
    events: tuple[Event, ...]

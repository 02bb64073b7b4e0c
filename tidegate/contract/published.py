"""Kubernetes Events of a release about its Rollout; no decision reads them."""

from __future__ import annotations

from pydantic import Field

from tidegate.contract.payload import Payload
from tidegate.contract.release import Event
from tidegate.contract.writes import Target


class PublishEvents(Payload):
    """Write Events about a Rollout, or an object of another `kind`; existing ones are left as they are.

    Id of the effect (law 6): `uid`, `run` and the number of the event.
    """

    target: Target
    kind: str = "Rollout"
    uid: str = Field(min_length=1)
    run: str  # id of the release's workflow run
    first: int  # number of the first of `events` among all of that run
    events: tuple[Event, ...]

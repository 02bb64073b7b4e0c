"""Payloads for the objects that a deleted Rollout had claimed."""

from __future__ import annotations

from pydantic import Field

from tidegate.contract.names import ClusterName
from tidegate.contract.payload import Payload
from tidegate.contract.writes import Fence, Target


class LetGo(Payload):
    """Release the objects of a deleted Rollout: Services and subsets lose the hash, a Deployment is scaled up."""

    cluster: ClusterName = "default"
    target: Target
    uid: str = Field(min_length=1)
    fence: Fence | None = None  # rejects late writes of its last release; set by the workflow


class LeftAlone(Payload):
    """The released objects, by name."""

    services: tuple[str, ...] = ()
    subsets: tuple[str, ...] = ()  # `rule/subset`
    deployments: tuple[str, ...] = ()

"""Payloads of what is done with the objects of others after their Rollout was deleted."""

from __future__ import annotations

from pydantic import Field

from tidegate.contract.names import ClusterName
from tidegate.contract.payload import Payload
from tidegate.contract.writes import Fence, Target


class LetGo(Payload):
    """The Rollout of that uid was deleted: what led to its pods serves without it, a Deployment gets its pods back.

    `fence` turns away what its last release may still write; None: it is the workflow's to give one.
    """

    cluster: ClusterName = "default"
    target: Target
    uid: str = Field(min_length=1)
    fence: Fence | None = None


class LeftAlone(Payload):
    """What was let go of, by name: Services and subsets (`rule/subset`) that lost the hash, Deployments scaled up."""

    services: tuple[str, ...] = ()
    subsets: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()

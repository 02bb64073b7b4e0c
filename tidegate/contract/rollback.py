"""Payloads of what brings an earlier revision back."""

from __future__ import annotations

from pydantic import Field

from tidegate.contract.names import ClusterName
from tidegate.contract.payload import Document, Payload, Words
from tidegate.contract.writes import Target


class RollbackRequest(Payload):
    """Bring a revision of a Rollout back; without `to_revision` the last promoted one that is not wanted now."""

    cluster: ClusterName = "default"
    target: Target
    to_revision: int | None = Field(default=None, ge=1)
    by: Words = ""
    reason: Words = ""


class RollbackResult(Payload):
    """The Rollout asks for the pod template of `revision`, which `message` says to people.

    `images` are those of that revision by container, `before` those that were asked for until then. `rollout` is the
    object as it stood, `replica_set` that of the revision, `replaces` the hash of the template before.
    """

    message: str
    revision: int
    images: dict[str, str] = Field(default_factory=dict)
    before: dict[str, str] = Field(default_factory=dict)
    rollout: Document = Field(default_factory=dict)
    replica_set: str = ""
    replaces: str = ""


class PutBack(Payload):
    """Let the Rollout ask for the template of `replica_set` instead of the one whose hash `replaces` is."""

    target: Target
    replica_set: str
    replaces: str

"""Payloads of a rollback."""

from __future__ import annotations

from pydantic import Field

from tidegate.contract.names import ClusterName
from tidegate.contract.payload import Document, Payload, PlainText
from tidegate.contract.writes import Target


class RollbackRequest(Payload):
    """Request to bring a revision of a Rollout back."""

    cluster: ClusterName = "default"
    target: Target
    to_revision: int | None = Field(default=None, ge=1)  # None: the last promoted one that is not the current one
    by: PlainText = ""
    reason: PlainText = ""


class RollbackResult(Payload):
    """Result of a rollback: the Rollout has the pod template of `revision`."""

    message: str  # for operators
    revision: int
    images: dict[str, str] = Field(default_factory=dict)  # container -> image of that revision
    before: dict[str, str] = Field(default_factory=dict)  # container -> image until then
    rollout: Document = Field(default_factory=dict)  # the object before
    replica_set: str = ""  # of the revision
    replaces: str = ""  # hash of the template before


class PutBack(Payload):
    """Set the Rollout's template to that of `replica_set`, in place of the one with the hash `replaces`."""

    target: Target
    replica_set: str
    replaces: str

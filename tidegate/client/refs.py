"""What a caller holds: the address of a Rollout, a release that was asked for, one line of a listing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tidegate.contract import Payload, ReleaseRequest, rollout_id


@dataclass(frozen=True)
class RolloutRef:
    """Address of a Rollout: cluster, namespace and name; its releases are the runs of `workflow_id`."""

    namespace: str
    name: str
    cluster: str = "default"

    @property
    def workflow_id(self) -> str:
        """Temporal workflow id of its releases."""
        return rollout_id(self.cluster, self.namespace, self.name)

    @classmethod
    def of(cls, request: ReleaseRequest) -> RolloutRef:
        """The Rollout that a request is about."""
        return cls(request.namespace, request.name, request.cluster)

    @classmethod
    def parse(cls, workflow_id: str) -> RolloutRef | None:
        """The Rollout of a release's workflow id, or None when it is no such id."""
        kind, *parts = workflow_id.split("/")
        if kind != "rollout" or len(parts) != 3:
            return None
        cluster, namespace, name = parts
        return cls(namespace, name, cluster)


@dataclass(frozen=True)
class ReleaseHandle:
    """A release that was accepted. `images` are those asked for, by container: what a wait compares the end with."""

    rollout: RolloutRef
    run_id: str
    message: str
    images: Mapping[str, str] = field(default_factory=dict)


class ReleaseSummary(Payload):
    """The newest release of one Rollout as visibility knows it; `state` is Temporal's word (Running, Failed, ...)."""

    cluster: str
    namespace: str
    name: str
    workflow_id: str
    run_id: str
    state: str
    phase: str = ""
    weight: int | None = None
    revision: int | None = None
    started_at: datetime
    finished_at: datetime | None = None


def images_of(rollout: Mapping[str, Any]) -> dict[str, str]:
    """Container -> image of a Rollout manifest's pod template; what has not that shape is left out."""
    found: Any = rollout
    for key in ("spec", "template", "spec", "containers"):
        found = found.get(key) if isinstance(found, Mapping) else None
    containers = found if isinstance(found, list) else []
    return {str(entry["name"]): str(entry.get("image", "")) for entry in containers if _is_named(entry)}


def _is_named(entry: object) -> bool:
    return isinstance(entry, Mapping) and "name" in entry


def request_digest(request: ReleaseRequest) -> str:
    """Id of what is asked for, equal for two requests that ask for the same: who asks and why does not count.

    The commit and the CI run count, so a CI job that repeats its call after a lost answer repeats nothing, while
    another run of the job is a request of its own.
    """
    asked = request.model_dump(mode="json", exclude={"by", "reason"})
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]

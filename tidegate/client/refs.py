"""Addresses of Rollouts and analysis runs, the handle of an accepted release, and rows of lists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import Field

from tidegate.client.errors import SupersededError
from tidegate.contract import (
    AnalysisRequest,
    Payload,
    ReleaseRequest,
    ReleaseResult,
    ReleaseStatus,
    analysis_id,
    experiments_of,
    rollout_id,
)


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
        parts = _parts("rollout", workflow_id)
        return cls(*parts) if parts is not None else None


@dataclass(frozen=True)
class AnalysisRunRef:
    """Address of an analysis run: cluster, namespace and the name that the tree of a Rollout shows."""

    namespace: str
    name: str
    cluster: str = "default"

    @property
    def workflow_id(self) -> str:
        """Its Temporal workflow id."""
        return analysis_id(self.cluster, self.namespace, self.name)

    @classmethod
    def of(cls, request: AnalysisRequest) -> AnalysisRunRef:
        """The run of a request."""
        return cls(request.namespace, request.name, request.cluster)

    @classmethod
    def parse(cls, workflow_id: str) -> AnalysisRunRef | None:
        """The analysis run of a workflow id, or None when it is no such id."""
        parts = _parts("analysis", workflow_id)
        return cls(*parts) if parts is not None else None


@dataclass(frozen=True)
class ExperimentRef:
    """Address of an Experiment object: cluster, namespace and name."""

    namespace: str
    name: str
    cluster: str = "default"

    @property
    def prefix(self) -> str:
        """How the workflow ids of the objects of that name begin."""
        return experiments_of(self.cluster, self.namespace, self.name)

    @classmethod
    def parse(cls, workflow_id: str) -> ExperimentRef | None:
        """The Experiment of a workflow id, or None when it is no such id."""
        parts = _parts("experiment", workflow_id.rpartition("/")[0])
        return cls(*parts) if parts is not None else None


def _parts(kind: str, workflow_id: str) -> tuple[str, str, str] | None:
    """Namespace, name and cluster of a workflow id `<kind>/<cluster>/<namespace>/<name>`."""
    found, *parts = workflow_id.split("/")
    if found != kind or len(parts) != 3:
        return None
    cluster, namespace, name = parts
    return namespace, name, cluster


@dataclass(frozen=True)
class ReleaseHandle:
    """A release that was accepted. `images`, by container, and `template_hash` are of the requested version.

    A wait compares the end with them: a newer version may have superseded it.
    """

    rollout: RolloutRef
    run_id: str
    message: str
    images: Mapping[str, str] = field(default_factory=dict)
    template_hash: str = ""

    def is_superseded(self, images: Mapping[str, str], template_hash: str) -> bool:
        """True when the release brought out another version."""
        other = bool(self.template_hash and template_hash and self.template_hash != template_hash)
        return other or bool(self.images and self.images != images)


class RunSummary(Payload):
    """A workflow in Temporal's visibility; `state` is Temporal's status (Running, Failed, ...)."""

    cluster: str
    namespace: str
    name: str
    workflow_id: str
    run_id: str
    state: str
    started_at: datetime
    finished_at: datetime | None = None


class ReleaseSummary(RunSummary):
    """The newest release of one Rollout. `version` are the tags of its images, `outcome` is empty before its end."""

    phase: str = ""
    weight: int | None = None
    revision: int | None = None
    version: str = ""
    by: str = ""  # the person or system that asked for the version
    waiting_for: str = ""
    outcome: str = ""


class PastRelease(ReleaseSummary):
    """One release of a Rollout; what only the release itself knows is empty where no worker answered for it."""

    images: dict[str, str] = Field(default_factory=dict)
    message: str = ""


_OUTCOMES = {"Running": "under way", "Completed": "promoted", "Failed": "aborted"}


def outcome_of(state: str, status: ReleaseStatus | None = None) -> str:
    """Outcome of a release, by Temporal's status of its run and its own account."""
    if status is not None and status.is_refused:
        return "refused"
    return _OUTCOMES.get(state, state.lower())


class ExperimentSummary(RunSummary):
    """One experiment; `phase` is empty until it has begun."""

    phase: str = ""


class AnalysisSummary(RunSummary):
    """One analysis run; `release_id` is the workflow id of its release, empty when it was started alone.

    Visibility has no verdict: `phase` is empty until the run itself was queried.
    """

    release_id: str = ""
    phase: str = ""


def images_of(rollout: Mapping[str, Any]) -> dict[str, str]:
    """Container -> image of a Rollout manifest's pod template; malformed entries are left out."""
    found: Any = rollout
    for key in ("spec", "template", "spec", "containers"):
        found = found.get(key) if isinstance(found, Mapping) else None
    containers = found if isinstance(found, list) else []
    return {str(entry["name"]): str(entry.get("image", "")) for entry in containers if _is_named(entry)}


def expected_result(handle: ReleaseHandle, result: ReleaseResult) -> ReleaseResult:
    """The result of a wait, where it is of the requested version. Raises SupersededError."""
    if handle.is_superseded(result.status.images, result.status.template_hash):
        raise SupersededError(
            f"{handle.rollout.workflow_id}: a newer version took its place: {listed(result.status.images)}", "", result
        )
    return result


def listed(images: Mapping[str, str]) -> str:
    """Images in one line."""
    return ", ".join(images.values()) or "no image"


def _is_named(entry: object) -> bool:
    return isinstance(entry, Mapping) and "name" in entry


def request_digest(request: ReleaseRequest) -> str:
    """Digest of a request, equal for two requests for the same: requester and reason do not count.

    The template of a Deployment counts, and nothing else of it. The commit and the CI run count, so a CI job that
    repeats its call after a lost answer repeats nothing, while another run of the job is a request of its own.
    """
    content = request.resolved().model_dump(mode="json", exclude={"by", "reason", "workload", "requested_at"})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

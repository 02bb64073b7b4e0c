"""Settings of the provider `job`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from tidegate.manifests.model import Int32, Int64, Model, ObjectMeta

KEY: Final = "job"
DEFAULT_TTL: Final = 24 * 60 * 60
"""Seconds that a finished Job is kept when its manifest does not say."""
SHORTEST_TTL: Final = 120
"""Seconds. A Job that is gone before it was looked at has told nothing, and a look may be half a minute away."""
NOT_CONFIDENTIAL: Final = "an argument from a Secret would stand in the Job, for everybody who may read Jobs"
CONFIDENTIAL_REMEDY: Final = "let the container's env take it by valueFrom.secretKeyRef"


class JobSpec(Model):
    """`spec` of a Job (`batch/v1`, Kubernetes 1.37). Kubernetes' own parts are kept as they are."""

    parallelism: Int32 | None = None
    completions: Int32 | None = None
    completion_mode: str | None = None
    active_deadline_seconds: Int64 | None = None
    backoff_limit: Int32 | None = None
    backoff_limit_per_index: Int32 | None = None
    max_failed_indexes: Int32 | None = None
    pod_failure_policy: Mapping[str, JsonValue] | None = None
    success_policy: Mapping[str, JsonValue] | None = None
    pod_replacement_policy: str | None = None
    selector: Mapping[str, JsonValue] | None = None
    manual_selector: bool | None = None
    template: Mapping[str, JsonValue] = {}
    ttl_seconds_after_finished: Int32 | None = None
    suspend: bool | None = None
    managed_by: str | None = None

    @property
    def kept_seconds(self) -> int:
        """How long the finished Job is kept."""
        given = self.ttl_seconds_after_finished
        return DEFAULT_TTL if given is None else max(given, SHORTEST_TTL)


class Job(Model):
    """A Job whose end is the verdict; of `metadata` only labels and annotations are used, as in Argo."""

    metadata: ObjectMeta = ObjectMeta()
    spec: JobSpec = JobSpec()

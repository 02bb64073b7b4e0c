"""Release request from a Rollout object, and the writers of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from tidegate.contract import FLAGS, WORKER_AGENT, ObjectField, ReleaseRequest, WorkloadTemplate, writers_of, written_at
from tidegate.watch.commands import StartRelease

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
UNKNOWN_WRITER: Final = "the Rollout object"  # where the API server has no record of the writer


def release_request(
    rollout: Mapping[str, Any], *, cluster: str, start: StartRelease, workload: WorkloadTemplate | None = None
) -> ReleaseRequest:
    """A request for the version in an object's spec, without bookkeeping that others keep in its metadata.

    Of its status only the flags stay, but for `ignored_flags`: a release has to know which of them were set before it.
    `workload` is the Deployment of its workloadRef at the time of the decision.
    """
    found = rollout["metadata"]
    metadata = {key: value for key, value in found.items() if key != "managedFields"}
    annotations = {key: value for key, value in (found.get("annotations") or {}).items() if key != LAST_APPLIED}
    if "annotations" in metadata:
        metadata["annotations"] = annotations
    found_status = mapping(rollout.get("status"))
    status = {flag: True for flag in FLAGS if found_status.get(flag) is True and flag not in start.ignored_flags}
    document = {key: value for key, value in rollout.items() if key != "status"} | {"metadata": metadata}
    if status:
        document["status"] = status
    return ReleaseRequest(
        cluster=cluster,
        namespace=str(found.get("namespace") or ""),
        name=str(found.get("name") or ""),
        rollout=document,
        workload=workload,
        by=start.by or writer_of(rollout, "spec"),
        reason=start.reason,
        full=start.full,
        field=ObjectField.PROMOTE_FULL if start.full else None,
        requested_at=None if start.full or workload is not None else spec_written_at(rollout),
        aborted=start.aborted,
    )


def spec_written_at(rollout: Mapping[str, Any]) -> datetime | None:
    """End of the second in which others than a release wrote the spec: within one second, the object wins."""
    at = written_at(rollout, "spec")
    return at + timedelta(seconds=1) if at is not None else None


def writer_of(rollout: Mapping[str, Any], section: str, field: str = "") -> str:
    """Last writer of `spec` or `status`, or of one field of it, beside releases."""
    return next(iter(_external_writers(rollout, section, field)), UNKNOWN_WRITER)[:200]


def is_recorded(rollout: Mapping[str, Any], field: str) -> bool:
    """True when the API server has a record of the writers of that field of the status."""
    return bool(writers_of(rollout, "status", field))


def is_external_write(rollout: Mapping[str, Any], field: str) -> bool:
    """True when another writer than a release wrote that field of the status, as far as it is recorded (law 12)."""
    return bool(_external_writers(rollout, "status", field))


def _external_writers(rollout: Mapping[str, Any], section: str, field: str) -> list[str]:
    return [writer for writer in writers_of(rollout, section, field) if writer != WORKER_AGENT]


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping as it is, an empty one for any other value: fields of an object may have any type."""
    return value if isinstance(value, Mapping) else {}

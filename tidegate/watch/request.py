"""A release request made of a Rollout object as it stands in the cluster, and whose word something in it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from tidegate.contract import FLAGS, WORKER_AGENT, ObjectField, ReleaseRequest, WorkloadTemplate, writers_of, written_at
from tidegate.watch.commands import StartRelease

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
NOBODY: Final = "the Rollout object"  # where the API server keeps no record of who wrote it


def release_request(
    rollout: Mapping[str, Any], *, cluster: str, start: StartRelease, workload: WorkloadTemplate | None = None
) -> ReleaseRequest:
    """Ask for what an object's spec says; its identity stays in it, and what others keep in it for themselves goes.

    Of its status only the flags stay: a release has to know which of them stood before it, but for those that are still
    to be said to it. `workload` is what its workloadRef led to when it was decided to ask.
    """
    found = rollout["metadata"]
    metadata = {key: value for key, value in found.items() if key != "managedFields"}
    annotations = {key: value for key, value in (found.get("annotations") or {}).items() if key != LAST_APPLIED}
    if "annotations" in metadata:
        metadata["annotations"] = annotations
    found_status = mapping(rollout.get("status"))
    status = {flag: True for flag in FLAGS if found_status.get(flag) is True and flag not in start.unheard}
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
        asked_at=None if start.full or workload is not None else spec_written_at(rollout),
        aborted=start.aborted,
    )


def spec_written_at(rollout: Mapping[str, Any]) -> datetime | None:
    """The end of the second in which somebody wrote the spec: within one, the object's word counts."""
    at = written_at(rollout, "spec")
    return at + timedelta(seconds=1) if at is not None else None


def writer_of(rollout: Mapping[str, Any], section: str, field: str = "") -> str:
    """Who last wrote `spec` or `status`, or one field of it; never a release, whose own writes are nobody's word."""
    return next(iter(_people(rollout, section, field)), NOBODY)[:200]


def is_recorded(rollout: Mapping[str, Any], field: str) -> bool:
    """Whether the API server keeps a record of who wrote that field of the status."""
    return bool(writers_of(rollout, "status", field))


def is_word(rollout: Mapping[str, Any], field: str) -> bool:
    """Whether somebody else than a release wrote that field of the status last, as far as it is recorded (law 12)."""
    return bool(_people(rollout, "status", field))


def _people(rollout: Mapping[str, Any], section: str, field: str) -> list[str]:
    return [writer for writer in writers_of(rollout, section, field) if writer != WORKER_AGENT]


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping as it is, an empty one for anything else: what stands in an object may be of any type."""
    return value if isinstance(value, Mapping) else {}

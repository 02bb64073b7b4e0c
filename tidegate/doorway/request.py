"""A release request made of a Rollout object as it stands in the cluster, and whose word something in it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidegate.contract import FLAGS, WORKER_AGENT, ReleaseRequest, WorkloadTemplate, writers_of
from tidegate.doorway.asks import Start

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
NOBODY: Final = "the Rollout object"  # where the API server keeps no record of who wrote it


def release_request(
    rollout: Mapping[str, Any], *, cluster: str, start: Start, workload: WorkloadTemplate | None = None
) -> ReleaseRequest:
    """Ask for what an object's spec says; its identity stays in it, and what others keep in it for themselves goes.

    Of its status only the flags stay: a release has to know which of them stood before it. `workload` is what its
    workloadRef led to when it was decided to ask.
    """
    found = rollout["metadata"]
    metadata = {key: value for key, value in found.items() if key != "managedFields"}
    annotations = {key: value for key, value in (found.get("annotations") or {}).items() if key != LAST_APPLIED}
    if "annotations" in metadata:
        metadata["annotations"] = annotations
    status = {flag: True for flag in FLAGS if _mapping(rollout.get("status")).get(flag) is True}
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
        aborted=start.aborted,
    )


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


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

"""A release request made of a Rollout object as it stands in the cluster, and who changed the object last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.contract import FLAGS, Document, ReleaseRequest, WorkloadTemplate
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
    """The field manager that last wrote `spec` or `status`, or one field of it (Kubernetes, metadata.managedFields).

    A field that was taken away has no owner any more, and nobody is named for it.
    """
    entries = [entry for entry in _entries(rollout) if f"f:{section}" in _mapping(entry.get("fieldsV1"))]
    if field:
        entries = [entry for entry in entries if f"f:{field}" in _mapping(entry["fieldsV1"][f"f:{section}"])]
    newest = max(entries, key=lambda entry: str(entry.get("time") or ""), default={})
    return str(newest.get("manager") or "")[:200] or NOBODY


def _entries(rollout: Mapping[str, Any]) -> Iterator[Document]:
    entries = _mapping(rollout.get("metadata")).get("managedFields")
    yield from (entry for entry in (entries if isinstance(entries, list) else []) if isinstance(entry, dict))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

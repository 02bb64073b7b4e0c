"""Git reverts after an abort or a rollback: images that differ from those of the earlier version. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.contract import (
    ImageChange,
    Message,
    ReleaseStatus,
    RevertRequest,
    RollbackRequest,
    RollbackResult,
)
from tidegate.manifests.workload import reference_of
from workflows.handlers import attribution
from workflows.incident_requests import plan_images
from workflows.plan import Plan

# Annotations of the Rollout: the repository of the manifest that Argo CD applies, and how a revert gets there.
REPOSITORY = "tidegate.io/git-repository"
BRANCH = "tidegate.io/git-branch"
PATH = "tidegate.io/git-path"
MODE = "tidegate.io/git-mode"


def revert_request(plan: Plan, status: ReleaseStatus, cause: str) -> RevertRequest | None:
    """The revert of an aborted release; None where Git is not named, or no image differs.

    The run is part of the cause: a second attempt at the same revision that fails again is another one.
    """
    workload = plan.manifest.spec.workload_ref
    stable = next((found.images for found in plan.seen.replica_sets if found.hash == plan.seen.stable_hash), {})
    return _request(
        plan.manifest.annotations,
        workload=workload.name if workload is not None else "",
        namespace=plan.request.namespace,
        rollout=plan.request.name,
        revision=plan.revision,
        images=_changes(plan_images(plan), stable),
        release=f"{status.workflow_id}/{plan.revision}",
        run=status.run_id,
        reason=cause,
        commit=plan.request.source.commit,
    )


def undo_request(request: RollbackRequest, result: RollbackResult, workflow_id: str, run: str) -> RevertRequest | None:
    """The revert of a rollback; None where Git is not named, or has those images already."""
    workload = reference_of(result.rollout)
    return _request(
        result.rollout["metadata"].get("annotations") or {},
        workload=workload.name if workload is not None else "",
        namespace=request.target.namespace,
        rollout=request.target.name,
        revision=result.revision,
        images=_changes(result.before, result.images),
        release=workflow_id,
        run=run,
        reason=f"undo{attribution(Message(by=request.by, reason=request.reason))}",
        commit="",
    )


def _request(
    annotations: Mapping[str, str], *, images: tuple[ImageChange, ...], **of_the_release: Any
) -> RevertRequest | None:
    repository = annotations.get(REPOSITORY)
    if not repository or not images:
        return None
    return RevertRequest(
        images=images,
        repository=repository,
        branch=annotations.get(BRANCH) or "main",
        path=annotations.get(PATH) or ".",
        mode=annotations.get(MODE) or "",
        **of_the_release,
    )


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[ImageChange, ...]:
    return tuple(
        ImageChange(container=name, bad=image, good=after[name])
        for name, image in before.items()
        if image and after.get(name, image) not in ("", image)
    )

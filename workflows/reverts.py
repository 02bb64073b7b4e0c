"""What Git is asked to put back after an abort: the images of this version, as far as stable has others. Pure."""

from __future__ import annotations

from tidegate.contract import ImageChange, ReleaseStatus, RevertRequest
from workflows.evidence import plan_images
from workflows.plan import Plan

# Annotations of the Rollout: where the manifest stands that Argo CD applies, and how a revert is to reach it.
REPOSITORY = "tidegate.io/git-repository"
BRANCH = "tidegate.io/git-branch"
PATH = "tidegate.io/git-path"
MODE = "tidegate.io/git-mode"


def revert_request(plan: Plan, status: ReleaseStatus, cause: str) -> RevertRequest | None:
    """The revert of an aborted release; None where Git is not named, or has nothing that could be put back.

    The run is part of the cause: a second try of the same revision that fails again is another one.
    """
    annotations = plan.annotations
    repository, images = annotations.get(REPOSITORY), _changes(plan)
    if not repository or not images:
        return None
    workload = plan.manifest.spec.workload_ref
    return RevertRequest(
        repository=repository,
        branch=annotations.get(BRANCH) or "main",
        path=annotations.get(PATH) or ".",
        namespace=plan.request.namespace,
        rollout=plan.request.name,
        workload=workload.name if workload else "",
        revision=plan.revision,
        images=images,
        release=f"{status.workflow_id}/{plan.revision}",
        run=status.run_id,
        reason=cause,
        commit=plan.request.source.commit,
        mode=annotations.get(MODE) or "",
    )


def _changes(plan: Plan) -> tuple[ImageChange, ...]:
    stable = next((found.images for found in plan.seen.replica_sets if found.hash == plan.seen.stable_hash), {})
    return tuple(
        ImageChange(container=name, bad=image, good=stable[name])
        for name, image in plan_images(plan).items()
        if image and stable.get(name, image) not in ("", image)
    )

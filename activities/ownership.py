"""Which Rollout manages an object: Argo's mark, set on what is taken over and respected on what is found. Pure."""

from __future__ import annotations

from temporalio.exceptions import ApplicationError

from activities.cluster import Object, Operation, annotate
from tidegate.contract import ErrorType
from tidegate.manifests.network import MANAGED_BY


def claim(found: Object, kind: str, rollout: str) -> list[Operation]:
    """Operations that mark an object as this Rollout's; `InvalidSpec` when it is another one's."""
    owner = (found["metadata"].get("annotations") or {}).get(MANAGED_BY)
    if owner not in (None, rollout):
        raise ApplicationError(
            f"{kind} {found['metadata']['name']} is managed by Rollout {owner}: give each Rollout its own",
            type=ErrorType.INVALID_SPEC,
            non_retryable=True,
        )
    return annotate(found, {MANAGED_BY: rollout}) if owner is None else []

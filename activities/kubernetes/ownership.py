"""Which Rollout an object belongs to: by its owner, or by Argo's mark on what is taken over. Pure.

A label is no proof: the author of the manifest may change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import ROLLOUTS, Object
from activities.kubernetes.json_patch import Operation, annotate, set_keys
from tidegate.contract import ErrorType
from tidegate.manifests.network import HASH_LABEL, MANAGED_BY

PART_OF_EXPERIMENT = "tidegate.io/experiment"  # label of all that belongs to the experiment of a Rollout: "true"


def uid_of(found: Mapping[str, Any] | None) -> str:
    """UID of an object, empty where there is none."""
    return str(((found or {}).get("metadata") or {}).get("uid") or "")


def owned_by(found: Object, uid: str) -> bool:
    """True when an object names the one of that uid as its owner."""
    return any(owner.get("uid") == uid for owner in _owners(found))


def is_of(found: Object, rollout: str, uid: str, *, unowned: bool) -> bool:
    """True when an object belongs to a Rollout; where it has no owner, `unowned` says so.

    A Rollout of the same name that was there before is another one, unless there is none now (`uid` is empty), so that
    the name is all that is left to compare. Other kinds of owner than a Rollout count where they control the object.
    """
    claims = [owner for owner in _owners(found) if owner.get("controller") or owner.get("kind") == ROLLOUTS.kind]
    if not claims:
        return unowned
    mine = [owner for owner in claims if owner.get("kind") == ROLLOUTS.kind]
    return any(owner.get("uid") == uid if uid else owner.get("name") == rollout for owner in mine)


def rollouts_of(found: Object) -> tuple[str, ...]:
    """Names of the Rollouts that an object may belong to: who owns it, its mark, and its name where it has no owner.

    Whatever `is_of` takes for a Rollout's is among its objects.
    """
    metadata = found["metadata"]
    owners = _owners(found)
    names = [str(owner.get("name")) for owner in owners if owner.get("kind") == ROLLOUTS.kind]
    if mark := (metadata.get("annotations") or {}).get(MANAGED_BY):
        names.append(str(mark))
    hash_ = (metadata.get("labels") or {}).get(HASH_LABEL)
    if hash_ and metadata["name"].endswith(f"-{hash_}"):
        names.append(metadata["name"].removesuffix(f"-{hash_}"))
    return tuple(dict.fromkeys(names))


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


def leave(found: Object, rollout: str) -> list[Operation]:
    """Operations that let a Service that is this Rollout's select pods of any version, as before it was claimed."""
    if (found["metadata"].get("annotations") or {}).get(MANAGED_BY) != rollout:
        return []
    selector = found["spec"].get("selector") or {}
    return [*set_keys("/spec/selector", selector, {HASH_LABEL: None}), *annotate(found, {MANAGED_BY: None})]


def is_claimed(found: Object, rollout: str) -> bool:
    """True when a Service is marked as this Rollout's, as those are that it made select a version; not an experiment's.

    The hash may be gone from it: an edit of a selector leaves the mark, for which another Rollout is refused.
    """
    metadata = found["metadata"]
    marked = (metadata.get("annotations") or {}).get(MANAGED_BY) == rollout
    beside = PART_OF_EXPERIMENT in (metadata.get("labels") or {})
    return marked and not beside


def _owners(found: Object) -> list[Object]:
    return [owner for owner in found["metadata"].get("ownerReferences") or [] if isinstance(owner, dict)]

"""The Services of a Rollout: which pods they select, and who has claimed them. Pure."""

from __future__ import annotations

from collections.abc import Callable

from activities.kubernetes.client import Object
from activities.kubernetes.json_patch import Operation, escape, put
from activities.kubernetes.ownership import claim
from activities.kubernetes.replica_sets import HASH_LABEL


def select_hash(rollout: str, hash_: str) -> Callable[[Object], list[Operation]]:
    """The change that makes a Service select the pods of one hash; `InvalidSpec` when another Rollout manages it."""

    def edit(found: Object) -> list[Operation]:
        selector = found["spec"].get("selector")
        operations = claim(found, "Service", rollout)
        if selector is None:
            operations.append(put("/spec/selector", {}))
        if (selector or {}).get(HASH_LABEL) != hash_:
            operations.append(put(f"/spec/selector/{escape(HASH_LABEL)}", hash_))
        return operations

    return edit

"""The subsets of a DestinationRule: which pods they select, and the JSON Patch that labels them with hashes.

Rules: argo-rollouts, traffic routing with Istio, subset level. A subset's other labels and fields are kept.
"""

from __future__ import annotations

from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import DESTINATION_RULES, Cluster, Object
from activities.kubernetes.json_patch import Operation, annotate, escape, put
from activities.kubernetes.ownership import claim
from tidegate.contract import ErrorType, Fence, Target
from tidegate.manifests.network import HASH_LABEL, MANAGED_BY


async def point_subset(cluster: Cluster, target: Target, rule: str, subset: str, hash_: str, fence: Fence) -> None:
    """Label a subset of a DestinationRule with the hash of the pods that it stands for, and read it back."""

    def edit(found: Object) -> list[Operation]:
        return label_subset(found, target.name, subset=subset, hash_=hash_)

    await cluster.change(DESTINATION_RULES, target.namespace, rule, fence, edit)
    if edit(await cluster.get(DESTINATION_RULES, target.namespace, rule)):
        raise ApplicationError(
            f"DestinationRule {target.namespace}/{rule} was changed while its subset {subset} was labelled",
            type=ErrorType.CONFLICT,
        )


def label_subset(found: Object, rollout: str, *, subset: str, hash_: str) -> list[Operation]:
    """Operations that label one subset with the hash of its pods, and mark the rule as the Rollout's.

    A rule without that subset gets the mark alone: lint says so, and weights are refused without it.
    Raises `InvalidSpec` when another Rollout manages the rule.
    """
    operations: list[Operation] = []
    for index, each in enumerate(found["spec"].get("subsets") or []):
        if str(each.get("name", "")) == subset:
            operations += _label(f"/spec/subsets/{index}/labels", each, hash_)
    return [*claim(found, "DestinationRule", rollout), *operations]


def claimed_subsets(found: Object, rollout: str) -> dict[str, str]:
    """The hash of each subset that selects the pods of a version because this Rollout made it so.

    Of a rule that is marked as this Rollout's while none does, as it was applied anew: one without a name.
    """
    if (found["metadata"].get("annotations") or {}).get(MANAGED_BY) != rollout:
        return {}
    labels = {str(subset.get("name", "")): subset.get("labels") or {} for subset in found["spec"].get("subsets") or []}
    return {name: str(each[HASH_LABEL]) for name, each in labels.items() if each.get(HASH_LABEL)} or {"": ""}


def leave_subset(found: Object, rollout: str, *, subset: str) -> list[Operation]:
    """Operations that let a subset select pods of any version; with the last one the rule is this Rollout's no more."""
    claimed = claimed_subsets(found, rollout)
    if subset not in claimed:
        return []
    operations: list[Operation] = []
    for index, each in enumerate(found["spec"].get("subsets") or []):
        if str(each.get("name", "")) == subset:
            operations += _label(f"/spec/subsets/{index}/labels", each, "")
    return [*operations, *(annotate(found, {MANAGED_BY: None}) if len(claimed) == 1 else [])]


def _label(path: str, subset: Object, hash_: str) -> list[Operation]:
    labels = subset.get("labels")
    if (labels or {}).get(HASH_LABEL, "") == hash_:
        return []
    label = f"{path}/{escape(HASH_LABEL)}"
    if not hash_:
        return [{"op": "remove", "path": label}]
    return [*([put(path, {})] if labels is None else []), put(label, hash_)]

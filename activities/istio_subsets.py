"""The JSON Patch that labels the subsets of a DestinationRule with pod-template hashes. Pure.

Rules: argo-rollouts, traffic routing with Istio, subset level. A subset's other labels and fields are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from activities.cluster import Object, Operation, escape, put
from activities.ownership import claim
from tidegate.contract import PointSubsets, ReplicaSetState
from tidegate.manifests.network import HASH_LABEL


class SubsetChange(NamedTuple):
    """What has to change in a DestinationRule; `removed` names the subsets that go."""

    operations: list[Operation]
    removed: tuple[str, ...]


def label_subsets(found: Object, request: PointSubsets) -> SubsetChange:
    """Hashes on the subsets of both sides and of experiments, the mark of the Rollout, and no subset of anybody else's.

    The side that a rule has no subset for is left out: lint says so, and weights are refused without it.
    Raises `InvalidSpec` when another Rollout manages the rule.
    """
    operations: list[Operation] = []
    removed: list[int] = []
    hashes = request.hashes | request.experiments
    subsets = found["spec"].get("subsets") or []
    names = [str(subset.get("name", "")) for subset in subsets]
    for index, (name, subset) in enumerate(zip(names, subsets, strict=True)):
        if name in hashes:
            operations += _label(f"/spec/subsets/{index}/labels", subset, hashes[name])
        elif request.keep is not None and name not in request.keep:
            removed.append(index)
    # From the last to the first: a removal moves what comes after it.
    operations += [{"op": "remove", "path": f"/spec/subsets/{index}"} for index in reversed(removed)]
    added = {name: hash_ for name, hash_ in request.experiments.items() if name not in names}
    if added and found["spec"].get("subsets") is None:
        operations.append(put("/spec/subsets", []))
    operations += [
        put("/spec/subsets/-", {"name": name, "labels": {HASH_LABEL: hash_}}) for name, hash_ in added.items()
    ]
    return SubsetChange(
        [*claim(found, "DestinationRule", request.target.name), *operations], tuple(names[index] for index in removed)
    )


def not_available(sets: Iterable[ReplicaSetState]) -> list[str]:
    """Names of the ReplicaSets that are scaled up and lack available pods."""
    return [found.name for found in sets if found.desired > 0 and found.available < found.desired]


def _label(path: str, subset: Object, hash_: str) -> list[Operation]:
    labels = subset.get("labels")
    if (labels or {}).get(HASH_LABEL, "") == hash_:
        return []
    label = f"{path}/{escape(HASH_LABEL)}"
    if not hash_:
        return [{"op": "remove", "path": label}]
    return [*([put(path, {})] if labels is None else []), put(label, hash_)]

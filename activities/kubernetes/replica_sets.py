"""ReplicaSets as Argo names, labels and annotates them: built from a Rollout, read back as a state. Pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from activities.kubernetes.client import REPLICA_SETS, Object, stored_fence
from activities.kubernetes.ownership import PART_OF_EXPERIMENT, is_of
from tidegate.contract import Document, Target
from tidegate.manifests.kinds import REVISION
from tidegate.manifests.steps import PodTemplateMetadata
from tidegate.manifests.version_tag import version_of
from tidegate.rollouts.replica_sets import PodState, ReplicaSetState

HASH_LABEL = "rollouts-pod-template-hash"
DESIRED_REPLICAS = "rollout.argoproj.io/desired-replicas"
SCALE_DOWN_DEADLINE = "scale-down-deadline"
PROMOTED_AT = "tidegate.io/promoted-at"
EPHEMERAL = "rollout.argoproj.io/ephemeral-metadata"  # annotation: what its role put on the pods, as JSON
UNFINISHED = "tidegate.io/ephemeral-metadata-unfinished"  # annotation: "true" while pods are still to follow

# Annotations of a Rollout that its ReplicaSets do not inherit (argo-rollouts, annotations copied to the ReplicaSet).
_NOT_INHERITED = ("kubectl.kubernetes.io/last-applied-configuration", REVISION, DESIRED_REPLICAS)
_NOT_INHERITED_PREFIXES = ("notified.notifications.argoproj.io", "tidegate.io/")


def build(target: Target, rollout: Document, *, hash_: str, revision: int, owner_uid: str = "") -> Object:
    """Build the ReplicaSet of a pod template, with no pods yet: `<rollout>-<hash>`, the hash in labels and selector.

    `owner_uid` is the UID of the Rollout object, empty where there is none.
    """
    metadata: dict[str, Any] = dict(rollout.get("metadata") or {})
    spec: dict[str, Any] = dict(rollout["spec"])
    template = dict(spec["template"])
    labels = {**(template.get("metadata") or {}).get("labels", {}), HASH_LABEL: hash_}
    selector = dict(spec["selector"])
    body: Object = {
        "apiVersion": REPLICA_SETS.api_version,
        "kind": REPLICA_SETS.kind,
        "metadata": {
            "name": f"{target.name}-{hash_}",
            "namespace": target.namespace,
            "labels": labels,
            "annotations": {
                **_inherited(metadata.get("annotations") or {}),
                REVISION: str(revision),
                DESIRED_REPLICAS: str(spec.get("replicas", 1)),
            },
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": spec.get("minReadySeconds", 0),
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: hash_}},
            "template": {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}},
        },
    }
    if owner_uid:
        body["metadata"]["ownerReferences"] = [owner(target.name, owner_uid)]
    return body


def owner(name: str, uid: str, kind: str = "Rollout") -> Object:
    """The reference of what goes with its Rollout, or with an object of another `kind` of Argo's."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _inherited(annotations: dict[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in annotations.items()
        if key not in _NOT_INHERITED and not key.startswith(_NOT_INHERITED_PREFIXES)
    }


def belongs(found: Object, rollout: str, uid: str) -> bool:
    """True when a ReplicaSet is a version of this Rollout: owned by it, or without an owner and named after it.

    `uid` is the object's, empty where there is none: then the name in the owner's reference is what is left. What
    selects the pods plays no part: the Rollout's writer may change it. Those of experiments are no versions.
    """
    hash_ = hash_of(found)
    if not hash_ or PART_OF_EXPERIMENT in found["metadata"]["labels"]:
        return False
    return is_of(found, rollout, uid, unowned=found["metadata"]["name"] == f"{rollout}-{hash_}")


def hash_of(found: Object) -> str:
    """The pod-template hash that a ReplicaSet or pod is labelled with, or an empty string."""
    return str((found["metadata"].get("labels") or {}).get(HASH_LABEL, ""))


def template_of(found: Object) -> Object:
    """The template that a version came with: without the label, and without what its role put on it."""
    template: Object = copy.deepcopy(found["spec"]["template"])
    metadata, worn = template.setdefault("metadata", {}), remembered(found)
    for field, names in (("labels", {HASH_LABEL, *worn.labels}), ("annotations", {*worn.annotations})):
        kept = {name: value for name, value in (metadata.get(field) or {}).items() if name not in names}
        metadata.pop(field, None)
        if kept:
            metadata[field] = kept
    return template


def state(found: Object, pods: list[Object] | None = None) -> ReplicaSetState:
    """State of a ReplicaSet, as a release needs it.

    Counts lag behind a scale-down until the controller has seen it, so they are clipped to spec.replicas and are 0
    while the status is of an older generation: a count is never taken for more than it proves (law 1). `counted` says
    when that is no count at all.
    """
    metadata, spec, status = found["metadata"], found["spec"], found.get("status") or {}
    annotations = metadata.get("annotations") or {}
    desired = int(spec.get("replicas", 1))
    seen = is_observed(found)

    def count(field: str) -> int:
        return min(int(status.get(field, 0)), desired) if seen else 0

    revision = str(annotations.get(REVISION, ""))
    return ReplicaSetState(
        name=metadata["name"],
        hash=hash_of(found),
        revision=int(revision) if revision.isdigit() else 0,
        desired=desired,
        current=int(status.get("replicas", 0)),
        ready=count("readyReplicas"),
        available=count("availableReplicas"),
        images={c["name"]: c.get("image", "") for c in spec["template"]["spec"].get("containers") or []},
        created_at=_time(metadata.get("creationTimestamp")),
        scale_down_at=_time(annotations.get(SCALE_DOWN_DEADLINE)),
        promoted_at=_time(annotations.get(PROMOTED_AT)),
        version_tag=version_of(spec["template"]),
        counted=seen or not status.get("availableReplicas"),
        no_pods=cannot_create(found),
        fence=stored_fence(found),
        ephemeral=None if UNFINISHED in annotations else remembered(found),
        pods=tuple(pod_states(pods or [])),
    )


def stable_hash(live: Object | None, sets: Sequence[ReplicaSetState]) -> str:
    """The version that was fully promoted last: by the Rollout's status, else by our own mark on the ReplicaSets.

    Empty where none of `sets` was ever promoted.
    """
    stated = str(((live or {}).get("status") or {}).get("stableRS") or "")
    if stated and any(s.hash == stated for s in sets):
        return stated
    promoted = [s for s in sets if s.promoted_at is not None]
    return max(promoted, key=lambda s: str(s.promoted_at)).hash if promoted else ""


def is_observed(found: Object) -> bool:
    """True when the status of a ReplicaSet is of its newest spec."""
    seen = (found.get("status") or {}).get("observedGeneration", 0)
    return int(seen) >= int(found["metadata"].get("generation", 0))


def cannot_create(found: Object) -> str:
    """Why the controller cannot make the pods of a ReplicaSet, in the server's words; empty when it can."""
    conditions = (found.get("status") or {}).get("conditions") or []
    failed = [each for each in conditions if each.get("type") == "ReplicaFailure" and each.get("status") == "True"]
    return f"{failed[0].get('reason', '')}: {failed[0].get('message', '')}"[:1000] if failed else ""


def remembered(found: Object) -> PodTemplateMetadata:
    """Metadata that a ReplicaSet's role put on its pods, by its annotation; empty for one that cannot be read."""
    text = (found["metadata"].get("annotations") or {}).get(EPHEMERAL)
    try:
        return PodTemplateMetadata.model_validate(json.loads(text)) if text else PodTemplateMetadata()
    except ValueError:  # pydantic's is one, too
        return PodTemplateMetadata()


def pod_states(found: list[Object]) -> list[PodState]:
    """Pods as the tree shows them."""
    return [_pod(pod) for pod in found]


def _pod(found: Object) -> PodState:
    status = found.get("status") or {}
    conditions = {c.get("type"): c for c in status.get("conditions") or []}
    containers = status.get("containerStatuses") or []
    waiting = [c["state"]["waiting"] for c in containers if (c.get("state") or {}).get("waiting")]
    deleted = "deletionTimestamp" in found["metadata"]
    reason = str(waiting[0].get("reason", "")) if waiting else str(status.get("reason", ""))
    return PodState(
        name=found["metadata"]["name"],
        phase="Terminating" if deleted else reason or str(status.get("phase", "Pending")),
        ready=(conditions.get("Ready") or {}).get("status") == "True",
        restarts=sum(int(c.get("restartCount", 0)) for c in containers),
        created_at=_time(found["metadata"].get("creationTimestamp")),
        message=str(waiting[0].get("message", ""))[:300] if waiting else "",
    )


def _time(text: Any) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None

"""The ReplicaSet controller: as many pods as the spec says, and a status that says how they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sandbox.controllers.loop import RETRY_SECONDS, Controller, Item, item_of
from sandbox.controllers.pods import is_active, pod_of, ready_since, seconds_to_available
from sandbox.kubernetes_api.cluster import Ref
from sandbox.kubernetes_api.kinds import PODS, REPLICA_SETS
from sandbox.kubernetes_api.managed_fields import Writer
from sandbox.kubernetes_api.objects import (
    Object,
    controller_of,
    labels,
    lookup,
    meta,
    owner_reference,
    parse_time,
    timestamp,
    with_metadata,
)
from sandbox.kubernetes_api.selectors import label_selector
from sandbox.kubernetes_api.status import ApiError
from sandbox.kubernetes_api.store import Change

_WRITER = Writer("replicaset-controller", "v1")
_STATUS_WRITER = Writer("replicaset-controller", "apps/v1", "status")
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


class ReplicaSetController(Controller):
    """Creates, adopts and deletes pods.

    It differs from the real one in one point: it adopts a pod that somebody else made only while it is short of
    replicas, so that it never deletes such a pod just because there is one too many.
    """

    kind = REPLICA_SETS

    def affected(self, change: Change) -> Iterable[Item]:
        """A ReplicaSet itself; for a pod its owner, or without one whoever might adopt it."""
        if change.kind is REPLICA_SETS:
            yield item_of(change.object)
        elif change.kind is PODS:
            namespace = meta(change.object)["namespace"]
            for pod in (change.object, change.previous):
                owner = controller_of(pod) if pod is not None else None
                if owner is not None and owner.get("kind") == REPLICA_SETS.kind:
                    yield Item(namespace, owner["name"])
            if controller_of(change.object) is None:
                yield from (item_of(replica_set) for replica_set in self.store.select(REPLICA_SETS, namespace))

    def reconcile(self, item: Item) -> float | None:
        """Bring the number of pods in order, then the status; looks again when the next pod becomes available."""
        replica_set = self.store.get(REPLICA_SETS, *item)
        if replica_set is None:
            return None
        self._release(replica_set)
        refused: ApiError | None = None
        if not meta(replica_set).get("deletionTimestamp"):
            try:
                self._scale(replica_set)
            except ApiError as error:
                refused = error
        available_in = self._write_status(replica_set, refused)
        return min(filter(None, (available_in, RETRY_SECONDS if refused else None)), default=None)

    def _owned(self, replica_set: Object) -> list[Object]:
        uid = replica_set["metadata"]["uid"]
        pods = self.store.select(PODS, meta(replica_set)["namespace"])
        return [pod for pod in pods if (controller_of(pod) or {}).get("uid") == uid]

    def _active(self, replica_set: Object) -> list[Object]:
        return [pod for pod in self._owned(replica_set) if is_active(pod)]

    def _release(self, replica_set: Object) -> None:
        """Let go of pods whose labels the selector no longer matches."""
        matches = label_selector(lookup(replica_set, "spec", "selector"))
        for pod in self._owned(replica_set):
            if not matches(labels(pod)) and is_active(pod):
                self._own(pod, None, replica_set)

    def _own(self, pod: Object, reference: dict[str, Any] | None, replica_set: Object) -> None:
        uid = replica_set["metadata"]["uid"]

        def owned(live: Object) -> Object:
            others = [ref for ref in meta(live).get("ownerReferences") or [] if ref.get("uid") != uid]
            return with_metadata(live, ownerReferences=(others + ([reference] if reference else [])) or None)

        self.cluster.patch(Ref(PODS, *item_of(pod)), owned, _WRITER)

    def _scale(self, replica_set: Object) -> None:
        active = self._active(replica_set)
        missing = replica_set["spec"]["replicas"] - len(active)
        if missing > 0:
            for orphan in list(self._orphans(replica_set))[:missing]:
                self._own(orphan, owner_reference(replica_set), replica_set)
                missing -= 1
        for _ in range(missing):
            self.cluster.create(
                PODS,
                pod_of(replica_set, replica_set["spec"]["template"]),
                _WRITER,
                namespace=meta(replica_set)["namespace"],
            )
        if missing < 0:
            for pod in sorted(active, key=_deletion_rank)[:-missing]:
                self.cluster.delete(Ref(PODS, *item_of(pod)))

    def _orphans(self, replica_set: Object) -> Iterator[Object]:
        matches = label_selector(lookup(replica_set, "spec", "selector"))
        for pod in self.store.select(PODS, meta(replica_set)["namespace"]):
            if controller_of(pod) is None and is_active(pod) and matches(labels(pod)):
                yield pod

    def _write_status(self, replica_set: Object, refused: ApiError | None) -> float | None:
        active = self._active(replica_set)
        least, now = lookup(replica_set, "spec", "minReadySeconds") or 0, self.store.clock()
        waits = [seconds_to_available(pod, least, now) for pod in active]
        template_labels = lookup(replica_set, "spec", "template", "metadata", "labels") or {}
        counts = {
            "fullyLabeledReplicas": sum(1 for pod in active if template_labels.items() <= labels(pod).items()),
            "readyReplicas": sum(1 for wait in waits if wait is not None),
            "availableReplicas": sum(1 for wait in waits if wait is not None and wait <= 0),
        }
        # Counts of zero are left out, as the real one does.
        status = {"replicas": len(active), "observedGeneration": meta(replica_set).get("generation", 0)}
        status |= {name: count for name, count in counts.items() if count}

        def with_status(live: Object) -> Object:
            conditions = _conditions(lookup(live, "status", "conditions") or [], refused, timestamp(now))
            return {**live, "status": {**({"conditions": conditions} if conditions else {}), **status}}

        if with_status(replica_set) != replica_set:  # as the real one, which writes nothing that stands
            self.cluster.patch(Ref(REPLICA_SETS, *item_of(replica_set)), with_status, _STATUS_WRITER)
        return min((wait for wait in waits if wait is not None and wait > 0), default=None)


def _conditions(found: list[Object], refused: ApiError | None, now: str) -> list[Object]:
    """As before, but for ReplicaFailure, which keeps what it said at first for as long as the controller is refused."""
    others = [each for each in found if each.get("type") != "ReplicaFailure"]
    if refused is None:
        return others
    told = [each for each in found if each.get("type") == "ReplicaFailure"]
    said = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refused.message}
    return [*others, *(told or [{**said, "lastTransitionTime": now}])]


def _deletion_rank(pod: Object) -> tuple[Any, ...]:
    """Sorts first what is the least loss: pending, not ready, cheap, ready for the shortest time, newest."""
    since = ready_since(pod)
    try:
        cost = int((meta(pod).get("annotations") or {}).get(_DELETION_COST, 0))
    except ValueError:
        cost = 0
    return (
        lookup(pod, "status", "phase") != "Pending",
        since is not None,
        cost,
        -since.timestamp() if since is not None else 0,
        -parse_time(meta(pod)["creationTimestamp"]).timestamp(),
        meta(pod)["name"],
    )

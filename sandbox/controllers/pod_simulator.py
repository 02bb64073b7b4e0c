"""Pods without a kubelet: they start, become ready and go, but nothing runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sandbox.checkout import UnknownImageError
from sandbox.controllers.loop import Controller, Item, item_of
from sandbox.controllers.pods import LOOPBACK, is_finished, is_terminating, ready_since
from sandbox.kubernetes_api.cluster import Cluster, DeleteOptions, Ref
from sandbox.kubernetes_api.kinds import PODS
from sandbox.kubernetes_api.managed_fields import Writer
from sandbox.kubernetes_api.objects import Object, lookup, timestamp
from sandbox.kubernetes_api.store import Change
from sandbox.task import task_of

_WRITER = Writer("pod-simulator", "v1", "status")
_RESTART_SECONDS = 0.05
_AT_ONCE = DeleteOptions(grace_seconds=0)


class PodSimulator(Controller):
    """Makes each pod ready once, `ready_after` seconds after it appeared; after that its status is whoever writes it.

    A pod with an image of `never_ready` runs and never becomes ready. A pod that is deleted is gone at once. One that
    may end, as those of Jobs, is ready at once and ends as `sandbox.task` says.
    """

    kind = PODS

    def __init__(
        self,
        cluster: Cluster,
        *,
        ready_after: float = 0.2,
        ready_after_by: Mapping[str, float] | None = None,
        never_ready: Collection[str] = (),
    ) -> None:
        """`ready_after_by` are other numbers of seconds, by image."""
        super().__init__(cluster)
        self._ready_after = ready_after
        self._ready_after_by = ready_after_by or {}
        self._never_ready = never_ready
        self._due: dict[str, float | None] = {}  # uid -> POSIX time of the next stage, None once there is none

    def affected(self, change: Change) -> Iterable[Item]:
        """Every pod that there is."""
        if change.kind is PODS:
            yield item_of(change.object)

    def reconcile(self, item: Item) -> float | None:
        """Take a pod one stage on; looks again when it is to become ready."""
        pod = self.store.get(PODS, *item)
        if pod is None:
            return None
        uid = pod["metadata"]["uid"]
        if is_terminating(pod):
            self._due.pop(uid, None)
            if pod["metadata"].get("deletionGracePeriodSeconds"):
                self.cluster.delete(Ref(PODS, *item), _AT_ONCE)
            return None
        time = self.store.clock().timestamp()
        if pod["spec"].get("restartPolicy") != "Always":
            return self._carry_out(item, pod, time)
        if uid not in self._due:
            started = ready_since(pod) is not None  # by an earlier run
            image = pod["spec"]["containers"][0].get("image", "")
            self._due[uid] = None if started else time + self._ready_after_by.get(image, self._ready_after)
            if not started:
                self._write(item, self._running(pod, ready=False))
        due = self._due[uid]
        if due is None or any(c.get("image") in self._never_ready for c in pod["spec"]["containers"]):
            return None
        if due > time:
            return due - time
        self._due[uid] = None
        self._write(item, self._running(pod, ready=True))
        return None

    def _carry_out(self, item: Item, pod: Object, time: float) -> float | None:
        """Take a pod that may end one stage on."""
        uid, containers = pod["metadata"]["uid"], pod["spec"]["containers"]
        due = self._due.setdefault(uid, None if is_finished(pod) else time)
        if due is None or due > time:
            return None if due is None else due - time
        try:
            task = task_of((each["image"], [*each.get("command", ()), *each.get("args", ())]) for each in containers)
        except UnknownImageError as error:
            self._due[uid] = None
            self._write(
                item, self._status(pod, "Pending", {"waiting": {"reason": "ErrImagePull", "message": str(error)}})
            )
            return None
        if lookup(pod, "status", "phase") != "Running":
            self._due[uid] = time + task.seconds
            self._write(item, self._running(pod, ready=True))
            return task.seconds
        if task.exit_code and pod["spec"]["restartPolicy"] == "OnFailure":
            self._due[uid] = time + max(task.seconds, _RESTART_SECONDS)
            self._write(
                item, self._running(pod, ready=True, restarts=pod["status"]["containerStatuses"][0]["restartCount"] + 1)
            )
            return max(task.seconds, _RESTART_SECONDS)
        self._due[uid] = None
        state = {"terminated": {"exitCode": task.exit_code, "reason": "Error" if task.exit_code else "Completed"}}
        self._write(item, self._status(pod, "Failed" if task.exit_code else "Succeeded", state))
        return None

    def _write(self, item: Item, status: Object) -> None:
        self.cluster.patch(Ref(PODS, *item), lambda live: {**live, "status": status}, _WRITER)

    def _running(self, pod: Object, *, ready: bool, restarts: int = 0) -> Object:
        started = {"running": {"startedAt": timestamp(self.store.clock())}}
        return self._status(pod, "Running", started, ready=ready, restarts=restarts)

    def _status(self, pod: Object, phase: str, state: Object, *, ready: bool = False, restarts: int = 0) -> Object:
        """`state` is that of every container."""
        return _status(pod, phase, state, timestamp(self.store.clock()), ready=ready, restarts=restarts)


def _status(pod: Object, phase: str, state: Object, time: str, *, ready: bool, restarts: int) -> Object:
    truth = {"Initialized": True, "Ready": ready, "ContainersReady": ready, "PodScheduled": True}
    return {
        "phase": phase,
        "startTime": lookup(pod, "status", "startTime") or time,
        "hostIP": LOOPBACK,
        "podIP": LOOPBACK,
        "podIPs": [{"ip": LOOPBACK}],
        "conditions": [
            {"type": name, "status": str(value), "lastTransitionTime": time} for name, value in truth.items()
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": ready,
                "started": phase == "Running",
                "restartCount": restarts,
                "state": state,
            }
            for container in pod["spec"]["containers"]
        ],
    }

"""The Job controller: pods until enough of them have succeeded, and a status that says how it went."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from sandbox.controllers.loop import Controller, Item, item_of
from sandbox.controllers.pods import is_active, pod_of, ready_since
from sandbox.kubernetes_api.cluster import DeleteOptions, Ref
from sandbox.kubernetes_api.kinds import JOBS, PODS
from sandbox.kubernetes_api.managed_fields import Writer
from sandbox.kubernetes_api.objects import Object, controller_of, lookup, meta, now, parse_time
from sandbox.kubernetes_api.store import Change

_WRITER = Writer("job-controller", "v1")
_STATUS_WRITER = Writer("job-controller", "batch/v1", "status")
_ENDS = ("Complete", "Failed")


class _End(NamedTuple):
    """The condition that ends a Job."""

    type: str
    reason: str
    message: str


_COMPLETE = _End("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
_FAILED = _End("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
_LATE = _End("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")


class JobController(Controller):
    """Creates pods, counts how they end, and removes a Job some time after its end when it says so.

    It differs from the real one in three points: a pod that failed is replaced at once, a pod that somebody deletes
    counts neither as failed nor as succeeded, and there are no indexes and no policies.
    """

    kind = JOBS

    def affected(self, change: Change) -> Iterable[Item]:
        """A Job itself; for a pod the Job that owns it."""
        if change.kind is JOBS:
            yield item_of(change.object)
        elif change.kind is PODS:
            owner = controller_of(change.object)
            if owner is not None and owner.get("kind") == JOBS.kind:
                yield Item(meta(change.object)["namespace"], owner["name"])

    def reconcile(self, item: Item) -> float | None:
        """Take a Job one stage on; looks again at its deadline, and when a finished one is to go."""
        job = self.store.get(JOBS, *item)
        if job is None or meta(job).get("deletionTimestamp"):
            return None
        if any(each.get("type") in _ENDS for each in lookup(job, "status", "conditions") or []):
            return self._expire(item, job)
        end = self._end(job)
        active = [pod for pod in self._pods(job) if is_active(pod)]
        wanted = self._wanted(job, len(active)) if end is None else 0
        for pod in active[wanted:]:
            self.cluster.delete(Ref(PODS, *item_of(pod)))
        for _ in range(wanted - len(active)):
            pod = pod_of(job, job["spec"]["template"])
            self.cluster.create(PODS, pod, _WRITER, namespace=item.namespace)
        self._write_status(item, job, end)
        return None if end else _seconds_left(self.store.get(JOBS, *item) or job)

    def _pods(self, job: Object) -> list[Object]:
        uid = job["metadata"]["uid"]
        pods = self.store.select(PODS, meta(job)["namespace"])
        return [pod for pod in pods if (controller_of(pod) or {}).get("uid") == uid]

    def _count(self, job: Object, phase: str) -> int:
        return sum(1 for pod in self._pods(job) if lookup(pod, "status", "phase") == phase)

    def _wanted(self, job: Object, active: int) -> int:
        """How many pods are to run now, when so many do."""
        spec, succeeded = job["spec"], self._count(job, "Succeeded")
        if spec.get("suspend"):
            return 0
        if spec.get("completions") is None:  # a queue of work: when a pod is done there is nothing left to begin
            return active if succeeded else int(spec["parallelism"])
        return max(min(int(spec["parallelism"]), int(spec["completions"]) - succeeded), 0)

    def _end(self, job: Object) -> _End | None:
        spec, left = job["spec"], _seconds_left(job)
        restarts = sum(
            status.get("restartCount", 0)
            for pod in self._pods(job)
            for status in lookup(pod, "status", "containerStatuses") or []
        )
        if self._count(job, "Failed") + restarts > spec["backoffLimit"]:
            return _FAILED
        if left is not None and left <= 0:
            return _LATE
        succeeded, wanted = self._count(job, "Succeeded"), spec.get("completions")
        done = succeeded >= wanted if wanted is not None else succeeded > 0 and not any(map(is_active, self._pods(job)))
        return _COMPLETE if done else None

    def _write_status(self, item: Item, job: Object, end: _End | None) -> None:
        pods = self._pods(job)
        active = [pod for pod in pods if is_active(pod)]
        counts = {
            "active": len(active),
            "ready": sum(1 for pod in active if ready_since(pod) is not None),
            "succeeded": self._count(job, "Succeeded"),
            "failed": self._count(job, "Failed"),
        }
        status: Object = {name: count for name, count in counts.items() if count}
        status["startTime"] = lookup(job, "status", "startTime") or now()
        if end is not None:
            condition = end._asdict() | {"status": "True", "lastProbeTime": now(), "lastTransitionTime": now()}
            status["conditions"] = [condition]
            if end is _COMPLETE:
                status["completionTime"] = now()
        self.cluster.patch(Ref(JOBS, *item), lambda live: {**live, "status": status}, _STATUS_WRITER)

    def _expire(self, item: Item, job: Object) -> float | None:
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if ttl is None:
            return None
        ended = max(parse_time(each["lastTransitionTime"]) for each in job["status"]["conditions"])
        left: float = ttl - (datetime.now(UTC) - ended).total_seconds()
        if left > 0:
            return left
        self.cluster.delete(Ref(JOBS, *item), DeleteOptions(propagation="Foreground"))
        return None


def _seconds_left(job: Object) -> float | None:
    """Until its deadline; None without one."""
    deadline, started = lookup(job, "spec", "activeDeadlineSeconds"), lookup(job, "status", "startTime")
    if deadline is None or started is None:
        return None
    return float(deadline) - (datetime.now(UTC) - parse_time(started)).total_seconds()

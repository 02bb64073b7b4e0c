"""New pods of the same version: the old ones are deleted a few at a time, and their ReplicaSets make new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.kubernetes import replica_sets
from activities.kubernetes.client import PODS, ROLLOUTS, Cluster, Object
from activities.kubernetes.ownership import uid_of
from activities.kubernetes.rejections import again, is_rejection, message_of, to_report
from activities.kubernetes.versions import Versions
from activities.reconcile.live_spec import LiveSpec
from tidegate.canary.limits import rolling_limits
from tidegate.contract import Activity, ErrorType, RestartedPods, RestartPods
from tidegate.manifests.rollout import Canary
from tidegate.rollouts.restarts import OldPod, may_go, parse_timestamp

log = structlog.get_logger(__name__)

POLL_INTERVAL = timedelta(seconds=20)
LOOK_AGAIN_SECONDS = 0.25
REFUSED_AGAIN = timedelta(seconds=5)  # what a cluster refuses is not asked of it several times a second


class Restarts:
    """The activity that replaces the pods of one cluster's Rollouts."""

    def __init__(self, cluster: Cluster, *, poll_interval: timedelta = POLL_INTERVAL) -> None:
        """`look` is how long one attempt goes on."""
        self._cluster = cluster
        self._versions = Versions(cluster)
        self._poll_interval = poll_interval

    def activities(self) -> list[Callable[..., Any]]:
        """Activities that a worker registers."""
        return [self.restart_pods]

    @activity.defn(name=Activity.RESTART_PODS)
    async def restart_pods(self, request: RestartPods) -> RestartedPods:
        """Return when no pod is left from before `request.at`, or when the cluster refuses what it did not before.

        What is left follows from the pods alone, so an attempt goes on where the one before was cut off. Raises
        `NotChanged` after a while: the retries of a long restart are no history. The same is true of those of what the
        release knows to be refused, until it is refused no longer.
        """
        try:
            return await self._replace(request)
        except ApplicationError as error:
            if not is_rejection(error):
                raise
            if to_report(error, request.failing):
                return RestartedPods(failing=message_of(error))
            raise again(error, REFUSED_AGAIN) from error

    async def _replace(self, request: RestartPods) -> RestartedPods:
        live_spec = LiveSpec(request.manifest.spec)
        end = asyncio.get_running_loop().time() + self._poll_interval.total_seconds()
        while True:
            left, replaced = await self._replace_some(request, live_spec)
            if not left or (replaced and request.failing):
                return RestartedPods(done=not left)
            if asyncio.get_running_loop().time() >= end:
                raise ApplicationError(
                    "no failure: older pods are left, and the restart goes on",
                    type=ErrorType.NOT_CHANGED,
                    category=ApplicationErrorCategory.BENIGN,
                )
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _replace_some(self, request: RestartPods, live_spec: LiveSpec) -> tuple[bool, bool]:
        """Delete what may go now; returns whether older pods were left, and whether one of them was deleted."""
        target = request.target
        live = await self._cluster.find(ROLLOUTS, target.namespace, target.name)
        spec = live_spec.spec(live)
        found_sets = await self._versions.sets(target, uid_of(live))
        sets = [replica_sets.state(each) for each in found_sets]
        pods = await self._versions.pods(target.namespace, found_sets)
        old = {found.uid: (found, pod) for pod in pods if (found := _before(pod, request)) is not None}
        missing = sum(max(0, each.desired - each.available) for each in sets)
        replicas = spec.wanted_replicas()
        strategy = spec.strategy.canary or request.manifest.strategy
        # Without a surge, as with blue-green, pods are replaced one by one.
        unavailable = rolling_limits(strategy, replicas).unavailable if isinstance(strategy, Canary) else 1
        chosen = may_go([found for found, _ in old.values()], missing, unavailable)
        for going in chosen:
            name = old[going.uid][1]["metadata"]["name"]
            await self._delete(target.namespace, name, going.uid)
            log.info("pod_restarted", namespace=target.namespace, rollout=target.name, pod=name)
        return bool(old), bool(chosen)

    async def _delete(self, namespace: str, name: str, uid: str) -> None:
        try:
            await self._cluster.delete(PODS, namespace, name, uid=uid)
        except ApplicationError as error:
            if error.type != ErrorType.CONFLICT:  # it is another pod of that name by now
                raise


def _before(pod: Object, request: RestartPods) -> OldPod | None:
    """A pod that is to be replaced and is not on its way out yet."""
    metadata = pod["metadata"]
    created = parse_timestamp(metadata.get("creationTimestamp"))
    if created is None or created >= request.at or metadata.get("deletionTimestamp"):
        return None
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
    return OldPod(str(metadata.get("uid")), created, ready)

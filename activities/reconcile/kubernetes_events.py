"""Objects that kubectl shows beside a Rollout: its Events, and the AnalysisRun objects of its analysis runs.

Nothing decides by any of it, so a cluster that will not have it is worth a warning and never a failed release: one
without the CRD, a role without the verb. Only what a retry may help is raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import ANALYSIS_RUNS, EVENTS, FENCE_ANNOTATION, Cluster, Object
from activities.kubernetes.json_patch import Operation, annotate, escape, put
from activities.kubernetes.ownership import owned_by
from activities.kubernetes.replica_sets import HASH_LABEL, hash_of
from activities.kubernetes.versions import Versions
from tidegate.analysis.history import StoredRun, surplus
from tidegate.contract import (
    AnalysisRunUpdate,
    ErrorType,
    Event,
    Fence,
    PublishEvents,
    Reconcile,
    Target,
)
from tidegate.manifests.rollout import RunHistory
from tidegate.report import analysis_run_object, experiment_run_object, joined, kubernetes_event

log = structlog.get_logger(__name__)

# A retry would say the same again: no such kind or namespace, not allowed, not valid.
_FINAL: Final = (ErrorType.NOT_FOUND, ErrorType.UNAUTHORIZED, ErrorType.REJECTED)


class Publisher:
    """Tells of a release in its cluster. Each method is idempotent: a name or a fence is the id of the effect.

    All but `show` and `tell` raise the ApplicationError of a server that is away, limits the rate or changes under the
    write.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._versions = Versions(cluster)

    async def show(self, request: Reconcile) -> bool:
        """Write the AnalysisRun objects that say something else by now; False when it has to be done again."""
        pending = request.report.unpublished
        if pending is None or not request.owner_uid:
            return True
        try:
            for run in pending.runs:
                await self.publish_analysis_run(
                    run,
                    request.target,
                    request.fence,
                    uid=request.owner_uid,
                    hash_=request.desired.hash,
                    selector=_selector(request),
                )
            if any(run.run.status.phase.completed for run in pending.runs):
                limits = request.manifest.spec.analysis or RunHistory()
                await self.collect_analysis_runs(request.target, request.owner_uid, limits, current=pending.current)
        except ApplicationError as error:
            return _not_yet(request, error)
        return True

    async def publish(self, request: Reconcile, events: Sequence[Event]) -> bool:
        """Create the Events of what a pass was given, and of what it did itself; False as for `show`."""
        pending = request.report.unpublished
        if pending is None or not request.owner_uid:
            return True
        try:
            await self.publish_events(_events(request, pending.run_id, pending.first, pending.events))
            await self.publish_events(_events(request, f"{pending.run_id}/{request.fence}", 0, joined(events)))
        except ApplicationError as error:
            return _not_yet(request, error)
        return True

    async def publish_events(self, request: PublishEvents) -> None:
        """Create the Events that do not stand yet."""
        for number, event in enumerate(request.events, request.first):
            body = kubernetes_event(
                event,
                target=request.target,
                uid=request.uid,
                run=request.run,
                number=number,
                kind=request.kind,
            )
            try:
                await self._cluster.add(EVENTS, request.target.namespace, body)
            except ApplicationError as error:
                _give_up(error, request.target)

    async def publish_analysis_run(
        self,
        update: AnalysisRunUpdate,
        target: Target,
        fence: Fence,
        *,
        uid: str,
        hash_: str,
        selector: Mapping[str, str],
    ) -> None:
        """Create the object, or write what changed; what other people added to it stays, such as `spec.terminate`.

        `uid` is that of the Rollout object, `hash_` the version that is analysed, `selector` the Rollout's
        `spec.selector.matchLabels`.
        """
        wanted = analysis_run_object(update, target, uid=uid, hash_=hash_, selector=selector)
        await self._publish_run(wanted, target, uid, fence)

    async def publish_experiment_run(
        self, update: AnalysisRunUpdate, target: Target, fence: Fence, *, uid: str
    ) -> None:
        """Do the same for a run of the Experiment object of that `uid`."""
        await self._publish_run(experiment_run_object(update, target, uid=uid), target, uid, fence)

    async def _publish_run(self, wanted: Object, target: Target, uid: str, fence: Fence) -> None:
        try:
            await self._write(wanted, target, uid, fence)
        except ApplicationError as error:
            if error.type != ErrorType.STALE_WRITE:  # something newer was published already
                _give_up(error, target)

    async def collect_analysis_runs(
        self, target: Target, uid: str, limits: RunHistory, *, current: tuple[str, ...] = ()
    ) -> None:
        """Delete the objects that the history limits do not keep; never those that are called as `current`."""
        try:
            for run in await self._garbage(target, uid, limits, current):
                await self._delete(target.namespace, run)
        except ApplicationError as error:
            _give_up(error, target)

    async def _write(self, wanted: Object, target: Target, uid: str, fence: Fence) -> None:
        namespace, name = target.namespace, wanted["metadata"]["name"]
        owner = wanted["metadata"]["ownerReferences"][0]["kind"]

        def edit(found: Object) -> list[Operation]:
            if not owned_by(found, uid):
                raise ApplicationError(
                    f"AnalysisRun {namespace}/{name} exists and does not belong to {owner} {target.name}: "
                    "delete or rename it",
                    type=ErrorType.REJECTED,
                    non_retryable=True,
                )
            return _differences(found, wanted)

        try:
            await self._cluster.change(ANALYSIS_RUNS, namespace, name, fence, edit)
        except ApplicationError as error:
            if error.type != ErrorType.NOT_FOUND:
                raise
            fenced = wanted["metadata"]["annotations"] | {FENCE_ANNOTATION: str(fence)}
            body = wanted | {"metadata": wanted["metadata"] | {"annotations": fenced}}
            if await self._cluster.add(ANALYSIS_RUNS, namespace, body) is None:
                await self._cluster.change(ANALYSIS_RUNS, namespace, name, fence, edit)

    async def _garbage(self, target: Target, uid: str, limits: RunHistory, current: tuple[str, ...]) -> list[StoredRun]:
        found = await self._cluster.select(ANALYSIS_RUNS, target.namespace, {HASH_LABEL: None})
        runs = [StoredRun.of(run) for run in found if owned_by(run, uid) and not _being_deleted(run)]
        sets = await self._versions.sets(target, uid)
        staying = [each for each in sets if not _being_deleted(each)]
        return surplus(
            runs,
            hashes={hash_of(each) for each in staying},
            current=current,
            successful=limits.successful_kept(),
            unsuccessful=limits.unsuccessful_kept(),
        )

    async def _delete(self, namespace: str, run: StoredRun) -> None:
        """Delete this object; nothing when another one of its name has come instead."""
        try:
            await self._cluster.delete(ANALYSIS_RUNS, namespace, run.name, uid=run.uid)
        except ApplicationError as error:
            if error.type != ErrorType.CONFLICT:
                raise


def _not_yet(request: Reconcile, error: ApplicationError) -> bool:
    """False: what failed is tried again with the next pass."""
    log.warning("not published yet", rollout=request.target.name, error=error.message)
    return False


def _events(request: Reconcile, run: str, first: int, events: Sequence[Event]) -> PublishEvents:
    return PublishEvents(target=request.target, uid=request.owner_uid, run=run, first=first, events=tuple(events))


def _selector(request: Reconcile) -> dict[str, str]:
    selector = request.manifest.spec.selector
    return dict(selector.match_labels) if selector is not None else {}


def _give_up(error: ApplicationError, target: Target) -> None:
    """Warn when the cluster says no; raise an error that a retry may help."""
    if error.type not in _FINAL:
        raise error
    log.warning("not published in the cluster", namespace=target.namespace, rollout=target.name, error=error.message)


def _being_deleted(found: Object) -> bool:
    return found["metadata"].get("deletionTimestamp") is not None


def _differences(found: Object, wanted: Object) -> list[Operation]:
    """JSON Patch operations that put what is wanted in place, and leave what else stands there."""
    annotations = _changed(found["metadata"].get("annotations"), wanted["metadata"]["annotations"])
    operations = [
        *annotate(found, annotations),
        *_merged("/metadata/labels", found["metadata"].get("labels"), wanted["metadata"]["labels"]),
        *_merged("/spec", found.get("spec"), wanted["spec"]),
    ]
    if found.get("status") != wanted["status"]:
        operations.append(put("/status", wanted["status"]))
    return operations


def _merged(path: str, found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> list[Operation]:
    missing = [put(path, {})] if found is None else []
    changed = _changed(found, wanted)
    return [*missing, *(put(f"{path}/{escape(name)}", value) for name, value in changed.items())]


def _changed(found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> dict[str, Any]:
    there = found or {}
    return {name: value for name, value in wanted.items() if there.get(name) != value}

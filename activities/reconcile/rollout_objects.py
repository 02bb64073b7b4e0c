"""The Rollout's own objects in the cluster: ReplicaSets, Services, status. One method for each verb."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.kubernetes import replica_sets
from activities.kubernetes.client import (
    ANALYSIS_RUNS,
    FENCE_ANNOTATION,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    Cluster,
    Object,
    Reader,
)
from activities.kubernetes.fresh import FreshReader
from activities.kubernetes.informers import Cache
from activities.kubernetes.json_patch import Operation, annotate, put
from activities.kubernetes.ownership import owned_by, uid_of
from activities.kubernetes.rejections import again, is_rejection, message_of, to_report
from activities.kubernetes.replica_sets import HASH_LABEL, PROMOTED_AT, SCALE_DOWN_DEADLINE
from activities.kubernetes.seen import Seen, run_of_activity
from activities.kubernetes.services import select_hash
from activities.kubernetes.versions import Versions, adopted, pods_of
from activities.kubernetes.workloads import Workloads, with_template
from activities.reconcile.kubernetes_events import Publisher
from activities.reconcile.rollout_status import StatusWriter
from activities.reconcile.templates import read_templates
from activities.routers.choice import read_traffic, router_of
from tidegate.analysis.history import StoredRun
from tidegate.contract import (
    Activity,
    Document,
    ErrorType,
    Fence,
    Observation,
    ObserveRequest,
    ParsedRollout,
    Target,
)
from tidegate.contract.instances import DEFAULT_INSTANCE, ControllerInstance
from tidegate.manifests.analysis_template import TemplateRef
from tidegate.manifests.bake import bake_templates
from tidegate.manifests.kinds import REVISION
from tidegate.manifests.rollout import Canary
from tidegate.rollouts.replica_sets import ReplicaSetState


class Kubernetes:
    """Operations on a cluster's objects, each idempotent: an object's name or a fence is the effect's id (law 6)."""

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        *,
        bake: timedelta | None = None,
        instance: ControllerInstance = DEFAULT_INSTANCE,
    ) -> None:
        """`bake` is how long versions are watched at 100 % whose Rollouts do not say it; None: not at all.

        A Rollout object of another `instance` is not released.
        """
        self._cluster = cluster
        self._cache = cache
        self._bake = bake
        self._instance = instance
        self._workloads = Workloads(cluster)
        self._versions = Versions(cluster)
        self._publisher = Publisher(cluster)
        self._status = StatusWriter(cluster)

    def activities(self) -> list[Callable[..., Any]]:
        """Activities that a worker registers."""
        return [self.observe]

    @activity.defn(name=Activity.OBSERVE)
    async def observe(self, request: ObserveRequest) -> Observation:
        """Read the Rollout, its ReplicaSets and what it names; changes nothing of them but what `meanwhile` says."""
        if request.failing is None:
            return await self._observe(request)
        if request.publish is not None:
            with suppress(ApplicationError):  # whoever looks at the cluster is told again with the first pass
                await self._publisher.publish_events(request.publish)
        if request.meanwhile is not None:
            with suppress(ApplicationError):  # the status may be refused, too
                await self._status.say_meanwhile(request.target, request.meanwhile)
        try:
            return await self._observe(request)
        except ApplicationError as error:
            if not is_rejection(error) or error.non_retryable:
                raise
            if to_report(error, request.failing):
                return Observation(at=datetime.now(UTC), failing=message_of(error))
            raise again(error) from error

    async def _observe(self, request: ObserveRequest) -> Observation:
        seen = Seen()
        with self._cache.lister() as lister:
            found = await self._look(request, FreshReader(self._cluster, lister, seen))
        return found.model_copy(update={"seen": seen.versions(), "run_id": run_of_activity()})

    async def _look(self, request: ObserveRequest, reader: Reader) -> Observation:
        namespace, name = request.target.namespace, request.target.name
        live = await reader.find(ROLLOUTS, namespace, name)
        rollout: dict[str, Any] = dict(request.rollout) or live or {}
        if not rollout:
            raise ApplicationError(
                f"Rollout {namespace}/{name} does not exist in the cluster and no manifest was given",
                type=ErrorType.NOT_FOUND,
                non_retryable=True,
            )
        if live is not None and (why := self._instance.rejection(live)):
            raise ApplicationError(why, type=ErrorType.INVALID_SPEC, non_retryable=True)
        workload = await self._workloads.template(namespace, rollout)
        rollout = with_template(rollout, workload)
        found = await Versions(reader).sets(request.target, uid_of(live))
        pods = await self._versions.pods(namespace, found) if request.pods else []
        sets = [replica_sets.state(each, pods_of(each, pods)) for each in found]
        version = adopted(rollout, found, live)
        parsed = _parsed(rollout)
        strategy, routing = (parsed.strategy, parsed.routing) if parsed is not None else (Canary(), None)
        services = {
            service: await reader.find(SERVICES, namespace, service) for service in strategy.services().values()
        }
        runs = await self._analysis_runs(live) if live is not None else []
        named = [*strategy.template_refs(), *_bake_templates(parsed)]
        return Observation(
            at=datetime.now(UTC),
            rollout=live and with_template(live, await self._workloads.template(namespace, live)),
            workload=workload,
            stable_hash=replica_sets.stable_hash(live, sets),
            adopted=version.hash,
            collision_count=version.collision_count,
            replica_sets=tuple(sets),
            standing={each["metadata"]["name"]: _pod_labels(each) for each in found if _has_pods(each)},
            services=services,
            routed=dict(await router_of(routing, request.target).observe(reader)) if routing else {},
            templates=tuple(await read_templates(self._cluster, namespace, named)),
            traffic=await read_traffic(reader, routing, request.target) if routing else None,
            bake=self._bake,
            analysis_runs=tuple(run.name for run in runs),
            analyses_left=tuple(run.name for run in runs if not (run.phase and run.phase.completed)),
        )

    async def create_replica_set(
        self, target: Target, rollout: Document, fence: Fence, *, hash_: str, revision: int, owner_uid: str = ""
    ) -> ReplicaSetState:
        """Create the set of a pod template with no pods, or take the one that stands and give it the new revision.

        Its name is the id of the effect. Raises `InvalidSpec` where a set of that name has another owner, `Conflict`
        where it belongs to a Rollout object that was deleted.
        """
        body = replica_sets.build(target, rollout, hash_=hash_, revision=revision, owner_uid=owner_uid)
        namespace, name = target.namespace, body["metadata"]["name"]
        body["metadata"]["annotations"][FENCE_ANNOTATION] = str(fence)
        if (created := await self._cluster.add(REPLICA_SETS, namespace, body)) is not None:
            return replica_sets.state(created)
        found = await self._cluster.get(REPLICA_SETS, namespace, name)
        if not replica_sets.belongs(found, target.name, owner_uid):
            if replica_sets.belongs(found, target.name, ""):
                raise ApplicationError(
                    f"ReplicaSet {namespace}/{name} still belongs to a Rollout {target.name} that was deleted",
                    type=ErrorType.CONFLICT,
                )
            raise ApplicationError(
                f"ReplicaSet {namespace}/{name} exists and does not belong to Rollout {target.name}: "
                "delete or rename it",
                type=ErrorType.INVALID_SPEC,
                non_retryable=True,
            )
        changed = await self._cluster.change(
            REPLICA_SETS,
            namespace,
            name,
            fence,
            lambda now: annotate(now, {REVISION: str(revision), SCALE_DOWN_DEADLINE: None}),
            known=found,
        )
        return replica_sets.state(changed)

    async def fence_replica_set(self, target: Target, name: str, fence: Fence) -> None:
        """Write nothing but the fence, so that no earlier write that is still on its way can land (law 3)."""
        await self._cluster.change(REPLICA_SETS, target.namespace, name, fence, lambda _: [])

    async def scale_replica_set(
        self,
        target: Target,
        name: str,
        replicas: int,
        fence: Fence,
        *,
        scale_down_at: datetime | None = None,
        known: Object | None = None,
    ) -> None:
        """Set spec.replicas, and record beside it when it will be scaled down; `known` is as in `Cluster.change`."""
        deadline = scale_down_at.strftime("%Y-%m-%dT%H:%M:%SZ") if scale_down_at else None

        def edit(found: Object) -> list[Operation]:
            operations = annotate(found, {SCALE_DOWN_DEADLINE: deadline})
            if found["spec"].get("replicas") != replicas:
                operations.append(put("/spec/replicas", replicas))
            return operations

        await self._cluster.change(REPLICA_SETS, target.namespace, name, fence, edit, known=known)

    async def point_service(self, target: Target, service: str, hash_: str, fence: Fence) -> None:
        """Make a Service select the pods of one hash. Ports and other selectors are not touched."""
        await self._cluster.change(SERVICES, target.namespace, service, fence, select_hash(target.name, hash_))

    async def mark_promoted(
        self, target: Target, name: str, hash_: str, fence: Fence, *, has_object: bool, known: Object | None = None
    ) -> None:
        """Record the promotion on the ReplicaSet, which may be `known`, and in the Rollout's status, if it stands."""
        timestamp = datetime.now(UTC).isoformat()

        def edit(found: Object) -> list[Operation]:
            return annotate(found, {PROMOTED_AT: timestamp})

        await self._cluster.change(REPLICA_SETS, target.namespace, name, fence, edit, known=known)
        if has_object:
            await self._cluster.merge_status(ROLLOUTS, target.namespace, target.name, {"stableRS": hash_})

    async def _analysis_runs(self, live: Object) -> list[StoredRun]:
        """The AnalysisRun objects of a Rollout by their names; none in a cluster that does not know the kind."""
        try:
            found = await self._cluster.select(ANALYSIS_RUNS, live["metadata"]["namespace"], {HASH_LABEL: None})
        except ApplicationError as error:
            if error.type not in (ErrorType.NOT_FOUND, ErrorType.UNAUTHORIZED):
                raise
            return []
        owned = [StoredRun.of(run) for run in found if owned_by(run, uid_of(live))]
        return sorted(owned, key=lambda run: run.name)

    async def why_not_ready(self, namespace: str, found: Object) -> str:
        """Message of its first pod that is not ready, or why it cannot make any; empty when nothing is known."""
        has_pods = bool((found.get("status") or {}).get("replicas"))
        pods = await self._versions.pods(namespace, [found]) if has_pods else []
        waiting = [pod for pod in replica_sets.pod_states(pods) if not pod.ready]
        if waiting:
            return f"pod {waiting[0].name}: {waiting[0].phase} {waiting[0].message}".rstrip()
        return replica_sets.cannot_create(found)


def _parsed(rollout: Document) -> ParsedRollout | None:
    """None for a Rollout that cannot be read, which no release takes: what it names is not looked for."""
    with suppress(ValueError):
        return ParsedRollout.read(rollout)
    return None


def _has_pods(found: Object) -> bool:
    return bool(found["spec"].get("replicas", 1) or (found.get("status") or {}).get("replicas"))


def _pod_labels(found: Object) -> dict[str, str]:
    return dict((found["spec"]["template"].get("metadata") or {}).get("labels") or {})


def _bake_templates(rollout: ParsedRollout | None) -> list[TemplateRef]:
    """Templates that are named for a bake; none where the annotation cannot be read, for which a release is refused."""
    with suppress(ValueError):
        named = bake_templates(rollout.annotations) if rollout is not None else None
        return [TemplateRef.model_validate(each) for each in named or ()]
    return []

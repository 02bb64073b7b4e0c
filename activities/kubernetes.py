"""The Rollout's own objects in the cluster: ReplicaSets, Services, status. One method for each verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import istio_routes, replica_sets
from activities.cluster import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    VIRTUAL_SERVICES,
    Cluster,
    Object,
    Operation,
    annotate,
    escape,
    put,
)
from activities.errors import rejected
from activities.ownership import claim, owned_by, uid_of
from activities.published import Publisher
from activities.refusals import again, is_refusal, to_tell, words
from activities.replica_sets import HASH_LABEL, PROMOTED_AT, SCALE_DOWN_DEADLINE
from activities.versions import Versions, pods_of
from activities.workloads import Workloads, with_template
from tidegate.contract import (
    Activity,
    CreateReplicaSet,
    ErrorType,
    Istio,
    MarkStable,
    Observation,
    ObserveRequest,
    PointServices,
    ReplicaSetState,
    ScaleReplicaSet,
    TrafficState,
)
from tidegate.manifests.bake import bake_templates
from tidegate.manifests.kinds import REVISION
from tidegate.manifests.limits import excess_text, excesses


class Kubernetes:
    """What is done to a cluster's objects, each idempotent: an object's name or a fence is the effect's id (law 6)."""

    def __init__(self, cluster: Cluster, *, bake: timedelta | None = None) -> None:
        """`bake` is how long versions are watched at 100 % whose Rollouts do not say it; None: not at all."""
        self._cluster = cluster
        self._bake = bake
        self._workloads = Workloads(cluster)
        self._versions = Versions(cluster)
        self._publisher = Publisher(cluster)

    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.observe]

    @activity.defn(name=Activity.OBSERVE)
    async def observe(self, request: ObserveRequest) -> Observation:
        """Read the Rollout, its ReplicaSets and what it names. Changes nothing of them."""
        if request.failing is None:
            return await self._observe(request)
        if request.tell is not None:
            with suppress(ApplicationError):  # whoever looks at the cluster is told again with the first pass
                await self._publisher.publish_events(request.tell)
        try:
            return await self._observe(request)
        except ApplicationError as error:
            if not is_refusal(error) or error.non_retryable:
                raise
            if to_tell(error, request.failing):
                return Observation(at=datetime.now(UTC), failing=words(error))
            raise again(error) from error

    async def _observe(self, request: ObserveRequest) -> Observation:
        namespace, name = request.target.namespace, request.target.name
        live = await self._cluster.find(ROLLOUTS, namespace, name)
        rollout: dict[str, Any] = dict(request.rollout) or live or {}
        if not rollout:
            raise ApplicationError(
                f"Rollout {namespace}/{name} does not exist in the cluster and no manifest was given",
                type=ErrorType.NOT_FOUND,
                non_retryable=True,
            )
        workload = await self._workloads.template(namespace, rollout)
        rollout = with_template(rollout, workload)
        found = await self._versions.sets(request.target, uid_of(live))
        pods = await self._versions.pods(namespace, found) if request.pods else []
        sets = [replica_sets.state(each, pods_of(each, pods)) for each in found]
        canary = (rollout["spec"].get("strategy") or {}).get("canary") or {}
        istio = Istio.of(rollout)
        services = {
            service: await self._cluster.find(SERVICES, namespace, service)
            for service in (canary.get("stableService"), canary.get("canaryService"))
            if service
        }
        virtual = await self._virtual_services(namespace, istio)
        return Observation(
            at=datetime.now(UTC),
            rollout=live and with_template(live, await self._workloads.template(namespace, live)),
            workload=workload,
            stable_hash=replica_sets.stable_hash(live, sets),
            replica_sets=tuple(sets),
            standing={each["metadata"]["name"]: _pod_labels(each) for each in found if _has_pods(each)},
            services=services,
            virtual_services={f"{found}.{where}": document for (found, where), document in virtual.items()},
            templates=tuple(await self._templates(namespace, canary, _bake_templates(rollout))),
            traffic=istio_routes.read_traffic(virtual, istio, namespace) if istio else None,
            bake=self._bake,
            analysis_runs=await self._analysis_runs(live) if live is not None else (),
        )

    async def create_replica_set(self, request: CreateReplicaSet) -> ReplicaSetState:
        """Create the set of a pod template with no pods, or take the one that stands and give it the new revision."""
        body = replica_sets.build(request)
        namespace, name = request.target.namespace, body["metadata"]["name"]
        found = await self._cluster.create(REPLICA_SETS, namespace, body)
        if not replica_sets.belongs(found, request.target.name, request.owner_uid):
            if replica_sets.belongs(found, request.target.name, ""):
                raise ApplicationError(
                    f"ReplicaSet {namespace}/{name} still belongs to a Rollout {request.target.name} that was deleted",
                    type=ErrorType.CONFLICT,
                )
            raise ApplicationError(
                f"ReplicaSet {namespace}/{name} exists and does not belong to Rollout {request.target.name}: "
                "delete or rename it",
                type=ErrorType.INVALID_SPEC,
                non_retryable=True,
            )
        changed = await self._cluster.change(
            REPLICA_SETS,
            namespace,
            name,
            request.fence,
            lambda now: annotate(now, {REVISION: str(request.revision), SCALE_DOWN_DEADLINE: None}),
        )
        return replica_sets.state(changed)

    async def scale_replica_set(self, request: ScaleReplicaSet) -> ReplicaSetState:
        """Set spec.replicas, or record beside it when it will be scaled down."""
        deadline = request.scale_down_at.strftime("%Y-%m-%dT%H:%M:%SZ") if request.scale_down_at else None

        def edit(found: Object) -> list[Operation]:
            operations = annotate(found, {SCALE_DOWN_DEADLINE: deadline})
            if found["spec"].get("replicas") != request.replicas:
                operations.append(put("/spec/replicas", request.replicas))
            return operations

        changed = await self._cluster.change(
            REPLICA_SETS, request.target.namespace, request.replica_set, request.fence, edit
        )
        return replica_sets.state(changed)

    async def point_services(self, request: PointServices) -> None:
        """Make each Service select the pods of one hash. Ports and other selectors are not touched."""
        for service, hash_ in request.selectors.items():
            await self._cluster.change(
                SERVICES, request.target.namespace, service, request.fence, select_hash(request.target.name, hash_)
            )

    async def mark_stable(self, request: MarkStable) -> None:
        """Record the promotion on the ReplicaSet and, where there is one, in the Rollout's status."""
        moment = datetime.now(UTC).isoformat()

        def edit(found: Object) -> list[Operation]:
            return annotate(found, {PROMOTED_AT: moment})

        await self._cluster.change(REPLICA_SETS, request.target.namespace, request.replica_set, request.fence, edit)
        namespace, name = request.target.namespace, request.target.name
        if await self._cluster.find(ROLLOUTS, namespace, name) is not None:
            await self._cluster.merge_status(ROLLOUTS, namespace, name, {"stableRS": request.hash})

    async def traffic(self, namespace: str, istio: Istio) -> TrafficState | None:
        """What the VirtualServices of a Rollout say; None where one is missing or cannot be understood."""
        return istio_routes.read_traffic(await self._virtual_services(namespace, istio), istio, namespace)

    async def _virtual_services(self, namespace: str, istio: Istio | None) -> dict[tuple[str, str], Object | None]:
        places = [istio_routes.located(reference, namespace) for reference in istio.virtual_services] if istio else []
        return {(name, where): await self._cluster.find(VIRTUAL_SERVICES, where, name) for name, where in places}

    async def _templates(self, namespace: str, canary: dict[str, Any], bake: list[Object]) -> list[Object]:
        """Templates that the strategy and the bake name, and those that they name in turn, each once."""
        analyses = [canary.get("analysis"), *(step.get("analysis") for step in canary.get("steps") or [])]
        wanted = [reference for analysis in analyses if analysis for reference in analysis.get("templates") or []]
        wanted += bake
        trials = [step.get("experiment") for step in canary.get("steps") or []]
        wanted += [analysis for experiment in trials if experiment for analysis in experiment.get("analyses") or []]
        found: dict[tuple[bool, str], Object] = {}
        while wanted:
            reference = wanted.pop()
            key = (bool(reference.get("clusterScope")), str(reference.get("templateName", "")))
            if key in found or not key[1]:
                continue
            resource, where = (CLUSTER_ANALYSIS_TEMPLATES, "") if key[0] else (ANALYSIS_TEMPLATES, namespace)
            template = await self._cluster.find(resource, where, key[1])
            if template is not None:
                for excess in excesses({"spec": template.get("spec")}):
                    raise rejected("Kubernetes", f"{resource.kind} '{key[1]}': {excess_text(excess)}")
                found[key] = template
                wanted.extend(template["spec"].get("templates") or [])
        return list(found.values())

    async def _analysis_runs(self, live: Object) -> tuple[str, ...]:
        """Names of the AnalysisRun objects of a Rollout; none in a cluster that does not know the kind."""
        try:
            found = await self._cluster.select(ANALYSIS_RUNS, live["metadata"]["namespace"], {HASH_LABEL: None})
        except ApplicationError as error:
            if error.type not in (ErrorType.NOT_FOUND, ErrorType.UNAUTHORIZED):
                raise
            return ()
        owned = [run for run in found if owned_by(run, uid_of(live))]
        return tuple(sorted(run["metadata"]["name"] for run in owned))

    async def why_not_ready(self, namespace: str, replica_set: str) -> str:
        """What the first of its pods that is not ready says, or why it cannot make any; empty when nothing is known."""
        found = await self._cluster.find(REPLICA_SETS, namespace, replica_set)
        if found is None:
            return ""
        pods = await self._versions.pods(namespace, [found])
        waiting = [pod for pod in replica_sets.pod_states(pods) if not pod.ready]
        if waiting:
            return f"pod {waiting[0].name}: {waiting[0].phase} {waiting[0].message}".rstrip()
        return replica_sets.cannot_create(found)


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


def _has_pods(found: Object) -> bool:
    return bool(found["spec"].get("replicas", 1) or (found.get("status") or {}).get("replicas"))


def _pod_labels(found: Object) -> dict[str, str]:
    return dict((found["spec"]["template"].get("metadata") or {}).get("labels") or {})


def _bake_templates(rollout: Mapping[str, Any]) -> list[Object]:
    """Templates that are named for a bake; none where the annotation cannot be read, for which a release is refused."""
    with suppress(ValueError):
        return bake_templates((rollout.get("metadata") or {}).get("annotations") or {}) or []
    return []

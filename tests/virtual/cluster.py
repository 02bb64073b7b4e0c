"""A cluster in the time of Temporal's time-skipping server: the embedded API, its controllers, the real activities."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.kubernetes.client import WATCHER_AGENT, Cluster
from activities.kubernetes.informers import Cache, Lister
from activities.kubernetes.replica_sets import HASH_LABEL, PROMOTED_AT, REVISION, hash_of
from activities.reconcile.experiment_passes import ExperimentPasses
from activities.reconcile.leaving import LeavingActivities
from activities.reconcile.reconciler import Passes
from activities.reconcile.restarts import Restarts
from activities.reconcile.rollbacks import RollbackActivities
from activities.reconcile.rollout_objects import Kubernetes
from activities.reconcile.waits import Waits, not_changed
from activities.routers.traffic import Traffic
from sandbox.controllers.pod_simulator import PodSimulator
from sandbox.controllers.replica_sets import ReplicaSetController
from sandbox.controllers.stepped import SteppedClock, SteppedControllers
from sandbox.kubernetes_api import Call, Change, KubernetesApi
from sandbox.kubernetes_api.cluster import Ref
from sandbox.kubernetes_api.kinds import (
    KINDS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    VIRTUAL_SERVICES,
    Kind,
)
from sandbox.kubernetes_api.managed_fields import Writer
from sandbox.kubernetes_api.objects import Object, lookup, meta, timestamp
from sandbox.kubernetes_api.status import ApiError
from sandbox.machine import patience
from tidegate.contract import WORKER_AGENT, Activity, AwaitChange, AwaitExperiment, Document

NAMESPACE = "payments"
LONGEST_SECONDS = 10.0  # of real time, until a watch has told what happened
LOOK_AGAIN = timedelta(minutes=1)  # when nothing is due earlier

ANSWERS = {
    409: ("Conflict", "the object has been modified; please apply your changes to the latest version and try again"),
    503: ("ServiceUnavailable", "the server is away"),
}

_BY_NAME = {kind.kind: kind for kind in KINDS}
_SOMEBODY = Writer("somebody", "v1")


class Hold:
    """Requests that do not go on, as a slow API server would make them wait."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()


class VirtualCluster(Interceptor):
    """Objects, controllers that react at once, and pods that become ready `ready_after` seconds after they appear.

    Its time is that of the activities: each attempt moves it on to when the server started that attempt.

    Attributes:
        never_ready: images whose pods never become ready.
        writes: what was written about traffic and pods, in order; cleared by whoever likes.
        statuses: the Rollout's `.status` after each write of it.
    """

    def __init__(
        self,
        start: datetime,
        *,
        ready_after: float = 0.0,
        ready_after_by: Mapping[str, float] | None = None,
        bake: timedelta | None = None,
    ) -> None:
        self._bake = bake
        self.clock = SteppedClock(start)
        self.never_ready: set[str] = set()
        self.writes: list[tuple[str, Any]] = []
        self.statuses: list[Document] = []
        self.api = KubernetesApi(clock=self.clock, gate=self._gate)
        cluster = self.api.cluster
        simulator = PodSimulator(
            cluster, ready_after=ready_after, ready_after_by=ready_after_by or {}, never_ready=self.never_ready
        )
        self._controllers = SteppedControllers(self.api.store, self.clock, [ReplicaSetController(cluster), simulator])
        self._last: dict[str, int] = {}  # by kind, the resourceVersion of its last change
        self.api.store.subscribe(self._note)
        cluster.create(NAMESPACES, {"metadata": {"name": NAMESPACE}}, _SOMEBODY)
        self._holds: dict[tuple[str, str], Hold] = {}
        self._failures: dict[tuple[str, str], tuple[int, int]] = {}
        self._denials: dict[tuple[str, str], tuple[int, str]] = {}
        self._writes_until_cut = 0
        self._pass: asyncio.Task[Any] | None = None
        self._client: Cluster | None = None
        self._watching: Cluster | None = None
        self._cache: Cache | None = None

    async def start(self) -> None:
        """Listen."""
        await self.api.start()
        self._client = await Cluster.connect(url=self.api.url, agent=WORKER_AGENT)
        self._watching = await Cluster.connect(url=self.api.url, agent=WATCHER_AGENT)
        self._cache = Cache(self._client)

    async def stop(self) -> None:
        """Close what `start` opened."""
        if self._cache is not None:
            await self._cache.close()
        for client in (self._client, self._watching):
            if client is not None:
                await client.close()
        await self.api.stop()

    @property
    def client(self) -> Cluster:
        """The worker's own client of this cluster, once started."""
        assert self._client is not None
        return self._client

    @property
    def watching(self) -> Cluster:
        """The watcher's own client of this cluster, once started."""
        assert self._watching is not None
        return self._watching

    @property
    def cache(self) -> Cache:
        """What the worker knows of this cluster, once started."""
        assert self._cache is not None
        return self._cache

    def activities(self) -> list[Callable[..., Any]]:
        """The real ones; only what passes between two looks is the time of this cluster."""
        return [
            *Kubernetes(self.client, self.cache, bake=self._bake).activities(),
            *Traffic(self.client).activities(),
            *Passes(self.client, self.cache, for_pods=_never).activities(),
            *ExperimentPasses(self.client, self.cache).activities(),
            self._await_change,
            self._await_experiment,
            *Restarts(self.client, poll_interval=timedelta()).activities(),
            *LeavingActivities(self.client).activities(),
            *RollbackActivities(self.client).activities(),
        ]

    # ------------------------------------------------------------------------------------------------------------ time

    def advance(self, to: datetime) -> None:
        """Let time pass in the cluster."""
        self._controllers.advance(to)

    def intercept_activity(self, inner: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Move the cluster's time on to that of each attempt of an activity."""
        return _InTime(inner, self)

    @activity.defn(name=Activity.AWAIT_CHANGE)
    async def _await_change(self, request: AwaitChange) -> None:
        await Waits(self.client, self.cache, between_looks=self._between_looks).changed(request)

    @activity.defn(name=Activity.AWAIT_EXPERIMENT)
    async def _await_experiment(self, request: AwaitExperiment) -> None:
        await Waits(self.client, self.cache, between_looks=self._between_looks).experiment_changed(request)

    async def _between_looks(self, lister: Lister) -> None:
        """No time passes within an activity; what happened until now is heard of."""
        async with asyncio.timeout(patience(LONGEST_SECONDS)):
            while lister.synced and not lister.has_changed and self._is_behind():
                await lister.changed(0.005)
        if lister.has_changed:
            return
        now = self.clock.now
        due = self._controllers.next_at
        raise not_changed(min(due - now, LOOK_AGAIN) if due is not None and due > now else LOOK_AGAIN)

    def _is_behind(self) -> bool:
        return any(
            informer.synced and int(informer.version) < self._last.get(resource.kind, 0)
            for resource, informer in self.cache.informers()
        )

    # --------------------------------------------------------------------------------------------------------- meddling

    def apply(self, *documents: Document) -> None:
        """Apply manifests, as a person with kubectl does."""
        for document in documents:
            kind, name = _BY_NAME[document["kind"]], document["metadata"]["name"]
            ref = Ref(kind, document["metadata"].get("namespace", NAMESPACE), name)
            self.api.cluster.apply(ref, dict(document), Writer("kubectl", kind.stored_version), force=True)

    def change(self, kind: Kind, name: str, edit: Callable[[Object], Object], *, status: bool = False) -> None:
        """Change one object, as somebody else does."""
        writer = Writer("somebody", kind.stored_version, "status" if status else "")
        self.api.cluster.patch(Ref(kind, NAMESPACE, name), edit, writer)

    def delete(self, kind: Kind, name: str) -> None:
        """Delete one object, and in the background what it owns, as a person with kubectl does."""
        self.api.cluster.delete(Ref(kind, NAMESPACE, name))

    def set_ready(self, pods: Iterable[Object], *, ready: bool) -> None:
        """Make pods ready, or not, as a probe does."""
        for pod in pods:
            name = meta(pod)["name"]
            if self.find(PODS, name) is not None:
                self.change(PODS, name, partial(_probed, ready=ready, at=timestamp(self.clock.now)), status=True)

    def hold(self, verb: str, plural: str) -> Hold:
        """Let the next requests of this kind begin, and wait."""
        self._holds[verb, plural] = Hold()
        return self._holds[verb, plural]

    def fail(self, verb: str, plural: str, times: int, code: int = 503) -> None:
        """Answer the next requests of this kind with 503, or as in `ANSWERS`."""
        self._failures[verb, plural] = (times, code)

    def deny(self, verb: str, plural: str, message: str, code: int = 403) -> None:
        """Refuse requests of this kind, as an admission webhook or a quota does; an empty message ends it."""
        self._denials[verb, plural] = (code, message)

    def cut_off(self, writes: int) -> None:
        """Let the worker go at the end of so many writes: that pass never hears of its last one, and is tried again."""
        self._writes_until_cut = writes

    async def make_pass(self, work: Coroutine[Any, Any, Any]) -> Any:
        """One attempt of a pass, which `cut_off` may end."""
        self._pass = attempt = asyncio.ensure_future(work)
        try:
            return await attempt
        except asyncio.CancelledError:
            if self._pass is attempt:
                attempt.cancel()
                raise
            raise ApplicationError("the worker went") from None

    async def _gate(self, call: Call) -> None:
        if self._pass is not None and self._writes_until_cut and call.verb in ("create", "patch"):
            self._writes_until_cut -= 1
            if not self._writes_until_cut:
                self._pass.cancel()
                self._pass = None
        key = (call.verb, call.resource)
        if (hold := self._holds.get(key)) is not None:
            hold.begun.set()
            await hold.go_on.wait()
        denied, message = self._denials.get(key, (0, ""))
        if message:
            raise ApiError(denied, "Forbidden" if denied == 403 else "Invalid", message)
        times, code = self._failures.get(key, (0, 0))
        if times:
            self._failures[key] = (times - 1, code)
            raise ApiError(code, *ANSWERS[code])

    # ------------------------------------------------------------------------------------------------------ what stands

    def weights(self) -> list[int]:
        """The canary's weights in the order in which they were written."""
        return [value for what, value in self.writes if what == "weight"]

    def find(self, kind: Kind, name: str) -> Object | None:
        """One object of the namespace."""
        return self.api.store.get(kind, NAMESPACE, name)

    def replica_sets(self) -> list[Object]:
        """By revision, the oldest first."""
        return sorted(self.api.store.select(REPLICA_SETS, NAMESPACE), key=lambda s: int(_annotation(s, REVISION) or 0))

    def wanted(self) -> list[int]:
        """`spec.replicas` of each ReplicaSet, that of the oldest revision first."""
        return [found["spec"]["replicas"] for found in self.replica_sets()]

    @property
    def stable_hash(self) -> str:
        """Hash of the version that was promoted last, empty before the first."""
        promoted = [found for found in self.replica_sets() if _annotation(found, PROMOTED_AT)]
        return hash_of(max(promoted, key=lambda s: _annotation(s, PROMOTED_AT))) if promoted else ""

    def selector(self, service: str) -> str:
        """The hash that a Service selects."""
        return str(lookup(self.find(SERVICES, service) or {}, "spec", "selector", HASH_LABEL) or "")

    def analysis_runs(self) -> list[Object]:
        """Every AnalysisRun object there is."""
        return self.api.store.select(_BY_NAME["AnalysisRun"], NAMESPACE)

    def pods(self) -> list[Object]:
        """Every pod there is."""
        return self.api.store.select(PODS, NAMESPACE)

    def _note(self, change: Change) -> None:
        """Write down what a test may ask for."""
        new, old = change.object, change.previous or {}
        self._last[change.kind.kind] = change.version
        name = meta(new)["name"]
        if change.kind is VIRTUAL_SERVICES and _weight(new) != _weight(old) and old:
            self.writes.append(("weight", _weight(new)))
        elif change.kind is SERVICES and old and new["spec"].get("selector") != old["spec"].get("selector"):
            self.writes.append(("service", (name, _selected(new))))
        elif change.kind is REPLICA_SETS and change.type == "ADDED":
            self.writes.append(("create", name))
        elif change.kind is REPLICA_SETS and change.type == "MODIFIED":
            if new["spec"]["replicas"] != old["spec"]["replicas"]:
                self.writes.append(("scale", (hash_of(new), new["spec"]["replicas"])))
            if _annotation(new, PROMOTED_AT) != _annotation(old, PROMOTED_AT):
                self.writes.append(("stable", hash_of(new)))
        elif change.kind is ROLLOUTS and new.get("status") != old.get("status"):
            self.statuses.append(new.get("status") or {})


def tag_of(found: Object) -> str:
    """Image tag of the first container of a ReplicaSet or a Rollout."""
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]


async def _never(_: Lister, __: timedelta) -> bool:
    """No time passes within an activity: the server skips none while one is being carried out."""
    return False


class _InTime(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, cluster: VirtualCluster) -> None:
        super().__init__(inner)
        self._cluster = cluster

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        self._cluster.advance(activity.info().started_time)
        work = super().execute_activity(input)
        return await (self._cluster.make_pass(work) if activity.info().activity_type == Activity.RECONCILE else work)


def _probed(pod: Object, *, ready: bool, at: str) -> Object:
    told = ("Ready", "ContainersReady")
    conditions = [
        each | {"status": str(ready), "lastTransitionTime": at} if each["type"] in told else each
        for each in pod["status"]["conditions"]
    ]
    return pod | {"status": pod["status"] | {"conditions": conditions}}


def _annotation(obj: Object, name: str) -> str:
    return str((meta(obj).get("annotations") or {}).get(name, "")) if obj else ""


def _selected(service: Object) -> str:
    return str((service["spec"].get("selector") or {}).get(HASH_LABEL, ""))


def _weight(virtual_service: Object) -> int | None:
    """The second destination of the first route is the canary's in the manifests here."""
    for route in lookup(virtual_service, "spec", "http") or []:
        if len(route.get("route") or []) == 2:
            return int(route["route"][1].get("weight", 0))
    return None

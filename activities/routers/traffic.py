"""Traffic: every write of a router's objects, with the pods counted before it and the object read back after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import FENCE_ANNOTATION, SERVICES, Cluster, Object
from activities.kubernetes.json_patch import Operation, put
from activities.kubernetes.rejections import again, is_definite, is_rejection, message_of, to_report
from activities.kubernetes.replica_sets import HASH_LABEL
from activities.kubernetes.services import select_hash
from activities.routers.choice import router_of
from activities.routers.drift import find_external_changes, last_editor
from activities.routers.required_pods import RequiredPods, require_available
from activities.routers.router import (
    ExperimentWeight,
    ManagedStep,
    RouteChange,
    RoutedObject,
    RoutedState,
    Router,
    traffic_state,
)
from tidegate.contract import (
    Activity,
    ErrorType,
    ExternalChange,
    Fence,
    RemovedDestination,
    RestoreStable,
    Routing,
    SelectedStable,
    SelectStable,
    Target,
    TrafficState,
)

ROUNDS = 3  # how often a write that somebody undoes at once is repeated before the activity fails


@dataclass(frozen=True)
class RouteWrite:
    """Common data of every write of routes: whose they are, where they are, and by which token they are written."""

    target: Target
    routing: Routing
    fence: Fence
    last: TrafficState | None = None  # result of the release's write before this one
    owner_uid: str = ""  # UID of the Rollout object, which owns what is created; empty where there is none

    @property
    def router(self) -> Router:
        """The router of the Rollout."""
        return router_of(self.routing, self.target, self.owner_uid)


@dataclass(frozen=True)
class _Edit:
    """A change of a router's objects; `weight` is that of one that has to be created, None: none is created."""

    of: Callable[[RoutedObject, Object], RouteChange]
    weight: int | None = None


@dataclass(frozen=True)
class _Written:
    """One object after a write, as it was read back."""

    routed: RoutedObject
    state: RoutedState
    updated: bool
    events: tuple[tuple[str, str], ...] = ()
    removed: tuple[RemovedDestination, ...] = ()
    external_changes: tuple[ExternalChange, ...] = ()


class Traffic:
    """Activities on what splits the traffic in one cluster, whatever the router."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def activities(self) -> list[Callable[..., Any]]:
        """Activities that a worker registers."""
        return [self.restore_stable, self.select_stable]

    async def set_weight(
        self,
        write: RouteWrite,
        weight: int,
        *,
        canary: RequiredPods,
        stable: RequiredPods | None = None,
        experiments: Sequence[ExperimentWeight] = (),
    ) -> TrafficState:
        """Send `weight` of the traffic to the canary, once the pods of all sides are counted (law 1).

        Raises `NotReady` where there are too few of them; those of stable are not counted where it is None.
        """
        namespace, what = write.target.namespace, f"weight {weight}"
        if weight > 0:
            await require_available(self._cluster, namespace, canary, what)
        if stable is not None:
            await require_available(self._cluster, namespace, stable, what)
        for each in experiments:
            if each.pods is not None:
                share = f"share {each.weight} of {each.service}"
                await require_available(self._cluster, namespace, each.pods, share)
        named = await write.router.with_ports(self._cluster, experiments)
        return await self._write(write, _Edit(lambda routed, found: routed.shift(found, weight, named), weight))

    async def set_managed_route(self, write: RouteWrite, step: ManagedStep, canary: RequiredPods) -> TrafficState:
        """Add, replace or remove the header or mirror route of a step; one without `match` is removed.

        Requests that match go to the canary, wholly or as copies, so that its pods are counted as for a weight (law 1).
        """
        host = ""
        if step.match:
            await require_available(self._cluster, write.target.namespace, canary, f"route {step.name}")
            host = await write.router.canary_host(self._cluster)
        return await self._write(write, _Edit(lambda routed, found: routed.set_route(found, step, host)))

    @activity.defn(name=Activity.RESTORE_STABLE)
    async def restore_stable(self, request: RestoreStable) -> TrafficState:
        """Move all weight to stable and remove managed routes, read back, then the canary Service to the stable pods.

        Asks nothing outside Kubernetes (law 3). An object that cannot be written does not keep the others from it, and
        one that is gone routes no request. The selector comes last: while it still selects the canary's pods, weights
        that a proxy has not yet seen do no harm that they did not do before. Where an object cannot be understood, or
        is refused for good, the selector is what is left to move its traffic. What the cluster refuses is answered once
        for each cause, with the routes as they stand: people need not wait for it. After that it is raised, to be tried
        again. Where all traffic is on stable already, any refusal is answered at once.
        """
        objects = await router_of(request.routing, request.target).objects(self._cluster, back=True)
        write = RouteWrite(request.target, request.routing, request.fence, request.last)
        results = await asyncio.gather(
            *(self._settle(write, each, _Edit(lambda routed, found: routed.restore(found))) for each in objects),
            return_exceptions=True,
        )
        written: list[_Written] = []
        missing: list[str] = []
        invalid_specs: list[ApplicationError] = []
        refused: list[ApplicationError] = []
        for routed, result in zip(objects, results, strict=True):
            if isinstance(result, _Written):
                written.append(result)
            elif isinstance(result, ApplicationError) and result.type == ErrorType.NOT_FOUND:
                missing.append(f"{routed.name}.{routed.namespace}")
            elif isinstance(result, ApplicationError) and result.type == ErrorType.INVALID_SPEC:
                invalid_specs.append(result)
            elif isinstance(result, ApplicationError) and is_rejection(result):
                refused.append(result)
            else:
                raise result
        if all(map(is_definite, refused)):
            try:
                await self._select_stable(request)
            except ApplicationError as error:
                if not is_rejection(error):
                    raise
                refused.append(error)
        if invalid_specs:
            raise invalid_specs[0]
        if refused:
            return await self._refused(request, objects, refused[0])
        return _state(written, request.routing).model_copy(update={"missing": tuple(missing)})

    async def _refused(
        self, request: RestoreStable, objects: Sequence[RoutedObject], error: ApplicationError
    ) -> TrafficState:
        """Traffic state although the way back is refused. Raises the refusal where the release would learn nothing."""
        try:
            current, back = await self._current_state(request, objects)
        except ApplicationError:
            current, back = None, False
        if not to_report(error, request.failing, at_once=back):
            raise again(error)
        known = current or TrafficState(canary=request.last.canary if request.last else 0)
        return known.model_copy(update={"refused": message_of(error)})

    async def _current_state(
        self, request: RestoreStable, objects: Sequence[RoutedObject]
    ) -> tuple[TrafficState, bool]:
        """The routes, and whether all of them lead to stable alone."""
        read: list[RoutedState] = []
        back = True
        for routed in objects:
            if (found := await self._cluster.find(routed.resource, routed.namespace, routed.name)) is not None:
                read.append(routed.read(found))
                back = back and not routed.restore(found).operations
        return traffic_state(read, request.routing.max_weight), back

    async def _select_stable(self, request: RestoreStable) -> None:
        if request.routing.canary_service and request.stable_hash:
            await self._point(request.target, request.routing.canary_service, request.stable_hash, request.fence)

    @activity.defn(name=Activity.SELECT_STABLE)
    async def select_stable(self, request: SelectStable) -> SelectedStable:
        """Move `activeService` to the stable version, for which one available pod is enough: each new one may be bad.

        Without one, or where the cluster refuses it, it is not done: passes bring pods, and tell of what is refused.
        Raises what may be over in a moment, to be tried again.
        """
        pods = RequiredPods(request.replica_set, 1)
        try:
            await require_available(self._cluster, request.target.namespace, pods, f"the way back of {request.service}")
            before = await self._point(request.target, request.service, request.stable_hash, request.fence)
        except ApplicationError as error:
            if is_rejection(error) and not to_report(error, ()):
                raise again(error) from error
            return SelectedStable(done=False)
        return SelectedStable(done=True, before=before)

    async def _point(self, target: Target, service: str, hash_: str, fence: Fence) -> str:
        """Make a Service select the pods of a hash, under the fence; returns the hash that it selected before."""
        before = ""

        def edit(found: Object) -> list[Operation]:
            nonlocal before
            before = str((found["spec"].get("selector") or {}).get(HASH_LABEL, ""))
            return select_hash(target.name, hash_)(found)

        await self._cluster.change(SERVICES, target.namespace, service, fence, edit)
        return before

    async def _write(self, write: RouteWrite, edit: _Edit) -> TrafficState:
        """Change all objects; none is touched while one of several is missing or cannot be understood."""
        objects = await write.router.objects(self._cluster)
        if len(objects) > 1:
            for each in objects:
                found = await self._cluster.find(each.resource, each.namespace, each.name)
                if found is not None:
                    edit.of(each, found)
                elif each.body(edit.weight or 0) is None:
                    each.read(None)
        return _state([await self._settle(write, each, edit) for each in objects], write.routing)

    async def _settle(self, write: RouteWrite, routed: RoutedObject, edit: _Edit) -> _Written:
        """Change one object and read it back, again when it was changed in between.

        What was read back stands as wanted when `edit` finds nothing left to do. Raises `Conflict` when it never did.
        """
        removed: list[RemovedDestination] = []
        external_changes: list[ExternalChange] = []
        events: list[tuple[str, str]] = []
        updated = False
        last = write.last
        for _ in range(ROUNDS):
            before, change, stored = await self._change(write, routed, edit)
            updated = updated or bool(change.operations)
            removed += change.removed
            if change.operations and edit.weight is not None:
                events += filter(None, [routed.event(edit.weight, created=before is None)])
            if last is not None and before is not None:
                external_changes += find_external_changes(routed, before, last, change.converged)
            current = await self._cluster.find(routed.resource, routed.namespace, routed.name)
            if current is None and stored is None:  # there is none, and none has to be there
                return _Written(routed, routed.read(None), updated)
            if current is not None and not edit.of(routed, current).operations:
                state = routed.read(current)
                return _Written(routed, state, updated, tuple(events), tuple(removed), tuple(external_changes))
            last = traffic_state([routed.read(stored)], write.routing.max_weight)
        who = last_editor(current, routed.fields) if current is not None else ""
        raise ApplicationError(
            f"{routed.resource.kind} {routed.namespace}/{routed.name} was changed after each of {ROUNDS} writes"
            f"{f' by {who}' if who else ''}",
            type=ErrorType.CONFLICT,
        )

    async def _change(
        self, write: RouteWrite, routed: RoutedObject, edit: _Edit
    ) -> tuple[Object | None, RouteChange, Object | None]:
        """The object as it was read, what had to change in it, and the object as the server stored it.

        None stands for an object that there was not, or is not.
        """
        read: list[tuple[Object, RouteChange]] = []

        def operations(found: Object) -> list[Operation]:
            read.append((found, edit.of(routed, found)))
            return read[-1][1].operations

        try:
            stored = await self._cluster.change(routed.resource, routed.namespace, routed.name, write.fence, operations)
        except ApplicationError as error:
            if error.type != ErrorType.NOT_FOUND:
                raise
            if edit.weight is None:
                routed.read(None)  # which raises where it has to be there
                return None, RouteChange([]), None
            if (body := routed.body(edit.weight)) is None:
                raise
            return None, RouteChange([put("", body)]), await self._create(write, routed, body)
        before, change = read[-1]
        return before, change, stored

    async def _create(self, write: RouteWrite, routed: RoutedObject, body: Object) -> Object:
        """Create an object with the fence, or read the one that was created meanwhile."""
        annotations = {**(body["metadata"].get("annotations") or {}), FENCE_ANNOTATION: str(write.fence)}
        fenced = {**body, "metadata": {**body["metadata"], "annotations": annotations}}
        return await self._cluster.create(routed.resource, routed.namespace, fenced)


def _state(written: Iterable[_Written], routing: Routing) -> TrafficState:
    done = list(written)
    return traffic_state([each.state for each in done], routing.max_weight).model_copy(
        update={
            "updated": tuple(f"{each.routed.name}.{each.routed.namespace}" for each in done if each.updated),
            "events": tuple(event for each in done for event in each.events),
            "removed": tuple(removed for each in done for removed in each.removed),
            "external_changes": tuple(edit for each in done for edit in each.external_changes),
        }
    )

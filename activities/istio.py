"""Traffic: the routes of the VirtualServices and the subsets of the DestinationRule, each write read back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import istio_managed, istio_weights, replica_sets
from activities.cluster import (
    DESTINATION_RULES,
    REPLICA_SETS,
    SERVICES,
    VIRTUAL_SERVICES,
    Cluster,
    Object,
    Operation,
)
from activities.istio_fights import foreign_edits, last_editor
from activities.istio_routes import Change, Routes, invalid, located, traffic_state
from activities.istio_subsets import SubsetChange, label_subsets, not_available
from activities.kubernetes import select_hash
from activities.refusals import again, is_definite, is_refusal, to_tell, words
from tidegate.contract import (
    Activity,
    Document,
    ErrorType,
    ForeignEdit,
    Istio,
    PointSubsets,
    RemovedDestination,
    RemoveManagedRoutes,
    RestoreStable,
    SetManagedRoute,
    ShiftTraffic,
    SubsetState,
    Target,
    TrafficState,
)
from tidegate.manifests.steps import SetHeaderRoute, SetMirrorRoute

ROUNDS = 3  # how often a write that somebody undoes at once is repeated before the activity fails

Edit = Callable[[Object, Document, Istio], Change]
Request = ShiftTraffic | SetManagedRoute | RemoveManagedRoutes | RestoreStable


@dataclass(frozen=True)
class _Written:
    """One VirtualService after a write, as it was read back."""

    routes: Routes
    updated: bool
    removed: tuple[RemovedDestination, ...]
    foreign: tuple[ForeignEdit, ...]


class IstioTraffic:
    """Activities on the mesh configuration of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.restore_stable]

    async def shift_traffic(self, request: ShiftTraffic) -> TrafficState:
        """Send a share of traffic to the canary; the pods of all sides are counted in the same breath (law 1)."""
        what = f"weight {request.weight}"
        if request.weight > 0:
            await self._require_available(request.target, request.replica_set, request.needed, what)
        if request.stable_replica_set:
            await self._require_available(request.target, request.stable_replica_set, request.stable_needed, what)
        for each in request.experiments:
            if each.replica_set:
                share = f"share {each.weight} of {each.service}"
                await self._require_available(request.target, each.replica_set, each.needed, share)
        return await self._write(
            request, partial(istio_weights.shift, weight=request.weight, experiments=request.experiments)
        )

    @activity.defn(name=Activity.RESTORE_STABLE)
    async def restore_stable(self, request: RestoreStable) -> TrafficState:
        """All weight to stable and no managed route, read back, then the canary Service to the stable pods.

        Asks nothing outside Kubernetes (law 3). A VirtualService that cannot be written does not keep the others from
        it, and one that is gone sends nobody anywhere. The selector comes last: while it still selects the canary's
        pods, weights that a proxy has not yet seen do no harm that they did not do before. Where a VirtualService
        cannot be understood, or is refused for good, the selector is what is left to move its traffic. What the cluster
        refuses is answered once for each cause, with the routes as they stand: people need not wait for it. After that
        it is raised, to be tried again. Where all traffic is on stable already, any refusal is answered at once.
        """
        references = request.istio.virtual_services
        results = await asyncio.gather(
            *(self._settle(request, reference, istio_weights.restore) for reference in references),
            return_exceptions=True,
        )
        written: list[_Written] = []
        missing: list[str] = []
        invalid_specs: list[ApplicationError] = []
        refused: list[ApplicationError] = []
        for reference, result in zip(references, results, strict=True):
            if isinstance(result, _Written):
                written.append(result)
            elif isinstance(result, ApplicationError) and result.type == ErrorType.NOT_FOUND:
                missing.append(".".join(located(reference, request.target.namespace)))
            elif isinstance(result, ApplicationError) and result.type == ErrorType.INVALID_SPEC:
                invalid_specs.append(result)
            elif isinstance(result, ApplicationError) and is_refusal(result):
                refused.append(result)
            else:
                raise result
        if all(map(is_definite, refused)):
            try:
                await self._select_stable(request)
            except ApplicationError as error:
                if not is_refusal(error):
                    raise
                refused.append(error)
        if invalid_specs:
            raise invalid_specs[0]
        if refused:
            return await self._refused(request, refused[0])
        return _state(written).model_copy(update={"missing": tuple(missing)})

    async def _refused(self, request: RestoreStable, error: ApplicationError) -> TrafficState:
        """What stands although the way back is refused. Raises the refusal where the release would learn nothing."""
        try:
            stands, back = await self._as_it_stands(request)
        except ApplicationError:
            stands, back = None, False
        if not to_tell(error, request.failing, at_once=back):
            raise again(error)
        known = stands or TrafficState(canary=request.last.canary if request.last else 0)
        return known.model_copy(update={"refused": words(error)})

    async def _as_it_stands(self, request: RestoreStable) -> tuple[TrafficState, bool]:
        """The routes, and whether all of them lead to stable alone."""
        read: list[Routes] = []
        back = True
        for reference in request.istio.virtual_services:
            name, namespace = located(reference, request.target.namespace)
            if (found := await self._cluster.find(VIRTUAL_SERVICES, namespace, name)) is not None:
                read.append(Routes.read(found, reference, request.istio))
                back = back and not istio_weights.restore(found, reference, request.istio).operations
        return traffic_state(read), back

    async def set_managed_route(self, request: SetManagedRoute) -> TrafficState:
        """Add, replace or remove the header or mirror route of a step; adding one needs canary pods (law 1)."""
        step = _step(request)
        host = ""
        if step.match:
            await self._require_available(request.target, request.replica_set, request.needed, f"route {step.name}")
            host = await self._canary_host(request.target, request.istio)

        def edit(found: Object, reference: Document, istio: Istio) -> Change:
            # A Service's short name means something else in another namespace.
            here = found["metadata"].get("namespace") == request.target.namespace
            return istio_managed.set_route(found, reference, istio, step=step, canary_host=host if here else "")

        return await self._write(request, edit)

    async def remove_managed_routes(self, request: RemoveManagedRoutes) -> TrafficState:
        """Remove every header and mirror route; the weights stay."""
        return await self._write(request, istio_managed.remove_all)

    async def point_subsets(self, request: PointSubsets) -> SubsetState:
        """Label the DestinationRule's subsets with the hashes of the pods that they stand for."""
        namespace = request.target.namespace
        sets = [replica_sets.state(await self._cluster.get(REPLICA_SETS, namespace, name)) for name in request.after]
        for name in not_available(sets):
            raise ApplicationError(
                f"delaying destination rule switch: ReplicaSet {name} not fully available", type=ErrorType.NOT_READY
            )
        change = SubsetChange([], ())

        def edit(found: Object) -> list[Operation]:
            nonlocal change
            change = label_subsets(found, request)
            return change.operations

        await self._cluster.change(DESTINATION_RULES, namespace, request.destination_rule, request.fence, edit)
        stands = await self._cluster.get(DESTINATION_RULES, namespace, request.destination_rule)
        if label_subsets(stands, request).operations:
            raise ApplicationError(
                f"DestinationRule {namespace}/{request.destination_rule} was changed while its subsets were labelled",
                type=ErrorType.CONFLICT,
            )
        return SubsetState(updated=bool(change.operations), removed=change.removed)

    async def _select_stable(self, request: RestoreStable) -> None:
        if request.istio.canary_service and request.stable_hash:
            await self._cluster.change(
                SERVICES,
                request.target.namespace,
                request.istio.canary_service,
                request.fence,
                select_hash(request.target.name, request.stable_hash),
            )

    async def _require_available(self, target: Target, replica_set: str, needed: int, what: str) -> None:
        found = replica_sets.state(await self._cluster.get(REPLICA_SETS, target.namespace, replica_set))
        if found.available < needed:
            raise ApplicationError(
                f"{what} refused: ReplicaSet {found.name} has {found.available} available pods, {needed} are needed",
                type=ErrorType.NOT_READY,
            )

    async def _canary_host(self, target: Target, istio: Istio) -> str:
        if not istio.destination_rule:
            return istio.canary_service
        rule = await self._cluster.get(DESTINATION_RULES, target.namespace, istio.destination_rule["name"])
        return str(rule["spec"].get("host", ""))

    async def _write(self, request: Request, edit: Edit) -> TrafficState:
        """Change all VirtualServices; none is touched while one of several is missing or cannot be understood."""
        references = request.istio.virtual_services
        if len(references) > 1:
            for reference in references:
                name, namespace = located(reference, request.target.namespace)
                edit(await self._cluster.get(VIRTUAL_SERVICES, namespace, name), reference, request.istio)
        return _state([await self._settle(request, reference, edit) for reference in references])

    async def _settle(self, request: Request, reference: Document, edit: Edit) -> _Written:
        """Change one VirtualService and read it back, again when somebody changed it in between.

        What was read back stands as wanted when `edit` finds nothing left to do. Raises `Conflict` when it never did.
        """
        name, namespace = located(reference, request.target.namespace)
        removed: list[RemovedDestination] = []
        foreign: list[ForeignEdit] = []
        updated = False
        last = request.last
        for _ in range(ROUNDS):
            before, change, stored = await self._change(name, namespace, request, reference, edit)
            updated = updated or bool(change.operations)
            removed += change.removed
            if last is not None:
                foreign += foreign_edits(Routes.read(before, reference, request.istio), last, change.settled)
            stands = await self._cluster.get(VIRTUAL_SERVICES, namespace, name)
            if not edit(stands, reference, request.istio).operations:
                routes = Routes.read(stands, reference, request.istio)
                return _Written(routes, updated, tuple(removed), tuple(foreign))
            last = traffic_state([Routes.read(stored, reference, request.istio)])
        who = last_editor(stands)
        raise ApplicationError(
            f"VirtualService {namespace}/{name} was changed after each of {ROUNDS} writes{f' by {who}' if who else ''}",
            type=ErrorType.CONFLICT,
        )

    async def _change(
        self, name: str, namespace: str, request: Request, reference: Document, edit: Edit
    ) -> tuple[Object, Change, Object]:
        """The object as it was read, what had to change in it, and the object as the server stored it."""
        read: list[tuple[Object, Change]] = []

        def operations(found: Object) -> list[Operation]:
            read.append((found, edit(found, reference, request.istio)))
            return read[-1][1].operations

        stored = await self._cluster.change(VIRTUAL_SERVICES, namespace, name, request.fence, operations)
        before, change = read[-1]
        return before, change, stored


def _state(written: Iterable[_Written]) -> TrafficState:
    done = list(written)
    return traffic_state([each.routes for each in done]).model_copy(
        update={
            "updated": tuple(f"{each.routes.name}.{each.routes.namespace}" for each in done if each.updated),
            "removed": tuple(removed for each in done for removed in each.removed),
            "foreign": tuple(edit for each in done for edit in each.foreign),
        }
    )


def _step(request: SetManagedRoute) -> SetHeaderRoute | SetMirrorRoute:
    if (request.header is None) == (request.mirror is None):
        raise invalid("a managed route is either a header route or a mirror route")
    try:
        if request.header is not None:
            return SetHeaderRoute.model_validate(request.header)
        return SetMirrorRoute.model_validate(request.mirror)
    except ValueError as error:
        raise invalid(f"setHeaderRoute or setMirrorRoute: {error}") from error

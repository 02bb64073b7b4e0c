"""Traffic: the routes of the VirtualServices and the subsets of the DestinationRule, each write read back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.istio import managed_routes, weights
from activities.istio.drift import find_external_changes, last_editor
from activities.istio.managed_routes import ManagedStep
from activities.istio.required_pods import RequiredPods, require_available
from activities.istio.routes import RouteChange, Routes, traffic_state
from activities.istio.subsets import label_subset
from activities.istio.weights import ExperimentWeight
from activities.kubernetes.client import DESTINATION_RULES, SERVICES, VIRTUAL_SERVICES, Cluster, Object
from activities.kubernetes.json_patch import Operation
from activities.kubernetes.rejections import again, is_definite, is_rejection, message_of, to_report
from activities.kubernetes.services import select_hash
from tidegate.contract import (
    Activity,
    ErrorType,
    ExternalChange,
    Fence,
    IstioRouting,
    RemovedDestination,
    RestoreStable,
    Target,
    TrafficState,
)
from tidegate.manifests.rollout import IstioVirtualService

ROUNDS = 3  # how often a write that somebody undoes at once is repeated before the activity fails

Edit = Callable[[Object, IstioVirtualService, IstioRouting], RouteChange]


@dataclass(frozen=True)
class RouteWrite:
    """Common data of every write of routes: whose they are, where they are, and by which token they are written."""

    target: Target
    istio: IstioRouting
    fence: Fence
    last: TrafficState | None = None  # result of the release's write before this one


@dataclass(frozen=True)
class _Written:
    """One VirtualService after a write, as it was read back."""

    routes: Routes
    updated: bool
    removed: tuple[RemovedDestination, ...]
    external_changes: tuple[ExternalChange, ...]


class IstioTraffic:
    """Activities on the mesh configuration of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def activities(self) -> list[Callable[..., Any]]:
        """Activities that a worker registers."""
        return [self.restore_stable]

    async def set_weight(
        self,
        write: RouteWrite,
        weight: int,
        *,
        canary: RequiredPods,
        stable: RequiredPods | None = None,
        experiments: Sequence[ExperimentWeight] = (),
    ) -> TrafficState:
        """Send `weight` percent of the traffic to the canary, once the pods of all sides are counted (law 1).

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
        return await self._write(write, partial(weights.shift, weight=weight, experiments=experiments))

    @activity.defn(name=Activity.RESTORE_STABLE)
    async def restore_stable(self, request: RestoreStable) -> TrafficState:
        """Move all weight to stable and remove managed routes, read back, then the canary Service to the stable pods.

        Asks nothing outside Kubernetes (law 3). A VirtualService that cannot be written does not keep the others from
        it, and one that is gone routes no request. The selector comes last: while it still selects the canary's
        pods, weights that a proxy has not yet seen do no harm that they did not do before. Where a VirtualService
        cannot be understood, or is refused for good, the selector is what is left to move its traffic. What the cluster
        refuses is answered once for each cause, with the routes as they stand: people need not wait for it. After that
        it is raised, to be tried again. Where all traffic is on stable already, any refusal is answered at once.
        """
        settings = request.istio.virtual_services
        write = RouteWrite(request.target, request.istio, request.fence, request.last)
        results = await asyncio.gather(
            *(self._settle(write, setting, weights.restore) for setting in settings),
            return_exceptions=True,
        )
        written: list[_Written] = []
        missing: list[str] = []
        invalid_specs: list[ApplicationError] = []
        refused: list[ApplicationError] = []
        for setting, result in zip(settings, results, strict=True):
            if isinstance(result, _Written):
                written.append(result)
            elif isinstance(result, ApplicationError) and result.type == ErrorType.NOT_FOUND:
                missing.append(".".join(setting.located(request.target.namespace)))
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
            return await self._refused(request, refused[0])
        return _state(written).model_copy(update={"missing": tuple(missing)})

    async def _refused(self, request: RestoreStable, error: ApplicationError) -> TrafficState:
        """Traffic state although the way back is refused. Raises the refusal where the release would learn nothing."""
        try:
            current, back = await self._current_state(request)
        except ApplicationError:
            current, back = None, False
        if not to_report(error, request.failing, at_once=back):
            raise again(error)
        known = current or TrafficState(canary=request.last.canary if request.last else 0)
        return known.model_copy(update={"refused": message_of(error)})

    async def _current_state(self, request: RestoreStable) -> tuple[TrafficState, bool]:
        """The routes, and whether all of them lead to stable alone."""
        read: list[Routes] = []
        back = True
        for setting in request.istio.virtual_services:
            name, namespace = setting.located(request.target.namespace)
            if (found := await self._cluster.find(VIRTUAL_SERVICES, namespace, name)) is not None:
                read.append(Routes.read(found, setting, request.istio))
                back = back and not weights.restore(found, setting, request.istio).operations
        return traffic_state(read), back

    async def set_managed_route(self, write: RouteWrite, step: ManagedStep, canary: RequiredPods) -> TrafficState:
        """Add, replace or remove the header or mirror route of a step; one without `match` is removed.

        Requests that match go to the canary, wholly or as copies, so that its pods are counted as for a weight (law 1).
        """
        host = ""
        if step.match:
            await require_available(self._cluster, write.target.namespace, canary, f"route {step.name}")
            host = await self._canary_host(write.target, write.istio)

        def edit(found: Object, setting: IstioVirtualService, istio: IstioRouting) -> RouteChange:
            # A Service's short name means something else in another namespace.
            here = found["metadata"].get("namespace") == write.target.namespace
            return managed_routes.set_route(found, setting, istio, step=step, canary_host=host if here else "")

        return await self._write(write, edit)

    async def point_subset(self, target: Target, rule: str, subset: str, hash_: str, fence: Fence) -> None:
        """Label a subset of a DestinationRule with the hash of the pods that it stands for, and read it back."""

        def edit(found: Object) -> list[Operation]:
            return label_subset(found, target.name, subset=subset, hash_=hash_)

        await self._cluster.change(DESTINATION_RULES, target.namespace, rule, fence, edit)
        if edit(await self._cluster.get(DESTINATION_RULES, target.namespace, rule)):
            raise ApplicationError(
                f"DestinationRule {target.namespace}/{rule} was changed while its subset {subset} was labelled",
                type=ErrorType.CONFLICT,
            )

    async def _select_stable(self, request: RestoreStable) -> None:
        if request.istio.canary_service and request.stable_hash:
            await self._cluster.change(
                SERVICES,
                request.target.namespace,
                request.istio.canary_service,
                request.fence,
                select_hash(request.target.name, request.stable_hash),
            )

    async def _canary_host(self, target: Target, istio: IstioRouting) -> str:
        if not istio.destination_rule:
            return istio.canary_service
        rule = await self._cluster.get(DESTINATION_RULES, target.namespace, istio.destination_rule.name)
        return str(rule["spec"].get("host", ""))

    async def _write(self, write: RouteWrite, edit: Edit) -> TrafficState:
        """Change all VirtualServices; none is touched while one of several is missing or cannot be understood."""
        settings = write.istio.virtual_services
        if len(settings) > 1:
            for setting in settings:
                name, namespace = setting.located(write.target.namespace)
                edit(await self._cluster.get(VIRTUAL_SERVICES, namespace, name), setting, write.istio)
        return _state([await self._settle(write, setting, edit) for setting in settings])

    async def _settle(self, write: RouteWrite, setting: IstioVirtualService, edit: Edit) -> _Written:
        """Change one VirtualService and read it back, again when it was changed in between.

        What was read back stands as wanted when `edit` finds nothing left to do. Raises `Conflict` when it never did.
        """
        name, namespace = setting.located(write.target.namespace)
        removed: list[RemovedDestination] = []
        external_changes: list[ExternalChange] = []
        updated = False
        last = write.last
        for _ in range(ROUNDS):
            before, change, stored = await self._change(name, namespace, write, setting, edit)
            updated = updated or bool(change.operations)
            removed += change.removed
            if last is not None:
                external_changes += find_external_changes(
                    Routes.read(before, setting, write.istio), last, change.converged
                )
            current = await self._cluster.get(VIRTUAL_SERVICES, namespace, name)
            if not edit(current, setting, write.istio).operations:
                routes = Routes.read(current, setting, write.istio)
                return _Written(routes, updated, tuple(removed), tuple(external_changes))
            last = traffic_state([Routes.read(stored, setting, write.istio)])
        who = last_editor(current)
        raise ApplicationError(
            f"VirtualService {namespace}/{name} was changed after each of {ROUNDS} writes{f' by {who}' if who else ''}",
            type=ErrorType.CONFLICT,
        )

    async def _change(
        self, name: str, namespace: str, write: RouteWrite, setting: IstioVirtualService, edit: Edit
    ) -> tuple[Object, RouteChange, Object]:
        """The object as it was read, what had to change in it, and the object as the server stored it."""
        read: list[tuple[Object, RouteChange]] = []

        def operations(found: Object) -> list[Operation]:
            read.append((found, edit(found, setting, write.istio)))
            return read[-1][1].operations

        stored = await self._cluster.change(VIRTUAL_SERVICES, namespace, name, write.fence, operations)
        before, change = read[-1]
        return before, change, stored


def _state(written: Iterable[_Written]) -> TrafficState:
    done = list(written)
    return traffic_state([each.routes for each in done]).model_copy(
        update={
            "updated": tuple(f"{each.routes.name}.{each.routes.namespace}" for each in done if each.updated),
            "removed": tuple(removed for each in done for removed in each.removed),
            "external_changes": tuple(edit for each in done for edit in each.external_changes),
        }
    )

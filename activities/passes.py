"""Passes over one Rollout's objects: read, do the next thing, read again, until the rules ask for nothing more.

What to do is decided by `tidegate.canary.passes`; how an object is changed stands with the object.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.cluster import DESTINATION_RULES, REPLICA_SETS, ROLLOUTS, SERVICES, Cluster, Object
from activities.istio import IstioTraffic
from activities.kubernetes import Kubernetes
from activities.replica_sets import HASH_LABEL
from tidegate.canary.passes import (
    Create,
    Delete,
    Mark,
    Move,
    Rules,
    Scale,
    Schedule,
    Select,
    Shift,
    next_move,
    settled,
    wake_at,
)
from tidegate.canary.position import Position, Weights
from tidegate.canary.scene import Scene, Standing
from tidegate.contract import (
    Activity,
    AwaitChange,
    CreateReplicaSet,
    Document,
    ErrorType,
    Event,
    ForeignEdit,
    Istio,
    MarkStable,
    Place,
    PointServices,
    PointSubsets,
    PublishStatus,
    Reconcile,
    Reconciled,
    ReplicaSetState,
    RolloutObject,
    ScaleReplicaSet,
    ShiftTraffic,
    Target,
    TrafficState,
)
from tidegate.manifests.rollout import Rollout

log = structlog.get_logger(__name__)

RAMP = "tidegate.io/ramp"  # annotation: "true" lets a canary grow by no more than maxSurge at a time
MAX_MOVES = 40  # of one pass; what is left is done by the next one
LOOK = timedelta(seconds=20)  # as long as one attempt of a wait lasts
LOOK_AGAIN_SECONDS = 0.25
SUBSET = "/"  # between a DestinationRule and its subset, in the name of a selector


@dataclass(frozen=True)
class _View:
    """What was read for one decision."""

    scene: Scene
    sets: tuple[ReplicaSetState, ...]
    traffic: TrafficState | None
    replicas: int
    owner: str  # UID of the Rollout object, empty where there is none or it is being deleted

    def picture(self) -> str:
        """A digest of all that a decision is made from."""
        sets = [(s.name, s.desired, s.current, s.ready, s.available, str(s.scale_down_at)) for s in self.sets]
        routes = [(r.virtual_service, r.route, r.stable, r.canary) for r in self.traffic.routes] if self.traffic else []
        text = json.dumps([self.owner, self.replicas, sets, sorted(self.scene.selectors.items()), routes])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


BetweenLooks = Callable[[timedelta], Awaitable[None]]


def not_changed(look_again: timedelta | None = None) -> ApplicationError:
    """Nothing changed so far; the next attempt comes after `look_again`, or when its retry policy says."""
    return ApplicationError(
        "nothing changed so far",
        type=ErrorType.NOT_CHANGED,
        category=ApplicationErrorCategory.BENIGN,
        next_retry_delay=look_again,
    )


async def wait_a_moment(elapsed: timedelta) -> None:
    """Wait until it is time to look again; raises `NotChanged` when the attempt has lasted for long enough."""
    if elapsed >= LOOK:
        raise not_changed()
    await asyncio.sleep(LOOK_AGAIN_SECONDS)


class Passes:
    """Activities that bring one cluster's objects to where a release stands, and wait for them to change."""

    def __init__(self, cluster: Cluster, *, between_looks: BetweenLooks = wait_a_moment) -> None:
        """`between_looks` is called while nothing changed; it raises `NotChanged` to end the attempt."""
        self._cluster = cluster
        self._kubernetes = Kubernetes(cluster)
        self._traffic = IstioTraffic(cluster)
        self._between_looks = between_looks

    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.reconcile, self.await_change]

    @activity.defn(name=Activity.RECONCILE)
    async def reconcile(self, request: Reconcile) -> Reconciled:
        """Make the moves that the place asks for, one after the other, each decided on what stands then.

        A pass that was cut off is repeated from what stands; each of its moves is one that changes nothing the second
        time. Raises what the moves raise: `NotReady` when pods went between the look and the write, `StaleWrite` after
        an abort; and `Deleted` when the object that the release belongs to is gone: nothing is made for it any more.
        """
        done = _Done(request)
        for _ in range(MAX_MOVES):
            view = await self._view(request.target, request.rollout)
            if request.owner_uid and view.owner != request.owner_uid:
                target = request.target
                raise ApplicationError(
                    f"Rollout {target.namespace}/{target.name} was deleted", type=ErrorType.DELETED, non_retryable=True
                )
            at, rules = _position(request, view), rules_of(request.rollout)
            move = next_move(at, view.scene, rules, request.at)
            if move is None:
                break
            await self._make(move, request, view, done)
        published, stored = await self._publish(request)
        done_all = settled(at, view.scene, rules, request.at)
        return Reconciled(
            at=datetime.now(UTC),
            replicas=view.replicas,
            replica_sets=view.sets,
            selectors=dict(view.scene.selectors),
            traffic=view.traffic,
            settled=done_all,
            missing="" if done_all else await self._missing(request, view),
            resume_at=wake_at(view.scene),
            picture=view.picture(),
            events=tuple(done.events),
            foreign=tuple(done.foreign),
            published=published,
            object=stored,
        )

    @activity.defn(name=Activity.AWAIT_CHANGE)
    async def await_change(self, request: AwaitChange) -> None:
        """Return when the cluster no longer looks like the picture.

        Raises `NotChanged` after a while, so that a wait that goes on costs no history: its retries are none of it.
        """
        begun = asyncio.get_running_loop().time()
        while (await self._view(request.target, request.rollout)).picture() == request.picture:
            activity.heartbeat()
            await self._between_looks(timedelta(seconds=asyncio.get_running_loop().time() - begun))

    async def _missing(self, request: Reconcile, view: _View) -> str:
        """What a person would want to know of a version that is not complete."""
        place = request.place
        found = view.scene.of(place.stable_hash if place.aborted else place.hash)
        if found is None or found.available >= found.wanted:
            return ""
        why = await self._kubernetes.why_not_ready(request.target, found.hash)
        return "; ".join(filter(None, (f"{found.available} of {found.wanted} pods of {found.name} available", why)))

    async def _publish(self, request: Reconcile) -> tuple[bool, RolloutObject | None]:
        """Whether the status was written, and the object after that. A release does not end over its own reflection."""
        if not request.status:
            return True, None
        try:
            answer = await self._kubernetes.publish_status(PublishStatus(target=request.target, status=request.status))
        except ApplicationError as error:
            log.warning("status_not_written", rollout=request.target.name, error=str(error))
            return False, None
        return True, answer

    # ------------------------------------------------------------------------------------------------------------ look

    async def _view(self, target: Target, rollout: Document) -> _View:
        """The Rollout's objects as they stand; the number of replicas is the live object's, where there is one."""
        live = await self._cluster.find(ROLLOUTS, target.namespace, target.name)
        sets = await self._kubernetes.replica_sets(target, rollout)
        istio = Istio.of(rollout)
        traffic = await self._kubernetes.traffic(target.namespace, istio) if istio else None
        selectors = await self._selectors(target.namespace, rules_of(rollout))
        spec = Rollout.model_validate(live or rollout).spec
        weights = None
        if istio is not None:
            share = traffic.canary if traffic else 0
            led_to = next((selectors.get(name, "") for name in rules_of(rollout).canary), "")
            weights = Weights(share, 100 - share, led_to)
        return _View(
            Scene(tuple(map(_standing, sets)), selectors, weights),
            tuple(sets),
            traffic,
            spec.wanted_replicas(),
            _uid(live),
        )

    async def _selectors(self, namespace: str, rules: Rules) -> dict[str, str]:
        """The hash of each selector that exists; what is missing was refused at the start, or has gone since."""
        found: dict[str, str] = {}
        for name in dict.fromkeys((*rules.stable, *rules.canary)):
            rule, _, subset = name.partition(SUBSET)
            if subset:
                document = await self._cluster.find(DESTINATION_RULES, namespace, rule)
                for each in _subsets(document, subset):
                    found[name] = str((each.get("labels") or {}).get(HASH_LABEL, ""))
            elif (service := await self._cluster.find(SERVICES, namespace, name)) is not None:
                found[name] = str((service["spec"].get("selector") or {}).get(HASH_LABEL, ""))
        return found

    # ----------------------------------------------------------------------------------------------------------- moves

    async def _make(self, move: Move, request: Reconcile, view: _View, done: _Done) -> None:
        target, fence = request.target, request.fence
        if isinstance(move, Create):
            created = await self._kubernetes.create_replica_set(
                CreateReplicaSet(
                    target=target,
                    rollout=request.rollout,
                    hash=request.place.hash,
                    revision=request.revision,
                    owner_uid=request.owner_uid,
                    fence=fence,
                )
            )
            done.event("NewReplicaSetCreated", f"Created ReplicaSet {created.name} (revision {request.revision})")
        elif isinstance(move, Select):
            await self._select(move, request, view, done)
        elif isinstance(move, Shift):
            await self._shift(move, request, view, done)
        elif isinstance(move, Mark):
            await self._kubernetes.mark_stable(
                MarkStable(target=target, replica_set=move.name, hash=request.place.hash, fence=fence)
            )
        elif isinstance(move, Delete):
            await self._cluster.delete(REPLICA_SETS, target.namespace, move.name)
        else:
            await self._scale(move, request, view, done)

    async def _scale(self, move: Scale | Schedule, request: Reconcile, view: _View, done: _Done) -> None:
        now = next(s for s in view.sets if s.name == move.name)
        replicas = move.replicas if isinstance(move, Scale) else now.desired
        await self._kubernetes.scale_replica_set(
            ScaleReplicaSet(
                target=request.target,
                replica_set=move.name,
                replicas=replicas,
                fence=request.fence,
                scale_down_at=move.at if isinstance(move, Schedule) else now.scale_down_at if replicas else None,
            )
        )
        if replicas != now.desired:
            way = "up" if replicas > now.desired else "down"
            text = f"Scaled {way} ReplicaSet {move.name} (revision {now.revision}) from {now.desired} to {replicas}"
            done.event("ScalingReplicaSet", text)

    async def _select(self, move: Select, request: Reconcile, view: _View, done: _Done) -> None:
        rule, _, subset = move.selector.partition(SUBSET)
        if subset:
            await self._traffic.point_subsets(
                PointSubsets(
                    target=request.target, destination_rule=rule, hashes={subset: move.hash}, fence=request.fence
                )
            )
        else:
            await self._kubernetes.point_services(
                PointServices(target=request.target, selectors={move.selector: move.hash}, fence=request.fence)
            )
        before = view.scene.selectors[move.selector]
        kind = "subset" if subset else "service"
        done.event("SwitchService", f"Switched selector for {kind} '{move.selector}' from '{before}' to '{move.hash}'")

    async def _shift(self, move: Shift, request: Reconcile, view: _View, done: _Done) -> None:
        istio = Istio.of(request.rollout)
        by_hash = {s.hash: s.name for s in view.sets}
        if istio is None or view.traffic is None:
            raise ApplicationError("a VirtualService that the Rollout names is missing", type=ErrorType.NOT_FOUND)
        traffic = await self._traffic.shift_traffic(
            ShiftTraffic(
                target=request.target,
                istio=istio,
                weight=move.weight,
                replica_set=by_hash[request.place.hash],
                needed=move.canary_pods,
                stable_replica_set=by_hash.get(request.place.stable_hash, "") if move.stable_pods else "",
                stable_needed=move.stable_pods,
                fence=request.fence,
                last=request.traffic,
            )
        )
        done.foreign += traffic.foreign
        done.event("TrafficWeightUpdated", f"Traffic weight updated from {view.traffic.canary} to {traffic.canary}")


class _Done:
    """What a pass did, in the order in which it did it."""

    def __init__(self, request: Reconcile) -> None:
        self._at = request.at
        self.events: list[Event] = []
        self.foreign: list[ForeignEdit] = []

    def event(self, reason: str, message: str) -> None:
        self.events.append(Event(at=self._at, reason=reason, message=message))


def rules_of(rollout: Document) -> Rules:
    """What a manifest says about passes. Raises ValidationError for one that cannot be read."""
    manifest = Rollout.model_validate(rollout)
    canary, rule = manifest.canary, manifest.canary.istio.destination_rule if manifest.canary.istio else None
    stable_names, canary_names = [canary.stable_service], [canary.canary_service]
    if rule is not None:
        stable_names.append(f"{rule.name}{SUBSET}{rule.stable_subset_name}")
        canary_names.append(f"{rule.name}{SUBSET}{rule.canary_subset_name}")
    return Rules(
        stable=tuple(name for name in stable_names if name),
        canary=tuple(name for name in canary_names if name),
        history=manifest.spec.history_limit(),
        ramp=manifest.metadata.annotations.get(RAMP) == "true",
    )


def _position(request: Reconcile, view: _View) -> Position:
    place: Place = request.place
    position = Position(
        strategy=Rollout.model_validate(request.rollout).canary,
        replicas=view.replicas,
        desired_hash=place.hash,
        stable_hash=place.stable_hash,
        index=place.index,
        aborted=place.aborted,
        promoted_in_full=place.full,
    )
    return replace(position, weights=view.scene.weights)


def _uid(live: Object | None) -> str:
    metadata = live["metadata"] if live is not None else {}
    return "" if metadata.get("deletionTimestamp") else str(metadata.get("uid") or "")


def _standing(found: ReplicaSetState) -> Standing:
    return Standing(
        name=found.name,
        hash=found.hash,
        revision=found.revision,
        wanted=found.desired,
        created=found.current,
        available=found.available,
        scale_down_at=found.scale_down_at,
        promoted=found.promoted_at is not None,
    )


def _subsets(rule: Object | None, name: str) -> list[Object]:
    return [subset for subset in (rule or {}).get("spec", {}).get("subsets") or [] if subset.get("name") == name]

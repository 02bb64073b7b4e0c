"""Passes over one Rollout's objects: read, do the next thing, read again, until the rules ask for nothing more.

What to do is decided by `tidegate.canary.passes`; how an object is changed stands with the object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.cluster import Cluster
from activities.experiments import Experiments, states, wanted_of
from activities.istio import IstioTraffic
from activities.kubernetes import Kubernetes
from activities.moves import Done, Moves, experiment_move
from activities.published import Publisher
from activities.refusals import again, is_refusal, to_tell, words
from activities.rollout_status import StatusWriter
from activities.views import View, Views, rules_of
from tidegate.canary import experiments
from tidegate.canary.managed_routes import wanted_routes
from tidegate.canary.passes import (
    Rules,
    next_move,
    settled,
    wake_at,
)
from tidegate.canary.position import Position
from tidegate.contract import (
    FLAGS,
    Activity,
    AwaitChange,
    ErrorType,
    Place,
    Reconcile,
    Reconciled,
    Refusal,
    RolloutObject,
    is_known,
)
from tidegate.manifests.rollout import Rollout

log = structlog.get_logger(__name__)

MAX_MOVES = 40  # of one pass; what is left is done by the next one
LOOK = timedelta(seconds=20)  # as long as one attempt of a wait lasts
LOOK_AGAIN_SECONDS = 0.25
LOOK_SELDOM_SECONDS = 1.0


LINGER = timedelta(seconds=1)  # an abort may have to wait for so long, and no longer
BetweenLooks = Callable[[timedelta], Awaitable[None]]
ForPods = Callable[[timedelta], Awaitable[bool]]


def not_changed(look_again: timedelta | None = None) -> ApplicationError:
    """Nothing changed so far; the next attempt comes after `look_again`, or when its retry policy says."""
    return ApplicationError(
        "nothing changed so far",
        type=ErrorType.NOT_CHANGED,
        category=ApplicationErrorCategory.BENIGN,
        next_retry_delay=look_again,
    )


async def wait_a_moment(elapsed: timedelta) -> None:
    """Wait until it is time to look again; raises `NotChanged` when the attempt has lasted for long enough.

    What did not change during a whole attempt is looked at less often: most releases wait for a person or for time.
    """
    if elapsed >= LOOK:
        raise not_changed()
    await asyncio.sleep(LOOK_AGAIN_SECONDS if activity.info().attempt == 1 else LOOK_SELDOM_SECONDS)


async def wait_for_pods(elapsed: timedelta) -> bool:
    """Wait a little in a pass that has lasted so long, as pods that start fast need no other one; False: enough."""
    if elapsed >= LINGER:
        return False
    await asyncio.sleep(LOOK_AGAIN_SECONDS)
    return True


class Passes:
    """Activities that bring one cluster's objects to where a release stands, and wait for them to change."""

    def __init__(
        self, cluster: Cluster, *, between_looks: BetweenLooks = wait_a_moment, for_pods: ForPods = wait_for_pods
    ) -> None:
        """`between_looks` is called while nothing changed; it raises `NotChanged` to end the attempt.

        `for_pods` is called when a pass can do no more before pods come; it says whether it waited for them.
        """
        self._kubernetes = Kubernetes(cluster)
        experiments = Experiments(cluster, self._kubernetes)
        self._views = Views(cluster, self._kubernetes, experiments)
        self._moves = Moves(cluster, self._kubernetes, IstioTraffic(cluster), experiments)
        self._statuses = StatusWriter(cluster)
        self._publisher = Publisher(cluster)
        self._between_looks = between_looks
        self._for_pods = for_pods

    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.reconcile, self.await_change, self.refuse]

    @activity.defn(name=Activity.RECONCILE)
    async def reconcile(self, request: Reconcile) -> Reconciled:
        """Make the moves that the place asks for, one after the other, each decided on what stands then; then tell.

        A pass that was cut off is repeated from what stands; each of its moves is one that changes nothing the second
        time. Raises what the moves raise: `NotReady` when pods went between the look and the write, `StaleWrite` after
        an abort; and `Deleted` when the object that the release belongs to is gone: nothing is made for it any more.
        What the cluster refuses is no reason not to tell, and the release hears of each cause once; after that the pass
        fails with it, to be tried again.
        """
        done = Done(request)
        try:
            request = await self._take_flags_away(request, done)
            view = await self._make_moves(request, done)
        except ApplicationError as error:
            if not is_refusal(error) or (error.non_retryable and not request.place.is_certain):
                raise
            return await self._refused(request, error, done)
        published, stored = await self._publish(request, view, done)
        told = await self._publisher.tell(request, done.events)
        return await self._outcome(request, view, done, published=published, told=told, object=stored)

    async def _take_flags_away(self, request: Reconcile, done: Done) -> Reconcile:
        """Before anything goes forward; what is left to be written. A flag that stands from here on is a person's."""
        if request.place.aborted or not request.moves:
            return request
        done.stored = await self._statuses.take_flags_away(request)
        own = request.account.status
        done.flags = tuple(flag for flag in FLAGS if own.get(flag, flag) is None)
        left = {name: value for name, value in own.items() if name not in done.flags}
        return request.model_copy(update={"account": request.account.model_copy(update={"status": left})})

    async def _make_moves(self, request: Reconcile, done: Done) -> View:
        """What stands when there is nothing more to do, or when it is enough for one pass."""
        begun = asyncio.get_running_loop().time()
        among: frozenset[str] | None = None
        for _ in range(MAX_MOVES):
            left = request.moves and request.place.hash == request.place.stable_hash
            view = await self._views.view(request.target, request.rollout, among, left=left)
            among = view.hashes | {request.place.hash}
            if request.owner_uid and view.owner != request.owner_uid:
                target = request.target
                raise ApplicationError(
                    f"Rollout {target.namespace}/{target.name} was deleted", type=ErrorType.DELETED, non_retryable=True
                )
            if not request.moves:
                break
            at, rules = _position(request, view), rules_of(request.rollout)
            if await self._moves.routes(wanted_routes(at, view.scene, rules.canary, request.at), request, view, done):
                continue
            move = next_move(at, view.scene, rules, request.at)
            if move is not None:
                await self._moves.make(move, request, view, done)
                continue
            moved = await self._moves.experiment(request, view, done)
            if not moved and not await self._linger(at, rules, view, request.at, begun):
                break
        return view

    async def _refused(self, request: Reconcile, error: ApplicationError, done: Done) -> Reconciled:
        """Tell what there is to be told, all the same. Raises the refusal where the release would learn nothing new."""
        known = request.account.failing
        is_news = to_tell(error, known)
        if not is_news and not is_known(words(error), known):
            raise again(error)  # it may be over in a moment
        try:
            view = await self._views.view(request.target, request.rollout)
        except ApplicationError:
            if is_news:
                return Reconciled(
                    at=datetime.now(UTC),
                    events=tuple(done.events),
                    flags_taken=done.flags,
                    failing=words(error),
                    published=False,
                    told=False,
                )
            raise again(error) from error
        published, stored = await self._publish(request, view, done)
        told = await self._publisher.tell(request, done.events)
        news = request.account.tell
        heard = (published and bool(request.account.status)) or (told and bool(news and (news.events or news.runs)))
        if not is_news and not heard and not done.events:
            raise again(error)
        outcome = await self._outcome(request, view, done, published=published, told=told, object=stored)
        return outcome.model_copy(update={"settled": False, "failing": words(error)})

    async def _outcome(
        self,
        request: Reconcile,
        view: View,
        done: Done,
        *,
        published: bool,
        told: bool,
        object: RolloutObject | None,  # noqa: A002  # as in Reconciled
    ) -> Reconciled:
        at, rules = _position(request, view), rules_of(request.rollout)
        return Reconciled(
            at=datetime.now(UTC),
            replicas=view.replicas,
            replica_sets=view.sets,
            selectors=dict(view.scene.selectors),
            traffic=view.traffic,
            experiment=states(view.experiment, wanted_of(request), view.scene.experiments),
            settled=settled(at, view.scene, rules, request.at) and experiment_move(request, view) is None,
            missing=await self._missing(request, view),
            resume_at=min(filter(None, (wake_at(view.scene), experiments.wake_at(view.experiment))), default=None),
            picture=view.picture(),
            events=tuple(done.events),
            foreign=tuple(done.foreign),
            flags_taken=done.flags,
            published=published,
            told=told,
            object=object,
        )

    async def _linger(self, at: Position, rules: Rules, view: View, now: datetime, begun: float) -> bool:
        """Whether a moment was waited in which pods may have come; on the way back nothing waits (law 3)."""
        if at.aborted or settled(at, view.scene, rules, now):
            return False
        return await self._for_pods(timedelta(seconds=asyncio.get_running_loop().time() - begun))

    @activity.defn(name=Activity.AWAIT_CHANGE)
    async def await_change(self, request: AwaitChange) -> None:
        """Return when the cluster no longer looks like the picture.

        Raises `NotChanged` after a while, so that a wait that goes on costs no history: its retries are none of it.
        """
        begun = asyncio.get_running_loop().time()
        view = await self._views.view(request.target, request.rollout)
        while view.picture() == request.picture:
            await self._between_looks(timedelta(seconds=asyncio.get_running_loop().time() - begun))
            view = await self._views.view(request.target, request.rollout, view.hashes)

    @activity.defn(name=Activity.REFUSE)
    async def refuse(self, request: Refusal) -> RolloutObject | None:
        """Say in the Rollout's `.status` why its spec is not released. Raises what a retry may help."""
        return await self._statuses.refuse(request)

    async def _missing(self, request: Reconcile, view: View) -> str:
        """What a person would want to know of a version that is not complete: the new one, or else stable."""
        place = request.place
        hashes = (place.stable_hash,) if place.aborted else (place.hash, place.stable_hash)
        for found in filter(None, map(view.scene.of, hashes)):
            if found.available < found.wanted:
                why = await self._kubernetes.why_not_ready(request.target.namespace, found.name)
                text = f"{found.available} of {found.wanted} pods of {found.name} available"
                return "; ".join(filter(None, (text, why)))
        return ""

    async def _publish(self, request: Reconcile, view: View, done: Done) -> tuple[bool, RolloutObject | None]:
        """Whether the status was written, and the object after that. A release does not end over its own reflection."""
        try:
            answer = await self._statuses.write(request, view, created=done.created)
        except ApplicationError as error:
            log.warning("status_not_written", rollout=request.target.name, error=str(error))
            return False, None
        return True, answer or done.stored


def _position(request: Reconcile, view: View) -> Position:
    place: Place = request.place
    position = Position(
        strategy=Rollout.model_validate(request.rollout).canary,
        replicas=view.replicas,
        desired_hash=place.hash,
        stable_hash=place.stable_hash,
        index=place.index,
        aborted=place.aborted,
        promoted_in_full=place.full,
        revision=request.revision,
    )
    shares = experiments.shares_to_route(wanted_of(request), view.experiment, view.scene.experiments)
    return replace(position, weights=view.scene.weights, experiments=shares)

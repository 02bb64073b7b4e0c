"""Keeps the cluster in the desired state of the release: pass after pass, until nothing is missing.

The steps change the desired state and wait until it is reached. Changes from outside (pods that come and go, another
number of replicas, edited weights) are put right here.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import DesiredState, ErrorType, ExperimentSetState, Reconciled
    from workflows.activity_calls import ActivityCalls, ChangeWatch
    from workflows.plan import Plan
    from workflows.release_status import ReleaseState
    from workflows.waits import WaitFor

THE_PODS = "the pods; tidegate abort"
THE_LAST_PODS = "the pods; a newer version"
THE_DELAY = "the scale-down delay; a newer version"
THE_LAST_DEADLINE = "pods without traffic to go"
PUBLISH_AGAIN = timedelta(seconds=5)
TURNS = 8
SHORTEST_WAIT = timedelta(milliseconds=1)  # a deadline that has passed takes a timer as well: a replay may be later
GIVE_UP = 5
LET_COMPLETE = timedelta(milliseconds=500)  # what takes longer is waiting for its next attempt, or for a slow server


class Reconciler:
    """The passes of one version. `desired` is the state that it keeps; `failed` is the error that ended it."""

    def __init__(self, plan: Plan, calls: ActivityCalls, state: ReleaseState) -> None:
        self._plan = plan
        self._calls = calls
        self._state = state
        self._task: asyncio.Task[None] | None = None
        self._watch: ChangeWatch | None = None
        self._reached: DesiredState | None = None
        self._progress: tuple[object, datetime] | None = None
        self._seen: Reconciled | None = None
        self.desired = plan.desired
        self.failed: Exception | None = None
        self._passing = False
        self._awaited = 0  # how many wait until the desired state is reached, and go on then
        self._is_status_deferred = False  # whether the last pass left all publications to the next one
        self._unpublished_passes = 0  # passes in a row that could not publish everything
        self._stopping = False  # a pass may complete although it was cancelled
        self._overtaken = False
        self._moves = True

    def start(self, *, moves: bool = True) -> None:
        """Start, also after `stop`; without `moves` it only reads and publishes."""
        self._moves = moves
        self.failed, self._reached, self._stopping, self._overtaken = None, None, False, False
        self._task = asyncio.create_task(self._guard())

    def overtake(self) -> None:
        """Start no other pass. A later write decides on the traffic, so the weights of the pass under way are stale."""
        self._stopping = self._overtaken = True

    async def stop(self) -> None:
        """Come to rest: no write of this reconciler follows."""
        self._stopping = True
        if self._passing:  # there is no shorter way to its end: a write that was started is awaited in any case
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: not self._passing, timeout=LET_COMPLETE, timeout_summary="until the pass has ended"
                )
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def move(self, **changes: object) -> None:
        """Change the desired state."""
        self.desired = self.desired.model_copy(update=changes)

    @property
    def experiment(self) -> tuple[ExperimentSetState, ...]:
        """State of the experiment's templates, as of the last pass."""
        return self._seen.experiment if self._seen is not None else ()

    @property
    def is_there(self) -> bool:
        """True when the last pass found the desired state."""
        return self.failed is None and self._reached == self.desired

    @property
    def is_complete(self) -> bool:
        """True when it was reached with every pod, not only with as many as `replicaProgressThreshold` asks.

        Without a router older pods serve requests until they are gone, so they are waited for (argo-rollouts,
        utils/rollout).
        """
        return self.has_all_pods and not self._old_pods

    @property
    def has_all_pods(self) -> bool:
        """True when it was reached with every pod of the version."""
        return self.is_there and self._seen is not None and self._has_all_pods(self._seen)

    @property
    def _old_pods(self) -> int:
        """Pods of other versions that get traffic whatever the weights are."""
        if not self._plan.old_pods_serve or self._seen is None:
            return 0
        return sum(each.current for each in self._seen.replica_sets if each.hash != self.desired.hash)

    async def complete(self) -> None:
        """Wait until no pod is missing. Raises the error that ended the reconciler."""
        with self._state.waits.on("the last pods", until=None, who=THE_LAST_PODS, wait_for=WaitFor.LAST_PODS):
            await workflow.wait_condition(lambda: self.failed is not None or self.is_complete)
        if self.failed is not None:
            raise self.failed

    async def reached(self) -> None:
        """Wait until the cluster has the desired state. Raises the error that ended the reconciler."""
        self._awaited += 1
        try:
            with self._state.waits.on("a pass over the cluster", until=None, who=THE_PODS, wait_for=WaitFor.PODS):
                await workflow.wait_condition(lambda: self.failed is not None or self._reached == self.desired)
        finally:
            self._awaited -= 1
        if self.failed is not None:
            raise self.failed

    @property
    def is_deleted(self) -> bool:
        """True when it ended because the Rollout is gone, and its objects with it."""
        cause = self.failed.cause if isinstance(self.failed, ActivityError) else self.failed
        return isinstance(cause, ApplicationError) and cause.type == ErrorType.DELETED

    async def published(self) -> None:
        """Wait until everything is published, or has failed `GIVE_UP` times in a row."""
        await workflow.wait_condition(
            lambda: (
                self.failed is not None
                or not (self._state.publication.has_pending or self._is_status_deferred)
                or self._unpublished_passes >= GIVE_UP
            )
        )

    async def until_scaled_down(self) -> None:
        """Wait until no ReplicaSet has a deadline left either."""
        await self.reached()
        until = self._seen.requeue_at if self._seen is not None else None
        with self._state.waits.on(THE_LAST_DEADLINE, until=until, who=THE_DELAY, wait_for=WaitFor.DEADLINES):
            await workflow.wait_condition(
                lambda: (
                    self.failed is not None
                    or (self._reached == self.desired and self._seen is not None and self._seen.requeue_at is None)
                )
            )

    async def _guard(self) -> None:
        try:
            while not self._stopping:
                await self._pass()
        except (ActivityError, ApplicationError) as error:
            self.failed = error

    async def _pass(self) -> None:
        desired, report = self.desired, self._state.report()
        self._passing = True
        try:
            seen = await self._calls.reconcile(
                self._plan,
                desired,
                self._state.traffic,
                report,
                moves=self._moves,
                awaited=self._awaited > 0 and self._reached != desired and not desired.aborted,
            )
        except ActivityError:
            self._state.publication.written.lost(report.status)
            raise
        finally:
            self._passing = False
        stale: dict[str, object] = {"traffic": None, "selectors": {}} if self._overtaken else {}
        self._state.reconciled(seen.model_copy(update=stale), report)
        self._is_status_deferred = seen.left
        is_published = seen.left or (seen.published and seen.events_published)
        self._unpublished_passes = 0 if is_published else self._unpublished_passes + 1
        if self._moves:
            self._state.publication.rejected(seen.failing, reason=seen.refused)
            self._calls.failing_since = self._state.publication.failing_since()
        self._reached = desired if seen.converged and self._moves else None
        if seen.state_digest:
            self._seen = seen
            self._note_progress(seen)
        for pods in (WaitFor.PODS, WaitFor.LAST_PODS):
            what = seen.failing or seen.not_ready_reason or "traffic and pods"
            self._state.waits.refine(pods, what, self._deadline(seen))
        self._state.waits.refine(WaitFor.DEADLINES, THE_LAST_DEADLINE, seen.requeue_at)
        if not self._stopping:
            await _let_others_go_first()
            self._state.publication.show()
            await self._until_needed(desired, seen)

    async def _until_needed(self, desired: DesiredState, seen: Reconciled) -> None:
        """Wait until another pass can make a difference."""
        if self._is_needed(desired) or seen.failing or seen.left:  # what is refused is tried again until it is not
            return
        watch = self._keep_watching(seen.state_digest, moving=not seen.converged)
        again = None if not self._unpublished_passes else workflow.now() + PUBLISH_AGAIN
        ends = [end for end in (seen.requeue_at, self._deadline(seen), again) if end is not None]
        timeout = max(min(ends) - workflow.now(), SHORTEST_WAIT) if ends else None
        try:
            await workflow.wait_condition(
                lambda: watch.done() or self._is_needed(desired),
                timeout=timeout,
                timeout_summary="until the next pass is due, or the progress deadline is over",
            )
        except TimeoutError:
            self._check_deadline(seen)
        else:
            await _let_others_go_first()

    def _is_needed(self, desired: DesiredState) -> bool:
        """True when there is something to do; a status that could not be written is not retried at once."""
        return self.desired != desired or (not self._unpublished_passes and self._state.publication.has_pending)

    def _keep_watching(self, state_digest: str, *, moving: bool) -> ChangeWatch:
        """The change watch for the current digest; one watch serves until the digest changes."""
        if self._watch is None or self._watch.done() or self._watch.state_digest != state_digest:
            self._watch = self._calls.await_change(self._plan, state_digest, moving=moving)
        return self._watch

    # ------------------------------------------------------------------------------------------------------- deadline

    def _note_progress(self, seen: Reconciled) -> None:
        """Note progress: another count of pods, another step, or another selector of a Service of blue-green.

        Source: argo-rollouts, progressDeadlineSeconds.
        """
        counts = tuple((s.hash, s.current, s.ready, s.available) for s in seen.replica_sets)
        selected = tuple(sorted(seen.selectors.items())) if self._plan.active_service else ()
        wanted = self.desired
        mark = (wanted.index, wanted.hash, wanted.stable_hash, wanted.held, selected, counts)
        if self._progress is None or self._progress[0] != mark:
            self._progress = (mark, workflow.now())
            self._state.progressing()

    def _has_all_pods(self, seen: Reconciled) -> bool:
        return any(s.hash == self.desired.hash and s.available >= seen.replicas for s in seen.replica_sets)

    def _deadline(self, seen: Reconciled) -> datetime | None:
        """Time at which the progress deadline passes; None while nothing is missing, and on the way back.

        An experiment has deadlines of its own, and nothing has to happen while an operator holds the Services.
        """
        wanted = self.desired
        if wanted.aborted or wanted.experiment or wanted.held or self._progress is None or not self._moves:
            return None
        if seen.converged and (self.desired.hash != self.desired.stable_hash or self._has_all_pods(seen)):
            return None
        return None if self._state.is_late else self._progress[1] + self._plan.manifest.spec.progress_deadline()

    def _check_deadline(self, seen: Reconciled) -> None:
        deadline = self._deadline(seen)
        if deadline is None or workflow.now() < deadline:
            return
        message = f'ReplicaSet "{self._plan.replica_set}" has timed out progressing.'
        message += f" {seen.not_ready_reason}" if seen.not_ready_reason else ""
        self._state.late(message)
        if self._plan.manifest.spec.progress_deadline_abort and not seen.converged:
            raise ApplicationError(message, type=ErrorType.PROGRESS_DEADLINE_EXCEEDED, non_retryable=True)


async def _let_others_go_first() -> None:
    """Let the steps act on a reached state, so that the next pass brings out their changes as well.

    A turn wakes waiting tasks, or runs tasks that they start. From one step to the next, or to the end, it takes six
    turns at most. More turns change nothing, fewer would cost a pass or a change watch. No replay depends on the
    number, since one event is taken at a time. It is a number and no condition on the steps: the end of a release also
    waits for passes, and a pass that waited for that end would never return.
    """
    for _ in range(TURNS):
        await workflow.wait_condition(lambda: True)

"""Keeps the cluster in the shape that the release's place asks for: pass after pass, until nothing is missing.

The steps move the place and wait until it is reached; what happens in between and meanwhile (pods that come and go,
another number of replicas, weights that somebody else changed) is looked after here.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import ErrorType, ExperimentSetState, Place, Reconciled
    from workflows.commands import Commands, Look
    from workflows.journal import Journal
    from workflows.plan import Plan

THE_PODS = "the pods; tidegate abort"
THE_LAST_PODS = "the pods; a newer version"
THE_DELAY = "the scale-down delay; a newer version"
THE_LAST_DEADLINE = "pods without traffic to go"
TELL_AGAIN = timedelta(seconds=5)
TURNS = 8
SHORTEST_WAIT = timedelta(milliseconds=1)  # a wait for what has passed asks for a timer as well: a replay may be later
GIVE_UP = 5
LET_COMPLETE = timedelta(milliseconds=500)  # what takes longer is waiting for its next attempt, or for a slow server


class Keeper:
    """The passes of one version. `place` is what it keeps to; `failed` is why it had to give up."""

    def __init__(self, plan: Plan, commands: Commands, journal: Journal) -> None:
        self._plan = plan
        self._commands = commands
        self._journal = journal
        self._task: asyncio.Task[None] | None = None
        self._look: Look | None = None
        self._reached: Place | None = None
        self._progress: tuple[object, datetime] | None = None
        self._seen: Reconciled | None = None
        self.place = plan.place
        self.failed: Exception | None = None
        self._passing = False
        self._unheard = 0  # passes in a row that could not tell all
        self._stopping = False  # a pass that completes although it was cancelled has to be told
        self._overtaken = False
        self._moves = True

    def start(self, *, moves: bool = True) -> None:
        """Begin, or go on after `stop`; without `moves` it only looks and tells."""
        self._moves = moves
        self.failed, self._reached, self._stopping, self._overtaken = None, None, False, False
        self._task = asyncio.create_task(self._guard())

    def overtake(self) -> None:
        """Begin no other pass. A later write decides on the traffic; what the pass under way says of it is old."""
        self._stopping = self._overtaken = True

    async def stop(self) -> None:
        """Come to rest: no write of this keeper follows."""
        self._stopping = True
        if self._passing:  # there is no shorter way to its end: a write that was begun is awaited in any case
            with suppress(TimeoutError):
                await workflow.wait_condition(lambda: not self._passing, timeout=LET_COMPLETE)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def move(self, **changes: object) -> None:
        """Stand elsewhere from now on."""
        self.place = self.place.model_copy(update=changes)

    @property
    def experiment(self) -> tuple[ExperimentSetState, ...]:
        """What stands of the experiment that the place asks for, as of the last pass."""
        return self._seen.experiment if self._seen is not None else ()

    @property
    def is_there(self) -> bool:
        """Whether the cluster looked as the place asks for when it was last seen."""
        return self.failed is None and self._reached == self.place

    @property
    def is_complete(self) -> bool:
        """Whether the place was reached with every pod, not only with as many as replicaProgressThreshold asks."""
        return self.is_there and self._seen is not None and self._has_all_pods(self._seen)

    async def complete(self) -> None:
        """Wait until no pod is missing. Raises what made the keeper give up."""
        with self._journal.waiting("the last pods", until=None, who=THE_LAST_PODS):
            await workflow.wait_condition(lambda: self.failed is not None or self.is_complete)
        if self.failed is not None:
            raise self.failed

    async def reached(self) -> None:
        """Wait until the cluster looks as the place asks for. Raises what made the keeper give up."""
        with self._journal.waiting("a look at the cluster", until=None, who=THE_PODS):
            await workflow.wait_condition(lambda: self.failed is not None or self._reached == self.place)
        if self.failed is not None:
            raise self.failed

    @property
    def is_deleted(self) -> bool:
        """Whether it gave up because the Rollout is gone, and what it owns goes with it."""
        cause = self.failed.cause if isinstance(self.failed, ActivityError) else self.failed
        return isinstance(cause, ApplicationError) and cause.type == ErrorType.DELETED

    async def told(self) -> None:
        """Wait until those who look at the cluster were told everything, or that has failed again and again."""
        await workflow.wait_condition(
            lambda: self.failed is not None or not self._journal.has_news or self._unheard >= GIVE_UP
        )

    async def until_quiet(self) -> None:
        """Wait until no deadline is left on any ReplicaSet either."""
        await self.reached()
        until = self._seen.resume_at if self._seen is not None else None
        with self._journal.waiting(THE_LAST_DEADLINE, until=until, who=THE_DELAY):
            await workflow.wait_condition(
                lambda: (
                    self.failed is not None
                    or (self._reached == self.place and self._seen is not None and self._seen.resume_at is None)
                )
            )

    async def _guard(self) -> None:
        try:
            while not self._stopping:
                await self._pass()
        except (ActivityError, ApplicationError) as error:
            self.failed = error

    async def _pass(self) -> None:
        place, account = self.place, self._journal.account()
        self._passing = True
        try:
            seen = await self._commands.reconcile(self._plan, place, self._journal.traffic, account, moves=self._moves)
        except ActivityError:
            self._journal.page.lost(account.status)
            raise
        finally:
            self._passing = False
        self._journal.seen(seen.model_copy(update={"traffic": None}) if self._overtaken else seen, account)
        self._unheard = 0 if seen.published and seen.told else self._unheard + 1
        if self._moves:
            self._journal.refused(seen.failing)
            self._commands.failing_since = self._journal.failing_since()
        self._reached = place if seen.settled and self._moves else None
        if seen.picture:
            self._seen = seen
            self._note_progress(seen)
        for who in (THE_PODS, THE_LAST_PODS):
            what = seen.failing or seen.missing or "traffic and pods"
            self._journal.still_waiting(who, what, self._deadline(seen))
        self._journal.still_waiting(THE_DELAY, THE_LAST_DEADLINE, seen.resume_at)
        if not self._stopping:
            await _let_others_go_first()
            self._journal.show()
            await self._until_needed(place, seen)

    async def _until_needed(self, place: Place, seen: Reconciled) -> None:
        """Wait until another pass can make a difference."""
        if self._is_needed(place) or seen.failing:  # what is refused is tried again until it is not
            return
        look = self._keep_looking(seen.picture)
        again = None if not self._unheard else workflow.now() + TELL_AGAIN
        ends = [end for end in (seen.resume_at, self._deadline(seen), again) if end is not None]
        timeout = max(min(ends) - workflow.now(), SHORTEST_WAIT) if ends else None
        try:
            await workflow.wait_condition(
                lambda: look.done() or self._is_needed(place),
                timeout=timeout,
                timeout_summary="until the next deadline",
            )
        except TimeoutError:
            self._check_deadline(seen)
        else:
            await _let_others_go_first()

    def _is_needed(self, place: Place) -> bool:
        """Whether there is something to do; a status that could not be written is not tried again at once."""
        return self.place != place or (not self._unheard and self._journal.has_news)

    def _keep_looking(self, picture: str) -> Look:
        """One look goes on for as long as it waits for a change of what stands now."""
        if self._look is None or self._look.done() or self._look.picture != picture:
            self._look = self._commands.look(self._plan, picture)
        return self._look

    # ------------------------------------------------------------------------------------------------------- deadline

    def _note_progress(self, seen: Reconciled) -> None:
        """Progress is another count of pods, or another place in the steps (argo-rollouts, progressDeadlineSeconds)."""
        counts = tuple((s.hash, s.current, s.ready, s.available) for s in seen.replica_sets)
        mark = (self.place.index, self.place.hash, self.place.stable_hash, counts)
        if self._progress is None or self._progress[0] != mark:
            self._progress = (mark, workflow.now())
            self._journal.progressing()

    def _has_all_pods(self, seen: Reconciled) -> bool:
        return any(s.hash == self.place.hash and s.available >= seen.replicas for s in seen.replica_sets)

    def _deadline(self, seen: Reconciled) -> datetime | None:
        """When too much time without progress will have passed; not while nothing is missing, or on the way back.

        An experiment has deadlines of its own.
        """
        if self.place.aborted or self.place.experiment or self._progress is None or not self._moves:
            return None
        if seen.settled and (self.place.hash != self.place.stable_hash or self._has_all_pods(seen)):
            return None
        return None if self._journal.is_late else self._progress[1] + self._plan.manifest.spec.progress_deadline()

    def _check_deadline(self, seen: Reconciled) -> None:
        deadline = self._deadline(seen)
        if deadline is None or workflow.now() < deadline:
            return
        message = f'ReplicaSet "{self._plan.replica_set}" has timed out progressing.'
        message += f" {seen.missing}" if seen.missing else ""
        self._journal.late(message)
        if self._plan.manifest.spec.progress_deadline_abort and not seen.settled:
            raise ApplicationError(message, type=ErrorType.PROGRESS_DEADLINE_EXCEEDED, non_retryable=True)


async def _let_others_go_first() -> None:
    """Let the steps act on what was reached, so that the next pass brings out what they did as well.

    A turn wakes those who wait, or runs what they start; from one step to the next, or to the end, it takes some turns.
    Too few would cost a pass or a look; no replay depends on them, since one event is taken at a time.
    """
    for _ in range(TURNS):
        await workflow.wait_condition(lambda: True)

"""The activity that waits for a change. It gives its slot back at once, and is completed when the change has come.

Temporal calls that asynchronous completion (https://docs.temporal.io/activity-execution#asynchronous-activity-completion).
What is waited for stands in this process alone. Who waits shows that he lives by heartbeats: where they stop, the
server gives the wait to another worker, and none of that is history.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import structlog
from temporalio import activity
from temporalio.client import AsyncActivityCancelledError, AsyncActivityHandle, Client
from temporalio.service import RPCError, RPCStatusCode

from activities.reconcile.waits import Waits, not_changed
from tidegate.contract import Activity, AwaitChange, AwaitExperiment

log = structlog.get_logger(__name__)

BEATS: Final = 3  # in each heartbeat timeout, so that one which comes late is not missed
BEATS_AT_A_TIME: Final = 8  # calls to Temporal; what has come to an end waits for none of them
ENDS_AT_A_TIME: Final = 16
CALL_TIMEOUT: Final = timedelta(seconds=10)
AGAIN_SECONDS: Final = 1.0  # until a call that failed is made once more
HAND_OVER_SECONDS: Final = 10.0  # for telling the server of all waits that another worker is to go on with them

Key = tuple[str, str]  # ids of the workflow's run and of the activity in it


class PendingWaits:
    """The waits of one worker, as many as there are. `close` it when the worker polls no more."""

    def __init__(
        self, waits: Waits, client: Callable[[], Client], *, chance: Callable[[], float] = random.random
    ) -> None:
        """`client` is the one to call Temporal with; `chance`, of 0 to 1, spreads heartbeats over time."""
        self._waits = waits
        self._client = client
        self._chance = chance
        self._pending: dict[Key, asyncio.Task[None]] = {}
        self._closing = asyncio.get_running_loop().create_future()
        self._beats = asyncio.Semaphore(BEATS_AT_A_TIME)
        self._ends = asyncio.Semaphore(ENDS_AT_A_TIME)

    def activities(self) -> list[Callable[..., Any]]:
        """Activities that a worker registers."""
        return [self.await_change, self.await_experiment]

    def __len__(self) -> int:
        """How many are waiting."""
        return len(self._pending)

    @activity.defn(name=Activity.AWAIT_CHANGE)
    async def await_change(self, request: AwaitChange) -> None:
        """Complete when the cluster no longer has the digest.

        An attempt fails with `NotChanged` when half of its time or more is over, and when the worker goes, so that a
        wait that goes on costs no history: its retries are none of it.
        """
        self._begin(lambda: self._waits.changed(request))

    @activity.defn(name=Activity.AWAIT_EXPERIMENT)
    async def await_experiment(self, request: AwaitExperiment) -> None:
        """Do the same for an Experiment object."""
        self._begin(lambda: self._waits.experiment_changed(request))

    def _begin(self, wait: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._closing.done():
            raise not_changed()
        info = activity.info()
        key = (info.workflow_run_id or "", info.activity_id)
        if (given_up := self._pending.get(key)) is not None:
            given_up.cancel()
        task = self._pending[key] = asyncio.create_task(self._wait(info, wait()))
        task.add_done_callback(lambda ended: self._ended(key, ended))
        activity.raise_complete_async()

    async def close(self) -> None:
        """Let another worker go on with every wait: report each to the server now."""
        if not self._closing.done():
            self._closing.set_result(None)
        if waits := list(self._pending.values()):
            log.info("waits handed over", count=len(waits))
            await asyncio.wait(waits, timeout=HAND_OVER_SECONDS)
            self.forget()
            await asyncio.gather(*waits, return_exceptions=True)

    def forget(self) -> None:
        """End all of them without a word, as a process that is killed does."""
        for task in self._pending.values():
            task.cancel()

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        if self._pending.get(key) is task:
            del self._pending[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a wait failed", exc_info=error)

    # -------------------------------------------------------------------------------------------------------- one wait

    async def _wait(self, info: activity.Info, wait: Coroutine[Any, Any, None]) -> None:
        """Wait, tell how it ended, and be gone no later than the server gives the attempt up."""
        whole = (info.start_to_close_timeout or timedelta.max).total_seconds()
        changed = asyncio.create_task(wait)
        beating = asyncio.create_task(self._beat(info))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(whole):
                    await asyncio.wait(
                        [changed, beating, self._closing],
                        timeout=whole * (2 + self._chance()) / 4,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    if changed.done():
                        await self._end(info, changed.exception())
                    elif not beating.done() or beating.result():
                        await self._end(info, not_changed())
        finally:
            changed.cancel()
            beating.cancel()

    async def _beat(self, info: activity.Info) -> bool:
        """Send heartbeats for as long as the server accepts them; returns whether the attempt is to be given back."""
        every = (info.heartbeat_timeout or CALL_TIMEOUT).total_seconds() / BEATS
        pause = every * self._chance()
        while True:
            await asyncio.sleep(pause)
            try:
                async with self._beats:
                    await self._attempt(info).heartbeat(rpc_timeout=CALL_TIMEOUT)
                pause = every
            except AsyncActivityCancelledError:  # or a person has paused it, or reset it
                return True
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND:  # the release has ended, or another worker has the wait
                    return False
                pause = min(every, AGAIN_SECONDS)

    async def _end(self, info: activity.Info, error: BaseException | None) -> None:
        """Say how it ended, until that was heard."""
        while True:
            try:
                async with self._ends:
                    if isinstance(error, Exception):
                        await self._attempt(info).fail(error, rpc_timeout=CALL_TIMEOUT)
                    else:
                        await self._attempt(info).complete(None, rpc_timeout=CALL_TIMEOUT)
                return
            except Exception as trouble:  # of any kind: the keys of the codec may be out of reach, too
                if isinstance(trouble, RPCError) and trouble.status == RPCStatusCode.NOT_FOUND:
                    return
                log.warning("end of a wait not reported yet", error=str(trouble))
            await asyncio.sleep(AGAIN_SECONDS)

    def _attempt(self, info: activity.Info) -> AsyncActivityHandle:
        return self._client().get_async_activity_handle(task_token=info.task_token)

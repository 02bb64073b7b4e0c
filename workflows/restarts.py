"""Replaces a Rollout's pods at `spec.restartAt`, beside whatever else its release does."""

from __future__ import annotations

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from workflows.activity_calls import ActivityCalls
    from workflows.failures import cause_of
    from workflows.interruptions import raise_if_cancelled
    from workflows.plan import Plan
    from workflows.reconciler import SHORTEST_WAIT
    from workflows.rejections import RESTARTS
    from workflows.release_status import ReleaseState


class PodRestarts:
    """The restarts during one version, one after the other."""

    def __init__(self, plan: Plan, calls: ActivityCalls, state: ReleaseState) -> None:
        self._plan = plan
        self._calls = calls
        self._state = state
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop: pods that are still old stay."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._state.restarting = False
        self._state.publication.rejected("", RESTARTS)

    async def finished(self) -> None:
        """Wait until no restart is due."""
        due = self._state.restart_due
        if due is None:
            return
        with self._state.waits.on(f"new pods (spec.restartAt {due.isoformat()})", until=None, who="the pods"):
            await workflow.wait_condition(lambda: self._state.restart_due is None)

    async def _run(self) -> None:
        while True:
            await workflow.wait_condition(lambda: self._state.restart_due is not None)
            at = self._state.restart_due
            if at is None:
                continue
            try:
                await workflow.wait_condition(
                    lambda: self._state.restart_due != at,  # noqa: B023
                    timeout=max(at - workflow.now(), SHORTEST_WAIT),
                    timeout_summary="until spec.restartAt",
                )
                continue
            except TimeoutError:
                pass
            self._state.restarting = True
            try:
                await self._replace_pods(at)
            except (ActivityError, ApplicationError) as error:
                self._state.event("RestartFailed", f"spec.restartAt: {cause_of(error)}", warning=True)
            self._state.publication.rejected("", RESTARTS)
            self._state.restarted(at)

    async def _replace_pods(self, at: datetime) -> None:
        """Replace pods until none is older, with retries until it succeeds; rejections are published meanwhile."""
        known: tuple[str, ...] = ()
        while True:
            restarted = await self._calls.restart_pods(self._plan, at, known)
            raise_if_cancelled()
            self._state.publication.rejected(restarted.failing, RESTARTS)
            if restarted.done:
                return
            known = (*known, restarted.failing) if restarted.failing else ()

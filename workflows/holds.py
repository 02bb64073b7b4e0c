"""Holds of a release: manual pauses, inconclusive analyses, and routes that an external editor keeps changing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import ErrorType, PauseReason
    from tidegate.report import reason_of
    from workflows.gates import Background
    from workflows.handlers import Inbox
    from workflows.interruptions import Aborted
    from workflows.release_status import ReleaseState
    from workflows.waits import AN_OPERATOR, RESUMED, pause_by

MOST_DRIFTS = 3  # over the routes, before a release holds for an operator


class Holds:
    """The holds of one version. None lasts longer than `limit`; None: until an operator acts."""

    def __init__(self, inbox: Inbox, state: ReleaseState, background: Background, limit: timedelta | None) -> None:
        self._inbox = inbox
        self._state = state
        self._background = background
        self._limit = limit

    async def over(self) -> None:
        """Wait while the release is paused or has drift, or its background analysis was inconclusive."""
        while self._is_stopped or self._background.inconclusive:
            if self._is_stopped:
                await self.released()
            else:
                await self.undecided(
                    PauseReason.ANALYSIS, self._background.inconclusive, "the inconclusive background analysis"
                )
                self._background.start()

    async def released(self) -> None:
        """Wait while the release is paused, or an external editor changes its routes."""
        while self._is_stopped:
            if self._inbox.paused is not None:
                with self._state.waits.paused(PauseReason.MANUAL):
                    await self.resumed()
            else:
                promotes, what = (
                    self._inbox.promotes,
                    f"an end of what {self._state.external_editor} writes to the routes",
                )
                with self._state.waits.paused(PauseReason.EXTERNAL_CHANGE):
                    await self.for_an_operator(what, lambda: self._inbox.promotes > promotes)  # noqa: B023
                self._state.drifts = 0

    @property
    def _is_stopped(self) -> bool:
        return self._inbox.paused is not None or self._state.drifts >= MOST_DRIFTS

    async def resumed(self) -> None:
        """Wait until a manual pause is resumed."""
        if self._inbox.paused is not None:
            what = pause_by(self._state.status().paused_by)
            await self.for_an_operator(what, lambda: self._inbox.paused is None, who=RESUMED)

    async def undecided(self, reason: PauseReason, analysis: str, what: str = "") -> None:
        """Wait for an operator's decision on an inconclusive analysis. `what` names it, by default by its name."""
        promotes = self._inbox.promotes
        with self._state.waits.paused(reason, analysis=analysis):
            decision = f"a decision on {what or f'the inconclusive analysis {analysis}'}"
            await self.for_an_operator(decision, lambda: self._inbox.promotes > promotes, why=self._reason_of(analysis))

    def _reason_of(self, analysis: str) -> str:
        """The decisive sentence of an analysis run of this release."""
        found = [each.status for each in self._state.status().analyses if each.name == analysis]
        return reason_of(found[0]) if found else ""

    async def for_an_operator(
        self, what: str, answered: Callable[[], bool], *, who: str = AN_OPERATOR, why: str = ""
    ) -> None:
        """Wait for an operator. Raises `Aborted` when the Rollout's hold limit is over (law 5)."""
        limit = self._limit
        until = workflow.now() + limit if limit else None
        with self._state.waits.on(f"{what}: {why}" if why else what, until=until, who=who, only_operator=True):
            self._state.publication.show()
            try:
                await workflow.wait_condition(answered, timeout=limit, timeout_summary="limit of the hold")
            except TimeoutError:
                raise Aborted(f"nobody answered within {limit}: {what}", ErrorType.ROLLOUT_INCONCLUSIVE) from None

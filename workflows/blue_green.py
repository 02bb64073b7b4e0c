"""The way of blue-green: a preview, its gate and its pause; then all of the traffic at once, and the last gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.status import Phase
    from tidegate.bluegreen.stages import Stage
    from tidegate.contract import AnalysisKind, Document, ParsedRollout, PauseReason
    from tidegate.manifests.durations import format_duration
    from tidegate.manifests.rollout import BlueGreen
    from workflows.active_release import ActiveRelease
    from workflows.gates import Gate
    from workflows.handlers import Inbox
    from workflows.interruptions import race
    from workflows.metrics import timed_step
    from workflows.release_status import ReleaseState
    from workflows.waits import AN_OPERATOR

NOT_PAUSED = "nothing waits for a promotion now; tidegate promote --full skips all that is left"
_KINDS = {
    Stage.PRE_PROMOTION: AnalysisKind.PRE_PROMOTION,
    Stage.POST_PROMOTION: AnalysisKind.POST_PROMOTION,
}


class BlueGreenStages:
    """The stages of one version."""

    def __init__(self, active: ActiveRelease, strategy: BlueGreen, inbox: Inbox, state: ReleaseState) -> None:
        self._plan = active.plan
        self._reconciler = active.reconciler
        self._holds = active.holds
        self._inbox = inbox
        self._state = state
        self._read = strategy
        self._read_from: Document | None = None  # the request in which `_read` was found

    def hold(self, *, waits_for_change: bool) -> None:
        """Leave the Services alone, as Argo does; a version that `waits_for_change` gets no pods either."""
        self._reconciler.move(held=True, aborted=waits_for_change)

    def skip_to_the_end(self) -> None:
        """Ask for all of the traffic, past the stages that are left."""
        self._reconciler.move(promoting=True, full=True, aborted=False, held=False, undecided=False)
        self._state.set_desired_weight(100)

    async def carry_out(self) -> None:
        """Run the stages. Raises `GateFailed`, and the failure of the reconciler."""
        self._reconciler.move(aborted=False, held=False)
        if self._plan.is_known_good:
            self._state.steps.skip(in_full=False)
            await self._activate()
            return
        self._inbox.nothing_to_promote = NOT_PAUSED
        try:
            for index, stage in enumerate(self._plan.stages):
                with self._state.steps.stage(index), timed_step(stage):
                    await self._run(stage)
        finally:
            self._inbox.nothing_to_promote = ""

    async def _run(self, stage: Stage) -> None:
        match stage:
            case Stage.PREVIEW:
                await self._reached()
            case Stage.PAUSE:
                await self._pause()
            case Stage.ACTIVE:
                if Stage.PAUSE not in self._plan.stages:  # it may be wanted since
                    await self._pause()
                await self._activate()
            case Stage.PRE_PROMOTION | Stage.POST_PROMOTION:
                await self._judge(stage)

    async def _activate(self) -> None:
        """Give the version all of the traffic as soon as it has its pods."""
        await self._holds.over()
        self._reconciler.move(promoting=True)
        self._state.set_desired_weight(100)
        await self._reached()

    async def _reached(self) -> None:
        """Wait until the cluster is as asked for. A pause by an operator holds the Services, and not the pods.

        Whatever interrupts it finds the Services held: no forward write follows.
        """
        while True:
            await race(self._reconciler.reached(), lambda: self._inbox.paused is not None)
            if self._inbox.paused is None:
                return
            self._reconciler.move(held=True)
            await self._holds.released()
            self._reconciler.move(held=False)

    async def _judge(self, stage: Stage) -> None:
        """Run the analysis of a stage. An operator who promotes an inconclusive one wants another run, as in Argo."""
        analysis = self._plan.stage_document(stage)
        while True:
            gate = await Gate.of_promotion(self._plan, self._state, analysis, _KINDS[stage])
            with self._state.waits.on(f"analysis {gate.reference.name}", until=None, who="its verdict; " + AN_OPERATOR):
                self._state.publication.show()
                phase = await gate.verdict()
            if phase is not Phase.INCONCLUSIVE:
                return
            self._reconciler.move(undecided=True)
            with self._promotable():
                await self._holds.undecided(PauseReason.ANALYSIS, gate.reference.name)
            self._reconciler.move(undecided=False)

    # ----------------------------------------------------------------------------------------------------- the pause

    async def _pause(self) -> None:
        """Wait for autoPromotionSeconds, or for an operator. A change of the two fields counts at once, as in Argo."""
        if not self._settings.pauses:
            return
        started, promotes = workflow.now(), self._inbox.promotes
        with self._state.waits.paused(PauseReason.BLUE_GREEN), self._promotable():
            while self._inbox.promotes == promotes and not self._is_over(started):
                settings = self._settings
                changed = partial(self._has_changed, promotes, settings)
                if settings.waits_for_operator:
                    await self._holds.for_an_operator("the promotion of the preview", changed)
                else:
                    await self._until(_end(started, settings), changed)
            await self._holds.resumed()

    def _is_over(self, started: datetime) -> bool:
        settings = self._settings
        return not settings.waits_for_operator and workflow.now() >= _end(started, settings)

    def _has_changed(self, promotes: int, settings: BlueGreen) -> bool:
        return self._inbox.promotes > promotes or self._settings != settings

    async def _until(self, end: datetime, changed: Callable[[], bool]) -> None:
        who = "its time; " + AN_OPERATOR
        with self._state.waits.on("the pause", until=end, who=who, outlasted=True), suppress(TimeoutError):
            self._state.publication.show()
            left = end - workflow.now()
            await workflow.wait_condition(
                changed, timeout=left, timeout_summary=f"pause of {format_duration(left)} before the promotion"
            )

    @property
    def _settings(self) -> BlueGreen:
        """The strategy as the latest request of this version has it; one that cannot be read changes nothing."""
        document = self._state.latest_rollout
        if document is not None and document is not self._read_from:
            self._read_from = document
            with suppress(ValueError):
                strategy = ParsedRollout.read(document).strategy
                self._read = strategy if isinstance(strategy, BlueGreen) else self._read
        return self._read

    @contextmanager
    def _promotable(self) -> Iterator[None]:
        """Let an operator promote within the block, as something waits for it."""
        self._inbox.nothing_to_promote = ""
        try:
            yield
        finally:
            self._inbox.nothing_to_promote = NOT_PAUSED


def _end(started: datetime, settings: BlueGreen) -> datetime:
    return started + timedelta(seconds=settings.auto_promotion_seconds)

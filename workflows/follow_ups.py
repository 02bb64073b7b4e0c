"""How a release asks for what follows its decisions, and how long it waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import (
        FOLLOW_UP_WORKFLOW,
        Activity,
        Compensation,
        Effect,
        EffectState,
        FollowedUp,
        FollowUpRequest,
        Notice,
        follow_up_id,
    )
    from workflows.failures import cause_of
    from workflows.journal import Journal

PATIENCE = timedelta(minutes=1)  # with people's systems, once everything else is done


class FollowUps:
    """The workflows that carry out what follows the decisions of a release; each goes on without it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._asked = 0
        self._begun = 0
        self._awaited: list[asyncio.Task[None]] = []

    def begin(self, decision: str, *effects: Effect) -> None:
        """Ask for the effects of a decision, such as `aborted`, which is made once for a revision."""
        task = self._begin(decision, effects)
        self._awaited.append(task)

    def tell(self, number: int, notices: Sequence[Notice]) -> None:
        """Ask for the notices of the event of that number; nobody waits until they were sent."""
        for index, notice in enumerate(notices):
            self._begin(f"event-{number}-{index}", (Effect.of(notice.trigger, Activity.SEND_NOTICE, notice),))

    def _begin(self, decision: str, effects: tuple[Effect, ...]) -> asyncio.Task[None]:
        info, status = workflow.info(), self._journal.status()
        # The first run's: after a reset the same decision must have the same name.
        workflow_id = follow_up_id(info.workflow_id, status.revision, info.first_execution_run_id, decision)
        for effect in (each for each in effects if each.name in list(Compensation)):
            self._journal.compensation(effect.name, "running", f"carried out by {workflow_id}")
        request = FollowUpRequest(release=info.workflow_id, run_id=info.run_id, effects=effects)
        self._asked += 1
        names = ", ".join(effect.name for effect in effects)
        return asyncio.create_task(
            self._follow(workflow_id, f"{names}: {status.name} revision {status.revision}", request)
        )

    async def _follow(self, workflow_id: str, summary: str, request: FollowUpRequest) -> None:
        try:
            handle = await self._start(workflow_id, summary, request)
        except WorkflowAlreadyStartedError:  # by the run that this one is a reset of
            self._end(request, EffectState.SKIPPED, f"{workflow_id} was begun before")
            self._begun += 1
            return
        self._begun += 1
        try:
            await asyncio.shield(handle)
        except ChildWorkflowError as error:  # somebody stopped it, unless it had told already
            self._end(request, EffectState.FAILED, cause_of(error))

    async def _start(
        self, workflow_id: str, summary: str, request: FollowUpRequest
    ) -> ChildWorkflowHandle[object, object]:
        return await workflow.start_child_workflow(
            FOLLOW_UP_WORKFLOW,
            request,
            id=workflow_id,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            cancellation_type=ChildWorkflowCancellationType.ABANDON,
            static_summary=summary,
        )

    def _end(self, request: FollowUpRequest, state: EffectState, message: str) -> None:
        for effect in request.effects:
            self._journal.followed_up(FollowedUp(name=effect.name, state=state, message=message))

    async def leave(self, awaited: Callable[[], bool]) -> None:
        """Wait until what was begun is done, it has been long enough, or another release is `awaited`."""
        until = workflow.now() + PATIENCE
        who = "their systems; a newer version"
        with self._journal.waiting("what people hear of it", until=until, who=who), suppress(TimeoutError):
            await workflow.wait_condition(lambda: awaited() or self._all_done, timeout=PATIENCE)
        for task in self._awaited:
            task.cancel()
        await asyncio.gather(*self._awaited, return_exceptions=True)

    async def begun(self) -> None:
        """Wait until the server has all of them: from there on nothing is lost."""
        await workflow.wait_condition(lambda: self._begun == self._asked)

    @property
    def _all_done(self) -> bool:
        return all(task.done() for task in self._awaited)

"""Starts follow-up workflows for the decisions of a release, and waits for them for a limited time."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import (
        BACKGROUND_PRIORITY,
        FOLLOW_UP_WORKFLOW,
        Activity,
        Compensation,
        CompensationState,
        Effect,
        EffectState,
        FollowedUp,
        FollowUpRequest,
        Notification,
        follow_up_id,
    )
    from workflows.failures import cause_of
    from workflows.release_status import ReleaseState

DIGEST_LENGTH = 12
DETACH_TIMEOUT = timedelta(minutes=1)  # with people's systems, once everything else is done


class FollowUps:
    """Follow-up workflows of one release; each goes on without it."""

    def __init__(self, state: ReleaseState) -> None:
        self._state = state
        self._requested = 0
        self._started = 0
        self._awaited: list[asyncio.Task[list[FollowedUp]]] = []

    def start(self, decision: str, *effects: Effect) -> None:
        """Start the effects of a decision, such as `aborted`; a decision is made once for a revision."""
        task = self._start(decision, effects)
        self._awaited.append(task)

    async def run_effect(self, decision: str, effect: Effect) -> FollowedUp:
        """Run one effect that the release needs to go on, and wait for its end, however long its system is away."""
        [ended] = await asyncio.shield(self._start(decision, (effect,)))
        return ended

    def notify(self, number: int, notifications: Sequence[Notification]) -> None:
        """Start the notifications of the event of that number; they are not awaited."""
        for notification in notifications:
            # After a reset the event of that number may be another one.
            content = [notification.service, notification.recipient, notification.reason, notification.message]
            digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:DIGEST_LENGTH]
            effect = Effect.of(notification.trigger, Activity.SEND_NOTIFICATION, notification)
            self._start(f"event-{number}-{digest}", (effect,))

    def _start(self, decision: str, effects: tuple[Effect, ...]) -> asyncio.Task[list[FollowedUp]]:
        info, status = workflow.info(), self._state.status()
        # The first run's: after a reset the same decision must have the same name.
        workflow_id = follow_up_id(info.workflow_id, status.revision, info.first_execution_run_id, decision)
        for effect in (each for each in effects if each.name in list(Compensation)):
            self._state.compensation(
                Compensation(effect.name), CompensationState.RUNNING, f"carried out by {workflow_id}"
            )
        request = FollowUpRequest(release=info.workflow_id, run_id=info.run_id, effects=effects)
        self._requested += 1
        names = ", ".join(map(_words, effects))
        return asyncio.create_task(
            self._follow(workflow_id, f"{names} for {status.name} revision {status.revision}", request)
        )

    async def _follow(self, workflow_id: str, summary: str, request: FollowUpRequest) -> list[FollowedUp]:
        try:
            handle = await self._start_child(workflow_id, summary, request)
        except WorkflowAlreadyStartedError:  # by the run that this one is a reset of
            return self._end(request, EffectState.DONE, f"{workflow_id} was begun before")
        finally:
            self._started += 1
        try:
            return await asyncio.shield(handle)
        except ChildWorkflowError as error:
            if isinstance(error.cause, ApplicationError) and error.cause.details:
                return [FollowedUp.model_validate(each) for each in error.cause.details[0]]
            return self._end(request, EffectState.FAILED, cause_of(error))  # it was terminated or cancelled

    async def _start_child(
        self, workflow_id: str, summary: str, request: FollowUpRequest
    ) -> ChildWorkflowHandle[object, list[FollowedUp]]:
        return await workflow.start_child_workflow(
            FOLLOW_UP_WORKFLOW,
            request,
            id=workflow_id,
            result_type=list[FollowedUp],
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            cancellation_type=ChildWorkflowCancellationType.ABANDON,
            priority=BACKGROUND_PRIORITY,
            static_summary=summary,
        )

    def _end(self, request: FollowUpRequest, state: EffectState, message: str) -> list[FollowedUp]:
        ended = [FollowedUp(name=effect.name, state=state, message=message) for effect in request.effects]
        for each in ended:
            self._state.followed_up(each)
        return ended

    async def detach(self, awaited: Callable[[], bool]) -> None:
        """Wait until all effects have ended, `DETACH_TIMEOUT` is over, or another release is `awaited`."""
        until = workflow.now() + DETACH_TIMEOUT
        who = "their systems; a newer version"
        with self._state.waits.on("its notifications", until=until, who=who), suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: awaited() or self._all_done,
                timeout=DETACH_TIMEOUT,
                timeout_summary="limit of the wait for incident, revert and notifications",
            )
        await self.started()
        tasks, self._awaited = self._awaited, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def started(self) -> None:
        """Wait until the server has started all of them: from then on none is lost."""
        await workflow.wait_condition(lambda: self._started == self._requested)

    @property
    def _all_done(self) -> bool:
        return all(task.done() for task in self._awaited)


def _words(effect: Effect) -> str:
    """An effect for people; a notification has only the name of its trigger."""
    return f"notification {effect.name}" if effect.activity == Activity.SEND_NOTIFICATION else effect.name

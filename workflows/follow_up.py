"""Effects of one decision of a release, in a workflow of its own that outlives the release.

An outside system that is away for hours delays no release, and no effect is lost: the workflow waits until the system
is back.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import (
        FOLLOW_UP_QUEUE,
        FOLLOW_UP_WORKFLOW,
        Activity,
        Effect,
        EffectName,
        EffectState,
        ErrorType,
        FollowedUp,
        FollowUpRequest,
        IncidentNote,
        Signal,
        follow_ups_of,
    )
    from tidegate.manifests.plain_text import harmless
    from workflows.failures import cause_of
    from workflows.inputs import read_input
    from workflows.interruptions import sent
    from workflows.metrics import count_follow_up

GIVE_UP = timedelta(days=7)
# Not found is retried, too: proxies answer so for servers that are away, and forges for repositories that a credential
# may not see.
NOT_THERE = timedelta(minutes=5)
RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))
ATTEMPT_TIMEOUT = timedelta(minutes=1)
REVERT_TIMEOUT = timedelta(minutes=5)  # for one attempt, which may clone several times
HEARTBEAT_TIMEOUT = timedelta(seconds=10)  # longer than that of what a release waits for


@workflow.defn(name=FOLLOW_UP_WORKFLOW)
class FollowUp:
    """Started by a release for each decision, under an id of its own, so that it starts once."""

    @workflow.run
    async def run(self, request: Any = None, *more: Any) -> list[FollowedUp]:
        """Run all effects side by side, and send the release the end of each.

        Fails at once with an input that cannot be read. Otherwise it fails at the end with the effects that an operator
        has to put right, or that took longer than `GIVE_UP`.
        """
        self._request = read_input(FollowUpRequest, request, "follow-up request")
        _check_id(self._request)
        self._until = workflow.now() + GIVE_UP
        ended = list(await asyncio.gather(*map(self._run_effect, self._request.effects)))
        failed = [f"{each.name}: {each.message}" for each in ended if each.state is EffectState.FAILED]
        if failed:
            raise ApplicationError("; ".join(failed), ended, type=ErrorType.REJECTED, non_retryable=True)
        return ended

    async def _run_effect(self, effect: Effect) -> FollowedUp:
        ended = await self._carry_out(effect)
        count_follow_up(effect, ended)
        if self._request.release:
            await self._report(ended)
        if effect.note is not None and ended.state is EffectState.DONE:
            note = _with_note(effect.note, ended.message)
            count_follow_up(note, await self._carry_out(note))
        return ended

    async def _report(self, ended: FollowedUp) -> None:
        release = workflow.get_external_workflow_handle(self._request.release, run_id=self._request.run_id)
        try:
            await sent(release.signal(Signal.FOLLOWED_UP, ended))
        except FailureError as error:
            workflow.logger.info("the release did not get it, it has ended: %s", error)

    async def _carry_out(self, effect: Effect) -> FollowedUp:
        while True:
            try:
                answer = await self._attempts(effect)
            except ActivityError as error:
                kind = error.cause.type if isinstance(error.cause, ApplicationError) else None
                if kind == ErrorType.NOT_CONFIGURED:
                    return FollowedUp(name=effect.name, state=EffectState.SKIPPED, message=cause_of(error))
                if kind != ErrorType.NOT_FOUND or workflow.now() + NOT_THERE >= self._until:
                    return FollowedUp(name=effect.name, state=EffectState.FAILED, message=cause_of(error))
                details = f"{effect.name}: {cause_of(error)}: tried again every {NOT_THERE}"
                workflow.set_current_details(harmless(details))
                await workflow.sleep(NOT_THERE, summary=f"{effect.name}: until the next attempt")
            else:
                message = str(answer.get("message") or "") if isinstance(answer, dict) else ""
                return FollowedUp(name=effect.name, state=EffectState.DONE, message=message, answer=answer)

    async def _attempts(self, effect: Effect) -> Any:
        reverts = effect.activity == Activity.REVERT_COMMIT
        return await workflow.execute_activity(
            effect.activity,
            effect.request,
            task_queue=FOLLOW_UP_QUEUE,
            start_to_close_timeout=REVERT_TIMEOUT if reverts else ATTEMPT_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            schedule_to_close_timeout=self._until - workflow.now(),
            retry_policy=RETRY,
            summary=effect.name,
        )


def _check_id(request: FollowUpRequest) -> None:
    """Check that the parent is the release in the request and gave the id. Raises `InvalidSpec` otherwise."""
    info = workflow.info()
    parent = info.parent.workflow_id if info.parent is not None else ""
    if not parent or request.release not in ("", parent) or not info.workflow_id.startswith(follow_ups_of(parent)):
        right = f"{follow_ups_of(request.release or '<workflow>')}..."
        raise ApplicationError(
            f"workflow id {info.workflow_id!r}: what follows a decision is started as {right!r} by the workflow that "
            "decided, or not at all",
            type=ErrorType.INVALID_SPEC,
            non_retryable=True,
        )


def _with_note(note: IncidentNote, message: str) -> Effect:
    text = "\n".join(filter(None, (note.text, message)))
    return Effect.of(EffectName.NOTE, Activity.NOTE_INCIDENT, note.model_copy(update={"text": text}))

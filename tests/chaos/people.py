"""People and pipelines: they say what they want until somebody answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import aiohttp
import yaml
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from sandbox.apply import apply
from sandbox.processes import until
from tests.chaos.manifests import NAMESPACE, Document, image_tag, manifest_path
from tests.chaos.plane import Plane
from tidegate.client import RefusedError, RolloutRef, TidegateError
from tidegate.contract import ReleaseRequest, Source, rollback_id

AGAIN_SECONDS = 0.3
ATTEMPT_SECONDS = 8.0
UNDO_SECONDS = 70.0  # an undo gives up before that
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


class Answer(StrEnum):
    """What came of a wish."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNCLEAR = "unclear"  # it may have been taken: an answer was lost, or nobody was there to give one


class People:
    """Whoever speaks to the releases of a plane. They reach Temporal and the API server directly."""

    def __init__(self, plane: Plane, patience: float) -> None:
        """`patience` is how many seconds they ask again."""
        self.plane = plane
        self._patience = patience
        self._pushing = asyncio.Lock()

    # ----------------------------------------------------------------------------------------------------- one version

    async def push(self, *version: Document) -> str:
        """Bring a version into Git; returns the commit. Whoever pushed meanwhile is not overwritten."""
        name = version[-1]["metadata"]["name"]
        message, text = f"{name} {image_tag(version)}", yaml.safe_dump_all(version, sort_keys=False)
        async with self._pushing:
            return await asyncio.to_thread(self.plane.git.commit_file, message, manifest_path(name), text)

    async def apply(self, *documents: Document) -> None:
        """Apply manifests as a GitOps tool does, again and again while the API server is away."""
        await self._until_answered(lambda: apply(self.plane.api.url, documents))

    async def release(self, rollout: Document, commit: str = "") -> Answer:
        """Ask for a release as a CI job does."""
        request = ReleaseRequest(
            namespace=NAMESPACE,
            name=rollout["metadata"]["name"],
            rollout=rollout,
            by="ci",
            source=Source(repository=self.plane.git.url, commit=commit),
        )
        return await self._ask(lambda: self.plane.client.start(request))

    # -------------------------------------------------------------------------------------------------------- one word

    async def abort(self, name: str) -> Answer:
        """Abort by an update, or by a signal where no worker answers."""
        return await self._ask(lambda: self.plane.client.abort(_ref(name), by="alice", reason="smells"))

    async def promote(self, name: str, *, full: bool = False) -> Answer:
        """Promote."""
        reason = "a named person's word"
        return await self._ask(lambda: self.plane.client.promote(_ref(name), full=full, by="bob", reason=reason))

    async def pause(self, name: str) -> Answer:
        """Pause."""
        return await self._ask(lambda: self.plane.client.pause(_ref(name), by="alice"))

    async def resume(self, name: str) -> Answer:
        """Resume."""
        return await self._ask(lambda: self.plane.client.resume(_ref(name), by="alice"))

    async def undo(self, name: str) -> Answer:
        """Ask for the revision before."""
        return await self._ask(lambda: self.plane.client.undo(_ref(name), by="alice"), attempt_seconds=UNDO_SECONDS)

    async def until_no_undo(self, name: str) -> None:
        """Wait until no undo is under way that could still change anything."""

        async def none() -> bool:
            handle = self.plane.people.get_workflow_handle(rollback_id("default", NAMESPACE, name))
            try:
                return (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING
            except RPCError as error:
                return error.status is RPCStatusCode.NOT_FOUND

        await until(none, UNDO_SECONDS, f"the undo of {name} ended")

    async def patch_status(self, name: str, **fields: Any) -> None:
        """Patch the Rollout's status, as kubectl's plugin does."""

        async def patch() -> None:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ATTEMPT_SECONDS)) as session,
                session.patch(self._url(name, "status"), json={"status": fields}, headers=MERGE_PATCH) as answer,
            ):
                answer.raise_for_status()

        await self._until_answered(patch)

    async def delete(self, name: str) -> None:
        """Delete the Rollout and what it owns, as kubectl does."""

        async def delete() -> None:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ATTEMPT_SECONDS)) as session,
                session.delete(self._url(name), params={"propagationPolicy": "Background"}) as answer,
            ):
                if answer.status != HTTPStatus.NOT_FOUND:
                    answer.raise_for_status()

        await self._until_answered(delete)

    def _url(self, name: str, *subresource: str) -> str:
        root = f"{self.plane.api.url}/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/rollouts"
        return "/".join((root, name, *subresource))

    # ------------------------------------------------------------------------------------------- what Temporal's UI can

    async def signal(self, name: str, signal: str) -> Answer:
        """A bare signal, as `temporal workflow signal` sends it."""
        return await self._ask(lambda: self._handle(name).signal(signal))

    async def terminate(self, name: str) -> Answer:
        """Terminate the release."""
        return await self._ask(lambda: self._handle(name).terminate("a test"))

    async def cancel(self, name: str) -> Answer:
        """Request the cancellation of the release."""
        return await self._ask(lambda: self._handle(name).cancel())

    async def reset(self, name: str) -> Answer:
        """Reset the release to the end of its last workflow task."""

        async def reset() -> None:
            handle = self._handle(name)
            run = (await handle.describe()).run_id
            history = await self.plane.people.get_workflow_handle(handle.id, run_id=run).fetch_history()
            done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
            points = [event.event_id for event in history.events if event.event_type == done]
            await self.plane.people.workflow_service.reset_workflow_execution(
                ResetWorkflowExecutionRequest(
                    namespace=self.plane.people.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=run),
                    reason="a test",
                    workflow_task_finish_event_id=points[-1],
                    request_id=f"reset-{run}",
                )
            )

        return await self._ask(reset)

    def _handle(self, name: str) -> WorkflowHandle[Any, Any]:
        return self.plane.people.get_workflow_handle(_ref(name).workflow_id)

    # ---------------------------------------------------------------------------------------------------------- asking

    async def _ask(self, attempt: Callable[[], Awaitable[Any]], attempt_seconds: float = ATTEMPT_SECONDS) -> Answer:
        """Ask until it is taken or refused. After a lost answer nobody knows which of the two it was."""
        lost = False
        until = time.monotonic() + self._patience
        while time.monotonic() < until:
            try:
                async with asyncio.timeout(attempt_seconds):
                    said = await attempt()
            except RefusedError:
                return Answer.UNCLEAR if lost else Answer.REFUSED
            except (TidegateError, RPCError, TimeoutError):
                lost = True
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                sent = "was sent" in str(getattr(said, "message", ""))
                return Answer.UNCLEAR if lost or sent else Answer.TAKEN
        return Answer.UNCLEAR

    async def _until_answered(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Ask until the API server takes it. Raises what the last attempt did when the patience is over."""
        until = time.monotonic() + self._patience
        while True:
            try:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    return await attempt()
            except (aiohttp.ClientError, OSError, TimeoutError, RuntimeError):  # the last with an answer such as 503
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)


def _ref(name: str) -> RolloutRef:
    return RolloutRef(namespace=NAMESPACE, name=name)

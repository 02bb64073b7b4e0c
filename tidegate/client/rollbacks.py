"""Rollbacks to earlier revisions; `TidegateClient` inherits it."""

from __future__ import annotations

from datetime import timedelta

from pydantic import ValidationError
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import TimeoutError, WorkflowAlreadyStartedError  # noqa: A004  Temporal's

from tidegate.client.errors import RefusedError
from tidegate.client.refs import RolloutRef
from tidegate.client.translation import malformed, no_worker, translated
from tidegate.contract import (
    RELEASES_QUEUE,
    ROLLBACK_WORKFLOW,
    RollbackRequest,
    RollbackResult,
    Target,
    rollback_id,
)

UNDO_TIMEOUT = timedelta(seconds=60)


class Rollbacks:
    """Methods of a client for revisions."""

    _temporal: Client

    async def undo(
        self, rollout: RolloutRef, *, to_revision: int | None = None, by: str = "", reason: str = ""
    ) -> RollbackResult:
        """Write the template of an earlier revision to the Rollout object, by default of the last promoted one.

        The release follows. Raises `RefusedError` where there is no such revision, or no Rollout object; nothing was
        changed then.
        """
        try:
            target = Target(namespace=rollout.namespace, name=rollout.name)
            request = RollbackRequest(
                cluster=rollout.cluster, target=target, to_revision=to_revision, by=by, reason=reason
            )
        except ValidationError as error:
            raise malformed(error) from error
        workflow_id = rollback_id(rollout.cluster, rollout.namespace, rollout.name)
        try:
            with translated(workflow_id):
                handle = await self._temporal.start_workflow(
                    ROLLBACK_WORKFLOW,
                    request,
                    id=workflow_id,
                    task_queue=RELEASES_QUEUE,
                    result_type=RollbackResult,
                    # Without a worker in time it is not carried out later, when it may no longer be wanted.
                    execution_timeout=UNDO_TIMEOUT,
                    static_summary=f"undo of {rollout.name}",
                )
                result: RollbackResult = await handle.result()
        except WorkflowAlreadyStartedError as error:
            raise RefusedError(f"{workflow_id}: another undo is under way", "ask again when it has ended") from error
        except WorkflowFailureError as error:
            if isinstance(error.cause, TimeoutError):
                raise no_worker(workflow_id) from error
            raise RefusedError(str(getattr(error.cause, "message", "") or error.cause)) from error
        return result

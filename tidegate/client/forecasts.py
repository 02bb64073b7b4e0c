"""Forecasts for releases; `TidegateClient` inherits it."""

from __future__ import annotations

import uuid
from datetime import timedelta

from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError, TimeoutError  # noqa: A004  Temporal's

from tidegate.client.errors import NoWorkerError, RefusedError, translated
from tidegate.contract import (
    BACKGROUND_PRIORITY,
    FORECAST_WORKFLOW,
    RELEASES_QUEUE,
    ErrorType,
    ReleaseForecast,
    ReleaseRequest,
    fair,
    forecast_id,
)
from tidegate.contract.release import LIMITS_REMEDY
from tidegate.manifests.plain_text import harmless

FORECAST_TIMEOUT = timedelta(seconds=90)


class Forecasts:
    """Methods of a client for what can be said before a release."""

    _temporal: Client

    async def forecast(self, request: ReleaseRequest, *, timeout: timedelta = FORECAST_TIMEOUT) -> ReleaseForecast:
        """Forecast what the comparisons of a release can prove, and when. It changes nothing.

        Raises `RefusedError` where the release would be refused, and `NoWorkerError` when no worker of releases or of
        the cluster answers within `timeout`. A source of counts that does not answer is part of the forecast.
        """
        if excess := request.excess():
            raise RefusedError(
                f"{request.namespace}/{request.name}: {harmless(excess)}", LIMITS_REMEDY, ErrorType.INVALID_SPEC
            )
        workflow_id = forecast_id(request.cluster, request.namespace, request.name, uuid.uuid4().hex)
        try:
            with translated(workflow_id):
                handle = await self._temporal.start_workflow(
                    FORECAST_WORKFLOW,
                    request,
                    id=workflow_id,
                    task_queue=RELEASES_QUEUE,
                    result_type=ReleaseForecast,
                    execution_timeout=timeout,
                    priority=fair(BACKGROUND_PRIORITY, request.namespace),
                    static_summary=f"forecast for {request.namespace}/{request.name}",
                )
                found: ReleaseForecast = await handle.result()
        except WorkflowFailureError as error:
            raise unanswered(workflow_id, error) from error
        return found


def unanswered(workflow_id: str, error: WorkflowFailureError) -> NoWorkerError | RefusedError:
    """The error of a workflow that only reads and has failed."""
    cause = error.cause
    if isinstance(cause, TimeoutError):
        remedy = "start `tidegate-worker` with the role `workflows` or `all`; nothing was requested"
        return NoWorkerError(f"{workflow_id}: no worker answered in time", remedy)
    message = str(getattr(cause, "message", "") or cause)
    kind = (cause.type or "") if isinstance(cause, ApplicationError) else ""
    if kind == ErrorType.UNAVAILABLE:
        return NoWorkerError(message, "start `tidegate-worker` with the role `cluster` or `all`; nothing was requested")
    remedy = "a release would be refused as well: change the manifests" if kind == ErrorType.INVALID_SPEC else ""
    return RefusedError(message, remedy, kind)

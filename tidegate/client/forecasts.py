"""Forecasts for releases; `TidegateClient` inherits it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.client import Client

from tidegate.client.errors import RefusedError
from tidegate.client.operator_workflows import answer_of
from tidegate.contract import FORECAST_WORKFLOW, ErrorType, ReleaseRequest, forecast_id
from tidegate.contract.release import LIMITS_REMEDY
from tidegate.manifests.plain_text import harmless

if TYPE_CHECKING:
    from tidegate.contract import ReleaseForecast

FORECAST_TIMEOUT = timedelta(seconds=90)


class Forecasts:
    """Methods of a client for what can be said before a release."""

    _temporal: Client

    async def forecast(self, request: ReleaseRequest, *, timeout: timedelta = FORECAST_TIMEOUT) -> ReleaseForecast:
        """Forecast what the comparisons of a release can prove, and when. It changes nothing.

        Raises `RefusedError` where the release would be refused, and `NoWorkerError` when no worker of releases or of
        the cluster answers within `timeout`. A source of counts that does not answer is part of the forecast.
        """
        # Here, as it loads what judges.
        from tidegate.contract import ReleaseForecast

        if excess := request.excess():
            raise RefusedError(
                f"{request.namespace}/{request.name}: {harmless(excess)}", LIMITS_REMEDY, ErrorType.INVALID_SPEC
            )
        return await answer_of(
            self._temporal,
            FORECAST_WORKFLOW,
            request,
            ReleaseForecast,
            workflow_id=forecast_id(request.cluster, request.namespace, request.name, uuid.uuid4().hex),
            namespace=request.namespace,
            timeout=timeout,
            summary=f"forecast for {request.namespace}/{request.name}",
        )

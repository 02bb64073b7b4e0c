"""Backtests; `TidegateClient` inherits them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.client import Client

from tidegate.client.operator_workflows import answer_of
from tidegate.contract import BACKTEST_WORKFLOW, backtest_id

if TYPE_CHECKING:
    from tidegate.contract import BacktestReport, BacktestRequest

BACKTEST_TIMEOUT = timedelta(minutes=30)


class Backtests:
    """Methods of a client for what comparisons would have said."""

    _temporal: Client

    async def backtest(self, request: BacktestRequest, *, timeout: timedelta = BACKTEST_TIMEOUT) -> BacktestReport:
        """Judge past changes of version; `backtest_request` makes the request. It changes nothing.

        Raises `RefusedError` for specs that no run could carry out, and `NoWorkerError` when the workers have not
        answered within `timeout`. A source of counts that does not answer is part of the report.
        """
        # Here, as it loads what judges.
        from tidegate.contract import BacktestReport

        name = request.rollout or "templates"
        return await answer_of(
            self._temporal,
            BACKTEST_WORKFLOW,
            request,
            BacktestReport,
            workflow_id=backtest_id(request.namespace, name, uuid.uuid4().hex),
            namespace=request.namespace,
            timeout=timeout,
            summary=f"backtest for {request.namespace}/{name}",
        )

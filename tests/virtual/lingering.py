"""Releases that end a moment later on the time-skipping server.

A workflow that closes while an attempt of one of its activities is being carried out stops that server's time for ever:
it never hears of the attempt's end. A release closes with a look at the cluster under way, which nobody waits for.
"""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from tidegate.contract import ROLLOUT_WORKFLOW

MOMENT_SECONDS = 1  # which is skipped as soon as no attempt is under way


class Lingering(Interceptor):
    """For the worker of the releases."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        """Of every workflow."""
        return _Linger


class _Linger(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002
        try:
            result = await super().execute_workflow(input)
        except (Exception, asyncio.CancelledError):
            await _linger()
            raise
        await _linger()
        return result


async def _linger() -> None:
    if workflow.info().workflow_type == ROLLOUT_WORKFLOW:
        await workflow.sleep(MOMENT_SECONDS)

"""Binds log lines to the release that they are about: in its workflow, in its children and in all their activities."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger
from temporalio import activity, workflow
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    StartActivityInput,
    StartChildWorkflowInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle, ChildWorkflowHandle

from workflows.log_fields import log_fields, read_fields, with_fields


def add_workflow_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the fields of the workflow in which a line is written."""
    return {**log_fields(), **event} if workflow.in_workflow() else event


def add_trace_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the ids of the span in which a line is written, where the process writes traces."""
    if "opentelemetry.trace" not in sys.modules:
        return event
    from opentelemetry import trace

    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return event
    return {"trace_id": trace.format_trace_id(span.trace_id), "span_id": trace.format_span_id(span.span_id), **event}


class LogContext(Interceptor):
    """Gives what a workflow starts its fields, and binds those and its ids to each line of an activity."""

    def intercept_activity(self, inner: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Wrap the next interceptor."""
        return _ActivityLogContext(inner)

    def workflow_interceptor_class(self, _: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """The interceptor of each run."""
        return _WorkflowLogContext


class _ActivityLogContext(ActivityInboundInterceptor):
    async def execute_activity(self, call: ExecuteActivityInput) -> Any:
        info = activity.info()
        with structlog.contextvars.bound_contextvars(
            **read_fields(call.headers),
            workflow_id=info.workflow_id,
            run_id=info.workflow_run_id,
            activity_type=info.activity_type,
            activity_id=info.activity_id,
            attempt=info.attempt,
        ):
            return await super().execute_activity(call)


class _WorkflowLogContext(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    def start_activity(self, call: StartActivityInput) -> ActivityHandle[Any]:
        return super().start_activity(replace(call, headers=with_fields(call.headers)))

    async def start_child_workflow(self, call: StartChildWorkflowInput) -> ChildWorkflowHandle[Any, Any]:
        return await super().start_child_workflow(replace(call, headers=with_fields(call.headers)))

"""Traces of a process by OpenTelemetry: off until a standard OTEL_* variable names a collector.

One trace goes from a release through its children to their activities. A span is sent with its end, so that of a
release comes last. Ids of a workflow's spans follow from its history, so that a replay makes no others.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog
from temporalio import client, worker
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    WorkflowInboundInterceptor,
)

from workers.settings import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from temporalio.contrib.opentelemetry import ReplaySafeTracerProvider

log = structlog.get_logger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_HEADER = "_tracer-data"  # of temporalio.contrib.opentelemetry


def is_wanted(environment: Mapping[str, str]) -> bool:
    """True when the variables of OpenTelemetry's specification name a collector and switch nothing off."""
    disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environment.get(name) for name in _ENDPOINTS)


@asynccontextmanager
async def open_tracing() -> AsyncIterator[Sequence[client.Interceptor]]:
    """Interceptors for the process's client and its workers; none where traces are off.

    Raises SettingsError where they are on and the extra `otel` is not installed.
    """
    if not is_wanted(os.environ):
        yield ()
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(f"{_ENDPOINTS[1]}: traces need the extra otel: pip install 'tidegate[otel]'") from error
    provider = trace_to(BatchSpanProcessor(OTLPSpanExporter()))
    log.info("tracing")
    try:
        yield interceptors()
    finally:
        await asyncio.to_thread(provider.shutdown)


def trace_to(processor: SpanProcessor) -> ReplaySafeTracerProvider:
    """Make spans of this process go to a processor, from here to its end."""
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from temporalio.contrib.opentelemetry import create_tracer_provider

    own = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "tidegate"}
    provider = create_tracer_provider(resource=Resource.create(own), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return provider


def interceptors() -> Sequence[client.Interceptor]:
    """Make those that write spans of what a process does."""
    from temporalio.contrib.opentelemetry import OpenTelemetryInterceptor

    return [ReadableHeaders(), OpenTelemetryInterceptor(add_temporal_spans=True)]


class ReadableHeaders(client.Interceptor, worker.Interceptor):
    """Takes a trace's header away where it cannot be read: the SDK would fail the workflow's task by it (law 8)."""

    def workflow_interceptor_class(self, _: worker.WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """The interceptor of each run."""
        return _ReadableHeaders


class _ReadableHeaders(WorkflowInboundInterceptor):
    async def execute_workflow(self, call: ExecuteWorkflowInput) -> Any:
        return await super().execute_workflow(replace(call, headers=readable(call.headers)))

    async def handle_signal(self, call: HandleSignalInput) -> None:
        await super().handle_signal(replace(call, headers=readable(call.headers)))

    async def handle_query(self, call: HandleQueryInput) -> Any:
        return await super().handle_query(replace(call, headers=readable(call.headers)))

    def handle_update_validator(self, call: HandleUpdateInput) -> None:
        super().handle_update_validator(replace(call, headers=readable(call.headers)))

    async def handle_update_handler(self, call: HandleUpdateInput) -> Any:
        return await super().handle_update_handler(replace(call, headers=readable(call.headers)))


def readable(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    """The headers without that of a trace, where it is no mapping of texts."""
    if _HEADER not in headers:
        return headers
    try:
        [carrier] = PayloadConverter.default.from_payloads([headers[_HEADER]])
    except Exception:  # whatever a converter makes of bytes of anybody
        carrier = None
    if isinstance(carrier, dict) and all(isinstance(value, str) for value in carrier.values()):
        return headers
    return {name: value for name, value in headers.items() if name != _HEADER}

"""One trace of a release: through its workflow, its analysis run and all activities, in the sandbox of the workers."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.api.common.v1 import Payload
from temporalio.worker import Interceptor

from tests.telemetry.test_log_fields import Lines, stream
from tests.virtual.lingering import Lingering
from tests.virtual.releases import release_world
from workers.log_context import LogContext
from workers.tracing import interceptors, is_wanted, readable, trace_to
from workers.wiring import workflow_runner

__all__ = ["stream"]


async def test_a_release_is_one_trace_through_workflow_gate_and_activity(stream: io.StringIO) -> None:
    exporter = InMemorySpanExporter()
    trace_to(SimpleSpanProcessor(exporter))
    traced: list[Interceptor] = [each for each in interceptors() if isinstance(each, Interceptor)]
    every = [*traced, LogContext(), Lines()]
    async with release_world(
        interceptors=every, ends=[Lingering(), *every], runner=workflow_runner(), cached=0
    ) as world:
        await world.deploy_stable()
        exporter.clear()
        stream.truncate(0)
        world.datadog.answers["error-rate"] = [0.2]
        handle = await world.start(world.request("1.1.0"))
        await world.closed(handle)
        await world.followed_up(handle)
    spans = exporter.get_finished_spans()
    names = {span.name for span in spans}
    assert {
        "RunWorkflow:Rollout",
        "RunWorkflow:AnalysisRun",
        "RunWorkflow:FollowUp",
        "RunActivity:reconcile",
        "RunActivity:measure_datadog",
        "RunActivity:restore_stable",
        "RunActivity:open_incident",
    } <= names
    [root] = [span for span in spans if span.name == "RunWorkflow:Rollout"]
    inside = [span for span in spans if span.name.startswith(("RunWorkflow:", "RunActivity:"))]
    assert {span.context.trace_id for span in inside} == {root.context.trace_id}
    lines = [json.loads(line) for line in stream.getvalue().lstrip("\0").splitlines()]
    written = {line.get("trace_id") for line in lines if line["event"] == "line"}
    assert written == {f"{root.context.trace_id:032x}"}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_the_standard_variables_switch_traces_on_and_off(environment: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environment) is wanted


@given(st.binary(max_size=30) | st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers()))
def test_a_header_that_is_no_trace_is_taken_away(content: Any) -> None:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    payload = Payload(metadata={"encoding": b"json/plain"}, data=data)
    is_carrier = isinstance(content, dict) and all(isinstance(value, str) for value in content.values())
    found = readable({"_tracer-data": payload, "other": payload})
    assert "other" in found
    assert ("_tracer-data" in found) >= is_carrier

"""Each log line of a release, of its analysis runs and follow-ups, and of all their activities names the release."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from tests.log_lines import log_stream
from tests.virtual.lingering import Lingering
from tests.virtual.releases import release_world
from workers.log_context import LogContext
from workflows.log_fields import FIELDS, HEADER, LONGEST, read_fields


class Lines(Interceptor):
    """Writes a line in each activity, at the start of each workflow, and at each of its signals."""

    def intercept_activity(self, inner: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _InActivity(inner)

    def workflow_interceptor_class(self, _: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        return _InWorkflow


class _InActivity(ActivityInboundInterceptor):
    async def execute_activity(self, call: ExecuteActivityInput) -> Any:
        structlog.get_logger("activities").info("line")
        return await super().execute_activity(call)


class _InWorkflow(WorkflowInboundInterceptor):
    async def execute_workflow(self, call: ExecuteWorkflowInput) -> Any:
        workflow.logger.info("line")
        return await super().execute_workflow(call)

    async def handle_signal(self, call: HandleSignalInput) -> None:
        workflow.logger.info("signal")
        await super().handle_signal(call)


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    with log_stream() as stream:
        yield stream


async def test_each_line_names_rollout_revision_step_workflow_and_run(stream: io.StringIO) -> None:
    logging_too = (LogContext(), Lines())
    async with release_world(interceptors=logging_too, ends=(Lingering(), *logging_too)) as world:
        await world.deploy_stable()
        stream.truncate(0)
        world.datadog.answers["error-rate"] = [0.2]
        handle = await world.start(world.request("1.1.0"))
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        await world.followed_up(handle)
    lines = [json.loads(line) for line in stream.getvalue().lstrip("\0").splitlines()]
    ours = [line for line in lines if line["event"] in ("line", "signal")]
    assert {line["rollout"] for line in ours} == {"payments/checkout"}
    assert all(line["workflow_id"] and line["run_id"] for line in ours)
    by_name: dict[str, set[tuple[str, str]]] = {}
    for line in ours:
        name = line.get("activity_type") or f"{line['event']} {line['workflow_type']}"
        by_name.setdefault(name, set()).add((line.get("revision", ""), line.get("step", "")))
    # Before its first look at the cluster a release has no revision.
    assert {name for name, found in by_name.items() if ("", "") in found} == {"line Rollout", "observe"}
    assert by_name["line AnalysisRun"] == {("2", "1/8"), ("2", "3/8")}
    assert by_name["restore_stable"] == by_name["open_incident"] == by_name["line FollowUp"] == {("2", "3/8")}
    assert {step for _, step in by_name["reconcile"]} >= {"1/8", "3/8"}
    assert {"signal Rollout", "measure_datadog", "await_change"} <= by_name.keys()


TEXT = st.text(max_size=400)


@given(st.binary(max_size=50) | st.dictionaries(st.sampled_from([*FIELDS, "token"]), TEXT | st.integers()))
def test_a_header_of_anybody_does_no_harm(content: bytes | dict[str, str | int]) -> None:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    found = read_fields({HEADER: Payload(data=data)})
    assert found.keys() <= set(FIELDS)
    assert all(isinstance(value, str) and len(value) <= LONGEST for value in found.values())

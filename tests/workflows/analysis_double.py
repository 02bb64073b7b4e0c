"""An analysis run by itself: the real workflow, a stand-in only for the provider and for the release that listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.workflow import ParentClosePolicy

from tests.virtual.time_skipping import served, time_skipping
from tidegate.analysis.reading import Reading
from tidegate.analysis.status import AnalysisStatus, MetricStatus
from tidegate.contract import (
    ANALYSIS_WORKFLOW,
    RELEASES_QUEUE,
    Activity,
    AnalysisRequest,
    AnalysisResult,
    MeasureRequest,
    analysis_id,
    metrics_queue,
)
from workers.wiring import workflow_runner
from workflows.analysis_run import AnalysisRun

with workflow.unsafe.imports_passed_through():
    from tests.workflows.counting_double import Counting

NO_DATA = object()
HANGS = object()
LEFT_OUT = object()


class Provider:
    """Answers each metric by its script, the last entry for ever: a number, NO_DATA, an exception, HANGS, LEFT_OUT."""

    def __init__(self) -> None:
        self.script: dict[str, list[Any]] = {}
        self.asked: list[MeasureRequest] = []
        self.reached = asyncio.Event()
        self.counting = Counting()

    @activity.defn(name=Activity.MEASURE_DATADOG)
    async def measure(self, request: MeasureRequest) -> list[Reading]:
        self.asked.append(request)
        self.reached.set()
        answers = {str(metric["name"]): self._next(str(metric["name"])) for metric in request.metrics}
        if HANGS in answers.values():
            await asyncio.Event().wait()
        for answer in answers.values():
            if isinstance(answer, Exception):
                raise answer
        return [self._reading(name, answer) for name, answer in answers.items() if answer is not LEFT_OUT]

    def _next(self, metric: str) -> Any:
        script = self.script[metric]
        return script.pop(0) if len(script) > 1 else script[0]

    def _reading(self, metric: str, answer: Any) -> Reading:
        now = datetime(2001, 1, 1, tzinfo=UTC)  # a clock that is far off: intervals must not depend on it
        common = {"metric": metric, "query": f"query of {metric}", "started_at": now, "finished_at": now}
        if answer is NO_DATA:
            return Reading.model_validate({**common, "no_data": True})
        if isinstance(answer, dict):
            return Reading.model_validate({**common, **answer})
        return Reading.model_validate({**common, "result": answer, "value": str(answer)})


@workflow.defn(name="Listener")
class Listener:
    """A release, as far as an analysis run sees one."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    @workflow.run
    async def run(self, request: AnalysisRequest, stays: bool) -> None:
        await workflow.start_child_workflow(
            ANALYSIS_WORKFLOW, request, id=own_id(request), parent_close_policy=ParentClosePolicy.ABANDON
        )
        await workflow.wait_condition(lambda: not stays)

    @workflow.signal
    def measured(self, status: Any = None) -> None:
        self.heard.append(status)

    @workflow.query
    def all_heard(self) -> list[Any]:
        return self.heard


@dataclass
class World:
    env: WorkflowEnvironment
    provider: Provider

    @property
    def client(self) -> Client:
        return self.env.client

    async def start(self, request: Any, *more: Any) -> WorkflowHandle[Any, AnalysisResult]:
        return await self.client.start_workflow(
            ANALYSIS_WORKFLOW,
            args=[request, *more],
            id=own_id(request),
            task_queue=RELEASES_QUEUE,
            result_type=AnalysisResult,
        )

    async def start_by(self, release: str, request: Any, *, stays: bool) -> WorkflowHandle[Any, AnalysisResult]:
        """A run that the release of that workflow id starts, which may end at once."""
        await self.client.start_workflow("Listener", args=[request, stays], id=release, task_queue=RELEASES_QUEUE)
        handle = self.client.get_workflow_handle(own_id(request), result_type=AnalysisResult)
        while True:
            try:
                await handle.describe()
            except RPCError:
                await asyncio.sleep(0.01)
            else:
                return handle

    async def ended(self, handle: WorkflowHandle[Any, AnalysisResult]) -> AnalysisStatus:
        """Let time pass until a run that something else started is over."""
        while (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
            await self.env.sleep(5)
        return (await handle.result()).status

    async def status(self, request: Any, *more: Any) -> AnalysisStatus:
        return (await (await self.start(request, *more)).result()).status

    async def until(self, handle: WorkflowHandle[Any, Any], holds: Callable[[AnalysisStatus], bool]) -> AnalysisStatus:
        """Ask until the status says so; no time is skipped meanwhile."""
        for _ in range(500):
            status: AnalysisStatus = await handle.query("status", result_type=AnalysisStatus)
            if holds(status):
                return status
            await asyncio.sleep(0.01)
        raise AssertionError(f"never came: {status}")


def own_id(request: Any) -> str:
    """The id of the run that a request asks for, readable or not."""
    fields = request.model_dump() if isinstance(request, AnalysisRequest) else request
    given = fields if isinstance(fields, dict) else {}
    return analysis_id(*(str(given.get(key) or "default") for key in ("cluster", "namespace", "name")))


def workflow_worker(client: Client) -> Worker:
    """A worker for runs and releases, as far as they are played here."""
    return Worker(
        client,
        task_queue=RELEASES_QUEUE,
        workflows=[AnalysisRun, Listener],
        workflow_runner=workflow_runner(),
    )


def metric(name: str = "m", **fields: Any) -> dict[str, Any]:
    return {"name": name, "successCondition": "result < 1", "provider": {"datadog": {"query": "q"}}, **fields}


def request(*metrics: dict[str, Any], release_id: str = "", **spec: Any) -> AnalysisRequest:
    return AnalysisRequest(
        namespace="payments", name="run", spec={"metrics": list(metrics), **spec}, release_id=release_id
    )


def seconds(status: AnalysisStatus, name: str) -> list[int]:
    """When a metric was measured, in seconds after the start of the run."""
    [found] = [each for each in status.metrics if each.name == name]
    assert status.started_at is not None
    return [(each.started_at - status.started_at) // timedelta(seconds=1) for each in found.measurements]


def only(status: AnalysisStatus) -> MetricStatus:
    [found] = status.metrics
    return found


def measuring_worker(client: Client, provider: Provider) -> Worker:
    """A worker for what the provider answers."""
    return Worker(
        client,
        task_queue=metrics_queue("datadog"),
        activities=[provider.measure, provider.counting.begin, provider.counting.compare],
    )


async def open_analysis_world() -> AsyncIterator[World]:
    """A server that skips time and its workers, for as long as the iteration lasts."""
    async with await time_skipping() as env, analysis_world(env) as world:
        yield world


@asynccontextmanager
async def analysis_world(env: WorkflowEnvironment) -> AsyncIterator[World]:
    """The workers of a server."""
    provider = Provider()
    runs, measurements = workflow_worker(env.client), measuring_worker(env.client, provider)
    async with served(env, runs), served(env, measurements):
        yield World(env, provider)

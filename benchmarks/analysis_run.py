"""What an analysis run costs: worker CPU for each measurement, history, and whether a long run slows down.

`python -m benchmarks.analysis_run [-n 10000] [-o json]`. The real workflow and worker run against Temporal's
time-skipping server, with a provider that answers at once. What a run costs beyond a bare workflow with as many waits
and activities on the same worker is its own overhead; the rest is Temporal's SDK. The server is a process of its own
and is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.bare_workflow import BARE_WORKFLOW, Bare
from benchmarks.machine import Machine
from tests.virtual.time_skipping import time_skipping
from tidegate.analysis.reading import Reading
from tidegate.analysis.status import AnalysisStatus, Phase
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

# Temporal's limits of one history; beyond them the server terminates the workflow.
EVENT_LIMIT = 51_200
BYTE_LIMIT = 50 * 1024 * 1024
CPU_GOAL_MS = 5.0
INTERVAL = timedelta(seconds=10)


class Figures(BaseModel):
    """One run. CPU is that of the worker process, user and system, in milliseconds for each measurement.

    `bare_ms` is what the bare workflow takes, `own_ms` the run's own overhead beside it. `slowdown` is the CPU of a
    measurement in the last tenth of the run by that in the first, `bare_slowdown` that of the bare workflow, which
    shows what the machine had to do with it.
    """

    model_config = ConfigDict(frozen=True)

    metrics: int
    measurements: int
    phase: Phase
    seconds: float
    cpu_ms: float
    bare_ms: float
    own_ms: float
    slowdown: float
    bare_slowdown: float
    parts: int
    most_events: int
    most_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.measurements} measurements of {self.metrics} metric{'s' * (self.metrics > 1)}: {self.phase}, "
            f"{self.seconds:.0f} s\n"
            f"  own overhead    {self.own_ms:.2f} ms of worker CPU a measurement (goal: under {CPU_GOAL_MS:g})\n"
            f"  with the SDK    {self.cpu_ms:.2f} ms, {self.cpu_ms / self.bare_ms:.2f} times a bare workflow's "
            f"{self.bare_ms:.2f} ms\n"
            f"  last by first   {self.slowdown:.2f}, a bare workflow's {self.bare_slowdown:.2f} "
            "(CPU of a measurement in the last and in the first tenth)\n"
            f"  history         {self.parts} parts; the longest has {self.most_events} events "
            f"({self.most_events / EVENT_LIMIT:.0%} of Temporal's limit) and {self.most_bytes / 1024:.0f} KiB "
            f"({self.most_bytes / BYTE_LIMIT:.0%})"
        )


class Provider:
    """Answers at once, and notes the CPU time of the process at every call."""

    def __init__(self) -> None:
        self.cpu: list[float] = []

    @activity.defn(name=Activity.MEASURE_DATADOG)
    async def measure(self, request: MeasureRequest) -> list[Reading]:
        self.cpu.append(time.process_time())
        now = datetime.now(UTC)
        return [
            Reading(
                metric=str(metric["name"]),
                result=0.004,
                value="0.004",
                query="sum:trace.http.request.errors{service:checkout}.as_count()",
                started_at=now,
                finished_at=now,
            )
            for metric in request.metrics
        ]


@asynccontextmanager
async def _server(provider: Provider) -> AsyncIterator[Client]:
    """A server with the worker under test."""
    async with AsyncExitStack() as stack:
        env = await stack.enter_async_context(await time_skipping())
        for worker in (
            Worker(
                env.client, task_queue=RELEASES_QUEUE, workflows=[AnalysisRun, Bare], workflow_runner=workflow_runner()
            ),
            Worker(env.client, task_queue=metrics_queue("datadog"), activities=[provider.measure]),
        ):
            await stack.enter_async_context(worker)
        yield env.client


async def measured(metrics: int, measurements: int) -> Figures:
    """Carry out one run of so many measurements in all, and say what it cost."""
    rounds = measurements // metrics
    bare, bare_slowdown = await _bare(metrics, rounds)
    provider = Provider()
    async with _server(provider) as client:
        started, cpu = time.perf_counter(), time.process_time()
        handle = await client.start_workflow(
            ANALYSIS_WORKFLOW,
            AnalysisRequest(namespace="payments", name="long", spec=_spec(metrics, rounds)),
            id=analysis_id("default", "payments", "long"),
            task_queue=RELEASES_QUEUE,
            result_type=AnalysisResult,
        )
        status = (await handle.result()).status
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        sizes = await _histories(client, handle.id, handle.first_execution_run_id or "")
    _check(status, rounds)
    return Figures(
        metrics=metrics,
        measurements=rounds * metrics,
        phase=status.phase,
        seconds=seconds,
        cpu_ms=1000 * cpu / (rounds * metrics),
        bare_ms=1000 * bare / (rounds * metrics),
        own_ms=1000 * (cpu - bare) / (rounds * metrics),
        slowdown=_slowdown(provider.cpu),
        bare_slowdown=bare_slowdown,
        parts=len(sizes),
        most_events=max(events for events, _ in sizes),
        most_bytes=max(size for _, size in sizes),
    )


async def _bare(metrics: int, rounds: int) -> tuple[float, float]:
    """CPU seconds of the bare workflow, and how much it slowed down."""
    provider = Provider()
    async with _server(provider) as client:
        request = MeasureRequest(namespace="payments", run="bare", metrics=tuple(_spec(metrics, rounds)["metrics"]))
        cpu = time.process_time()
        await client.execute_workflow(
            BARE_WORKFLOW, args=[request, INTERVAL, rounds], id="bare", task_queue=RELEASES_QUEUE
        )
        return time.process_time() - cpu, _slowdown(provider.cpu)


def _spec(metrics: int, rounds: int) -> dict[str, Any]:
    return {
        "metrics": [
            {
                "name": f"error-rate-{index}",
                "interval": f"{INTERVAL.total_seconds():g}s",
                "count": rounds,
                "failureLimit": 2,
                "successCondition": "result < 0.01",
                "failureCondition": "result >= 0.05",
                "provider": {"datadog": {"apiVersion": "v2", "query": "q"}},
            }
            for index in range(metrics)
        ]
    }


def _check(status: AnalysisStatus, rounds: int) -> None:
    counted = [metric.successful for metric in status.metrics]
    if status.phase is not Phase.SUCCESSFUL or set(counted) != {rounds}:
        raise SystemExit(
            f"the run is {status.phase} {status.message} with {counted} measurements, not {rounds} of each"
        )


def _slowdown(cpu: Sequence[float]) -> float:
    tenth = len(cpu) // 10
    return (cpu[-1] - cpu[-1 - tenth]) / (cpu[tenth] - cpu[0])


async def _histories(client: Client, workflow_id: str, run_id: str) -> list[tuple[int, int]]:
    """Events and bytes of each part, from the first one on."""
    sizes = []
    while run_id:
        history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        sizes.append((len(history.events), sum(event.ByteSize() for event in history.events)))
        run_id = history.events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return sizes


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--measurements", type=int, default=10_000, help="in each run, at least 100")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    asked = parser.parse_args()
    if asked.measurements < 100:
        parser.error("--measurements must be at least 100: a tenth of a run is compared with another")
    before = Machine.now()
    figures = [await measured(metrics, asked.measurements) for metrics in (1, 2)]
    after = Machine.now()
    if asked.output == "json":
        print(_Report(before=before, after=after, runs=figures).model_dump_json(indent=2))
    else:
        print(*figures, f"before: {before}", f"after:  {after}", sep="\n")


class _Report(BaseModel):
    before: Machine
    after: Machine
    runs: list[Figures]


if __name__ == "__main__":
    asyncio.run(_main())

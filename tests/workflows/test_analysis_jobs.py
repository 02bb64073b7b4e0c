"""Jobs in an analysis run, on the time-skipping server: looked at, waited for, and never left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.kubernetes.client import JOBS, PODS, Resource
from activities.kubernetes.client import Cluster as Reached
from activities.metrics.job.provider import Jobs
from sandbox.controllers import Controllers, PodSimulator
from sandbox.kubernetes_api import KubernetesApi
from tests.replay.replayer import replayer
from tests.virtual.time_skipping import served, time_skipping
from tests.workflows.short_histories import short_histories, until_continued
from tidegate.analysis.reading import Reading, Verdict
from tidegate.analysis.status import AnalysisStatus, Phase
from tidegate.contract import (
    ANALYSIS_WORKFLOW,
    RELEASES_QUEUE,
    WORKER_AGENT,
    Activity,
    AnalysisRequest,
    AnalysisResult,
    EndJobs,
    ErrorType,
    MeasureRequest,
    Observation,
    Owner,
    ParsedRollout,
    ReleaseRequest,
    analysis_id,
    cluster_queue,
    job_name,
    metrics_queue,
)
from tidegate.manifests.documents import load
from workers.wiring import workflow_runner
from workflows.analysis_run import AnalysisRun
from workflows.plan import Plan

OWNER = Owner(api_version="argoproj.io/v1alpha1", kind="Rollout", name="checkout", uid="7")


@dataclass
class Cluster:
    """Jobs that answer by the script of their metric, the last entry for ever: seconds to wait, a phase, or refused."""

    script: dict[str, list[Any]] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)  # name -> metric, of those that are there
    asked: list[MeasureRequest] = field(default_factory=list)
    ended: list[EndJobs] = field(default_factory=list)
    broken: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event | None = None

    @activity.defn(name=Activity.MEASURE_JOB)
    async def measure(self, request: MeasureRequest) -> list[Reading]:
        self.asked.append(request)
        self.reached.set()
        if self.go_on is not None:
            await self.go_on.wait()
        return [self._reading(request, str(metric["name"])) for metric in request.metrics]

    def _reading(self, request: MeasureRequest, metric: str) -> Reading:
        script = self.script[metric]
        answer = script.pop(0) if len(script) > 1 else script[0]
        now = datetime(2001, 1, 1, tzinfo=UTC)  # a clock that is far off: waits must not depend on it
        common = {"metric": metric, "started_at": now, "finished_at": now}
        if answer == "refused":
            return Reading.model_validate({**common, "error": "403 forbidden"})
        name = job_name(request.uid, metric, request.numbers[metric])
        self.jobs[name] = metric
        common |= {"metadata": {"job-name": name, "job-namespace": request.namespace}}
        if isinstance(answer, Phase):
            return Reading.model_validate({**common, "verdict": Verdict(phase=answer, message="so it ended")})
        return Reading.model_validate({**common, "resume_at": now + timedelta(seconds=answer)})

    @activity.defn(name=Activity.END_JOBS)
    async def end(self, request: EndJobs) -> None:
        self.ended.append(request)
        if self.broken:
            raise ApplicationError("the cluster is away", type=ErrorType.UNAVAILABLE)
        for name in request.jobs:
            self.jobs.pop(name, None)


class Datadog:
    """Says what `values` holds, the last one for ever."""

    def __init__(self) -> None:
        self.values = [0.0]

    @activity.defn(name=Activity.MEASURE_DATADOG)
    async def measure(self, request: MeasureRequest) -> list[Reading]:
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        now = datetime.now(UTC)
        common = {"result": value, "value": str(value), "started_at": now, "finished_at": now}
        return [Reading.model_validate({**common, "metric": metric["name"]}) for metric in request.metrics]


@dataclass
class World:
    env: WorkflowEnvironment
    cluster: Cluster
    datadog: Datadog

    async def start(self, *metrics: dict[str, Any], **spec: Any) -> WorkflowHandle[Any, AnalysisResult]:
        request = AnalysisRequest(
            namespace="payments", name="run", spec={"metrics": list(metrics), **spec}, owner=OWNER
        )
        return await self.env.client.start_workflow(
            ANALYSIS_WORKFLOW,
            request,
            id=analysis_id("default", "payments", "run"),
            task_queue=RELEASES_QUEUE,
            result_type=AnalysisResult,
        )

    async def until(self, handle: WorkflowHandle[Any, Any], holds: Callable[[AnalysisStatus], bool]) -> AnalysisStatus:
        """Ask until the status says so; no time is skipped meanwhile."""
        for _ in range(500):
            status: AnalysisStatus = await handle.query("status", result_type=AnalysisStatus)
            if holds(status):
                return status
            await asyncio.sleep(0.01)
        raise AssertionError(f"never came: {status}")


def workers(env: WorkflowEnvironment, cluster: Cluster, datadog: Datadog) -> list[Worker]:
    return [
        Worker(env.client, task_queue=RELEASES_QUEUE, workflows=[AnalysisRun], workflow_runner=workflow_runner()),
        Worker(env.client, task_queue=cluster_queue("default"), activities=[cluster.measure, cluster.end]),
        Worker(env.client, task_queue=metrics_queue("datadog"), activities=[datadog.measure]),
    ]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        env = await stack.enter_async_context(await time_skipping())
        found = World(env, Cluster(), Datadog())
        for worker in workers(env, found.cluster, found.datadog):
            await stack.enter_async_context(served(env, worker))
        yield found


def job(name: str = "smoke", **fields: Any) -> dict[str, Any]:
    return {"name": name, "provider": {"job": {"spec": {}}}, **fields}


def rate(**fields: Any) -> dict[str, Any]:
    return {"name": "rate", "successCondition": "result < 1", "provider": {"datadog": {"query": "q"}}, **fields}


def of(status: AnalysisStatus, name: str) -> Any:
    [found] = [metric for metric in status.metrics if metric.name == name]
    return found


def is_under_way(status: AnalysisStatus) -> bool:
    measurements = of(status, "smoke").measurements
    return bool(measurements) and measurements[-1].phase is Phase.RUNNING


def names(world: World, *measured: tuple[str, int]) -> tuple[str, ...]:
    [uid, *_] = {request.uid for request in world.cluster.asked}
    return tuple(sorted(job_name(uid, metric, number) for metric, number in measured))


async def test_a_job_is_looked_at_when_it_asks_for_it_until_it_has_ended(world: World) -> None:
    world.cluster.script = {"smoke": [2, 4, 8, Phase.SUCCESSFUL]}
    handle = await world.start(job())
    status = (await handle.result()).status
    smoke = of(status, "smoke")
    assert (status.phase, smoke.count, smoke.successful) == (Phase.SUCCESSFUL, 1, 1)
    [measurement] = smoke.measurements
    assert round((measurement.finished_at - measurement.started_at).total_seconds()) == 14
    first, *later = world.cluster.asked
    [name] = names(world, ("smoke", 1))
    assert (first.numbers, first.pending, first.owner) == ({"smoke": 1}, {"smoke": {}}, OWNER)
    assert {each.pending["smoke"]["job-name"] for each in later} == {name}
    assert {each.numbers["smoke"] for each in later} == {1}
    assert len(first.uid) == 36
    assert (world.cluster.ended, list(world.cluster.jobs)) == ([], [name]), "one that ended may be looked into"
    await replayer().replay_workflow(await handle.fetch_history())


async def test_a_job_that_fails_fails_the_run_with_its_message(world: World) -> None:
    world.cluster.script = {"smoke": [2, Phase.FAILED]}
    status = (await (await world.start(job())).result()).status
    said = 'Metric "smoke" assessed Failed due to failed (1) > failureLimit (0): "Error Message: so it ended"'
    assert (status.phase, status.message) == (Phase.FAILED, said)
    assert world.cluster.ended == []


async def test_a_job_does_not_hold_up_other_metrics(world: World) -> None:
    world.cluster.script = {"smoke": [300, Phase.SUCCESSFUL]}
    status = (await (await world.start(job(), rate(interval="10s", count=20))).result()).status
    assert (status.phase, of(status, "rate").count) == (Phase.SUCCESSFUL, 20)
    ends = of(status, "rate").measurements[-1].finished_at - status.started_at
    assert ends < timedelta(seconds=220)
    assert len(world.cluster.asked) == 2


async def test_each_measurement_has_a_job_of_its_own(world: World) -> None:
    world.cluster.script = {"smoke": [2, Phase.SUCCESSFUL, 2, Phase.SUCCESSFUL]}
    retention = [{"metricName": "smoke", "limit": 7}]
    handle = await world.start(job(interval="1m", count=2), measurementRetention=retention)
    assert of((await handle.result()).status, "smoke").count == 2
    assert tuple(sorted(world.cluster.jobs)) == names(world, ("smoke", 1), ("smoke", 2))
    assert [request.numbers["smoke"] for request in world.cluster.asked] == [1, 1, 2, 2]
    assert {request.retention["smoke"] for request in world.cluster.asked} == {7}


async def test_terminate_deletes_the_job_that_is_under_way(world: World) -> None:
    world.cluster.script = {"smoke": [3600]}
    handle = await world.start(job())
    await world.until(handle, is_under_way)
    await handle.signal("terminate")
    status = (await handle.result()).status
    assert (status.phase, of(status, "smoke").measurements[-1].message) == (Phase.INCONCLUSIVE, "Metric Terminated")
    [ended] = world.cluster.ended
    assert ended.jobs == names(world, ("smoke", 1))
    assert (ended.namespace, ended.run, ended.uid) == ("payments", "run", world.cluster.asked[0].uid)
    assert world.cluster.jobs == {}


async def test_a_sibling_that_fails_deletes_the_job_that_is_under_way(world: World) -> None:
    world.cluster.script = {"smoke": [3600]}
    world.datadog.values = [0.0, 7.0]
    status = (await (await world.start(job(), rate(interval="10s", count=5))).result()).status
    assert status.phase is Phase.FAILED
    assert of(status, "smoke").phase is Phase.INCONCLUSIVE
    assert [each.jobs for each in world.cluster.ended] == [names(world, ("smoke", 1))]


async def test_an_abort_deletes_the_job_that_is_under_way(world: World) -> None:
    world.cluster.script = {"smoke": [3600], "second": [3600]}
    handle = await world.start(job(), job("second"), rate(interval="1h"))
    await world.until(handle, is_under_way)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert [each.jobs for each in world.cluster.ended] == [names(world, ("smoke", 1), ("second", 1))]
    assert world.cluster.jobs == {}


@pytest.mark.parametrize("how", ["terminate", "cancel"])
async def test_a_job_that_is_just_being_created_is_deleted_after_that(world: World, how: str) -> None:
    world.cluster.script, world.cluster.go_on = {"smoke": [3600]}, asyncio.Event()
    handle = await world.start(job())
    await world.cluster.reached.wait()
    if how == "terminate":
        await handle.signal("terminate")
    else:
        await handle.cancel()
    asking = asyncio.get_running_loop().create_task(handle.result())
    await until_asked_to_stop(handle)
    assert world.cluster.ended == [], "it would come back"
    world.cluster.go_on.set()
    if how == "terminate":
        assert (await asking).status.phase is Phase.INCONCLUSIVE
    else:
        with pytest.raises(WorkflowFailureError):
            await asking
    assert [each.jobs for each in world.cluster.ended] == [names(world, ("smoke", 1))]
    assert world.cluster.jobs == {}


async def until_asked_to_stop(handle: WorkflowHandle[Any, Any]) -> None:
    for _ in range(500):
        history = await handle.fetch_history()
        if any(event.HasField("activity_task_cancel_requested_event_attributes") for event in history.events):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the measurement was never asked to stop")


async def test_jobs_whose_end_is_not_known_go_with_the_run(world: World) -> None:
    world.cluster.script = {"smoke": [Phase.ERROR, Phase.INCONCLUSIVE, "refused", Phase.SUCCESSFUL]}
    status = (await (await world.start(job())).result()).status
    assert status.phase is Phase.SUCCESSFUL
    assert [each.jobs for each in world.cluster.ended] == [names(world, ("smoke", 1), ("smoke", 2))]
    assert tuple(world.cluster.jobs) == names(world, ("smoke", 4))


async def test_a_measurement_without_any_answer_may_have_left_a_job(world: World) -> None:
    world.cluster.script = {}  # every attempt fails
    status = (await (await world.start(job(consecutiveErrorLimit=0))).result()).status
    assert status.phase is Phase.ERROR
    assert [each.jobs for each in world.cluster.ended] == [names(world, ("smoke", 1))]


async def test_a_cluster_that_is_away_does_not_hold_the_verdict(world: World) -> None:
    # Not long: the server may skip to the end of a wait that was given up.
    world.cluster.script, world.cluster.broken = {"smoke": [20]}, True
    handle = await world.start(job())
    await world.until(handle, is_under_way)
    await handle.signal("terminate")
    assert (await handle.result()).status.phase is Phase.INCONCLUSIVE
    assert len(world.cluster.ended) > 1, "it is tried again"
    times = {event.WhichOneof("attributes"): event.event_time for event in (await handle.fetch_history()).events}
    closed = times["workflow_execution_completed_event_attributes"].ToDatetime()
    scheduled = times["activity_task_scheduled_event_attributes"].ToDatetime()
    assert closed - scheduled < timedelta(minutes=1)


async def test_a_run_without_jobs_under_way_asks_nothing_of_the_cluster(world: World) -> None:
    handle = await world.start(rate(interval="1h"))
    await world.until(handle, lambda status: of(status, "rate").count == 1)
    await handle.signal("terminate")
    await handle.result()
    assert (world.cluster.asked, world.cluster.ended) == ([], [])


@pytest.mark.parametrize("text", ["{{args.token}}", "x {{ args.token }}"])
async def test_a_secret_in_a_job_is_refused(world: World, text: str) -> None:
    template = {"spec": {"containers": [{"name": "c", "args": [text]}]}}
    reference = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "smoke"}}}
    handle = await world.start(job(provider={"job": {"spec": {"template": template}}}), args=[reference])
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == (ErrorType.INVALID_SPEC, True)
    assert cause.message.startswith("Analysis spec invalid: metrics[0].provider.job: an argument from a Secret")
    assert world.cluster.asked == []


async def test_real_jobs_are_measured_and_none_is_left_behind(world: World) -> None:
    """The same run, with the provider itself and the embedded cluster in the place of the double."""
    api = KubernetesApi()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(api.stop)
        await api.start()
        await stack.enter_async_context(Controllers(api.cluster, simulator=PodSimulator(api.cluster)))
        cluster = await Reached.connect(url=api.url)
        stack.push_async_callback(cluster.close)
        await cluster.create(Resource("", "v1", "namespaces", "Namespace"), "", {"metadata": {"name": "payments"}})
        worker = await Reached.connect(url=api.url, agent=WORKER_AGENT)
        stack.push_async_callback(worker.close)
        queue = cluster_queue("embedded")
        await stack.enter_async_context(
            Worker(world.env.client, task_queue=queue, activities=Jobs(worker).activities())
        )
        metrics = [job(name, provider=real(script)) for name, script in SCRIPTS.items()]
        request = AnalysisRequest(cluster="embedded", namespace="payments", name="run", spec={"metrics": metrics})
        handle = await world.env.client.start_workflow(
            ANALYSIS_WORKFLOW,
            request,
            id=analysis_id("embedded", "payments", "run"),
            task_queue=RELEASES_QUEUE,
            result_type=AnalysisResult,
        )
        status = (await handle.result()).status
        await until_left(cluster, {"good", "bad"})
    assert status.phase is Phase.FAILED
    assert {name: of(status, name).phase for name in SCRIPTS} == {
        "good": Phase.SUCCESSFUL,
        "bad": Phase.FAILED,
        "endless": Phase.INCONCLUSIVE,
    }
    assert "reached the specified backoff limit" in of(status, "bad").measurements[-1].message


async def until_left(cluster: Reached, metrics: set[str]) -> None:
    """Wait until the Jobs and pods of these metrics are all that there are."""
    for _ in range(500):
        found = [*await cluster.select(JOBS, "payments", {}), *await cluster.select(PODS, "payments", {})]
        names = {each["metadata"]["name"].partition("-")[0] for each in found}
        if names == metrics:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(names)


SCRIPTS = {"good": "exit 0", "bad": "sleep 0.2; exit 1", "endless": "sleep 3600"}


def real(script: str) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox:1", "command": ["sh", "-c", script]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {"job": {"spec": {"backoffLimit": 0, "template": template}}}


def test_jobs_go_with_the_rollout_of_their_release() -> None:
    examples = Path(__file__).parents[2] / "examples" / "checkout"
    manifest = load([examples / "rollout.yaml"]).rollout()
    request = ReleaseRequest(namespace="payments", name="checkout", rollout=manifest.raw)
    seen = Observation(at=datetime.now(UTC))
    there = seen.model_copy(update={"rollout": {"metadata": {"uid": "7"}}})
    assert Plan.of(request, ParsedRollout.of(manifest.model), there, None).owner == OWNER
    assert Plan.of(request, ParsedRollout.of(manifest.model), seen, None).owner is None


async def test_a_job_goes_on_while_its_run_continues_as_new() -> None:
    async with await short_histories(20) as env, AsyncExitStack() as stack:
        world = World(env, Cluster(script={"smoke": [3600], "lost": [Phase.ERROR]}), Datadog())
        for worker in workers(env, world.cluster, world.datadog):
            await stack.enter_async_context(worker)
        handle = await world.start(job(), job("lost"), rate(interval="10ms", count=1000))
        first = env.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        await until_continued(first)
        assert world.cluster.ended == []
        await env.client.get_workflow_handle(handle.id).signal("terminate")
        await handle.result()
    assert {request.uid for request in world.cluster.asked} == {handle.first_execution_run_id}
    assert [each.jobs for each in world.cluster.ended] == [names(world, ("smoke", 1), ("lost", 1))]

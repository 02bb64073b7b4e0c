"""A release on the time-skipping server: the real workflows and cluster activities; whatever else is stood in for."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.runtime import Runtime
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Interceptor, Worker, WorkflowRunner

from tests.virtual.cluster import NAMESPACE, VirtualCluster
from tests.virtual.lingering import Lingering
from tests.virtual.people import GitDouble, NoticesDouble, ServiceNowDouble
from tests.virtual.time_skipping import QUIET, release_runner, served, time_skipping
from tests.workflows.counting_double import Counting
from tidegate.analysis.reading import Reading
from tidegate.client import KeySource
from tidegate.contract import (
    FOLLOW_UP_QUEUE,
    RELEASES_QUEUE,
    ROLLOUT_WORKFLOW,
    SEARCH_ATTRIBUTES,
    Activity,
    Document,
    MeasureRequest,
    MeasureResult,
    ReleaseRequest,
    ReleaseResult,
    ReleaseStatus,
    cluster_queue,
    metrics_queue,
    rollout_id,
)
from tidegate.manifests.documents import load
from workers.heartbeats import Heartbeats
from workflows.registered import WORKFLOWS

EXAMPLES = Path(__file__).parents[2] / "examples" / "checkout"
IMAGE = "registry.internal/payments/checkout"


class DatadogDouble:
    """Says of every metric what `answers` says; a metric that is not listed is fine."""

    def __init__(self) -> None:
        self.answers: dict[str, list[float | None]] = {}
        self.asked = 0
        self.counting = Counting()

    @activity.defn(name=Activity.MEASURE_DATADOG)
    async def measure(self, request: MeasureRequest) -> MeasureResult:
        self.asked += 1
        return [self._reading(str(metric["name"])) for metric in request.metrics]

    def _reading(self, metric: str) -> Reading:
        script = self.answers.get(metric) or [0.001]
        value = script.pop(0) if len(script) > 1 else script[0]
        now = datetime.now(UTC)
        return Reading(
            metric=metric,
            result=value,
            value="" if value is None else str(value),
            no_data=value is None,
            query=f"query of {metric}",
            started_at=now,
            finished_at=now,
        )


@dataclass
class World:
    """Everything around a release: the server, the cluster, what stands in for others, the manifests of the seed."""

    env: WorkflowEnvironment
    cluster: VirtualCluster
    datadog: DatadogDouble
    servicenow: ServiceNowDouble
    git: GitDouble
    told: NoticesDouble
    rollout: Document
    templates: tuple[Document, ...]
    name: str = "checkout"

    @property
    def client(self) -> Client:
        return self.env.client

    def request(self, tag: str, edit: Callable[[dict[str, Any]], None] | None = None, **fields: Any) -> ReleaseRequest:
        """A release of the image `tag`; `edit` may change the manifest first."""
        rollout = copy.deepcopy(self.rollout)
        container = rollout["spec"]["template"]["spec"]["containers"][0]
        container["image"] = f"{IMAGE}:{tag}"
        if edit:
            edit(rollout)
        return ReleaseRequest(
            namespace=NAMESPACE, name="checkout", rollout=rollout, templates=self.templates, by="ci", **fields
        )

    async def start(self, request: ReleaseRequest | Document) -> WorkflowHandle[Any, ReleaseResult]:
        return await self.client.start_workflow(
            ROLLOUT_WORKFLOW,
            request,
            id=rollout_id("default", NAMESPACE, self.name),
            task_queue=RELEASES_QUEUE,
            result_type=ReleaseResult,
        )

    async def deploy_stable(self) -> None:
        """Bring out the first revision, which takes no steps."""
        await (await self.start(self.request("1.0.0"))).result()
        self.cluster.writes.clear()

    async def closed(self, handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionStatus | None:
        """Let time pass until a workflow has ended; how it did."""
        while (status := (await handle.describe()).status) is WorkflowExecutionStatus.RUNNING:
            await self.env.sleep(timedelta(seconds=2))
        return status

    async def followed_up(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Let time pass until everything that a release began has ended, too."""
        async for event in handle.fetch_history_events():
            begun = event.start_child_workflow_execution_initiated_event_attributes.workflow_id
            if begun:
                await self.closed(self.client.get_workflow_handle(begun))

    async def until(
        self, handle: WorkflowHandle[Any, Any], holds: Callable[[ReleaseStatus], bool], *, between_passes: bool = True
    ) -> ReleaseStatus:
        """Let time pass, a second at a time, until the status says so and no pass is under way.

        This server answers the cancellation of an activity that completes in the same moment with an error for ever;
        where a test holds a pass up, that cannot happen.
        """
        for _ in range(3600):
            status: ReleaseStatus = await handle.query("status", result_type=ReleaseStatus)
            if holds(status) and not (between_passes and await _passing(handle)):
                return status
            await self.env.sleep(1)
        raise AssertionError(f"never came: {status}")


async def open_release_world(keys: KeySource | None = None) -> AsyncIterator[World]:
    """A server, its workers and a cluster, for as long as the iteration lasts; with `keys`, the codec is on."""
    async with release_world(keys=keys) as world:
        yield world


@asynccontextmanager
async def release_world(
    follow_up: Sequence[Callable[..., Any]] = (),
    interceptors: Sequence[Interceptor] = (),
    cached: int = 1000,
    ends: Sequence[Interceptor] = (Lingering(),),
    bake: timedelta | None = None,
    keys: KeySource | None = None,
    runtime: Runtime = QUIET,
    runner: WorkflowRunner | None = None,
) -> AsyncIterator[World]:
    """The same with these activities for what follows a decision, instead of doubles.

    `interceptors` see every activity; the worker of the releases keeps
    `cached` of them from one task to the next, and `ends` see how they end; `bake` is the cluster's default;
    `runtime` is that of the client and of all workers, `runner` that of
    the workflows.
    """
    manifests = load([EXAMPLES / name for name in ("rollout.yaml", "analysis-template.yaml")])
    network = load([EXAMPLES / "services-and-virtualservice.yaml"])
    async with AsyncExitStack() as stack:
        env = await stack.enter_async_context(await time_skipping(keys, runtime))
        await env.client.operator_service.add_search_attributes(search_attributes())
        cluster, datadog = VirtualCluster(await env.get_current_time(), bake=bake), DatadogDouble()
        servicenow, git, told = ServiceNowDouble(), GitDouble(), NoticesDouble()
        await cluster.start()
        stack.push_async_callback(cluster.stop)
        cluster.apply(*(loaded.raw for loaded in (*network.services, *network.virtual_services, *manifests.templates)))
        for worker in (
            Worker(
                env.client,
                task_queue=RELEASES_QUEUE,
                workflows=WORKFLOWS,
                workflow_runner=runner or release_runner(),
                max_cached_workflows=cached,
                interceptors=ends,
            ),
            Worker(
                env.client,
                task_queue=cluster_queue("default"),
                activities=cluster.activities(),
                interceptors=[*interceptors, Heartbeats(), cluster],
            ),
            Worker(
                env.client,
                task_queue=metrics_queue("datadog"),
                activities=[datadog.measure, datadog.counting.begin, datadog.counting.compare],
                interceptors=interceptors,
            ),
            Worker(
                env.client,
                task_queue=FOLLOW_UP_QUEUE,
                activities=follow_up or [*servicenow.activities(), git.revert, told.send],
                interceptors=interceptors,
            ),
        ):
            await stack.enter_async_context(served(env, worker))
        yield World(
            env=env,
            cluster=cluster,
            datadog=datadog,
            servicenow=servicenow,
            git=git,
            told=told,
            rollout=manifests.rollout().raw,
            templates=tuple(loaded.raw for loaded in manifests.templates),
        )


async def _passing(handle: WorkflowHandle[Any, Any]) -> bool:
    pending = (await handle.describe()).raw_description.pending_activities
    return any(each.activity_type.name == Activity.RECONCILE for each in pending)


def search_attributes() -> AddSearchAttributesRequest:
    """What the server has to know before a release can say how it stands."""
    return AddSearchAttributesRequest(
        namespace="default", search_attributes={key.name: key.indexed_value_type for key in SEARCH_ATTRIBUTES}
    )

"""Workers of a process: task queues, workflows, and activities with their clients.

Clients of outside systems are imported where they are created, so that a process that only decides never loads them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from temporalio.client import Client
from temporalio.common import MetricMeter, VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import PollerBehaviorAutoscaling, Worker, WorkerDeploymentConfig, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from tidegate.contract import FOLLOW_UP_QUEUE, RELEASES_QUEUE, WORKER_AGENT, cluster_queue, metrics_queue
from tidegate.contract.instances import ControllerInstance
from tidegate.manifests.grammar import Grammar
from tidegate.manifests.model import build_models
from tidegate.manifests.providers.datadog import KEY as DATADOG
from tidegate.manifests.providers.prometheus import KEY as PROMETHEUS
from tidegate.manifests.providers.web import KEY as WEB
from workers.activations import OneByOneRunner
from workers.follow_up import follow_up_activities, follow_up_checks
from workers.heartbeats import Heartbeats
from workers.log_context import LogContext
from workers.memory import cached_workflows, memory_limit
from workers.outside_settings import VaultVariables
from workers.settings import PREFIX, Role, Settings

if TYPE_CHECKING:
    from activities.kubernetes.client import Cluster
    from activities.secrets import vault_login
    from activities.secrets.store import Secrets
    from activities.transport.outgoing import Outgoing

log = structlog.get_logger(__name__)

Activities = Sequence[Callable[..., Any]]

# How long an abort waits for a worker that was killed with the release in its cache; the SDK's default is 10 s. A task
# that waits longer in a crowd is given out with its whole history, which is far more work: the less, the slower a
# hundred aborts at once are (`python -m benchmarks.waiting`).
STICKY_TIMEOUT = timedelta(seconds=3)
# What a poll is given after its process was frozen is lost until a timeout: no more are open than the load needs.
FEW_POLLS = PollerBehaviorAutoscaling(minimum=1, maximum=10, initial=1)
# Tasks share one interpreter: many at once only slow each other down, until a large one counts as stuck. The rest wait
# on the server, which gives out those of releases before those of measurements, and gives them to other workers. Each
# open poll takes one, too: with two there was one task at a time for all the releases in the cache.
CONCURRENT_WORKFLOW_TASKS = 4
# Free of side effects at import: our rules and payloads, and what they stand on.
_PASSED_THROUGH = (
    "tidegate",
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "lark",
    "yaml",
    "structlog",
    "opentelemetry",
)
_ROLES = {
    Role.ALL: frozenset({Role.WORKFLOWS, Role.CLUSTER, Role.METRICS, Role.FOLLOW_UP}),
    Role.ACTIVITIES: frozenset({Role.CLUSTER, Role.METRICS, Role.FOLLOW_UP}),
}


@asynccontextmanager
async def open_workers(
    client: Client, settings: Settings, meter: MetricMeter = MetricMeter.noop
) -> AsyncIterator[list[Worker]]:
    """The workers of the process's role, not yet running; what their activities hold is closed at the end.

    `meter` counts what happens outside activities.
    """
    roles = _ROLES.get(settings.role, frozenset({settings.role}))
    async with AsyncExitStack() as stack:
        workers: list[Worker] = []

        def current() -> Client:
            return workers[0].client if workers else client

        if Role.WORKFLOWS in roles:
            workers.append(_workflow_worker(client, settings))
        if Role.CLUSTER in roles:
            activities = await _cluster_activities(settings, stack, current, meter)
            workers.append(_activity_worker(client, settings, cluster_queue(settings.cluster), activities))
        if roles & {Role.METRICS, Role.FOLLOW_UP}:
            secrets = open_secrets(settings, stack)
            stored = open_secrets(settings, stack, used_while_away=False)  # checks are of the store as it is now
            if Role.METRICS in roles:
                asking = await stack.enter_async_context(_outgoing(settings))
                for provider, measured in _metric_activities(settings, asking, secrets, stored).items():
                    queue = metrics_queue(provider)
                    workers.append(_activity_worker(client, settings, queue, measured.activities, measured.per_second))
            if Role.FOLLOW_UP in roles:
                import httpx

                # Whom it asks, the settings alone say.
                http = await stack.enter_async_context(httpx.AsyncClient(trust_env=True))
                checks = follow_up_checks(settings, http, stored)
                activities = [*follow_up_activities(settings, http, secrets), checks.check]
                workers.append(_activity_worker(client, settings, FOLLOW_UP_QUEUE, activities))
        yield workers


def workflow_runner() -> WorkflowRunner:
    """The runner of workflows: isolated from everything that could make a replay differ, one event after the other."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*_PASSED_THROUGH)
    return OneByOneRunner(SandboxedWorkflowRunner(restrictions=restrictions))


def _workflow_worker(client: Client, settings: Settings) -> Worker:
    from workflows.registered import WORKFLOWS

    # Now, so that no task of a workflow takes longer for being the first.
    Grammar.build_all()
    build_models("tidegate")
    return Worker(
        client,
        task_queue=RELEASES_QUEUE,
        workflows=WORKFLOWS,
        workflow_runner=workflow_runner(),
        interceptors=[LogContext()],
        deployment_config=_version(settings),
        max_cached_workflows=_cached_workflows(settings),
        max_concurrent_workflow_tasks=CONCURRENT_WORKFLOW_TASKS,
        workflow_task_poller_behavior=FEW_POLLS,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=settings.graceful_shutdown,
    )


def _version(settings: Settings) -> WorkerDeploymentConfig | None:
    """Version of the workflow code: a workflow ends on the version on which it started, whatever is deployed meanwhile.

    Activities have none. They are effects that any version requests with the same payloads, which a test of recorded
    requests checks. A release must never wait for a version of a cluster's worker that is gone.
    """
    if not settings.build_id:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(settings.deployment_name, settings.build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


def _cached_workflows(settings: Settings) -> int:
    if settings.max_cached_workflows is not None:
        return settings.max_cached_workflows
    return cached_workflows(memory_limit())


def _activity_worker(
    client: Client, settings: Settings, queue: str, activities: Activities, per_second: float | None = None
) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        activities=activities,
        interceptors=[LogContext(), Heartbeats()],
        max_concurrent_activities=settings.max_concurrent_activities,
        activity_task_poller_behavior=FEW_POLLS,
        max_task_queue_activities_per_second=per_second,
        graceful_shutdown_timeout=settings.graceful_shutdown,
    )


async def open_cluster(settings: Settings, agent: str, meter: MetricMeter = MetricMeter.noop) -> Cluster:
    """Client of the API server that the settings name; `agent` is whom its audit log names, `meter` counts requests."""
    from activities.kubernetes.client import Cluster

    reached = settings.kubernetes
    return await Cluster.connect(
        url=reached.api_url, kubeconfig=reached.kubeconfig, context=reached.context, agent=agent, meter=meter
    )


async def _cluster_activities(
    settings: Settings, stack: AsyncExitStack, client: Callable[[], Client], meter: MetricMeter
) -> Activities:
    from activities.kubernetes.checks import ClusterChecks
    from activities.kubernetes.informers import Cache
    from activities.metrics.job.provider import Jobs
    from activities.reconcile.experiment_passes import ExperimentPasses
    from activities.reconcile.leaving import LeavingActivities
    from activities.reconcile.pending_waits import PendingWaits
    from activities.reconcile.reconciler import Passes
    from activities.reconcile.restarts import Restarts
    from activities.reconcile.rollbacks import RollbackActivities
    from activities.reconcile.rollout_objects import Kubernetes
    from activities.reconcile.waits import Waits
    from activities.routers.traffic import Traffic

    cluster = await open_cluster(settings, WORKER_AGENT, meter)
    stack.push_async_callback(cluster.close)
    cache = Cache(cluster, cluster_wide=settings.kubernetes.cluster_wide, meter=meter)
    stack.push_async_callback(cache.close)
    waits = PendingWaits(Waits(cluster, cache), client)
    stack.push_async_callback(waits.close)
    instance = ControllerInstance(settings.kubernetes.instance_id)
    at_most = max(1, settings.max_concurrent_activities // 3)
    return [
        *Kubernetes(cluster, cache, bake=settings.bake.duration or None, instance=instance).activities(),
        *Traffic(cluster).activities(),
        *Passes(cluster, cache, at_most=at_most, instance=instance).activities(),
        *ExperimentPasses(cluster, cache, instance=instance).activities(),
        *waits.activities(),
        *Restarts(cluster).activities(),
        *LeavingActivities(cluster).activities(),
        *RollbackActivities(cluster).activities(),
        *Jobs(cluster).activities(),
        ClusterChecks(cluster).check,
    ]


class _Measured(NamedTuple):
    """The activities of a metric provider, and the ceiling for all workers together."""

    activities: Activities
    per_second: float | None


def _outgoing(settings: Settings) -> Outgoing:
    from activities.metrics.prometheus.request import ADDRESS_VARIABLE
    from activities.transport.egress import Egress
    from activities.transport.outgoing import Outgoing

    named = (settings.datadog.address, settings.prometheus.address)
    by_variable = (os.environ.get(name, "") for name in ("DD_ADDRESS", ADDRESS_VARIABLE))
    return Outgoing(Egress.of(settings.metrics.listed(), trusted=(*named, *by_variable)))


def _metric_activities(settings: Settings, http: Outgoing, store: Secrets, stored: Secrets) -> dict[str, _Measured]:
    """Metric activities by the provider's key in manifests; checks use `stored`, which hides no outage of the store."""
    from activities.metrics.datadog import provider as datadog
    from activities.metrics.datadog.comparison import DatadogComparison
    from activities.metrics.prometheus import provider as prometheus
    from activities.metrics.prometheus.comparison import PrometheusComparison
    from activities.metrics.web import provider as web
    from activities.secrets.store import NamedSecrets

    secrets = NamedSecrets(store, settings.secrets.namespaces)
    datadog_settings = datadog.DatadogSettings(
        **settings.datadog.model_dump(exclude={"measurements_per_second", "graph_url"})
    )
    keys = datadog.DatadogProvider(NamedSecrets(stored, settings.secrets.namespaces), http, datadog_settings)
    counts = DatadogComparison(secrets, http, datadog_settings)
    prometheus_settings = prometheus.PrometheusSettings(address=settings.prometheus.address)
    queries = prometheus.PrometheusProvider(secrets, http, prometheus_settings)
    counters = PrometheusComparison(secrets, http, prometheus_settings)
    return {
        DATADOG: _Measured(
            [
                datadog.DatadogProvider(secrets, http, datadog_settings).measure,
                keys.checks().check,
                counts.begin,
                counts.compare,
                counts.find_changes,
                counts.judge_change,
                counts.judge_stable,
            ],
            settings.datadog.measurements_per_second,
        ),
        PROMETHEUS: _Measured(
            [
                queries.measure,
                queries.checks().check,
                counters.begin,
                counters.compare,
                counters.find_changes,
                counters.judge_change,
                counters.judge_stable,
            ],
            settings.prometheus.measurements_per_second,
        ),
        WEB: _Measured([web.WebProvider(secrets, http).measure], settings.web.measurements_per_second),
    }


def open_secrets(settings: Settings, stack: AsyncExitStack, *, used_while_away: bool = True) -> Secrets:
    """Stores of secrets in the settings, in order of use: Vault, files, variables; closed with `stack`.

    With `used_while_away`, the last values from Vault are used while Vault is away.
    """
    from activities.secrets import fallbacks
    from activities.secrets.store import NoSecrets

    sources = []
    if settings.vault is not None:
        sources.append(fallbacks.SecretSource("Vault", _open_vault(settings.vault, stack, used_while_away)))
    if (folder := settings.secrets.folder) is not None:
        sources.append(fallbacks.SecretSource(str(folder), fallbacks.FolderSecrets(folder)))
    if settings.secrets.environment:
        sources.append(fallbacks.SecretSource("environment", fallbacks.EnvironmentSecrets()))
    return fallbacks.FallbackSecrets(sources) if sources else NoSecrets(f"set {PREFIX}VAULT__ADDRESS")


def _open_vault(variables: VaultVariables, stack: AsyncExitStack, used_while_away: bool) -> Secrets:
    from activities.secrets import vault

    store = vault.Vault(
        vault.VaultSettings(
            address=variables.address,
            login=_vault_login(variables),
            namespace=variables.namespace,
            ca_file=variables.ca_file,
            used_while_away=used_while_away,
        )
    )
    stack.push_async_callback(store.close)
    return store


def _vault_login(settings: VaultVariables) -> vault_login.Login:
    from activities.secrets import vault_login

    match settings.auth:
        case "approle":
            return vault_login.AppRoleLogin(
                role_id_file=settings.role_id_file,
                secret_id_file=settings.secret_id_file,
                mount=settings.auth_mount or "approle",
            )
        case "token":
            return vault_login.TokenLogin(token_file=settings.token_file)
        case "kubernetes":
            return vault_login.KubernetesLogin(
                role=settings.role, jwt_file=settings.jwt_file, mount=settings.auth_mount or "kubernetes"
            )

"""The worker as a process: what it loads, how it waits for Temporal, how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from sandbox.kubernetes_api import Call, KubernetesApi
from sandbox.machine import patience
from sandbox.processes import LOOPBACK, free_port, until
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import TidegateProcess
from tests.sandbox.kubernetes.kube import serving
from tests.world.planes import wanted
from tidegate.contract import (
    FOLLOW_UP_QUEUE,
    Activity,
    ErrorType,
    Observation,
    ObserveRequest,
    Target,
    cluster_queue,
)
from workers.outside_settings import GitVariables, NotificationsSettings, ServiceNowVariables
from workers.settings import Role, Settings, SettingsError
from workers.wiring import open_workers

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS = ("kubernetes", "datadog_api_client", "hvac")
PRINT_LOADED = f"""
import asyncio, sys
from temporalio.client import Client
from workers.settings import Role, Settings
from workers.wiring import open_workers

async def load():
    client = await Client.connect(sys.argv[1])
    async with open_workers(client, Settings(role=Role(sys.argv[2]), kubernetes={{"api_url": "http://127.0.0.1:1"}})):
        print(*(name for name in {CLIENTS} if name in sys.modules))

asyncio.run(load())
"""


def loaded(server: TemporalServer, role: str) -> list[str]:
    command = [sys.executable, "-c", PRINT_LOADED, server.address, role]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split()


async def test_a_worker_that_decides_loads_no_client_of_an_outside_system(server: TemporalServer) -> None:
    assert await asyncio.to_thread(loaded, server, "workflows") == []


@pytest.mark.parametrize(("role", "clients"), [("cluster", ["kubernetes"]), ("metrics", ["datadog_api_client"])])
async def test_a_worker_that_acts_loads_what_it_acts_with(
    server: TemporalServer, role: str, clients: list[str]
) -> None:
    assert await asyncio.to_thread(loaded, server, role) == clients


async def test_a_worker_that_is_given_repositories_reverts_in_them(temporal: Client) -> None:
    settings = Settings(role=Role.FOLLOW_UP, git=GitVariables(repositories="https://git.internal,file:///srv/git"))
    async with open_workers(temporal, settings) as (worker,):
        assert worker.task_queue == FOLLOW_UP_QUEUE
        assert {"revert_commit", "send_notification"} <= {each.__name__ for each in worker.config()["activities"]}


async def test_templates_that_cannot_be_used_are_named_at_the_start(temporal: Client, tmp_path: Path) -> None:
    settings = Settings(role=Role.FOLLOW_UP, notifications=NotificationsSettings(config_file=tmp_path / "missing.yaml"))
    with pytest.raises(SettingsError, match=r"TIDEGATE_NOTIFICATIONS__CONFIG_FILE: .*missing\.yaml"):
        async with open_workers(temporal, settings):
            pass


async def test_a_worker_without_servicenow_says_so_at_once(server: TemporalServer) -> None:
    client = await Client.connect(server.address)  # which knows one worker for each queue
    async with open_workers(client, Settings(role=Role.FOLLOW_UP)) as (worker,):
        names = {getattr(each, "__temporal_activity_definition").name: each for each in worker.config()["activities"]}
        for name in ("open_incident", "note_incident", "resolve_incidents", "open_change", "close_change"):
            with pytest.raises(ApplicationError, match="set TIDEGATE_SERVICENOW__URL") as caught:
                await names[name](None)
            assert (caught.value.type, caught.value.non_retryable) == (ErrorType.NOT_CONFIGURED, True)


async def test_a_worker_with_servicenow_has_the_same_activities(server: TemporalServer) -> None:
    given = ServiceNowVariables(url="https://example.service-now.com", allowed_fields="urgency,u_team")
    client = await Client.connect(server.address)
    async with open_workers(client, Settings(role=Role.FOLLOW_UP, servicenow=given)) as (worker,):
        names = [each.__name__ for each in worker.config()["activities"]]
        assert names[:5] == ["open_incident", "note_incident", "resolve_incidents", "open_change", "close_change"]


@pytest_asyncio.fixture(loop_scope="module")
async def late_server(tmp_path: Path) -> AsyncIterator[TemporalServer]:
    """A server that a test starts when it likes."""
    server = TemporalServer(tmp_path)
    yield server
    await server.stop()


async def test_a_worker_waits_for_temporal_and_says_so_and_goes_when_told(
    late_server: TemporalServer, tmp_path: Path
) -> None:
    settings = {"TEMPORAL_ADDRESS": late_server.address, "TIDEGATE_ROLE": "workflows"}
    worker = TidegateProcess("worker", tmp_path, settings)
    try:
        await worker.begin()
        assert await worker.not_ready()
        await late_server.start()
        await until(worker.ready, 20, "the worker is ready")
        await late_server.kill()
        await until(worker.not_ready, 20, "the worker has seen that Temporal is away")
        await late_server.start()
        await until(worker.ready, 20, "the worker is ready again")
    finally:
        await worker.stop()
    log = worker.program.log_file.read_text()
    assert "stopped" in log.splitlines()[-1], log


async def test_a_worker_that_is_told_to_go_finishes_what_it_does(
    server: TemporalServer, temporal: Client, tmp_path: Path
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def hold(_: Call) -> None:
        asked.set()
        await go_on.wait()

    async with serving(KubernetesApi(gate=hold)) as kube:
        settings = {
            "TEMPORAL_ADDRESS": server.address,
            "TIDEGATE_ROLE": "cluster",
            "TIDEGATE_CLUSTER": "draining",
            "TIDEGATE_KUBERNETES__API_URL": kube.api.url,
            "TIDEGATE_GRACEFUL_SHUTDOWN": "20s",
        }
        worker = TidegateProcess("worker", tmp_path, settings)
        await worker.start()
        asking = ObserveRequest(target=Target(namespace="payments", name="checkout"), rollout=wanted("1.0.0"))
        looking = asyncio.create_task(
            temporal.execute_activity(
                Activity.OBSERVE,
                asking,
                id="a-look",
                task_queue=cluster_queue("draining"),
                result_type=Observation,
                schedule_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        )
        try:
            async with asyncio.timeout(patience(20)):
                await asked.wait()
            worker.program.send(signal.SIGTERM)
            await until(worker.not_ready, 20, "the worker takes no more")
            go_on.set()
            assert isinstance(await looking, Observation)
        finally:
            await worker.stop()
    assert "stopped" in worker.program.log_file.read_text().splitlines()[-1]


async def test_a_worker_shows_its_metrics_and_the_sdks_to_prometheus(server: TemporalServer, tmp_path: Path) -> None:
    metrics = f"{LOOPBACK}:{free_port()}"
    settings = {
        "TEMPORAL_ADDRESS": server.address,
        "TIDEGATE_ROLE": "workflows",
        "TIDEGATE_TELEMETRY": metrics,
        "TIDEGATE_MAX_CACHED_WORKFLOWS": "7",
    }
    worker = TidegateProcess("worker", tmp_path, settings)
    try:
        await worker.start()
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"http://{metrics}/metrics")).text
    finally:
        await worker.stop()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values["tidegate_ready"] == "1"
    assert [value for name, value in values.items() if name.startswith("temporal_request_total{")]


async def test_a_worker_ends_at_once_when_told_before_it_ever_reached_temporal(tmp_path: Path) -> None:
    worker = TidegateProcess("worker", tmp_path, {"TEMPORAL_ADDRESS": f"{LOOPBACK}:{free_port()}"})
    await worker.begin()
    await worker.stop()
    assert "stopped" in worker.program.log_file.read_text()


async def test_a_setting_that_cannot_be_used_is_named_before_anything_starts() -> None:
    command = [sys.executable, "-m", "workers.worker"]
    env = {**os.environ, "TIDEGATE_HEALTH__PORT": "http"}
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, env=env)
    assert ended.returncode == 64
    assert ended.stderr.startswith("error: TIDEGATE_HEALTH__PORT='http': ")

"""One Temporal server for the tests of a module, and workers that a test starts and stops as it likes."""

from __future__ import annotations

import asyncio
import gc
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from sandbox.temporal import TemporalServer
from tests.workers.scripted_provider import ScriptedProvider
from tests.workers.scripted_release import Answering, ScriptedRelease, observe, request
from tests.workers.watched import Place, open_place
from tidegate.cli.app import run
from tidegate.client import ReleaseHandle, RolloutRef, TidegateClient, data_converter
from tidegate.contract import RELEASES_QUEUE, cluster_queue, metrics_queue
from workflows.analysis_run import AnalysisRun
from workflows.rollout import Rollout


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalServer]:
    server = TemporalServer(Path(tmp_path_factory.mktemp("temporal")))
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def temporal(server: TemporalServer) -> Client:
    return await Client.connect(server.address, data_converter=data_converter())


@pytest.fixture
def client(temporal: Client) -> TidegateClient:
    return TidegateClient(temporal, answer_timeout=timedelta(seconds=3))


@pytest.fixture
def rollout() -> RolloutRef:
    return RolloutRef("payments", f"checkout-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def answering(temporal: Client) -> Answering:
    """A worker for scripted releases, while its context lasts."""

    def worker() -> Worker:
        return Worker(
            temporal,
            task_queue=RELEASES_QUEUE,
            workflows=[ScriptedRelease],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_cached_workflows=0,  # nothing sticks to a worker that a test has stopped
        )

    return worker


@pytest_asyncio.fixture(loop_scope="module")
async def handle(client: TidegateClient, answering: Answering, rollout: RolloutRef) -> AsyncIterator[ReleaseHandle]:
    """A scripted release under way, and a worker for it for as long as the test lasts."""
    async with answering():
        yield await client.start(request(name=rollout.name))


@pytest_asyncio.fixture(loop_scope="module")
async def observing(temporal: Client) -> AsyncIterator[None]:
    """A worker that looks at the cluster `default`."""
    async with Worker(temporal, task_queue=cluster_queue("default"), activities=[observe]):
        yield


@pytest_asyncio.fixture(loop_scope="module")
async def provider(temporal: Client) -> AsyncIterator[ScriptedProvider]:
    """The real analysis run, and a provider that answers by a script."""
    scripted = ScriptedProvider()
    runs = Worker(
        temporal, task_queue=RELEASES_QUEUE, workflows=[AnalysisRun], workflow_runner=UnsandboxedWorkflowRunner()
    )
    measurements = Worker(temporal, task_queue=metrics_queue("prometheus"), activities=[scripted.measure])
    async with runs, measurements:
        yield scripted


@pytest.fixture
def release_code() -> type[Rollout]:
    """The code of the releases of `place`; a module may have another one."""
    return Rollout


@pytest_asyncio.fixture(loop_scope="module")
async def place(temporal: Client, tmp_path: Path, release_code: type[Rollout]) -> AsyncIterator[Place]:
    """A cluster for a watcher to watch."""
    async with open_place(temporal, tmp_path, release=release_code) as place:
        yield place
    gc.collect()  # so that what is left of a run that was terminated or reset ends within its test


class Terminal:
    """Runs commands as a terminal would, in a thread since each brings its own event loop."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    async def __call__(self, *arguments: str) -> int:
        """Exit code of a command."""
        try:
            return await asyncio.to_thread(run, arguments)
        finally:
            structlog.reset_defaults()

    def read(self) -> tuple[str, str]:
        """What was written to stdout and stderr since the last time."""
        out, err = self._capsys.readouterr()
        return out, err

    def out(self) -> str:
        """What was written to stdout since the last time."""
        return self.read()[0]


@pytest.fixture
def tidegate(server: TemporalServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """The `tidegate` command of alice, connected to the server of these tests."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
    monkeypatch.setenv("TIDEGATE_NAMESPACE", "payments")
    monkeypatch.setenv("GITHUB_ACTOR", "alice")
    return Terminal(capsys)

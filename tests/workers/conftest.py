"""One Temporal server for the tests of a module, and workers that a test starts and stops as it likes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from sandbox.temporal import TemporalServer
from tests.workers.scripted_release import Answering, ScriptedRelease, observe
from tidegate.client import TidegateClient
from tidegate.contract import RELEASES_QUEUE, cluster_queue


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalServer]:
    server = TemporalServer(Path(tmp_path_factory.mktemp("temporal")))
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def temporal(server: TemporalServer) -> Client:
    return await Client.connect(server.address, data_converter=pydantic_data_converter)


@pytest.fixture
def client(temporal: Client) -> TidegateClient:
    return TidegateClient(temporal, answer_timeout=timedelta(seconds=1))


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
async def observing(temporal: Client) -> AsyncIterator[None]:
    """A worker that looks at the cluster `default`."""
    async with Worker(temporal, task_queue=cluster_queue("default"), activities=[observe]):
        yield

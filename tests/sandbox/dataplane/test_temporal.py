"""The Temporal server: search attributes are there, and a kill -9 loses no workflow."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.worker import Worker

from sandbox.machine import patience
from sandbox.temporal import TemporalServer
from tidegate.contract import SEARCH_SERVICE, SEARCH_WEIGHT

pytestmark = pytest.mark.world


@workflow.defn(sandboxed=False)
class Waits:
    """Waits for one signal and answers with what it said."""

    def __init__(self) -> None:
        self._said = ""

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: bool(self._said))
        await workflow.sleep(timedelta(milliseconds=1))
        return self._said

    @workflow.signal
    def say(self, what: str) -> None:
        self._said = what


async def test_a_killed_server_goes_on_where_it_was(tmp_path: Path) -> None:
    server = TemporalServer(tmp_path)
    await server.start()
    try:
        client = await Client.connect(server.address)
        attributes = TypedSearchAttributes(
            [SearchAttributePair(SEARCH_SERVICE, "checkout"), SearchAttributePair(SEARCH_WEIGHT, 10)]
        )
        handle = await client.start_workflow(
            Waits.run, id="waits", task_queue="q", search_attributes=attributes, execution_timeout=timedelta(minutes=1)
        )
        await handle.signal(Waits.say, "before the kill")
        await server.kill()
        await server.start()
        client = await Client.connect(server.address)
        async with Worker(client, task_queue="q", workflows=[Waits]):
            async with asyncio.timeout(patience(30)):
                assert await client.get_workflow_handle("waits").result() == "before the kill"
        found = [
            each.id async for each in client.list_workflows("TidegateService = 'checkout' AND TidegateWeight = 10")
        ]
        assert found == ["waits"]
        async with aiohttp.ClientSession() as session, session.get(server.ui_url) as page:
            assert page.status == 200
    finally:
        await server.stop()

"""The embedded ServiceNow for the tests of the activities that write to it, and what they write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from temporalio.exceptions import ApplicationError

from activities.servicenow.fields import ServiceNowSettings
from activities.servicenow.incidents import ServiceNow
from sandbox.servicenow.server import ServiceNowApi
from tests.activities.outside import MemorySecrets, Script, http_client, run_activity
from tidegate.contract import IncidentRequest

PATH = "secret/tidegate/servicenow"
PASSWORD = "password-of-a-test"
CLIENT_SECRET = "client-secret-of-a-test"
RELEASE = "rollout/default/payments/checkout"
REQUEST = IncidentRequest(
    correlation_id=f"{RELEASE}/7/run-of-a-test/aborted",
    short_description="Release of checkout was aborted",
    description="error-rate: 0.2 >= 0.05",
    attachments={"analysis-run.json": {"phase": "Failed"}, "status.json": {"step": 2}},
)


@asynccontextmanager
async def open_instance() -> AsyncIterator[ServiceNowApi]:
    api = ServiceNowApi(username="tidegate", password=PASSWORD, client_id="tidegate", client_secret=CLIENT_SECRET)
    await api.start()
    try:
        yield api
    finally:
        await api.stop()


def basic(url: str, password: str = PASSWORD) -> MemorySecrets:
    return MemorySecrets({PATH: {"url": url, "username": "tidegate", "password": password}})


async def carry_out(secrets: MemorySecrets, verb: str, request: Any, **settings: Any) -> Any:
    """Have one activity of ServiceNow by its method's name, from a worker that remembers nothing."""
    async with http_client() as http:
        service_now = ServiceNow(secrets, http, ServiceNowSettings(**settings))
        named = {each.__name__: each for each in service_now.activities()}
        return await run_activity(named[verb], request)


async def error_of(secrets: MemorySecrets, verb: str, request: Any, **settings: Any) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await carry_out(secrets, verb, request, **settings)
    return caught.value


async def forward(api: ServiceNowApi, request: web.Request) -> web.Response:
    async with http_client() as http:
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type")}
        content = await request.read()
        answer = await http.request(request.method, f"{api.url}{request.raw_path}", headers=headers, content=content)
    return web.Response(status=answer.status_code, body=answer.content)


def losing(api: ServiceNowApi, lost: Callable[[int], bool]) -> Script:
    """A way to the instance on which the answers of those writes get lost, counted from 0."""
    writes = iter(range(1000))

    async def answer(request: web.Request) -> web.Response:
        response = await forward(api, request)
        return web.Response(status=504) if request.method != "GET" and lost(next(writes)) else response

    return Script().then_do(answer)

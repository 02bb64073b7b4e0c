"""The web page over HTTP: what it shows of releases, who may act on them, and what it costs Temporal."""

from __future__ import annotations

import asyncio
import re
import sysconfig
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from temporalio.client import Client, Interceptor, OutboundInterceptor, QueryWorkflowInput

from sandbox.processes import Program, free_port, until
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import TidegateProcess
from tests.workers.scripted_release import Answering, request
from tidegate.client import ReleaseHandle, RolledBackError, RolloutRef, TidegateClient, data_converter
from tidegate.client.http_server import serve_http
from tidegate.contract import RELEASES_QUEUE, ROLLOUT_WORKFLOW
from tidegate.web.access import PageAccess, networks
from tidegate.web.server import HEADERS, WebPage

pytestmark = pytest.mark.asyncio(loop_scope="module")

BIN = Path(sysconfig.get_path("scripts"))
ORIGIN = "http://releases.test"
OPERATOR = {"X-Auth-Request-User": "ana", "X-Auth-Request-Groups": "payments,sre"}
READER = {"X-Auth-Request-User": "bob", "X-Auth-Request-Groups": "payments"}
ACCESS = PageAccess(origin=ORIGIN, operators=frozenset({"sre", "platform"}))


class Browser:
    """One person's browser, behind the proxy that signs people in."""

    def __init__(self, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.http = http
        self.headers = {"Host": "releases.test"} | headers

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=self.headers | headers)

    async def send(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        return await self.http.post(path, data=fields, headers=self.headers | {"Origin": ORIGIN} | headers)

    async def fields(self, path: str, reason: str = "a customer calls") -> dict[str, str]:
        """What the form at a path sends."""
        page = (await self.get(path)).text
        return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)) | {"reason": reason}


@asynccontextmanager
async def browsing(page: WebPage, headers: dict[str, str]) -> AsyncIterator[Browser]:
    async with (
        serve_http(page.app(), "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
    ):
        yield Browser(http, headers)


@pytest.fixture
def page(client: TidegateClient) -> WebPage:
    return WebPage(client, ACCESS, lasts=timedelta())


@pytest_asyncio.fixture(loop_scope="module")
async def operator(page: WebPage, handle: ReleaseHandle) -> AsyncIterator[Browser]:
    async with browsing(page, OPERATOR) as found:
        await listed(found, handle.rollout)
        yield found


def path_of(rollout: RolloutRef) -> str:
    return f"/releases/{rollout.cluster}/{rollout.namespace}/{rollout.name}"


async def listed(browser: Browser, rollout: RolloutRef) -> None:
    """Wait until Temporal's list has the release."""

    async def there() -> bool:
        return rollout.name in (await browser.get("/")).text

    await until(there, 10, "the release in the list")


async def test_an_operator_acts_with_a_reason_and_reads_what_came_of_it(
    operator: Browser, handle: ReleaseHandle, client: TidegateClient
) -> None:
    path = path_of(handle.rollout)
    assert f'href="{path}/pause"' in (await operator.get("/")).text
    fields = await operator.fields(f"{path}/pause")
    sent = await operator.send(f"{path}/pause", fields)
    assert sent.status_code == 303
    said = (await operator.get(sent.headers["Location"])).text
    assert '<p class="outcome" role="status">pause by ana</p>' in said
    assert [event.reason for event in (await client.status(handle.rollout)).events] == ["release", "pause"]
    assert "Waiting for an operator" in (await operator.get("/")).text
    forged = sent.headers["Location"].replace("ana", "the+director")
    assert "the director" not in (await operator.get(forged)).text


async def test_an_act_without_a_reason_asks_for_one_and_does_nothing(
    operator: Browser, handle: ReleaseHandle, client: TidegateClient
) -> None:
    path = f"{path_of(handle.rollout)}/abort"
    answer = await operator.send(path, await operator.fields(path, reason="  "))
    assert (answer.status_code, "Say why" in answer.text) == (400, True)
    assert [event.reason for event in (await client.status(handle.rollout)).events] == ["release"]


async def test_a_form_of_another_site_or_of_nobody_does_nothing(
    operator: Browser, handle: ReleaseHandle, client: TidegateClient
) -> None:
    path = f"{path_of(handle.rollout)}/abort"
    fields = await operator.fields(path)
    refused = [
        await operator.send(path, fields, Origin="https://evil.example"),
        await operator.send(path, fields, Origin="null"),
        await operator.http.post(path, data=fields, headers=operator.headers),
        await operator.send(path, fields | {"token": "x" * 43}),
        await operator.send(path, {"reason": "hello"}),
    ]
    operator.http.cookies.clear()
    refused.append(await operator.send(path, fields))
    assert [each.status_code for each in refused] == [403] * len(refused)
    assert [event.reason for event in (await client.status(handle.rollout)).events] == ["release"]


@pytest.mark.parametrize(
    "headers",
    [
        READER,
        {},
        {"X-Auth-Request-Groups": "sre"},
        {"X-Auth-Request-User": "ana", "X-Auth-Request-Groups": "sre-readers"},
    ],
    ids=("reader", "nobody", "no name", "another group"),
)
async def test_who_may_not_act_sees_no_button_and_opens_no_form(
    page: WebPage, handle: ReleaseHandle, client: TidegateClient, headers: dict[str, str]
) -> None:
    async with browsing(page, headers) as browser:
        await listed(browser, handle.rollout)
        path = path_of(handle.rollout)
        assert 'class="button' not in (await browser.get(path)).text
        assert (await browser.get(f"{path}/abort")).status_code == 403
        assert (await browser.send(f"{path}/abort", {"reason": "x"})).status_code == 403
    assert [event.reason for event in (await client.status(handle.rollout)).events] == ["release"]


async def test_headers_count_from_the_proxy_alone(client: TidegateClient, handle: ReleaseHandle) -> None:
    elsewhere = PageAccess(origin=ORIGIN, operators=ACCESS.operators, proxies=networks(["10.0.0.0/8"]))
    async with browsing(WebPage(client, elsewhere, lasts=timedelta()), OPERATOR) as browser:
        assert "ana" not in (await browser.get("/")).text
        assert (await browser.get(f"{path_of(handle.rollout)}/abort")).status_code == 403


async def test_without_operators_there_is_nothing_to_act_with(client: TidegateClient, handle: ReleaseHandle) -> None:
    async with browsing(WebPage(client, lasts=timedelta()), OPERATOR | {"Host": "127.0.0.1"}) as browser:
        await listed(browser, handle.rollout)
        path = path_of(handle.rollout)
        for verb in ("promote", "abort", "pause", "resume", "retry"):
            assert (await browser.get(f"{path}/{verb}")).status_code == 404
            assert (await browser.send(f"{path}/{verb}", {"reason": "x"})).status_code == 404
        assert (await browser.send(path, {})).status_code == 405
        assert "read only" in (await browser.get("/")).text


async def test_a_promotion_is_only_of_the_step_that_its_operator_saw(
    operator: Browser, handle: ReleaseHandle, client: TidegateClient
) -> None:
    path = path_of(handle.rollout)
    await operator.send(f"{path}/pause", await operator.fields(f"{path}/pause"))
    fields = await operator.fields(f"{path}/promote")
    for changed in ({"step": "7"}, {"run": str(uuid.uuid4())}):
        answer = await operator.send(f"{path}/promote", fields | changed)
        assert (answer.status_code, "Nothing was done" in answer.text) == (409, True)
    assert (await operator.send(f"{path}/promote", fields)).status_code == 303
    assert (await client.status(handle.rollout)).phase == "Healthy"
    again = await operator.send(f"{path}/promote", fields)
    assert (again.status_code, "no effect" in again.text) == (409, True)


async def test_each_answer_keeps_the_browser_from_anything_else(operator: Browser, handle: ReleaseHandle) -> None:
    for path in (
        "/",
        path_of(handle.rollout),
        f"{path_of(handle.rollout)}/abort",
        "/static/page.js",
        "/nope",
        "/static/x",
    ):
        answer = await operator.get(path)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    page = (await operator.get("/")).text
    assert re.findall(r"(?:src|href)=\"(?![/#])([^\"]*)", page) == [], "nothing of elsewhere"
    assert not re.search(r"<style|style=|<script>|javascript:", page)
    assert (await operator.get("/", Host="evil.example")).status_code == 421
    cookie = (await operator.get(f"{path_of(handle.rollout)}/abort")).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


async def test_a_release_that_is_not_there_is_said_so(operator: Browser) -> None:
    for path in ("/releases/default/payments/nope", "/releases/a/b/..%2f..%2fx"):
        answer = await operator.get(path)
        assert (answer.status_code, "no release" in answer.text) == (404, True)


async def test_without_a_worker_it_shows_the_last_state_and_an_abort_is_kept(
    temporal: Client, client: TidegateClient, answering: Answering, rollout: RolloutRef
) -> None:
    impatient = TidegateClient(temporal, answer_timeout=timedelta(milliseconds=600))
    async with browsing(WebPage(impatient, ACCESS, lasts=timedelta()), OPERATOR) as browser:
        async with answering():
            await client.start(request(name=rollout.name))
            await listed(browser, rollout)
        said = (await browser.get(path_of(rollout))).text
        assert re.search(r"state of .{8} UTC, \d+s old: no worker answers", said)
        path = f"{path_of(rollout)}/abort"
        sent = await browser.send(path, await browser.fields(path))
        assert sent.status_code == 303
        assert (
            "no worker answers, and it counts as soon as one does" in (await browser.get(sent.headers["Location"])).text
        )
    async with browsing(WebPage(impatient, ACCESS, lasts=timedelta()), READER) as browser:
        assert "this is what Temporal itself keeps" in (await browser.get(path_of(rollout))).text
    async with answering():
        with pytest.raises(RolledBackError, match="a customer calls"):
            await client.wait(await client.newest_handle(rollout))


class Counting(Interceptor):
    """Counts the queries of a client."""

    def __init__(self) -> None:
        self.queries = 0

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002  the SDK's name
        counting = self

        class Outbound(OutboundInterceptor):
            async def query_workflow(self, input: QueryWorkflowInput) -> Any:  # noqa: A002  the SDK's name
                counting.queries += 1
                return await super().query_workflow(input)

        return Outbound(next)


async def test_a_wall_of_screens_costs_temporal_what_one_costs(temporal: Client, handle: ReleaseHandle) -> None:
    counting = Counting()
    config = temporal.config()
    config["interceptors"] = [counting]
    shared = WebPage(TidegateClient(Client(**config)), ACCESS, lasts=timedelta(minutes=1))
    async with browsing(shared, READER) as browser:
        pages = await asyncio.gather(*(browser.get("/") for _ in range(10)))
        assert {each.status_code for each in pages} == {200}
        alone = counting.queries
        assert alone == (await browser.get("/")).text.count("<article")
        assert counting.queries == alone


async def test_without_temporal_the_page_keeps_the_last_state_and_says_so(tmp_path: Path) -> None:
    brief = TemporalServer(tmp_path)
    await brief.start()
    try:
        temporal = await Client.connect(brief.address, data_converter=data_converter())
        rollout = RolloutRef("payments", "checkout")
        await temporal.start_workflow(
            ROLLOUT_WORKFLOW, request(name="checkout"), id=rollout.workflow_id, task_queue=RELEASES_QUEUE
        )
        client = TidegateClient(temporal, answer_timeout=timedelta(milliseconds=200))
        async with browsing(WebPage(client, ACCESS, lasts=timedelta()), READER) as browser:
            await listed(browser, rollout)
            await brief.stop()
            said = (await browser.get("/")).text
    finally:
        await brief.stop()
    assert re.search(r"state of <time[^>]*>.{8} UTC</time>, \d+s old: .*does not answer", said)
    assert 'href="/releases/default/payments/checkout"' in said


async def test_the_process_serves_the_page_by_its_settings(
    server: TemporalServer, handle: ReleaseHandle, tmp_path: Path
) -> None:
    port = free_port()
    settings = {
        "TEMPORAL_ADDRESS": server.address,
        "TIDEGATE_PAGE__ORIGIN": ORIGIN,
        "TIDEGATE_PAGE__OPERATORS": "platform, sre",
        "TIDEGATE_PAGE__PORT": str(port),
    }
    process = TidegateProcess("web", tmp_path, settings, module="workers.web")
    await process.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            browser = Browser(http, OPERATOR)
            await listed(browser, handle.rollout)
            said = (await browser.get(path_of(handle.rollout))).text
            assert "ana, may act" in said
            assert f'href="{path_of(handle.rollout)}/abort"' in said
    finally:
        await process.stop()


async def test_the_command_shows_them_on_this_machine_and_lets_nobody_act(
    server: TemporalServer, handle: ReleaseHandle, tmp_path: Path
) -> None:
    port = free_port()
    argv = [str(BIN / "tidegate"), "web", "--port", str(port)]
    environment = {"HOME": str(tmp_path), "TEMPORAL_ADDRESS": server.address}
    command = Program("tidegate-web-command", argv, log_file=tmp_path / "web.log", env=environment)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:

        async def answers() -> bool:
            try:
                return handle.rollout.name in (await http.get("/")).text
            except httpx.ConnectError:
                return False

        await command.start(answers, timeout=30)
        try:
            assert "read only" in (await http.get("/")).text
            assert (await http.get(f"{path_of(handle.rollout)}/abort", headers=OPERATOR)).status_code == 404
        finally:
            await command.stop()
    assert f"releases: http://127.0.0.1:{port}" in (tmp_path / "web.log").read_text()

"""The load generator as a program: its rate, its host, and an account that adds up."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from sandbox.processes import LOOPBACK, Program, until


class Server:
    """Answers 200, or closes the connection in the middle of the answer; counts requests by Host header."""

    def __init__(self) -> None:
        self.hosts: Counter[str] = Counter()
        self.breaks = False
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.hosts[request.host] += 1
        if self.breaks and request.transport is not None:
            request.transport.abort()
        return web.Response(text="ok")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    runner = web.ServerRunner(web.Server(server.answer))
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    server.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}/"
    yield server
    await runner.cleanup()


class Load:
    """The running program and its summary."""

    def __init__(self, url: str, folder: Path) -> None:
        self.file = folder / "summary.json"
        options = ["--url", url, "--host", "checkout", "--rate", "200", "--summary", str(self.file)]
        self.program = Program("load", [sys.executable, "-m", "sandbox.load", *options], log_file=folder / "load.log")

    async def run_until(self, condition: Callable[[], bool]) -> None:
        async def holds() -> bool:
            return condition()

        await self.program.start(holds)

    def summary(self) -> dict[str, object]:
        return dict(json.loads(self.file.read_text()))


@pytest.fixture
async def load(server: Server, tmp_path: Path) -> AsyncIterator[Load]:
    load = Load(server.url, tmp_path)
    yield load
    await load.program.stop()


async def test_requests_go_out_at_the_rate_and_all_are_accounted_for(server: Server, load: Load) -> None:
    await load.run_until(lambda: server.hosts.total() >= 100)
    await load.program.stop()
    summary = load.summary()
    sent, seconds = summary["sent"], summary["seconds"]
    assert isinstance(sent, int)
    assert isinstance(seconds, float)
    assert summary["statuses"] == {"200": sent}
    assert summary["transport_errors"] == {}
    assert server.hosts == {"checkout": sent}
    assert sent == pytest.approx(200 * seconds, rel=0.1, abs=3)
    assert load.program.log_file.read_bytes() == b""


async def test_a_broken_connection_is_counted_and_the_load_goes_on(server: Server, load: Load) -> None:
    server.breaks = True
    await load.run_until(lambda: server.hosts.total() >= 20)
    server.breaks = False
    answered = server.hosts.total() + 20

    async def goes_on() -> bool:
        return server.hosts.total() >= answered

    await until(goes_on, 5.0, "the load goes on")
    await load.program.stop()
    summary = load.summary()
    assert isinstance(summary["transport_errors"], dict)
    assert sum(summary["transport_errors"].values()) > 0


async def test_the_summary_can_be_had_at_any_time(server: Server, load: Load) -> None:
    await load.run_until(lambda: server.hosts.total() >= 10)
    load.program.send(signal.SIGUSR1)

    async def written() -> bool:
        return load.file.exists()

    await until(written, 5.0, "the summary is written")
    assert load.program.running
    assert load.summary()["seconds"] != 0.0

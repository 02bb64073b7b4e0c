"""The queries of the dashboard, asked of a real Prometheus that saw two releases: a good one and a bad one."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio

from sandbox.processes import LOOPBACK, Program, free_port, until
from sandbox.world import World, open_world
from tests.telemetry.queries import panels
from tests.world.conftest import Releases, connected
from tidegate.contract import ErrorType

PROGRAM = shutil.which("prometheus")
pytestmark = [
    pytest.mark.world,
    pytest.mark.long,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(PROGRAM is None, reason="prometheus is not installed (Debian's package prometheus has it)"),
]
# What two releases of one service do not show. A test of the alerts has the series of each.
QUIET = {
    "Degraded": "the watcher's next look finds the version before",
    "What fails": "nothing failed",
    "Rate limit that is left": "the embedded Datadog has no limit",
}


COUNTED = {"Aborted in 24 h": ["1"], "Releases under way": ["0"]}


class Watched(NamedTuple):
    """A world, and the Prometheus that reads its processes each second."""

    address: str
    began: float

    async def asked(self, query: str) -> list[dict[str, Any]]:
        """The series of a query over the whole time."""
        span = {"query": query, "start": str(self.began), "end": str(time.time()), "step": "1"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.address}/api/v1/query_range", params=span) as answer,
        ):
            found = await answer.json()
        assert found["status"] == "success", found
        series: list[dict[str, Any]] = found["data"]["result"]
        return [each for each in series if any(value != "NaN" for _, value in each["values"])]


def configured(world: World) -> dict[str, Any]:
    """Prometheus' settings: each process is a target with the labels that the ServiceMonitor puts on."""
    targets = [
        {"targets": [address], "labels": {"app_kubernetes_io_component": name, "pod": f"{name}-0"}}
        for name, address in world.metrics.items()
    ]
    return {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "tidegate", "static_configs": targets}],
    }


@asynccontextmanager
async def prometheus(world: World) -> AsyncIterator[str]:
    """A Prometheus that reads the processes of a world; its address."""
    config = world.state / "prometheus.yml"
    config.write_text(json.dumps(configured(world)), "utf-8")
    address = f"{LOOPBACK}:{free_port()}"
    storage = f"--storage.tsdb.path={world.state / 'prometheus'}"
    argv = [str(PROGRAM), f"--config.file={config}", storage, f"--web.listen-address={address}"]
    program = Program("prometheus", argv, log_file=world.state / "prometheus.log")

    async def ready() -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"http://{address}/-/ready") as answer:
            return answer.status == 200

    try:
        await program.start(ready, timeout=30.0)
        yield f"http://{address}"
    finally:
        await program.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watched() -> AsyncIterator[Watched]:
    async with open_world() as world:
        await world.start_worker()
        await world.start_watcher()
        async with prometheus(world) as address:
            began = time.time()
            releases = Releases(world, await connected(world), "checkout")
            await releases.prepare()
            for tag, outcome in (("1.1.0", "Healthy"), ("1.2.0-bad", ErrorType.ROLLOUT_ABORTED)):
                ended = await releases.ended(await releases.start(tag))
                assert ended.outcome == outcome, ended.message
            yield Watched(address, began)


async def test_each_panel_shows_something(watched: Watched) -> None:
    empty = dict(panels())

    async def all_seen() -> bool:
        for title, query in panels():
            if title in empty and await watched.asked(query):
                del empty[title]
        return set(empty) <= set(QUIET)

    with suppress(TimeoutError):
        await until(all_seen, 60.0, "series of each panel")
    assert set(empty) <= set(QUIET), empty


async def test_the_weight_is_drawn_as_it_was_set(watched: Watched) -> None:
    [series] = await watched.asked('tidegate_rollout_weight{rollout="checkout"}')
    assert {"0", "10", "25", "50"} <= {value for _, value in series["values"]}


async def test_the_first_of_a_kind_is_counted(watched: Watched) -> None:
    """A counter that begins at 1 has grown by 1, which `increase` alone does not say."""
    queries = dict(panels())
    counts = {title: [each["values"][-1][1] for each in await watched.asked(queries[title])] for title in COUNTED}
    assert counts == COUNTED


async def test_the_way_back_was_as_fast_as_it_was_seen(watched: Watched) -> None:
    [series] = await watched.asked(dict(panels())["Verdict to stable, p95 of 24 h"])
    assert 0 < float(series["values"][-1][1]) <= 30

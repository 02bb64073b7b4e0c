"""A suite on a starved machine fails or passes, it does not hang: what ends when a server is gone, or time is over."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.worker import Worker

from sandbox.machine import MOST, patience, slowness
from sandbox.processes import until
from tests.leftovers import MARK, after_a_while
from tests.virtual.time_skipping import freeze, release_runner, served, time_skipping

ROOT = Path(__file__).parents[2]
QUEUE = "ending"
CONFTEST = "from tests.limits import pytest_collection_modifyitems, pytest_runtest_call\n"
SETTINGS = "[pytest]\nasyncio_mode = auto\ntimeout = 4\n"


@workflow.defn
class Waits:
    """Has an activity under way when everything ends."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity("works", start_to_close_timeout=timedelta(minutes=5))


@pytest.mark.long
async def test_a_worker_ends_although_its_server_is_frozen() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @activity.defn
    async def works() -> None:
        begun.set()
        await go_on.wait()

    async with AsyncExitStack() as stack:
        env = await stack.enter_async_context(await time_skipping())
        worker = Worker(
            env.client, task_queue=QUEUE, workflows=[Waits], activities=[works], workflow_runner=release_runner()
        )
        await stack.enter_async_context(served(env, worker, goodbye=1.0))
        await env.client.start_workflow(Waits.run, id="waits", task_queue=QUEUE)
        await begun.wait()
        freeze(env)
        began, limit = time.monotonic(), patience(60.0)
    assert time.monotonic() - began < limit


def suite(folder: Path, test: str) -> tuple[int, str, float]:
    """Exit code of a suite of one file, what it said, and how long it took."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "test_it.py").write_text(f"import asyncio, pytest, pytest_asyncio, time\n{test}")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(folder)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), MARK: os.environ[MARK]},
        capture_output=True,
        text=True,
        timeout=170,
    )
    return done.returncode, done.stdout + done.stderr, time.monotonic() - began


@pytest.mark.long
def test_a_release_whose_server_is_frozen_ends_with_its_test(tmp_path: Path) -> None:
    code, said, _ = suite(
        tmp_path,
        """
from tests.virtual.releases import release_world
from tests.virtual.time_skipping import freeze


async def test_waits():
    async with release_world() as world:
        freeze(world.env)
        await asyncio.Event().wait()


async def test_after():
    pass
""",
    )
    assert code == 1
    assert "1 failed, 1 passed" in said or "Timeout" in said


def test_a_process_that_is_ended_takes_its_servers_along(tmp_path: Path, nothing_is_left_running: str) -> None:
    code, _, _ = suite(
        tmp_path,
        """
import os
from tests.virtual.time_skipping import freeze, time_skipping


async def test_is_ended():
    for _ in range(2):
        env = await time_skipping()
    freeze(env)
    os._exit(3)
""",
    )
    assert code == 3
    assert after_a_while(nothing_is_left_running) == {}


def test_a_fixture_that_never_ends_ends_its_process_with_all_stacks(tmp_path: Path) -> None:
    code, said, took = suite(
        tmp_path,
        """
@pytest_asyncio.fixture
async def never():
    yield
    await asyncio.Event().wait()


async def test_uses_it(never):
    pass
""",
    )
    assert code == 1
    assert "Timeout" in said
    assert "run_until_complete" in said
    assert took < patience(60.0)


async def test_limits_follow_the_speed_of_the_machine() -> None:
    assert 1.0 <= slowness() <= MOST
    assert patience(3.0) == pytest.approx(3.0 * slowness())

    async def never() -> bool:
        return False

    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"it comes: not so after 0\.5 s"):
        await until(never, 0.5, "it comes")
    assert time.monotonic() - began >= 0.5

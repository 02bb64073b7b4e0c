"""Each exit code of the README, produced by a command against a real Temporal server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from sandbox.processes import free_port, until
from tests.workers.conftest import Terminal
from tests.workers.scripted_release import Answering, request
from tidegate.client import ReleaseHandle, RolloutRef, TidegateClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEED = Path(__file__).parents[2] / "examples" / "checkout"
# Sends the signal at the moment at which the commands are imported, as a person who thinks better of it would.
INTERRUPTED = """
import importlib.abc, os, signal, sys

class Impatient(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "tidegate.cli.app":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Impatient())
from tidegate.cli import main
main()
"""


async def test_promoted_is_0(tidegate: Terminal, client: TidegateClient, handle: ReleaseHandle) -> None:
    assert await tidegate("promote", handle.rollout.name) == 0
    await client.wait(handle)
    assert await tidegate("status", handle.rollout.name) == 0


async def test_an_abort_is_0_when_the_traffic_is_back_and_the_release_is_2(
    tidegate: Terminal, handle: ReleaseHandle
) -> None:
    name = handle.rollout.name
    assert await tidegate("abort", name, "--reason", "smells") == 0
    assert tidegate.out() == f"rollout '{name}' aborted: abort by alice@github; 0 % of the traffic is on the canary\n"
    assert await tidegate("status", name) == 2


async def test_a_pause_by_a_person_is_3(tidegate: Terminal, handle: ReleaseHandle) -> None:
    assert await tidegate("pause", handle.rollout.name) == 0
    assert await tidegate("status", handle.rollout.name) == 3


async def test_under_way_is_4(tidegate: Terminal, handle: ReleaseHandle) -> None:
    assert await tidegate("status", handle.rollout.name) == 4


async def test_an_abort_without_a_worker_is_4_and_says_that_it_is_not_done(
    tidegate: Terminal, client: TidegateClient, answering: Answering, rollout: RolloutRef
) -> None:
    async with answering():
        handle = await client.start(request(name=rollout.name))
    assert await tidegate("abort", rollout.name) == 4
    asked = "abort was asked for and is not done yet: no worker answers, and it counts as soon as one does"
    assert tidegate.out() == f"rollout '{rollout.name}': {asked}\n"
    async with answering():
        assert await tidegate("status", rollout.name, "--watch", "--timeout", "20s") == 2
    assert handle.rollout == rollout


async def test_too_late_is_5(tidegate: Terminal, client: TidegateClient, handle: ReleaseHandle) -> None:
    await client.promote(handle.rollout)
    await client.wait(handle)
    assert await tidegate("abort", handle.rollout.name) == 5


async def test_an_undoing_that_failed_is_6(tidegate: Terminal, client: TidegateClient, handle: ReleaseHandle) -> None:
    await client.abort(handle.rollout, reason="undo failed")
    assert await tidegate("status", handle.rollout.name, "--watch") == 6


@pytest.mark.parametrize("command", [("get", "rollout"), ("status",), ("explain",), ("abort",), ("promote",)])
async def test_what_is_not_there_is_7(tidegate: Terminal, command: tuple[str, ...]) -> None:
    assert await tidegate(*command, "nobody") == 7
    assert "there is no such release" in tidegate.read()[1]


@pytest.mark.parametrize("command", [("list",), ("abort", "checkout"), ("start", "-f", str(SEED / "corrected"))])
async def test_no_temporal_is_8_in_plain_words(
    tidegate: Terminal, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    monkeypatch.delenv("TIDEGATE_NAMESPACE")
    assert await tidegate(*command) == 8
    err = tidegate.read()[1]
    assert f"error: Temporal at {address} does not answer: Connection refused\n" in err
    assert "tonic" not in err


async def test_a_wrong_option_is_64(tidegate: Terminal) -> None:
    assert await tidegate("abort", "checkout", "--frobnicate") == 64


async def test_an_interruption_while_the_command_is_loaded_is_130_and_one_line() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", INTERRUPTED, "list", stderr=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    _, said = await process.communicate()
    assert (process.returncode, said) == (130, b"interrupted\n")
    assert signal.getsignal(signal.SIGINT) is not None


async def test_the_last_line_of_a_pipeline_holds_value_run_and_remedy(
    tidegate: Terminal, client: TidegateClient, answering: Answering, tmp_path: Path
) -> None:
    manifest = (SEED / "corrected" / "rollout.yaml").read_text()
    (tmp_path / "rollout.yaml").write_text(manifest)
    (tmp_path / "templates.yaml").write_text((SEED / "corrected" / "analysis-template.yaml").read_text())
    async with answering():
        waiting = asyncio.create_task(tidegate("start", "-f", str(tmp_path), "--wait"))
        checkout = RolloutRef("payments", "checkout")

        async def started() -> bool:
            return await client.newest(checkout) is not None

        await until(started, 20.0, "the release of the pipeline")
        await client.abort(checkout, reason="error-rate 0.17 > 0.05")
        assert await waiting == 2
    last = tidegate.read()[1].splitlines()[-1]
    assert last.startswith("error: payments/checkout (")
    assert "run rollout/default/payments/checkout " in last
    assert last.endswith("next: tidegate explain checkout -n payments, then start a mended version")

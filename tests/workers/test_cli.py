"""The commands against a real Temporal server: what they print, and their exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sysconfig
from pathlib import Path

import pytest

from tests.workers.conftest import Terminal
from tidegate.client import ReleaseHandle, RolloutRef, TidegateClient

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.usefixtures("observing")
async def test_get_rollout_shows_the_tree_with_pods(tidegate: Terminal, handle: ReleaseHandle) -> None:
    name = handle.rollout.name
    assert await tidegate("get", "rollout", name) == 0
    shown = tidegate.out()
    assert "Status:          ◌ Progressing\n" in shown
    assert f"└──□ {name}-1  Pod         ✔ Running" in shown


async def test_json_has_the_version_of_its_shape(tidegate: Terminal, handle: ReleaseHandle) -> None:
    assert await tidegate("get", "rollout", handle.rollout.name, "-o", "json") == 0
    status = json.loads(tidegate.out())
    assert (status["schema_version"], status["kind"]) == (1, "ReleaseStatus")
    assert status["name"] == handle.rollout.name
    assert await tidegate("list", "-o", "json") == 0
    assert json.loads(tidegate.out())["kind"] == "List"


async def test_a_message_is_said_with_who_said_it(tidegate: Terminal, handle: ReleaseHandle) -> None:
    name = handle.rollout.name
    assert await tidegate("pause", name, "--reason", "lunch") == 0
    assert tidegate.out() == f"rollout '{name}' paused: pause by alice@github\n"
    assert await tidegate("status", name) == 3
    assert await tidegate("promote", name, "--by", "bob") == 0
    assert tidegate.out().endswith(f"rollout '{name}' promoted: promote by bob\n")
    assert await tidegate("status", name) == 0
    assert await tidegate("promote", name) == 5
    assert "the release has ended" in tidegate.read()[1]


async def test_a_watched_release_is_told_line_by_line_where_there_is_no_terminal(
    tidegate: Terminal, client: TidegateClient, handle: ReleaseHandle
) -> None:
    name = handle.rollout.name
    watching = await asyncio.create_subprocess_exec(
        Path(sysconfig.get_path("scripts"), "tidegate"),
        *("get", "rollout", name, "-w"),
        stdout=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    try:
        assert watching.stdout is not None
        waiting = asyncio.create_task(tidegate("status", name, "-w", "--timeout", "30s"))
        while "Progressing" not in (await watching.stdout.readline()).decode():
            pass
        await client.abort(handle.rollout, reason="error-rate failed")
        assert await waiting == 2
        while "✖ Degraded - error-rate failed" not in (line := (await watching.stdout.readline()).decode()):
            assert line, "it goes on with the next release, until somebody ends it"
        watching.send_signal(signal.SIGINT)
        assert await watching.wait() == 130
    finally:
        if watching.returncode is None:
            watching.kill()
            await watching.wait()


async def test_a_wait_that_is_over_says_so(tidegate: Terminal, handle: ReleaseHandle) -> None:
    assert await tidegate("status", handle.rollout.name, "-w", "--timeout", "1s") == 4
    assert "still running after" in tidegate.read()[1]


async def test_a_list_has_argos_columns(tidegate: Terminal, handle: ReleaseHandle) -> None:
    listed = ""
    while handle.rollout.name not in listed:  # visibility follows the history by a moment
        assert await tidegate("list", "rollouts", "-A") == 0
        listed = tidegate.out()
    title, *_ = listed.splitlines()
    assert title.split() == [
        "NAMESPACE",
        "NAME",
        "STRATEGY",
        "STATUS",
        "STEP",
        "SET-WEIGHT",
        "READY",
        "DESIRED",
        "UP-TO-DATE",
        "AVAILABLE",
        "VERSION",
    ]


async def test_a_list_that_is_cut_says_so(tidegate: Terminal, handle: ReleaseHandle) -> None:
    out = err = ""
    while handle.rollout.name not in out:  # visibility follows the history by a moment
        assert await tidegate("list", "rollouts", "-A", "--limit", "1") == 0
        out, err = tidegate.read()
    assert len(out.splitlines()) == 2
    assert "there may be more: see --limit" in err


async def test_an_expected_error_is_one_block(tidegate: Terminal, rollout: RolloutRef) -> None:
    assert await tidegate("abort", rollout.name) == 7
    out, err = tidegate.read()
    assert out == ""
    assert err.splitlines() == [
        f"error: rollout/default/payments/{rollout.name}: there is no such release",
        "remedy: see `tidegate list -A`; the name, -n/--namespace or --cluster may differ",
    ]

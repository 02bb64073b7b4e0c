"""The commands against a real Temporal server: what they print, and their exit codes."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Coroutine

import pytest
import structlog

from sandbox.temporal import TemporalServer
from tests.workers.scripted_release import Answering, request
from tidegate.cli.app import run
from tidegate.client import ReleaseHandle, RolloutRef, TidegateClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

Command = Callable[..., Coroutine[None, None, int]]


@pytest.fixture
def rollout() -> RolloutRef:
    return RolloutRef("payments", f"checkout-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def tidegate(server: TemporalServer, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command as a terminal would, in a thread since it brings its own event loop."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
    monkeypatch.setenv("TIDEGATE_NAMESPACE", "payments")
    monkeypatch.setenv("GITHUB_ACTOR", "alice")

    async def command(*arguments: str) -> int:
        try:
            return await asyncio.to_thread(run, arguments)
        finally:
            structlog.reset_defaults()

    return command


async def started(client: TidegateClient, rollout: RolloutRef) -> ReleaseHandle:
    return await client.start(request(name=rollout.name))


@pytest.mark.usefixtures("observing")
async def test_get_rollout_shows_the_tree_with_pods(
    tidegate: Command,
    client: TidegateClient,
    answering: Answering,
    rollout: RolloutRef,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with answering():
        await started(client, rollout)
        assert await tidegate("get", "rollout", rollout.name) == 0
    shown = capsys.readouterr().out
    assert "Status:          ◌ Progressing\n" in shown
    assert f"└──□ {rollout.name}-1  Pod         ✔ Running" in shown


async def test_json_has_the_version_of_its_shape(
    tidegate: Command,
    client: TidegateClient,
    answering: Answering,
    rollout: RolloutRef,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with answering():
        await started(client, rollout)
        assert await tidegate("get", "rollout", rollout.name, "-o", "json") == 0
        status = json.loads(capsys.readouterr().out)
        assert (status["schema_version"], status["kind"]) == (1, "ReleaseStatus")
        assert status["name"] == rollout.name
        assert await tidegate("list", "-o", "json") == 0
        listed = json.loads(capsys.readouterr().out)
        assert listed["kind"] == "List"


async def test_a_message_is_said_with_who_said_it(
    tidegate: Command,
    client: TidegateClient,
    answering: Answering,
    rollout: RolloutRef,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with answering():
        await started(client, rollout)
        assert await tidegate("pause", rollout.name, "--reason", "lunch") == 0
        assert capsys.readouterr().out == f"rollout '{rollout.name}' paused: pause by alice@github\n"
        assert await tidegate("status", rollout.name) == 3
        assert await tidegate("promote", rollout.name, "--by", "bob") == 0
        assert capsys.readouterr().out.endswith(f"rollout '{rollout.name}' promoted: promote by bob\n")
        assert await tidegate("status", rollout.name) == 0
        assert await tidegate("promote", rollout.name) == 5
        assert "the release has ended" in capsys.readouterr().err


async def test_a_watched_release_is_told_line_by_line_where_there_is_no_terminal(
    tidegate: Command,
    client: TidegateClient,
    answering: Answering,
    rollout: RolloutRef,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with answering():
        handle = await started(client, rollout)
        watching = asyncio.create_task(tidegate("get", "rollout", rollout.name, "-w"))
        waiting = asyncio.create_task(tidegate("status", rollout.name, "-w", "--timeout", "30s"))
        told = ""
        while "Progressing" not in told:
            await asyncio.sleep(0.01)
            told += capsys.readouterr().out
        await client.abort(rollout, reason="error-rate failed")
        assert await watching == 0
        assert await waiting == 2
        told += capsys.readouterr().out
    assert "✖ Degraded - error-rate failed" in told
    assert handle.run_id


async def test_a_wait_that_is_over_says_so(
    tidegate: Command,
    client: TidegateClient,
    answering: Answering,
    rollout: RolloutRef,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with answering():
        await started(client, rollout)
        assert await tidegate("status", rollout.name, "-w", "--timeout", "1s") == 4
    assert "still running after" in capsys.readouterr().err


async def test_a_list_has_argos_columns(
    tidegate: Command,
    client: TidegateClient,
    answering: Answering,
    rollout: RolloutRef,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with answering():
        await started(client, rollout)
        listed = ""
        while rollout.name not in listed:  # visibility follows the history by a moment
            assert await tidegate("list", "rollouts", "-A") == 0
            listed = capsys.readouterr().out
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
    ]


async def test_an_expected_error_is_one_block(
    tidegate: Command, rollout: RolloutRef, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await tidegate("abort", rollout.name) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"error: rollout/default/payments/{rollout.name}: there is no such release",
        "remedy: see `tidegate list -A`; the name, -n/--namespace or --cluster may differ",
    ]

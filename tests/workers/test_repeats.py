"""What was released before: `history`, `wait`, `retry` and `set image`."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from sandbox.temporal import TemporalServer
from tests.unit.cli.test_cli_commands import SEED
from tests.workers.conftest import Terminal
from tests.workers.scripted_release import Answering, request
from tidegate.client import ReleaseHandle, RolloutRef, TidegateClient
from tidegate.manifests.documents import load

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_history_has_the_releases_the_newest_first(
    tidegate: Terminal, client: TidegateClient, handle: ReleaseHandle
) -> None:
    name = handle.rollout.name
    assert await tidegate("abort", name, "--reason", "smells", "--no-wait") == 0
    assert await tidegate("wait", name) == 2
    assert await tidegate("retry", name) == 0
    assert await tidegate("promote", name) == 0
    assert await tidegate("wait", name, "--timeout", "30s") == 0
    tidegate.out()
    assert await tidegate("history", name) == 0
    titles, newest, oldest = tidegate.out().splitlines()
    assert titles.split()[:3] == ["REVISION", "VERSION", "OUTCOME"]
    assert "promoted" in newest
    assert "aborted" in oldest
    assert oldest.rstrip().endswith("smells")
    assert await tidegate("history", name, "--limit", "1", "-o", "json") == 0
    [one] = json.loads(tidegate.out())["items"]
    assert (one["kind"], one["outcome"], one["images"]) == ("PastRelease", "promoted", {"checkout": "checkout:1"})
    assert await tidegate("retry", name) == 5, "it was promoted"
    assert "was promoted" in tidegate.read()[1]


async def test_history_without_a_worker_has_what_temporal_keeps(
    tidegate: Terminal, client: TidegateClient, answering: Answering, rollout: RolloutRef
) -> None:
    async with answering():
        await client.start(request(name=rollout.name))
    assert await tidegate("history", rollout.name) == 0
    assert "under way" in tidegate.out()
    assert await tidegate("history", "not-there") == 7


async def test_wait_until_held_ends_with_the_hold(tidegate: Terminal, handle: ReleaseHandle) -> None:
    assert await tidegate("pause", handle.rollout.name) == 0
    assert await tidegate("wait", handle.rollout.name, "--until-held", "--timeout", "30s") == 3
    assert await tidegate("wait", handle.rollout.name, "--timeout", "100ms") == 4


async def test_set_image_releases_the_manifests_with_another_image(
    tidegate: Terminal, client: TidegateClient, answering: Answering, rollout: RolloutRef
) -> None:
    manifest = load([SEED / "rollout.yaml"]).rollout().raw
    async with answering():
        await client.start(request(name=rollout.name, rollout=manifest))
        assert await tidegate("set", "image", rollout.name, "checkout=registry.internal/checkout:9.9") == 0
        images = (await client.status(rollout)).images
        assert images["checkout"] == "registry.internal/checkout:9.9"
        assert await tidegate("set", "image", rollout.name, "other=x:1") == 5
        assert await tidegate("retry", rollout.name) == 5, "it is under way"


async def test_a_shell_completes_names_of_rollouts(server: TemporalServer, handle: ReleaseHandle) -> None:
    name = handle.rollout.name
    asked = {
        "TEMPORAL_ADDRESS": server.address,
        "TIDEGATE_NAMESPACE": "payments",
        "COMP_WORDS": f"tidegate promote {name[:-2]}",
        "COMP_CWORD": "2",
        "_TIDEGATE_COMPLETE": "complete_bash",
    }
    argv = [sys.executable, "-c", "from tidegate.cli.app import run; run([])"]
    done = await asyncio.to_thread(
        subprocess.run, argv, capture_output=True, text=True, timeout=60, env=os.environ | asked
    )
    assert name in done.stdout.split(), done.stderr


async def test_get_and_list_have_the_forms_of_kubectl(tidegate: Terminal, handle: ReleaseHandle) -> None:
    name = handle.rollout.name
    assert await tidegate("get", "ro", name, "-o", "jsonpath={.namespace}") == 0
    assert tidegate.out() == "payments\n"
    assert await tidegate("get", "rollout", name, "-o", "name") == 0
    assert tidegate.out() == f"rollout.argoproj.io/{name}\n"
    assert await tidegate("get", "rollout", name) == 0
    assert f"Name:            {name}" in tidegate.out()
    assert await tidegate("list", "-o", "name") == 0
    assert f"rollout.argoproj.io/{name}" in tidegate.out().split()
    assert await tidegate("list", "-o", "wide") == 0
    assert "UP-TO-DATE" in tidegate.out()
    assert await tidegate("list", "-o", "xml") == 64

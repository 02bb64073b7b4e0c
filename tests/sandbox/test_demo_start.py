"""The beginning and the end of the demonstration, as a person sees them."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from rich.console import Console

from sandbox.commands import FIRST_LINE
from sandbox.demo import SCENARIOS, until_end
from sandbox.world import Part, open_world
from tests.unit.cli.releases import aborting, at, running
from tidegate.cli.watch import Frame, watch_release
from tidegate.contract import ReleaseStatus


@pytest.mark.parametrize(("arguments", "first"), [(["demo"], FIRST_LINE), (["up"], FIRST_LINE), (["api"], "")])
def test_the_first_words_come_before_anything_is_imported(arguments: list[str], first: str) -> None:
    code = (
        f"import sys; sys.argv = ['tidegate-sandbox', *{arguments}]; sys.modules['sandbox.cli'] = None\n"
        "from sandbox.commands import sandbox\n"
        "assert not {'temporalio', 'rich', 'pydantic'} & sys.modules.keys()\n"
        "sandbox()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == first
    assert "sandbox.cli" in ended.stderr  # which it came to


async def test_each_part_is_announced_with_its_address_as_it_comes_up() -> None:
    found: list[tuple[str, str]] = []
    parts = frozenset({Part.CLUSTER, Part.SLACK, Part.SERVICENOW})
    async with open_world(parts, lambda name, address: found.append((name, address))) as world:
        assert ("Kubernetes", world.kubernetes.url) in found
        assert {name for name, _ in found} == {"Kubernetes", "Slack", "ServiceNow"}
        assert all(address.startswith("http://127.0.0.1:") for _, address in found)


async def test_the_last_frame_of_a_release_is_its_result_and_stays_whole() -> None:
    status = aborting().status.model_copy(update={"waiting": None, "finished_at": at(240)})
    ended: asyncio.Future[ReleaseStatus] = asyncio.get_running_loop().create_future()

    async def frames() -> AsyncIterator[Frame[ReleaseStatus]]:
        yield Frame(running().status)
        ended.set_result(status)

    out = io.StringIO()
    environ = {"TERM": "xterm"}
    console = Console(file=out, force_terminal=True, width=80, height=24, color_system=None, _environ=environ)
    await watch_release(console, until_end(frames(), ended))
    last = out.getvalue().rpartition("\x1b[?2026h")[2]
    assert "INC0010001" in last
    assert "waiting for" not in last
    assert "EVENTS" in last
    assert last.count("\r\n") == 24  # 23 between its rows, one after the last


def test_each_release_of_the_demonstration_says_what_it_is_about() -> None:
    assert all(len(each.story) <= 80 and each.story for each in SCENARIOS)

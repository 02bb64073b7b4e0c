"""What a person says and what others wrote, through the command: nothing keeps an abort, nothing steers a terminal."""

from __future__ import annotations

import json

import pytest

from tests.workers.conftest import Terminal
from tidegate.client import ReleaseHandle

pytestmark = pytest.mark.asyncio(loop_scope="module")

LATIN = b"caf\xe9 is down".decode("utf-8", "surrogateescape")  # as argv gives it
HOSTILE = "\x1b]0;owned\x07\x1b[31m\u202ered\x9b2J"


async def test_an_abort_whose_reason_is_no_utf8_aborts(tidegate: Terminal, handle: ReleaseHandle) -> None:
    name = handle.rollout.name
    assert await tidegate("abort", name, "--reason", LATIN, "--by", LATIN) == 0
    tidegate.read()
    assert await tidegate("status", name, "-o", "json") == 2
    assert "caf\ufffd is down" in json.loads(tidegate.out())["message"]


@pytest.mark.parametrize("name", ["../../x", "f0/scale", "f0?x=1", "\u202ef0", "F0", ""])
async def test_a_name_that_is_none_is_refused_by_name(tidegate: Terminal, name: str) -> None:
    assert await tidegate("abort", name) == 64
    assert "give the name of a Kubernetes object" in tidegate.read()[1].replace("\n", " ")


@pytest.mark.parametrize(
    "command",
    [("get", "rollout"), ("get", "rollout", "-o", "json"), ("status",), ("explain",), ("list", "rollouts"), ("abort",)],
)
async def test_nothing_that_others_wrote_steers_a_terminal(
    tidegate: Terminal, handle: ReleaseHandle, command: tuple[str, ...]
) -> None:
    name = handle.rollout.name
    assert await tidegate("abort", name, "--reason", HOSTILE, "--by", HOSTILE) == 0
    tidegate.read()
    verb, *rest = command
    target = [] if verb == "list" else [name]
    await tidegate(verb, *[each for each in rest if each == "rollout" or each == "rollouts"], *target, *rest[1:])
    out, err = tidegate.read()
    for harmful in "\x1b\x07\u202e\x9b":
        assert harmful not in out + err

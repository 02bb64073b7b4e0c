"""Several Rollouts in one command, by name or by label, and restarts, against a real Temporal server."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox.processes import until
from tests.workers.conftest import Terminal
from tests.workers.scripted_release import Answering, request
from tidegate.client import ReleaseHandle, TidegateClient
from tidegate.contract import ReleaseRequest
from tidegate.manifests.selector import parse_selector

pytestmark = pytest.mark.asyncio(loop_scope="module")


def labelled(name: str, **labels: str) -> ReleaseRequest:
    first = request(name=name)
    return first.model_copy(update={"rollout": first.rollout | {"metadata": {"name": name, "labels": labels}}})


async def listed(client: TidegateClient, team: str, *names: str) -> None:
    """Until Temporal lists those of a team that are under way: visibility follows the history by a moment."""

    async def are() -> bool:
        found = await client.list("payments", selector=parse_selector(f"team={team}"))
        return [each.name for each in found if each.state == "Running"] == sorted(names)

    await until(are, 30, f"{names} in the list")


@pytest_asyncio.fixture(loop_scope="module")
async def team(client: TidegateClient, answering: Answering) -> AsyncIterator[tuple[str, list[str]]]:
    """The value of the label `team` of two releases that Temporal lists, and their names."""
    value = f"t{uuid.uuid4().hex[:8]}"
    names = [f"cart-{value}", f"checkout-{value}"]
    async with answering():
        for name in names:
            await client.start(labelled(name, team=value, app=name.partition("-")[0]))
        await listed(client, value, *names)
        yield value, names


async def test_each_name_has_its_line_and_the_worst_code_counts(
    tidegate: Terminal, team: tuple[str, list[str]]
) -> None:
    cart, checkout = team[1]
    assert await tidegate("pause", cart, checkout, "not-there") == 7
    out, err = tidegate.read()
    assert sorted(out.splitlines()) == [f"rollout '{name}' paused: pause by alice@github" for name in (cart, checkout)]
    assert err.splitlines()[0] == f"pause: {cart}, {checkout}, not-there"
    assert "error: rollout/default/payments/not-there: there is no such release" in err
    assert await tidegate("status", cart, checkout) == 3
    assert [line.partition(": ")[0] for line in sorted(tidegate.out().splitlines())] == [cart, checkout]
    assert await tidegate("abort", cart, checkout, "--no-wait", "-o", "json") == 0
    assert [item["kind"] for item in json.loads(tidegate.out())["items"]] == ["Accepted", "Accepted"]


async def test_labels_select_what_is_under_way_and_it_is_said_before(
    tidegate: Terminal, client: TidegateClient, team: tuple[str, list[str]]
) -> None:
    value, (cart, checkout) = team
    assert await tidegate("list", "-l", f"team={value},app!=cart", "-o", "name") == 0
    assert tidegate.out() == f"rollout.argoproj.io/{checkout}\n"
    assert await tidegate("promote", "-l", f"team={value},app=cart") == 0
    out, err = tidegate.read()
    assert err.startswith(f"promote: {cart}")
    assert out == f"rollout '{cart}' promoted: promote by alice@github\n"
    await listed(client, value, checkout)
    assert await tidegate("abort", "-l", f"team={value}", "--no-wait") == 0
    out, err = tidegate.read()
    assert err.startswith(f"abort: {checkout}"), "the other one has ended"
    assert cart not in out
    assert await tidegate("abort", "-l", "team=nobody") == 7
    assert (
        "no Rollout of namespace payments has a release under way and these labels: team in (nobody)"
        in tidegate.read()[1]
    )


async def test_several_trees_are_one_list_for_programs(tidegate: Terminal, team: tuple[str, list[str]]) -> None:
    value, names = team
    assert await tidegate("get", "rollout", *names, "-o", "jsonpath={.items[*].name}") == 0
    assert tidegate.out().splitlines() == names
    assert await tidegate("get", "rollout", "-l", f"team={value}") == 0
    shown = tidegate.out()
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("Name:")] == names
    assert "\n\nName:" in shown, "there is a line between"
    assert await tidegate("get", "rollout", names[0], "-o", "jsonpath={.name}") == 0
    assert tidegate.out() == f"{names[0]}\n"


async def test_a_restart_is_a_request_with_the_time_and_the_person(
    tidegate: Terminal, client: TidegateClient, handle: ReleaseHandle
) -> None:
    name = handle.rollout.name
    assert await tidegate("restart", name, "--reason", "a leak") == 0
    assert tidegate.out() == f"rollout '{name}' restarting: new pods were asked for; release 2\n"
    status = await client.status(handle.rollout)
    assert status.versions == 1, "it is the same version"
    assert await tidegate("abort", name, "--no-wait") == 0
    assert await tidegate("wait", name) == 2
    tidegate.read()
    assert await tidegate("restart", name) == 5
    assert "a restart would be its retry" in tidegate.read()[1]

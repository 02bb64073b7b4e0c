"""The real workflows with the payload codec on: they do the same, and their histories show nothing of the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from tests.readable import places
from tests.virtual.releases import IMAGE, World, open_release_world
from tidegate.client import FixedKeys, Keyring, RolloutRef, StoredKeys, TidegateClient, data_converter
from tidegate.client.keyring import REREAD_SECONDS
from tidegate.contract import ErrorType

KEYS = FixedKeys(Keyring("k1", {"k1": bytes(range(32))}))
STRANGE = FixedKeys(Keyring("k9", {"k9": bytes(32)}))
# What only the manifests, the measurements and the messages about them say.
WORDS = (IMAGE, "checkout-stable", "query of error-rate", "failureLimit", "INC0010001", "smells of fish")


@pytest_asyncio.fixture
async def encrypted() -> AsyncIterator[World]:
    async with asynccontextmanager(open_release_world)(KEYS) as world:
        yield world


async def readable(handle: WorkflowHandle[Any, Any], words: tuple[str, ...]) -> dict[str, set[str]]:
    """Where each word can be read in a history."""
    events = [event async for event in handle.fetch_history_events()]
    return {word: found for word in words if (found := set().union(*(places(event, word) for event in events)))}


async def rolled_back(world: World) -> list[WorkflowHandle[Any, Any]]:
    """A release that its gates ended, and the gates."""
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [0.2]}
    handle = await world.start(world.request("1.1.0", reason="smells of fish"))
    with pytest.raises(WorkflowFailureError) as error:
        await handle.result()
    assert "failureLimit" in str(error.value.cause)
    report = await TidegateClient(world.client).explain(RolloutRef("payments", world.name))
    assert len(report.gates) == 2
    gates = [world.client.get_workflow_handle(f"analysis/default/payments/{gate.name}") for gate in report.gates]
    return [handle, *gates]


async def test_a_rollback_and_its_gates_show_nothing_of_the_service(encrypted: World) -> None:
    for handle in await rolled_back(encrypted):
        assert await readable(handle, WORDS) == {}
        # The name of the Rollout is part of ids and search attributes, which Temporal itself works with.
        [places] = (await readable(handle, ("checkout",))).values()
        assert places <= {"workflow_id", "indexed_fields"}


async def test_without_the_codec_the_same_search_finds_it_all(world: World) -> None:
    release, *_ = await rolled_back(world)
    assert set(await readable(release, WORDS)) == set(WORDS)


class HungStore:
    """Gives its keys once; whoever asks again waits for ever."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked_again = asyncio.Event()
        self._read = False

    async def read(self) -> Keyring:
        if self._read:
            self.asked_again.set()
            await asyncio.Event().wait()
        self._read = True
        return KEYS.ring


async def test_an_abort_waits_for_no_store_of_keys() -> None:
    store = HungStore()
    keys = StoredKeys(store.read, clock=lambda: store.now)
    async with asynccontextmanager(open_release_world)(keys) as world:
        await world.deploy_stable()
        handle = await world.start(world.request("1.1.0"))
        await world.until(handle, lambda status: status.actual_weight > 0)
        store.now += REREAD_SECONDS
        await abort_as_a_stranger(world, handle)
        assert store.asked_again.is_set()
    await keys.close()


async def abort_as_a_stranger(world: World, handle: WorkflowHandle[Any, Any]) -> None:
    """Abort with a key that no worker has, and wait until the release has ended."""
    stranger = Client(world.client.service_client, data_converter=data_converter(STRANGE))
    await stranger.get_workflow_handle(handle.id).signal("abort", {"by": "alice"})
    with pytest.raises(WorkflowFailureError) as error:
        await handle.result()
    assert isinstance(error.value.cause, ApplicationError)
    assert error.value.cause.type == ErrorType.ROLLOUT_ABORTED


async def test_an_abort_with_a_key_that_no_worker_has_is_an_abort(encrypted: World) -> None:
    await encrypted.deploy_stable()
    handle = await encrypted.start(encrypted.request("1.1.0"))
    await encrypted.until(handle, lambda status: status.actual_weight > 0)
    await abort_as_a_stranger(encrypted, handle)
